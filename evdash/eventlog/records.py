"""Results of reading log and stream: plain values for pages, exports and the live tail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.summaries import Outcome, SessionSummary, UserSummary


class InvalidPosition(ValueError):
    """The text is not a position in a list of events; the message describes the format."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a list of events, which is ordered by entry ID and, for equal IDs, by stream."""

    entry_id: EntryId
    stream: str

    @classmethod
    def of(cls, event: Event) -> Position:
        return cls(event.entry_id, event.stream)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Parse a position from `ms-seq@stream`. Raises InvalidPosition."""
        entry_id, _, stream = text.partition("@")
        try:
            return cls(EntryId.parse(entry_id), stream)
        except InvalidEntryId as error:
            raise InvalidPosition(
                f"{text[:80]!r} is not a position: expected ms-seq@stream, such as 1700000000000-0@memory:events"
            ) from error

    def __str__(self) -> str:
        return f"{self.entry_id}@{self.stream}"


@dataclass(frozen=True, slots=True)
class RedecodingProgress:
    """The work that is left after a change of the decoder. SQL and pages may disagree until it is done."""

    rows_left: int  # rows of the event log whose columns another decoder wrote
    rows: int  # all rows of the event log
    read_models_left: bool  # sessions, users and counts have values of another decoder
    is_running: bool  # a worker with the decoder of this process runs


@dataclass(frozen=True, slots=True)
class Coverage:
    """The completeness of a reader's data."""

    behind: int  # entries that were read from the stream because the log does not have them
    behind_more: bool  # there are more of them than were read
    unreachable: str  # the error message if Redis was unreachable; the data is then from the log alone
    notes: tuple[str, ...] = ()
    is_of_copies: bool = False  # the data is from a sandbox, which contains replayed copies
    redecoding: RedecodingProgress | None = None  # None: the log was decoded as pages decode


UNREAD = "unread"
"""The kind of a gap that no worker has recorded: the log does not reach it, and the stream begins after it."""


@dataclass(frozen=True, slots=True)
class MissingEntries:
    """Entries of a stream that neither log nor stream has; they were somewhere from `first_id` to `last_id`."""

    stream: str
    kind: str  # of eventlog.models.Gap.Kind, or UNREAD
    first_id: EntryId
    last_id: EntryId
    entries: int | None  # None: the number is unknown
    noticed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class MissingInAll:
    """The total of missing entries over all gaps."""

    gaps: int
    entries: int
    is_exact: bool  # False: `entries` is a lower bound


@dataclass(frozen=True, slots=True)
class EventPage:
    """A page of events of a filter, in the requested order."""

    events: tuple[Event, ...]
    newer: Position | None  # `after` of the page with newer events; None: there are none
    older: Position | None  # `before` of the page with older events; None: there are none
    searched_to: datetime | None  # the time at which the search stopped at its bound, before the page was full
    cursor: Mapping[str, EntryId]  # per stream: the entry ID up to which it was read; a live tail continues there
    duplicates: frozenset[Position] = frozenset()  # those of the events that are duplicates
    gaps: tuple[MissingEntries, ...] = ()  # in the page's range and event order; also the gap before a session


@dataclass(frozen=True, slots=True)
class Count:
    """A number, and whether the count is complete."""

    value: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.exact else f"{self.value:,}+"


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a property, and the number of events with this value."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bar of a histogram: the events that occurred from `start` (included) to `end` (excluded)."""

    start: datetime
    end: datetime
    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """The distribution of events over time."""

    buckets: tuple[Bucket, ...] = ()
    bucket_s: float = 0
    earlier: int = 0  # events whose times are too far away for any bucket
    later: int = 0

    @property
    def outside(self) -> int:
        """The number of events outside all buckets."""
        return self.earlier + self.later


@dataclass(frozen=True, slots=True)
class FilterSummary:
    """Counts, facets and histogram of all events of a filter."""

    events: Count
    errors: Count
    facets: Mapping[str, tuple[FacetValue, ...]]  # most frequent first; by the keys with a facet
    histogram: Histogram
    sampled: bool  # facets and histogram cover only the newest `sample` matches
    sample: int
    others: Mapping[str, int] = field(default_factory=dict)  # by facet, the events with less frequent values
    alternatives_sampled: bool = False  # a facet has values that the filter leaves out, counted in a sample
    duplicates: Count = Count(0)  # among the entries of the filter; not included in any other number here


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The events before and after an event in its session."""

    previous: Event | None = None
    next: Event | None = None
    duplicates: frozenset[Position] = frozenset()  # those of the two that are duplicates


@dataclass(frozen=True, slots=True)
class OutlineSlot:
    """A section of a session's time that contains events."""

    start_us: int  # Unix microseconds
    width_us: int
    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """A page of a list of sessions; by default by last entry, newest first."""

    sessions: tuple[SessionSummary, ...]
    newer: EntryId | None  # `after` of the page with more recent sessions
    older: EntryId | None  # `before` of the page with earlier sessions
    is_complete: bool = True  # False: a limit left some out
    has_more: bool = False  # there are more after these, in the order of the list


@dataclass(frozen=True, slots=True)
class OutcomeCounts:
    """The numbers of sessions by outcome, most frequent first."""

    counts: tuple[tuple[Outcome, int], ...]
    is_complete: bool = True  # False: there are more sessions than were counted


@dataclass(frozen=True, slots=True)
class UserPage:
    """A page of a list of users; by default by last entry, newest first."""

    users: tuple[UserSummary, ...]
    newer: EntryId | None  # `after` of the page with more recent users
    older: EntryId | None  # `before` of the page with earlier users
    is_complete: bool = True  # False: a limit left some out
    has_more: bool = False  # there are more after these, in the order of the list


@dataclass(frozen=True, slots=True)
class SelectionCounts:
    """The number of sessions or users of a selection, and the values that their events have."""

    total: Count
    outcomes: OutcomeCounts  # without regard to conditions on the outcome; empty for users
    facets: Mapping[str, tuple[FacetValue, ...]]  # by filter key: the numbers of those with an event with the value
    sample: int  # facets are those of this number, the newest by last entry
    is_sampled: bool  # there are more


@dataclass(frozen=True, slots=True)
class DayCount:
    """The events and errors of one day."""

    events: int
    errors: int


@dataclass(frozen=True, slots=True)
class Trend:
    """Events and errors of a period, and of the period of the same length before it."""

    length: timedelta
    events: int
    errors: int
    events_before: int
    errors_before: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The numbers of the overview page, over a time range (whole minutes) or over all events."""

    since: datetime | None
    until: datetime | None
    events: Count
    errors: Count
    sessions: Count
    users: Count
    active_sessions: Count  # sessions that have not ended and have an entry within `ACTIVE_WITHIN`
    per_second: float  # entries of the last minute, divided by 60
    types: tuple[FacetValue, ...]
    outcomes: OutcomeCounts
    histogram: Histogram
    recent_errors: tuple[Event, ...]
    duplicates: frozenset[Position]  # those of the recent errors that are duplicates
    first_at: datetime | None  # the minute of the first event of all; None: unknown, or there are no events
    last_at: datetime | None
    trend: Trend | None = None  # None: the range has no start, or the numbers are incomplete

    @property
    def error_rate(self) -> float | None:
        """Errors divided by events, 0 to 1; None without events."""
        return self.errors.value / self.events.value if self.events.value else None


ACTIVE_WITHIN = timedelta(minutes=15)
