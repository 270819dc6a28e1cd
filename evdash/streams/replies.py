"""Conversion of raw Redis replies into entries and plain values. Every reply may be RESP2 or RESP3."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from evdash.events.entry import Entry, EntryId
from evdash.streams.names import name_of


def entries(stream: str, reply: Any) -> list[Entry]:
    """Return the entries of an XRANGE or XREVRANGE reply."""
    return [entry(stream, raw_id, raw_pairs) for raw_id, raw_pairs in reply or ()]


def entry(stream: str, raw_id: bytes, raw_pairs: list[bytes]) -> Entry:
    """Return one entry from its ID and the flat list of its names and values."""
    names = _shared_names(tuple(raw_pairs[::2]))
    ms, _, seq = raw_id.partition(b"-")  # Redis writes both halves: nothing to check
    return Entry(stream, EntryId(int(ms), int(seq)), tuple(zip(names, raw_pairs[1::2], strict=True)))


def _shared_names(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Return equal lists of names as one object, because thousands of entries are held.

    That is up to 1,024 lists of up to 1,024 bytes.
    """
    return _known_names(names) if sum(map(len, names)) <= 1024 else names


@lru_cache(maxsize=1024)
def _known_names(names: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return names


def by_stream(reply: Any) -> Iterator[tuple[str, list[Any]]]:
    """Yield each stream of an XREAD or XREADGROUP reply with its raw entries; nothing after a time-out."""
    for name, raw_entries in reply.items() if isinstance(reply, dict) else reply or ():
        yield name_of(name), raw_entries


def record(reply: Any) -> dict[str, Any]:
    """Return a record of an XINFO reply by its field names."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    return {text(name): value for name, value in pairs}


def text(raw: Any) -> str:
    """Return a reply as text. Bytes that are not UTF-8 become \\xNN. For a name use `name_of` (names.py)."""
    return raw.decode("utf-8", errors="backslashreplace") if isinstance(raw, bytes) else str(raw)
