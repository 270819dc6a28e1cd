"""Which reader answers: that of the watched streams, or another one for as long as somebody says so."""

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
    """A reading of the configured streams; within `override_reader` one by the reader that is opened there."""
    if instead := _instead.get():
        yield instead()
    else:
        yield LogReader(tail_of_process(), settings.EVDASH.audit_group)


@contextmanager
def override_reader(open_another: Callable[[], Reader]) -> Iterator[None]:
    """Inside, in this thread or task, `open_reader` gives what this opens."""
    before = _instead.set(open_another)
    try:
        yield
    finally:
        _instead.reset(before)


def tail_of_process() -> SharedTail:
    """The tail of the configured streams, of which this process has one."""
    configuration = settings.EVDASH
    groups = (configuration.audit_group, configuration.analytics_group, configuration.debug_group)
    return shared_tail(shared_client(configuration.redis_url), configuration.streams, groups)


@cache
def shared_tail(client: redis.Redis, streams: tuple[str, ...], groups: tuple[str, ...]) -> SharedTail:
    """The tail that all readings of these streams share in this process."""
    return SharedTail(client, streams, groups)


@cache
def shared_client(url: str) -> redis.Redis:
    """The client that all readings in this process share."""
    return open_client(url or None)
