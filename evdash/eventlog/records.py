"""What a reading of log and stream gives: plain values for pages, exports and the live tail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.summaries import SessionSummary, UserSummary


class InvalidPosition(ValueError):
    """The text is no position in a list of events; the message says what one looks like."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list of events, which is ordered by entry ID and, for equal ones, by stream."""

    entry_id: EntryId
    stream: str

    @classmethod
    def of(cls, event: Event) -> Position:
        return cls(event.entry_id, event.stream)

    @classmethod
    def parse(cls, text: str) -> Position:
        """From `ms-seq@stream`. Raises InvalidPosition."""
        entry_id, _, stream = text.partition("@")
        try:
            return cls(EntryId.parse(entry_id), stream)
        except InvalidEntryId as error:
            raise InvalidPosition(
                f"{text[:80]!r} is no position: expected ms-seq@stream, such as 1700000000000-0@memory:events"
            ) from error

    def __str__(self) -> str:
        return f"{self.entry_id}@{self.stream}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How complete a reading is."""

    behind: int  # entries that were read from the stream because the log does not have them
    behind_more: bool  # there are more of them than were read
    unreachable: str  # the sentence, when Redis could not be asked; then this is the log alone
    notes: tuple[str, ...] = ()
    is_of_copies: bool = False  # the reading is of a sandbox, which holds what was copied into it


UNREAD = "unread"
"""The kind of a gap that no worker has noticed: the log has not come so far, and the stream begins later."""


@dataclass(frozen=True, slots=True)
class MissingEntries:
    """Entries of a stream that neither log nor stream has; they lay somewhere from `first_id` to `last_id`."""

    stream: str
    kind: str  # of eventlog.models.Gap.Kind, or UNREAD
    first_id: EntryId
    last_id: EntryId
    entries: int | None  # None: nobody knows how many
    noticed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class MissingInAll:
    """How much is missing, wherever."""

    gaps: int
    entries: int
    is_exact: bool  # False: there are at least so many


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events of a filter, in the order asked for."""

    events: tuple[Event, ...]
    newer: Position | None  # `after` of the page with newer events; None: there are none
    older: Position | None  # `before` of the page with older events; None: there are none
    searched_to: datetime | None  # the search stopped at its bound here, before the page was full
    cursor: Mapping[str, EntryId]  # per stream: up to where this reading knows it; where a live tail goes on
    duplicates: frozenset[Position] = frozenset()  # those of the events that are duplicates
    gaps: tuple[MissingEntries, ...] = ()  # in the page's range, in the order of the events; before a session, too


@dataclass(frozen=True, slots=True)
class Count:
    """A number, and whether counting went on to the end."""

    value: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"{self.value:,}+"


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value of a property, and how many of the events have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bar of a histogram: the events that occurred from `start` up to, and not at, `end`."""

    start: datetime
    end: datetime
    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Events over time."""

    buckets: tuple[Bucket, ...] = ()
    bucket_s: float = 0
    earlier: int = 0  # events with times so far off that they are in no bucket
    later: int = 0

    @property
    def outside(self) -> int:
        """Events that are in no bucket."""
        return self.earlier + self.later


@dataclass(frozen=True, slots=True)
class FilterSummary:
    """What can be said of all events of a filter."""

    events: Count
    errors: Count
    facets: Mapping[str, tuple[FacetValue, ...]]  # most frequent first; by the keys of FACETS
    histogram: Histogram
    sampled: bool  # facets and histogram are those of the newest `sample` matches only
    sample: int
    duplicates: Count = Count(0)  # among the entries of the filter; in no other number here


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The events before and after one in its session."""

    previous: Event | None
    next: Event | None


@dataclass(frozen=True, slots=True)
class OutlineSlot:
    """A stretch of a session's time in which there are events."""

    start_us: int  # Unix microseconds
    width_us: int
    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions by their last entry, newest first."""

    sessions: tuple[SessionSummary, ...]
    newer: EntryId | None  # `after` of the page with more recent ones
    older: EntryId | None  # `before` of the page with earlier ones


@dataclass(frozen=True, slots=True)
class UserPage:
    """Users by their last entry, newest first."""

    users: tuple[UserSummary, ...]
    newer: EntryId | None  # `after` of the page with more recent ones
    older: EntryId | None  # `before` of the page with earlier ones


@dataclass(frozen=True, slots=True)
class DayCount:
    """A day's events."""

    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The numbers of the first page, over a time range (whole minutes) or over everything."""

    since: datetime | None
    until: datetime | None
    events: Count
    errors: Count
    sessions: Count
    users: Count
    active_sessions: Count  # not ended, and heard of within `ACTIVE_WITHIN`
    per_second: float  # entries that arrived in the last minute, a second
    types: tuple[FacetValue, ...]
    histogram: Histogram
    recent_errors: tuple[Event, ...]
    first_at: datetime | None  # None: not known, or there are no events
    last_at: datetime | None

    @property
    def error_rate(self) -> float | None:
        """Errors among events, 0 to 1; None without events."""
        return self.errors.value / self.events.value if self.events.value else None


ACTIVE_WITHIN = timedelta(minutes=15)
FACETS = ("type", "session", "user", "severity", "code", "tool", "model", "stream")
