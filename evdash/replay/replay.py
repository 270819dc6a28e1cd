"""The replay operation: it copies the entries of a filter, byte for byte, into a sandbox."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import ClassVar, Final, Protocol

import redis
from django.conf import settings
from django.db import DatabaseError

from evdash.eventlog.export import all_pages
from evdash.events.entry import Entry, EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands.outcomes import OperationRefused, Outcome, Preview, entries_in_words, stream_state
from evdash.streams.sandbox import (
    EXPIRES_MAX_S,
    Ids,
    Provenance,
    SandboxGone,
    SandboxWriter,
    size_of,
    why_no_sandbox,
    why_not_into,
)

CHUNK_EVENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Pace:
    """Pace of a replay: full speed, or the gaps between entry IDs, divided by `speed`."""

    speed: float | None  # None: full speed
    max_pause_s: float | None  # limit of each recorded gap; None: no limit

    def gap_s(self, before: EntryId | None, entry_id: EntryId) -> float:
        """Return the seconds to wait between two entries; 0 at full speed or for the first entry."""
        if self.speed is None or before is None:
            return 0.0
        recorded_s = max(0, entry_id.ms - before.ms) / 1000
        return (recorded_s if self.max_pause_s is None else min(recorded_s, self.max_pause_s)) / self.speed

    def __str__(self) -> str:
        if self.speed is None:
            return "at full speed"
        capped = "" if self.max_pause_s is None else f", pauses at most {self.max_pause_s:g} s"
        return f"at {self.speed:g} times the recorded speed{capped}"


@dataclass(slots=True)
class ReplaySize:
    """Totals of a replay's entries, as far as they were counted."""

    entries: int = 0
    size_bytes: int = 0
    duration_s: float = 0.0
    longest_gap_s: float = 0.0
    by_stream: Counter[str] = field(default_factory=Counter)
    first_id: EntryId | None = None
    last_id: EntryId | None = None
    twins: EntryId | None = None  # an ID that entries of two streams share
    gaps: int = 0

    def add(self, entry: Entry, pace: Pace) -> None:
        """Count one more entry. The entry ID must not be smaller than the last one."""
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


def entries_of(filter: EventFilter, counted: ReplaySize | None = None) -> Iterator[Entry]:
    """Yield the filter's entries in the order of their IDs, as completely as an export does.

    `counted.gaps` becomes the number of gaps between the first and the last entry.
    """
    seen: set[tuple[str, str, EntryId]] = set()  # a long gap appears on several pages
    for page in all_pages(filter, "A replay", limit=CHUNK_EVENTS):
        if counted is not None and page.events:
            first, last = counted.first_id or page.events[0].entry_id, page.events[-1].entry_id
            between = (gap for gap in page.gaps if gap.first_id <= last and gap.last_id >= first)
            seen.update((gap.stream, gap.kind, gap.first_id) for gap in between)
            counted.gaps = len(seen)
        yield from (event.entry for event in page.events)


def count_until(filter: EventFilter, pace: Pace, is_too_much: Callable[[ReplaySize], bool]) -> ReplaySize:
    """Count the entries of the filter. Stop as soon as `is_too_much` is true."""
    counted = ReplaySize()
    for entry in entries_of(filter, counted):
        counted.add(entry, pace)
        if is_too_much(counted):
            break
    return counted


ENTRIES_MAX: Final = 100_000
BYTES_MAX: Final = 250_000_000
DURATION_MAX_S: Final = 86_400
EXPIRES_S: Final = 86_400
SPEED_MAX: Final = 100
ALIVE_EVERY_S: Final = 5.0
"""Seconds between the signs of life that a waiting replay writes."""
_BATCH_ENTRIES: Final = 500
_BATCH_BYTES: Final = 2**20


class Stopped(Exception):
    """Error that ends the copying. The message is the sentence with the reason."""


class Clock(Protocol):
    """Clock of the pace."""

    def monotonic(self) -> float:
        """Return the seconds since an arbitrary moment."""

    def sleep(self, seconds: float, /) -> None:
        """Wait this many seconds. Raise Stopped when the copying must end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Operation that copies the entries of `query` from log and stream into the sandbox `stream`.

    It changes neither the watched streams nor any other stream.
    """

    action: ClassVar[str] = "replay"
    clock: ClassVar[Clock] = time

    stream: str
    query: str  # the filter, in the filter language
    who: str
    reason: str = ""
    ids: Ids = "original"
    speed: float | None = None  # None: full speed
    max_pause_s: float | None = None
    expires_s: int = EXPIRES_S
    entries_max: int = ENTRIES_MAX

    @property
    def title(self) -> str:
        """The operation in words."""
        return f"Replay {self._filter.describe()} to {self.stream}"

    def preview(self, client: redis.Redis) -> Preview:
        """Return the effect of the replay; change nothing. Raise StreamsUnavailable if not everything can be read."""
        try:
            self._check()
            counted = count_until(self._filter, self._pace, lambda so_far: bool(self._past(so_far)))
            self._check_counted(client, counted)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))
        return Preview(sentence=self._would(counted), affected=counted.entries)

    def execute(self, client: redis.Redis) -> Outcome:
        """Copy the entries; an interruption ends the replay after a whole batch. Raise OperationRefused."""
        self._check()
        entries = entries_of(self._filter)
        first = next(entries, None)
        if first is None:
            raise OperationRefused(self._nothing())
        if refused := why_not_into(client, self.stream, first.entry_id if self.ids == "original" else None):
            raise OperationRefused(refused)
        before = stream_state(client, self.stream)
        prefix = settings.EVDASH.sandbox_prefix
        writer = SandboxWriter(client, self.stream, prefix, self._provenance(), expires_s=self.expires_s)
        stopped = ""
        try:
            stopped = self._copy(writer, first, entries)
        except KeyboardInterrupt:
            stopped = "Interrupted."
        except Stopped as end:
            stopped = str(end)
        except StreamsUnavailable as error:
            stopped = str(error)
        except DatabaseError as error:
            stopped = f"The event log cannot be read: {error}."
        unknown = ""
        try:
            writer.end(stopped)
        except StreamsUnavailable as error:
            unknown = "" if str(error) == stopped else f" Result of the last batch unknown: {error}"
        copied = writer.provenance.entries
        return Outcome(
            done=copied,
            sentence=f"{entries_in_words(copied)} {'was' if copied == 1 else 'were'} copied to {self.stream}.",
            before=before,
            after=stream_state(client, self.stream),
            stopped=f"{stopped}{unknown}".strip(),
        )

    def _copy(self, writer: SandboxWriter, first: Entry, rest: Iterator[Entry]) -> str:
        """Copy all entries, each at its due time. Return the reason of an early stop, or an empty string."""
        pace, batch, size = self._pace, list[Entry](), 0
        begun_s = due_s = self.clock.monotonic()
        before: EntryId | None = None
        for entry in _then(first, rest):
            due_s += pace.gap_s(before, entry.entry_id)
            before = entry.entry_id
            if batch and (due_s > self.clock.monotonic() or _is_full(batch, size)):
                writer.write(batch)
                batch, size = [], 0
            if too_much := self._too_much(writer, batch, size + size_of(entry), due_s - begun_s):
                if batch:
                    writer.write(batch)
                return too_much
            self._wait(writer, due_s)
            batch.append(entry)
            size += size_of(entry)
        writer.write(batch)
        return ""

    def _wait(self, writer: SandboxWriter, until_s: float) -> None:
        while (left_s := until_s - self.clock.monotonic()) > 0:
            self.clock.sleep(min(left_s, ALIVE_EVERY_S))
            if left_s > ALIVE_EVERY_S:
                try:
                    writer.tell_alive()
                except SandboxGone:
                    raise
                except StreamsUnavailable:  # Redis may answer again when the next entry is due
                    pass

    def _too_much(self, writer: SandboxWriter, batch: Sequence[Entry], size: int, duration_s: float) -> str:
        """Return the sentence about the limit that one more entry exceeds, or an empty string.

        Producers may have written more entries since the preview. The limits apply to those, too.
        """
        copied = writer.provenance
        return self._past_limits(copied.entries + len(batch) + 1, copied.size_bytes + size, duration_s)

    def _past(self, counted: ReplaySize) -> str:
        return self._past_limits(counted.entries, counted.size_bytes, counted.duration_s)

    def _past_limits(self, entries: int, size_bytes: int, duration_s: float) -> str:
        if entries > self.entries_max:
            return f"Limit: {self.entries_max:,} entries per replay. The filter has more."
        if size_bytes > BYTES_MAX:
            return f"Limit: {BYTES_MAX // 10**6:,} MB per replay. The filter has more."
        if duration_s > DURATION_MAX_S:
            return f"Limit: {_span(DURATION_MAX_S)} per replay. Raise the speed or limit pauses."
        return ""

    def _check(self) -> None:
        """Raise OperationRefused for arguments that are never allowed."""
        configuration = settings.EVDASH
        if refused := why_no_sandbox(self.stream, configuration.sandbox_prefix, configuration.streams):
            raise OperationRefused(refused)
        if self.speed is not None and not 1 <= self.speed <= SPEED_MAX:
            raise OperationRefused(f"Speed {self.speed:g} is not valid (1 to {SPEED_MAX}).")
        if self.max_pause_s is not None and (self.speed is None or self.max_pause_s < 0):
            raise OperationRefused("A pause limit needs a speed and is not negative. Full speed has no pauses.")
        if not 1 <= self.expires_s <= EXPIRES_MAX_S:
            raise OperationRefused(f"Expiry {_span(self.expires_s)} is not valid (1 second to 30 days).")

    def _check_counted(self, client: redis.Redis, counted: ReplaySize) -> None:
        """Raise OperationRefused for arguments that are not allowed with these entries."""
        if counted.first_id is None:
            raise OperationRefused(self._nothing())
        if too_much := self._past(counted):
            raise OperationRefused(too_much)
        if counted.longest_gap_s >= self.expires_s:
            raise OperationRefused(
                f"The longest pause is {_span(counted.longest_gap_s)}, and the sandbox would expire during it. Set a "
                "later expiry, limit pauses, or raise the speed."
            )
        if self.ids == "original" and counted.twins is not None:
            raise OperationRefused(
                f"Entry ID {counted.twins} exists in two streams. Use new IDs or replay one stream at a time."
            )
        if refused := why_not_into(client, self.stream, counted.first_id if self.ids == "original" else None):
            raise OperationRefused(refused)

    def _would(self, counted: ReplaySize) -> str:
        numbers = sorted(counted.by_stream.items())
        streams = ", ".join(f"{name} ({number:,})" if len(numbers) > 1 else name for name, number in numbers)
        duration = f" (takes {_span(counted.duration_s)})" if self.speed is not None else ""
        words = [
            f"Copies {entries_in_words(counted.entries)} of {streams}, {counted.size_bytes:,} bytes, from "
            f"{counted.first_id} to {counted.last_id}, to {self.stream}, with "
            f"{'their original' if self.ids == 'original' else 'new'} IDs, {self._pace}{duration}.",
            f"The sandbox expires {_span(self.expires_s)} after the last copy.",
        ]
        if counted.gaps:
            words.append(f"The range has {counted.gaps:,} {'gap' if counted.gaps == 1 else 'gaps'}.")
        return " ".join(words)

    def _nothing(self) -> str:
        return f"Nothing to copy: no entry matches {self._filter.describe()}."

    @property
    def _filter(self) -> EventFilter:
        return EventFilter.parse(self.query)

    @property
    def _pace(self) -> Pace:
        return Pace(self.speed, self.max_pause_s)

    def _provenance(self) -> Provenance:
        return Provenance(
            who=self.who,
            reason=self.reason,
            words=self._filter.describe(),
            query=self.query,
            ids=self.ids,
            pace=str(self._pace),
            begun_at=(now := datetime.now(UTC)),
            heard_at=now,
        )


def _then(first: Entry, rest: Iterator[Entry]) -> Iterator[Entry]:
    yield first
    yield from rest


def _is_full(batch: Sequence[Entry], size: int) -> bool:
    return len(batch) >= _BATCH_ENTRIES or size >= _BATCH_BYTES


def _span(seconds: float) -> str:
    """Return the two largest units of a duration: `24 hours`, `2 minutes 5 seconds`."""
    remaining_s, words = round(seconds), list[str]()
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if unit == "day" and remaining_s <= 86_400:  # "24 hours" is more common than "1 day"
            continue
        number, remaining_s = divmod(remaining_s, size)
        if number:
            words.append(f"{number:,} {unit}{'' if number == 1 else 's'}")
    return " ".join(words[:2]) or "no time"
