"""The reader: every page and export asks here. Log up to the watermark, stream after it, as one thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache

import redis
from django.conf import settings

from evdash.eventlog import activity, overviews
from evdash.eventlog.error_groups import ErrorGroupRecord, error_groups
from evdash.eventlog.event_pages import event_page, events_of
from evdash.eventlog.filter_summary import filter_summary
from evdash.eventlog.latencies import Latencies, latencies
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.positions import all_stream_numbers, compared_through
from evdash.eventlog.records import (
    UNREAD,
    Coverage,
    DayCount,
    EventPage,
    FilterSummary,
    MissingEntries,
    Neighbours,
    OutlineSlot,
    Overview,
    Position,
    SessionPage,
    UserPage,
)
from evdash.eventlog.session_outline import session_outline
from evdash.eventlog.session_states import Step, steps
from evdash.eventlog.snapshot import snapshot
from evdash.eventlog.stream_part import StreamPart
from evdash.eventlog.unlogged import unlogged_changes
from evdash.events.duplicates import Change
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.streams.client import open_client
from evdash.streams.info import first_left, stream_info


class Reader:
    """One reading, for one request: relative times are seen from its beginning.

    Redis out of reach is no error here: `coverage.unreachable` says so, and what the log has is given.
    """

    def __init__(self, client: redis.Redis, streams: Sequence[str], group: str, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self._client, self._streams, self._group = client, streams, group
        self._numbers = all_stream_numbers(streams)
        self._stream_part = StreamPart(client, streams, group)

    @property
    def coverage(self) -> Coverage:
        """How far the log is behind, and whether Redis could be asked."""
        tail = self._stream_part.tail()
        with snapshot():
            behind = sum(change.is_new for change in self._unlogged())
        return Coverage(behind, tail.stopped_at is not None, self._stream_part.unreachable)

    @property
    def unreachable(self) -> str:
        """The sentence, when Redis could not be asked so far; else empty."""
        return self._stream_part.unreachable

    def page(
        self,
        filter: EventFilter,
        *,
        before: Position | None = None,
        after: Position | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> EventPage:
        """At most `limit` events of the filter: those next to `before` or `after` (both excluded), or of the end.

        The end is the newest, with `oldest_first` the oldest; in that order the page's events stand. A search that
        meets its bound first gives fewer, says in `searched_to` how far it came, and where to go on.
        """
        return event_page(
            self._stream_part,
            self._numbers,
            filter,
            self.now,
            before=before,
            after=after,
            oldest_first=oldest_first,
            limit=limit,
        )

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
            gaps=tuple(gap for part in parts for gap in part.gaps),
        )

    def first_page(self, filter: EventFilter, *, limit: int) -> EventPage:
        """The oldest events of the filter, oldest first, as far as they are known.

        As `page`; but where the log is so far behind that the search stops before it has found any, it begins with the
        first of those that counts and summaries are of. `older` leads to what was not read.
        """
        found = self.page(filter, oldest_first=True, limit=limit)
        if found.events or found.searched_to is None:
            return found
        matches = filter.predicate(self.now)
        known = [event.entry_id for event in self._stream_part.tail().events if matches(event)]
        if not known:
            return found
        start = Position(min(known).previous(), "")
        return self.page(filter, after=start, oldest_first=True, limit=limit)

    def ends(self) -> dict[str, EntryId]:
        """Of each stream the last entry ID that was ever given. Raises StreamsUnavailable."""
        infos = {stream: stream_info(self._client, stream) for stream in self._streams}
        return {stream: info.last_generated_id if info else EntryId.MIN for stream, info in infos.items()}

    def removed_unread(self, seen: Position) -> MissingEntries | None:
        """What a stream may have lost past `seen` before the log took it; None when nothing can be missing.

        Workers record as gaps what they find missing whenever they have caught up; this is for what they have not
        compared yet.
        """
        if self.unreachable:
            return None
        known = max(seen.entry_id, compared_through([self._group], seen.stream))
        first = first_left(self._client, seen.stream, known)
        if first is None:
            return None
        return MissingEntries(seen.stream, UNREAD, known.next(), first.previous(), None, self.now, "")

    @property
    def has_read_all(self) -> bool:
        """Whether this reading knows everything: False while the log is further behind than is read at once."""
        return self._stream_part.tail().stopped_at is None and not self.unreachable

    def summary(self, filter: EventFilter) -> FilterSummary:
        """Counts, facets and histogram of the filter."""
        complete = self.has_read_all
        with snapshot():
            return filter_summary(self._unlogged(), complete, self._numbers, filter, self.now)

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        """The event of this entry, or None when neither log nor stream has it."""
        rows = LoggedEvent.objects.filter(stream_id=self._numbers.get(stream, -1), entry_id=entry_id)
        logged = events_of(rows, self._numbers)
        return logged[0] if logged else self._stream_part.event(stream, entry_id)

    def events_at(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        """The events of these entries by position; one that neither log nor stream has is not among them."""
        wanted = set(positions)
        rows = LoggedEvent.objects.filter(entry_id__in={position.entry_id for position in wanted})
        found = {place: event for event in events_of(rows, self._numbers) if (place := Position.of(event)) in wanted}
        rest = (self._stream_part.event(place.stream, place.entry_id) for place in wanted - found.keys())
        return found | {Position.of(event): event for event in rest if event}

    def neighbours(self, event: Event) -> Neighbours:
        """The events before and after this one in its session; none for an event without a session."""
        if not event.session_id:
            return Neighbours(None, None)
        session = EventFilter().also("session", event.session_id)
        place = Position.of(event)
        previous = self.page(session, before=place, limit=1).events
        following = self.page(session, after=place, oldest_first=True, limit=1).events
        return Neighbours(previous[0] if previous else None, following[0] if following else None)

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
        self._stream_part.tail()
        with snapshot():
            return activity.session_page(self._unlogged(), before=before, after=after, user_id=user_id, limit=limit)

    def session(self, session_id: str) -> SessionSummary | None:
        """The session's summary; None when no event is known of it."""
        self._stream_part.tail()
        with snapshot():
            return activity.session_summaries(self._unlogged(), [session_id]).get(session_id)

    def session_steps(self, session_id: str, through: EntryId | None = None) -> Iterator[Step]:
        """The session's last events up to an entry ID, each with the states before and after it. See session_states."""
        return steps(self, session_id, through)

    @property
    def logged_through(self) -> EntryId:
        """The entry ID up to which the log has everything of every stream."""
        return min(self._stream_part.watermarks.values(), default=EntryId.MIN)

    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        """How many of the session's events there are when; `summary` is what `session` gave."""
        self._stream_part.tail()
        with snapshot():
            return session_outline(self._unlogged(), summary)

    def users(self, *, before: EntryId | None = None, after: EntryId | None = None, limit: int = 50) -> UserPage:
        """Users by last entry, newest first: those whose last entry is older than `before` or newer than `after`."""
        self._stream_part.tail()
        with snapshot():
            return activity.user_page(self._unlogged(), before=before, after=after, limit=limit)

    def user(self, user_id: str) -> UserSummary | None:
        """The user's summary; None when no event is known of them."""
        self._stream_part.tail()
        with snapshot():
            return activity.user_summaries(self._unlogged(), [user_id]).get(user_id)

    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        """The user's days (UTC) from `since` up to and with `until` on which anything happened."""
        self._stream_part.tail()
        with snapshot():
            return activity.user_days(self._unlogged(), user_id, since, until)

    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        """The numbers of a time range, widened to whole minutes, or of everything."""
        since, until = overviews.whole_minutes(since, until)
        errors = self.page(EventFilter().errors().between(since, until), limit=8)
        with snapshot():
            return overviews.overview(self._unlogged(), self.has_read_all, errors.events, since, until, self.now)

    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        """How long operations took over a time range, widened to whole minutes, or over everything."""
        since, until = overviews.whole_minutes(since, until)
        return latencies(self._client, self._streams, settings.EVDASH.analytics_group, since, until)

    def error_groups(self) -> list[ErrorGroupRecord]:
        """Errors that are the same but for numbers and names, those hit last first."""
        return error_groups(self._client, self._streams, settings.EVDASH.debug_group)

    def _unlogged(self) -> list[Change]:
        """What the events of the tail that the log does not have change.

        Asked inside the snapshot whose rows they are added to, after the stream was read: what is committed between
        is in the log, and never in both or in neither.
        """
        return unlogged_changes(self._stream_part.tail().events, self._numbers)


@contextmanager
def open_reader() -> Iterator[Reader]:
    """A reading of the configured streams."""
    configuration = settings.EVDASH
    yield Reader(_client(configuration.redis_url), configuration.streams, configuration.audit_group)


@cache
def _client(url: str) -> redis.Redis:
    return open_client(url or None)
