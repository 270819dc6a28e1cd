"""What tests of several rooms share: a real Valkey, one for each test process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from evdash.eventlog.opening import shared_tail
from evdash.streams import embedded
from evdash.streams.client import open_client
from evdash.streams.embedded import EmbeddedServer


@pytest.fixture(autouse=True)
def _tail_of_its_own() -> None:
    """The tail that a process keeps is that of one test: the next one empties server and database."""
    shared_tail.cache_clear()


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
    options = embedded._options
    monkeypatch.setattr(embedded, "_options", lambda port: [*options(port), "--key-load-delay", "50"])
