"""What a replay would copy: the entries of its filter, counted, and how long its pace takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from evdash.eventlog.all_events import all_pages
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.filter import EventFilter
from evdash.streams.sandbox_writer import size_of

CHUNK_EVENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast entries follow each other: full speed, or the gaps between their entry IDs, divided by `speed`."""

    speed: float | None  # None: full speed
    max_gap_s: float | None  # no recorded gap counts for longer

    def gap_s(self, before: EntryId | None, entry_id: EntryId) -> float:
        """Seconds from one entry to the next."""
        if self.speed is None or before is None:
            return 0.0
        recorded_s = max(0, entry_id.ms - before.ms) / 1000
        return (recorded_s if self.max_gap_s is None else min(recorded_s, self.max_gap_s)) / self.speed

    def __str__(self) -> str:
        if self.speed is None:
            return "at full speed"
        capped = "" if self.max_gap_s is None else f", no gap counted for longer than {self.max_gap_s:g} s"
        return f"at {self.speed:g} times the recorded speed{capped}"


@dataclass(slots=True)
class Counted:
    """The entries of a replay, as far as they were counted."""

    entries: int = 0
    size_bytes: int = 0
    duration_s: float = 0.0
    longest_gap_s: float = 0.0
    by_stream: Counter[str] = field(default_factory=Counter)
    first_id: EntryId | None = None
    last_id: EntryId | None = None
    twins: EntryId | None = None  # an ID that an entry of two streams has
    gaps: int = 0

    def add(self, entry: Entry, pace: Pace) -> None:
        """Count one more, which follows the others."""
        self.entries += 1
        self.size_bytes += size_of(entry)
        gap_s = pace.gap_s(self.last_id, entry.entry_id)
        self.duration_s += gap_s
        self.longest_gap_s = max(self.longest_gap_s, gap_s)
        self.by_stream[entry.stream] += 1
        if entry.entry_id == self.last_id:
            self.twins = self.twins or entry.entry_id
        self.first_id = self.first_id or entry.entry_id
        self.last_id = entry.entry_id


def entries_of(filter: EventFilter, counted: Counted | None = None) -> Iterator[Entry]:
    """The entries in the order of their IDs, complete as exports are; the gaps between are added to `counted`."""
    seen: set[tuple[str, str, EntryId]] = set()  # a gap reaches into as many pages as it spans
    for page in all_pages(filter, "A replay", limit=CHUNK_EVENTS):
        if counted is not None and page.events:
            first, last = counted.first_id or page.events[0].entry_id, page.events[-1].entry_id
            between = (gap for gap in page.gaps if gap.first_id <= last and gap.last_id >= first)
            seen.update((gap.stream, gap.kind, gap.first_id) for gap in between)
            counted.gaps = len(seen)
        yield from (event.entry for event in page.events)


def count_until(filter: EventFilter, pace: Pace, is_too_much: Callable[[Counted], bool]) -> Counted:
    """Count the entries of the filter, no further than that they are too much."""
    counted = Counted()
    for entry in entries_of(filter, counted):
        counted.add(entry, pace)
        if is_too_much(counted):
            break
    return counted
