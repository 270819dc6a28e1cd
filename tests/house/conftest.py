"""What the tests of the house share: commands run as a person runs them, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from evdash.configuration import CHECKOUT, declarations

ManagePy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a new user: none of evdash's variables but a data directory of the test's own."""
    left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"EVDASH_DATA_DIR": str(tmp_path / "data")}


@pytest.fixture
def manage_py(environment: dict[str, str]) -> ManagePy:
    """Run `manage.py` with arguments, and variables by keyword, to its end."""

    def run(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *arguments],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
