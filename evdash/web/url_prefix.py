"""Addresses of pages that are mounted below another address, and of those that are not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from django.urls import get_script_prefix, set_script_prefix

MOUNTED: Final = frozenset(
    (
        *("overview", "live", "live-missed", "events", "event", "events-ndjson", "events-csv", "errors"),
        *("sessions", "session", "session-file", "session-transcript", "compare", "users", "user", "state"),
    )
)
"""The names of the addresses that are mounted."""

_base: ContextVar[str | None] = ContextVar("_base", default=None)


@contextmanager
def mounted_below(prefix: str) -> Iterator[None]:
    """Inside, every address that is made lies below `prefix`, which has a slash at its end and none at its start."""
    base = base_prefix()
    token, before = _base.set(base), get_script_prefix()
    set_script_prefix(f"{base}{prefix}")
    try:
        yield
    finally:
        set_script_prefix(before)
        _base.reset(token)


@contextmanager
def without_prefix() -> Iterator[None]:
    """Inside, addresses are made as if nothing was mounted."""
    before = get_script_prefix()
    set_script_prefix(base_prefix())
    try:
        yield
    finally:
        set_script_prefix(before)


def base_prefix() -> str:
    """What stands before every address of evdash, a slash at its end."""
    return _base.get() or get_script_prefix()
