"""The reader: every page and export asks here, whatever its answers are read from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime

from evdash.eventlog.error_groups import ErrorGroupRecord
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
    SessionPage,
    UserPage,
)
from evdash.eventlog.session_snapshots import Step
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.summaries import SessionSummary, UserSummary


class Reader(ABC):
    """One reading of some streams, for one request: relative times are seen from its beginning.

    Redis out of reach is no error here: `coverage.unreachable` says so, and what is known without it is given.
    """

    now: datetime
    streams: tuple[str, ...]

    @property
    @abstractmethod
    def coverage(self) -> Coverage:
        """How complete this reading is, and whether Redis could be asked."""

    @property
    @abstractmethod
    def unreachable(self) -> str:
        """The sentence, when Redis could not be asked so far; else empty."""

    @property
    @abstractmethod
    def has_read_all(self) -> bool:
        """Whether this reading knows everything: False while there is more than is read at once."""

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
        """At most `limit` events of the filter: those next to `before` or `after` (both excluded), or of the end.

        The end is the newest, with `oldest_first` the oldest; in that order the page's events stand. A search that
        meets its bound first gives fewer, says in `searched_to` how far it came, and where to go on. `reads_on`: where
        the start lies between the log and the tail, whether a stream is read, as when a person goes on from there.
        """

    def around(self, filter: EventFilter, at: EntryId, *, oldest_first: bool = False, limit: int = 100) -> EventPage:
        """The events of the filter next to an entry ID, it included: half of them before it, half after it."""
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
        """The oldest events of the filter, oldest first, as far as they are known.

        As `page`; but where a search would stop before it has found any, it begins with the first of those that counts
        and summaries are of. `older` leads to what was not read.
        """

    @abstractmethod
    def last_entry_ids(self) -> Mapping[str, EntryId]:
        """Of each stream the last entry ID that was ever given. Raises StreamsUnavailable."""

    @abstractmethod
    def removed_unread(self, seen: Position) -> MissingEntries | None:
        """What a stream may have lost past `seen` before it was read; None when nothing can be missing."""

    @abstractmethod
    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]:
        """What is known to be missing of the streams in this range of entry IDs, oldest first."""

    @abstractmethod
    def total_missing(self) -> MissingInAll:
        """How much is known to be missing of the streams altogether."""

    @abstractmethod
    def summary(self, filter: EventFilter) -> FilterSummary:
        """Counts, facets and histogram of the filter."""

    @abstractmethod
    def count(self, filter: EventFilter) -> Count:
        """How many events the filter has: the `events` of its summary, for less work."""

    @abstractmethod
    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """The event of this entry; None when nothing has it."""

    @abstractmethod
    def events_by_position(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        """The events of these entries by position; one that nothing has is not among them."""

    @abstractmethod
    def original_of_duplicate(self, event: Event) -> EntryId | None:
        """The entry that this one is a duplicate of; None when it is none."""

    def neighbours(self, event: Event) -> Neighbours:
        """The events before and after this one in its session; none for an event without a session."""
        if not event.session_id:
            return Neighbours(None, None)
        session = EventFilter().also("session", event.session_id)
        place = Position.of(event)
        previous = self.page(session, before=place, limit=1).events
        following = self.page(session, after=place, oldest_first=True, limit=1).events
        return Neighbours(previous[0] if previous else None, following[0] if following else None)

    @abstractmethod
    def sessions(
        self,
        *,
        before: EntryId | None = None,
        after: EntryId | None = None,
        user_id: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        """Sessions by last entry, newest first: those whose last entry is older than `before` or newer than `after`.

        With `user_id`: the sessions in which the user took part, by the user's last entry in each.
        """

    @abstractmethod
    def session(self, session_id: str) -> SessionSummary | None:
        """The session's summary; None when no event is known of it."""

    @abstractmethod
    def session_steps(self, session_id: str, through: EntryId | None = None, *, history: int = 1) -> Iterator[Step]:
        """The session's last events up to an entry ID, each with the states before and after it.

        At least so many of them as `history` says, or all.
        """

    @abstractmethod
    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        """How many of the session's events there are when; `summary` is what `session` gave."""

    @abstractmethod
    def users(self, *, before: EntryId | None = None, after: EntryId | None = None, limit: int = 50) -> UserPage:
        """Users by last entry, newest first: those whose last entry is older than `before` or newer than `after`."""

    @abstractmethod
    def user(self, user_id: str) -> UserSummary | None:
        """The user's summary; None when no event is known of them."""

    @abstractmethod
    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        """The user's days (UTC) from `since` up to and with `until` on which anything happened."""

    @abstractmethod
    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        """The numbers of a time range, widened to whole minutes, or of everything."""

    @abstractmethod
    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        """How long operations took over a time range, widened to whole minutes, or over everything."""

    @abstractmethod
    def error_groups(self) -> list[ErrorGroupRecord]:
        """Errors that are the same but for numbers and names, those hit last first."""
