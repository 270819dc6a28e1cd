"""Which reader answers: that of the watched streams, or another one for as long as somebody says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import redis
from django.conf import settings

from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.reader import Reader
from evdash.streams.client import open_client

_instead: ContextVar[Reader | None] = ContextVar("_instead", default=None)


@contextmanager
def open_reader() -> Iterator[Reader]:
    """A reading of the configured streams; within `reading_from` the reader that it names."""
    configuration = settings.EVDASH
    yield _instead.get() or LogReader(
        _client(configuration.redis_url), configuration.streams, configuration.audit_group
    )


@contextmanager
def reading_from(reader: Reader) -> Iterator[None]:
    """Inside, in this thread or task, `open_reader` gives this reader."""
    before = _instead.set(reader)
    try:
        yield
    finally:
        _instead.reset(before)


@cache
def _client(url: str) -> redis.Redis:
    return open_client(url or None)
