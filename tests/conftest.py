"""What tests of several rooms share: a real Valkey, one for each test process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from evdash.streams.client import open_client
from evdash.streams.embedded import EmbeddedServer


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
