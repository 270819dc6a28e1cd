"""A server that nobody runs, for what is asked during an outage."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pytest_django.fixtures import Settings

from tests.builders import STREAM


@pytest.fixture(autouse=True)
def _on_valkey(settings: Settings, valkey_url: str) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url=valkey_url, streams=(STREAM, "other"))


@pytest.fixture
def redis_is_gone(settings: Settings) -> Iterator[None]:
    """Redis at a port that is taken by somebody who never listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"redis://me:hidden@127.0.0.1:{taken.getsockname()[1]}"
        settings.EVDASH = replace(settings.EVDASH, redis_url=url)
        yield
