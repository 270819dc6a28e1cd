"""What the tests of the streams share: one contract over fakeredis and Valkey."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fakeredis
import pytest
import redis

from evdash.streams.client import keep_raw
from evdash.streams.embedded_server import EmbeddedServer


@pytest.fixture(params=["fakeredis", "valkey"])
def client(request: pytest.FixtureRequest) -> redis.Redis:
    """A raw client, of the imitation first and then of the real server."""
    if request.param == "fakeredis":
        return keep_raw(fakeredis.FakeRedis(protocol=2))
    return request.getfixturevalue("valkey")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of the test's own, to be stopped and started again."""
    with EmbeddedServer(tmp_path) as server:
        yield server


def wait_until(true: Callable[[], object], within_s: float = 10.0) -> None:
    """Return as soon as it is true; fail when it is not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.01)
