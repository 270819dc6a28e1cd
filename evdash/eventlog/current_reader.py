"""Selection of the reader for the current context: the configured streams, or an override."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

import redis
from django.conf import settings

from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.reader import Reader
from evdash.streams.client import open_client
from evdash.streams.shared_tail import SharedTail

_instead: ContextVar[Callable[[], Reader] | None] = ContextVar("_instead", default=None)


@contextmanager
def open_reader() -> Iterator[Reader]:
    """Open a reader of the configured streams; within `override_reader`, the overriding reader."""
    if instead := _instead.get():
        yield instead()
    else:
        yield LogReader(tail_of_process(), settings.EVDASH.audit_group)


@contextmanager
def override_reader(open_another: Callable[[], Reader]) -> Iterator[None]:
    """Make `open_reader` return the reader that `open_another` opens, inside the block, in this thread or task."""
    before = _instead.set(open_another)
    try:
        yield
    finally:
        _instead.reset(before)


def tail_of_process() -> SharedTail:
    """Return the tail of the configured streams; each process has one."""
    configuration = settings.EVDASH
    groups = (configuration.audit_group, configuration.analytics_group, configuration.debug_group)
    return shared_tail(shared_client(configuration.redis_url), configuration.streams, groups)


@cache
def shared_tail(client: redis.Redis, streams: tuple[str, ...], groups: tuple[str, ...]) -> SharedTail:
    """Return the tail that all readers of these streams share in this process."""
    return SharedTail(client, streams, groups)


@cache
def shared_client(url: str) -> redis.Redis:
    """Return the client that all readers share in this process."""
    return open_client(url or None)
