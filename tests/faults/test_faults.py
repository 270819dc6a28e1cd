"""Fixed seeds of the fault injection, in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from evdash.config.environment import CHECKOUT


@pytest.mark.parametrize("seed", [1, 7])
def test_every_table_is_right_after_kills_outages_and_failing_commits(seed: int) -> None:
    command = [sys.executable, "-m", "tests.faults.run", "--seed", str(seed), "--events", "2000", "--seconds", "12"]
    run = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=400)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "every table is right" in run.stdout
