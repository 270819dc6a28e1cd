"""A stream entry as Redis holds it, before anything is read into it."""

from __future__ import annotations

from dataclasses import dataclass

from evdash.events.entry_id import EntryId


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of one stream: its raw pairs in their order, a repeated field repeated."""

    stream: str
    entry_id: EntryId
    pairs: tuple[tuple[bytes, bytes], ...]
