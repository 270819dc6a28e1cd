"""Entries of Redis Streams and their IDs: `ms-seq`, both halves unsigned 64-bit.

Format and order: https://redis.io/docs/latest/develop/data-types/streams/#entry-ids
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import ClassVar, NamedTuple, Self

MAX_HALF = 2**64 - 1
# Python's datetime ends with the year 9999. The time half of an ID covers half a billion years.
MAX_DATETIME_MS = 253_402_300_799_999

_PATTERN = re.compile(r"(\d{1,20})(?:-(\d{1,20}))?", re.ASCII)


class InvalidEntryId(ValueError):
    """Invalid entry ID. The message contains the text and the expected format."""


class _Halves(NamedTuple):
    ms: int
    seq: int


class EntryId(_Halves):
    """Position of an entry in a stream. IDs compare exactly as Redis orders entries."""

    __slots__ = ()

    MIN: ClassVar[EntryId]
    MAX: ClassVar[EntryId]

    @classmethod
    def parse(cls, text: str | bytes) -> Self:
        """Return the ID written as `ms-seq`, or as `ms` alone, which Redis reads as `ms-0`.

        Raise InvalidEntryId for any other text, including a half above 2^64-1.
        """
        if isinstance(text, bytes):
            text = text.decode("ascii", errors="replace")
        match = _PATTERN.fullmatch(text)
        if match:
            ms, seq = int(match[1]), int(match[2] or 0)
            if ms <= MAX_HALF and seq <= MAX_HALF:
                return cls(ms, seq)
        raise InvalidEntryId(
            f"{text[:60]!r} is not an entry ID: expected milliseconds-sequence, such as 1700000000000-0"
        )

    @classmethod
    def from_bytes(cls, packed: bytes) -> Self:
        """Return the ID from its 16 bytes (see `to_bytes`)."""
        return cls(int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:16], "big"))

    def to_bytes(self) -> bytes:
        """Return 16 bytes, big-endian. They sort in the order of the IDs."""
        return self.ms.to_bytes(8, "big") + self.seq.to_bytes(8, "big")

    @property
    def time(self) -> datetime | None:
        """Time in the ID (UTC), or None past the year 9999."""
        if self.ms > MAX_DATETIME_MS:
            return None
        seconds, ms = divmod(self.ms, 1000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=ms * 1000)

    def next(self) -> EntryId:
        """Return the ID directly after this one. EntryId.MAX returns itself."""
        if self.seq < MAX_HALF:
            return EntryId(self.ms, self.seq + 1)
        return EntryId(self.ms + 1, 0) if self.ms < MAX_HALF else self

    def previous(self) -> EntryId:
        """Return the ID directly before this one. EntryId.MIN returns itself."""
        if self.seq > 0:
            return EntryId(self.ms, self.seq - 1)
        return EntryId(self.ms - 1, MAX_HALF) if self.ms > 0 else self

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"


EntryId.MIN = EntryId(0, 0)
EntryId.MAX = EntryId(MAX_HALF, MAX_HALF)


class Entry(NamedTuple):
    """One entry of a stream, with its raw pairs in order. A repeated field stays repeated."""

    stream: str
    entry_id: EntryId
    pairs: tuple[tuple[bytes, bytes], ...]
