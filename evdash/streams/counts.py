"""Counting entries of a range by reading them, up to a bound: Redis has no other way to know."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from evdash.events.entry_id import EntryId
from evdash.streams.reads import read_forward

SCAN_MAX = 10_000
SCAN_MAX_BYTES = 32 * 2**20
READ_STEP = 200


@dataclass(frozen=True, slots=True)
class Count:
    """So many; when not `exact`, at least so many."""

    number: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" if self.exact else f"{self.number:,}+"

    def entries(self) -> str:
        """As words: "1 entry", "10,000+ entries"."""
        return f"{self} {'entry' if self == Count(1) else 'entries'}"


@dataclass(frozen=True, slots=True)
class Scan:
    """The IDs of a range in stream order. Not complete: the range goes on past the last one."""

    ids: tuple[EntryId, ...]
    complete: bool

    @property
    def count(self) -> Count:
        """How many entries the range has."""
        return Count(len(self.ids), self.complete)


def scan(
    client: redis.Redis,
    stream: str,
    *,
    since: EntryId = EntryId.MIN,
    through: EntryId = EntryId.MAX,
    at_most: int = SCAN_MAX,
) -> Scan:
    """The IDs from `since` to `through`, both included, up to `at_most` of them and some 32 MB of entries."""
    ids: list[EntryId] = []
    size = 0
    after = since.previous() if since != EntryId.MIN else None
    while len(ids) < at_most and size < SCAN_MAX_BYTES:
        # One more than is asked for tells whether the range ends there.
        step = min(READ_STEP, at_most - len(ids) + 1)
        entries = read_forward(client, stream, after=after, through=through, count=step)
        ids += [entry.entry_id for entry in entries]
        if len(entries) < step:
            return Scan(tuple(ids[:at_most]), complete=len(ids) <= at_most)
        size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        after = entries[-1].entry_id
    return Scan(tuple(ids[:at_most]), complete=False)
