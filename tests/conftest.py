"""Fixtures of all tests: a real Valkey for each test process, and evdash as a command."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import hypothesis
import pytest
import redis

from evdash.config.environment import CHECKOUT, declarations
from evdash.eventlog.current_reader import shared_tail
from evdash.health import current
from evdash.streams import embedded_server
from evdash.streams.client import open_client
from evdash.streams.contact import forget_contacts
from evdash.streams.embedded_server import EmbeddedServer

# A busy machine is no fault of the code: neither the time of an example nor that of making one is judged. The same code
# has the same examples, so that a red test is due to the change. `make search` searches on, with others.
hypothesis.settings.register_profile(
    "fixed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], derandomize=True, print_blob=True
)
hypothesis.settings.register_profile("fast", hypothesis.settings.get_profile("fixed"), max_examples=10)
hypothesis.settings.register_profile("search", hypothesis.settings.get_profile("fixed"), derandomize=False)
hypothesis.settings.load_profile("fixed")

ManagePy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _tail_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tail that a process keeps is that of one test: the next one empties server and database.

    Health conditions are read for each page: a test does not wait until they are. The keeping has tests of its own.
    """
    monkeypatch.setattr(current, "_kept", SimpleNamespace(get=current.health_of_now))
    shared_tail.cache_clear()
    forget_contacts()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an embedded server that lives as long as the test process."""
    directory: Path = tmp_path_factory.mktemp("valkey")
    with EmbeddedServer(directory) as server:
        yield server.url


@pytest.fixture
def valkey(valkey_url: str) -> Iterator[redis.Redis]:
    """A raw client of that server, emptied."""
    client = open_client(valkey_url)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def slowly_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded servers take 50 µs longer for each command of their file: a small file is as good as a large one."""
    options = embedded_server._options
    monkeypatch.setattr(embedded_server, "_options", lambda port: [*options(port), "--key-load-delay", "50"])


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes: `make check-fast` leaves them out."""
    for item in items:
        if {"valkey_url", "manage_py", "environment"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("processes")
