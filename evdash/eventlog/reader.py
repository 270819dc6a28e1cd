"""The reader interface: the single source of all pages and exports, independent of the storage behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime

from evdash.eventlog.breakdowns import EVENTS_MAX
from evdash.eventlog.error_groups import NEWEST_FIRST, ErrorGroups, ErrorTrends, GroupSort
from evdash.eventlog.latencies import Latencies
from evdash.eventlog.records import (
    Count,
    Coverage,
    DayCount,
    EventPage,
    FilterSummary,
    MissingEntries,
    MissingInAll,
    Neighbours,
    OutlineSlot,
    Overview,
    Position,
    SelectionCounts,
    SessionPage,
    UserPage,
)
from evdash.eventlog.selections import FIRST, ListPosition
from evdash.eventlog.session_snapshots import Step
from evdash.events.breakdown import Breakdown, BreakdownQuery
from evdash.events.entry import EntryId
from evdash.events.error_rates import ErrorCounts
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import EVERY_SESSION, EVERY_USER, Selection
from evdash.events.session_activity import SessionActivity
from evdash.events.session_sets import SetComparison
from evdash.events.summaries import SessionSummary, UserSummary


class Reader(ABC):
    """A reader of some streams for one request: relative times are relative to its start.

    An outage of Redis is not an error here. `coverage.unreachable` reports it, and data known without Redis is
    returned.
    """

    now: datetime
    streams: tuple[str, ...]

    @property
    @abstractmethod
    def coverage(self) -> Coverage:
        """The completeness of this reader's data, and the outage if Redis was unreachable."""

    @property
    @abstractmethod
    def unreachable(self) -> str:
        """The error message if Redis was unreachable so far; else empty."""

    @property
    @abstractmethod
    def has_read_all(self) -> bool:
        """True if this reader has read all entries; False if there are more than one request reads."""

    @abstractmethod
    def page(
        self,
        filter: EventFilter,
        *,
        before: Position | None = None,
        after: Position | None = None,
        oldest_first: bool = False,
        limit: int = 100,
        reads_on: bool = True,
    ) -> EventPage:
        """Return at most `limit` events of the filter: next to `before` or `after` (both excluded), or from the end.

        The end is the newest event, with `oldest_first` the oldest. The events of the page have that order. A search
        that meets its bound first returns fewer events. `searched_to` then reports how far it searched, and a position
        where to continue. `reads_on`: whether to read the stream if the start is between the log and the tail, as
        when a person continues from there.
        """

    def around(self, filter: EventFilter, at: EntryId, *, oldest_first: bool = False, limit: int = 100) -> EventPage:
        """Return the events of the filter around an entry ID, including it: half before it, half after it."""
        middle = Position(at.next(), "")
        before = self.page(filter, before=middle, oldest_first=oldest_first, limit=limit // 2)
        after = self.page(filter, after=middle, oldest_first=oldest_first, limit=limit - limit // 2)
        parts = (before, after) if oldest_first else (after, before)
        return EventPage(
            events=tuple(event for part in parts for event in part.events),
            newer=after.newer,
            older=before.older,
            searched_to=after.searched_to or before.searched_to,
            cursor=after.cursor,
            duplicates=before.duplicates | after.duplicates,
            gaps=tuple(dict.fromkeys(gap for part in parts for gap in part.gaps)),
        )

    @abstractmethod
    def first_page(self, filter: EventFilter, *, limit: int) -> EventPage:
        """Return the oldest known events of the filter, oldest first.

        Like `page`, except if the search would stop before it finds an event. The page then starts at the first of the
        events that counts and summaries include. `older` leads to the entries that were not read.
        """

    @abstractmethod
    def last_entry_ids(self) -> Mapping[str, EntryId]:
        """Return the last generated entry ID of each stream. Raises StreamsUnavailable."""

    @abstractmethod
    def removed_unread(self, seen: Position) -> MissingEntries | None:
        """Return the range after `seen` that the stream may have lost unread; None if nothing can be missing."""

    @abstractmethod
    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]:
        """Return the known gaps of the streams in this range of entry IDs, oldest first."""

    @abstractmethod
    def total_missing(self) -> MissingInAll:
        """Return the total of all known gaps of the streams."""

    @abstractmethod
    def summary(self, filter: EventFilter) -> FilterSummary:
        """Return counts, facets and histogram of the filter."""

    @abstractmethod
    def count(self, filter: EventFilter) -> Count:
        """Return the number of events of the filter: the `events` of its summary, with less work."""

    @abstractmethod
    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """Return the event of this entry; None if it is in neither log nor stream."""

    @abstractmethod
    def events_by_position(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        """Return the events of these entries by position, without entries that are in neither log nor stream."""

    @abstractmethod
    def original_of_duplicate(self, event: Event) -> EntryId | None:
        """Return the entry that this event duplicates; None if it is not a duplicate."""

    def neighbours(self, event: Event) -> Neighbours:
        """Return the events before and after this one in its session; none for an event without a session."""
        if not event.session_id:
            return Neighbours()
        session = EventFilter().also("session", event.session_id)
        place = Position.of(event)
        previous = self.page(session, before=place, limit=1)
        following = self.page(session, after=place, oldest_first=True, limit=1)
        return Neighbours(
            previous.events[0] if previous.events else None,
            following.events[0] if following.events else None,
            previous.duplicates | following.duplicates,
        )

    @abstractmethod
    def sessions(self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST) -> SessionPage:
        """Return sessions of the selection at a position of the list; by default the newest by last entry."""

    @abstractmethod
    def session_list(
        self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST
    ) -> tuple[SessionPage, SelectionCounts]:
        """Return `sessions`, and the number of all selected ones, their outcomes and the values of their events."""

    @abstractmethod
    def session_activity(self, sessions: Sequence[SessionSummary]) -> Mapping[str, SessionActivity]:
        """Return the activity of the sessions of a page by ID, without those that exceed a limit of events."""

    @abstractmethod
    def session_sets(self, a: Selection, b: Selection, *, until_error: bool = False) -> SetComparison:
        """Return the comparison of two sets of sessions; values with `until_error` before the first error of each."""

    @abstractmethod
    def session(self, session_id: str) -> SessionSummary | None:
        """Return the session's summary; None if no event of it is known."""

    @abstractmethod
    def session_streams(self, session_id: str) -> tuple[str, ...]:
        """Return the names of the streams with events of the session, in alphabetical order."""

    @abstractmethod
    def session_steps(self, session_id: str, through: EntryId | None = None, *, history: int = 1) -> Iterator[Step]:
        """Yield the session's last events up to an entry ID, each with the states before and after it.

        Yields at least `history` of them, or all events.
        """

    @abstractmethod
    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        """Return the session's event counts over time; `summary` is the result of `session`."""

    @abstractmethod
    def users(self, selection: Selection = EVERY_USER, position: ListPosition = FIRST) -> UserPage:
        """Return users of the selection at a position of the list; by default the newest by last entry."""

    @abstractmethod
    def user_list(
        self, selection: Selection = EVERY_USER, position: ListPosition = FIRST
    ) -> tuple[UserPage, SelectionCounts]:
        """Return `users`, and the number of all selected ones and the values of their events."""

    @abstractmethod
    def user(self, user_id: str) -> UserSummary | None:
        """Return the user's summary; None if no event of the user is known."""

    @abstractmethod
    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        """Return the user's days (UTC) with events, from `since` to `until`, both included."""

    @abstractmethod
    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        """Return the numbers of a time range, widened to whole minutes, or of all events."""

    @abstractmethod
    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        """Return the latencies of operations over a time range, widened to whole minutes, or over all events."""

    @abstractmethod
    def breakdown(self, query: BreakdownQuery) -> Breakdown:
        """Return the events of a filter by the values of a key, at most the newest 50,000."""

    @abstractmethod
    def error_counts(
        self, events: EventFilter, errors: EventFilter, keys: tuple[str, ...], limit: int = EVENTS_MAX
    ) -> ErrorCounts:
        """Return the numbers of events by the values of RATE_KEYS, with the errors among them.

        They are those of `events`, the newest `limit` at most. `errors` states what an error is, as in a breakdown.
        """

    @abstractmethod
    def error_groups(self, filter: EventFilter, sort: GroupSort = NEWEST_FIRST) -> ErrorGroups:
        """Return the groups of the filter's errors that differ only in numbers and names."""

    @abstractmethod
    def error_trends(self, filter: EventFilter, since: datetime, until: datetime) -> ErrorTrends:
        """Return the filter's errors by group over a range, of its newest 10,000."""

    @abstractmethod
    def events_before(self, events: Collection[Event]) -> Mapping[Position, Event]:
        """Return, by the position of each of these events, the last event of its session with a lower entry ID.

        An event without a session, and the first one of a session, have none.
        """
