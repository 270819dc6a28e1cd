"""URL prefixes: addresses of pages below a sandbox's prefix, and of pages without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.urls import get_script_prefix, set_script_prefix

_base: ContextVar[str | None] = ContextVar("_base", default=None)


@contextmanager
def mounted_below(prefix: str) -> Iterator[None]:
    """Put `prefix` before every address that `reverse()` makes inside. It ends with a slash and begins without one."""
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
    """Make addresses inside without the prefix of a sandbox."""
    before = get_script_prefix()
    set_script_prefix(base_prefix())
    try:
        yield
    finally:
        set_script_prefix(before)


def base_prefix() -> str:
    """Return the prefix of all addresses of evdash, with a slash at its end."""
    return _base.get() or get_script_prefix()
