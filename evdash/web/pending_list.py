"""The list of a group's pending entries: which part of it a page shows, and the ways on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import redis

from evdash.eventlog.reader import Reader
from evdash.events.entry_id import EntryId
from evdash.events.time_bounds import InvalidTimeBound, TimeBound
from evdash.streams.pending import pending_entries
from evdash.web.entry_lines import PendingRow, pending_rows
from evdash.web.paging import BadPlace, entry_place_of, link
from evdash.web.stream_addresses import group_address

ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class PendingFilter:
    """Of which consumer, idle for how long, and after which entry."""

    consumer: str  # "" for all
    idle_over: str  # as it was written; "" for however long
    idle_over_ms: int
    after: EntryId | None

    @classmethod
    def parse(cls, asked: Mapping[str, str]) -> PendingFilter:
        """From `consumer=`, `idle_over=` and `after=`. Raises BadPlace."""
        idle_over = asked.get("idle_over", "").strip()
        return cls(
            asked.get("consumer", ""), idle_over, _milliseconds(idle_over) if idle_over else 0, entry_place_of(asked)[1]
        )

    @property
    def is_set(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.consumer or self.idle_over)

    @property
    def query(self) -> str:
        """The filter in the address of its page."""
        given = {"consumer": self.consumer, "idle_over": self.idle_over}
        return urlencode({name: value for name, value in given.items() if value})

    @property
    def selection(self) -> str:
        """The filter in the address of an operation."""
        given = {"from_consumer": self.consumer, "idle_over": self.idle_over}
        return urlencode({name: value for name, value in given.items() if value})


@dataclass(frozen=True, slots=True)
class PendingList:
    """Some pending entries in stream order."""

    filter: PendingFilter
    rows: tuple[PendingRow, ...]
    first: str  # the list's beginning; "" where this is it
    next: str  # "" at the end


def pending_list(client: redis.Redis, reader: Reader, stream: str, group: str, filter: PendingFilter) -> PendingList:
    """The part that the filter names. Raises StreamsUnavailable and GroupMissing."""
    entries = pending_entries(
        client,
        stream,
        group,
        after=filter.after,
        idle_over_ms=filter.idle_over_ms,
        consumer=filter.consumer or None,
        count=ROWS + 1,
    )
    address = group_address(stream, group)
    return PendingList(
        filter=filter,
        rows=pending_rows(client, reader, stream, entries[:ROWS]),
        first=link(address, filter.query) if filter.after else "",
        next=link(address, filter.query, after=entries[ROWS - 1].entry_id) if len(entries) > ROWS else "",
    )


def _milliseconds(text: str) -> int:
    try:
        ago = TimeBound.parse(text).ago
    except InvalidTimeBound as error:
        raise BadPlace(f"idle_over= {error}.") from None
    if ago is None:
        raise BadPlace(f"idle_over= {text[:60]!r} is no span of time: write 90s, 5m, 2h or 7d.")
    return int(ago.total_seconds() * 1000)
