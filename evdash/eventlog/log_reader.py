"""Log up to the watermark, stream after it, as one thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

import redis
from django.conf import settings

from evdash.eventlog import activity, overviews
from evdash.eventlog.error_groups import ErrorGroupRecord, error_groups
from evdash.eventlog.event_pages import event_page, events_of
from evdash.eventlog.filter_summary import filter_summary
from evdash.eventlog.gaps import gaps_between, missing_in_all
from evdash.eventlog.latencies import Latencies, latencies
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.positions import all_stream_numbers, compared_through
from evdash.eventlog.ranges import whole_minutes
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import (
    UNREAD,
    Coverage,
    DayCount,
    EventPage,
    FilterSummary,
    MissingEntries,
    MissingInAll,
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
from evdash.eventlog.unlogged import first_alike, unlogged_changes
from evdash.events.duplicates import Change
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.streams.info import first_left, stream_info


class LogReader(Reader):
    """A reading of the streams that evdash watches. While Redis is out of reach it gives what the log has."""

    def __init__(self, client: redis.Redis, streams: Sequence[str], group: str, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.streams = tuple(streams)
        self._client, self._group = client, group
        self._numbers = all_stream_numbers(streams)
        self._stream_part = StreamPart(client, streams, group)

    @property
    def coverage(self) -> Coverage:
        tail = self._stream_part.tail()
        with snapshot():
            behind = sum(change.is_new for change in self._unlogged())
        return Coverage(behind, tail.stopped_at is not None, self._stream_part.unreachable)

    @property
    def unreachable(self) -> str:
        return self._stream_part.unreachable

    @property
    def has_read_all(self) -> bool:
        return self._stream_part.tail().stopped_at is None and not self.unreachable

    def page(
        self,
        filter: EventFilter,
        *,
        before: Position | None = None,
        after: Position | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> EventPage:
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

    def first_page(self, filter: EventFilter, *, limit: int) -> EventPage:
        found = self.page(filter, oldest_first=True, limit=limit)
        if found.events or found.searched_to is None:
            return found
        # The log is so far behind that the search stops before it has found any.
        matches = filter.predicate(self.now)
        known = [event.entry_id for event in self._stream_part.tail().events if matches(event)]
        if not known:
            return found
        start = Position(min(known).previous(), "")
        return self.page(filter, after=start, oldest_first=True, limit=limit)

    def ends(self) -> Mapping[str, EntryId]:
        infos = {stream: stream_info(self._client, stream) for stream in self.streams}
        return {stream: info.last_generated_id if info else EntryId.MIN for stream, info in infos.items()}

    def removed_unread(self, seen: Position) -> MissingEntries | None:
        # Workers record as gaps what they find missing whenever they have caught up; this is for what they have not
        # compared yet.
        if self.unreachable:
            return None
        known = max(seen.entry_id, compared_through([self._group], seen.stream))
        first = first_left(self._client, seen.stream, known)
        if first is None:
            return None
        return MissingEntries(seen.stream, UNREAD, known.next(), first.previous(), None, self.now, "")

    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]:
        return gaps_between(after, through, EventFilter(), self.now, oldest_first=True)

    def missing_in_all(self) -> MissingInAll:
        return missing_in_all(self.streams)

    def summary(self, filter: EventFilter) -> FilterSummary:
        complete = self.has_read_all
        with snapshot():
            return filter_summary(self._unlogged(), complete, self._numbers, filter, self.now)

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        rows = LoggedEvent.objects.filter(stream_id=self._numbers.get(stream, -1), entry_id=entry_id)
        logged = events_of(rows, self._numbers)
        return logged[0] if logged else self._stream_part.event(stream, entry_id)

    def events_at(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        wanted = set(positions)
        rows = LoggedEvent.objects.filter(entry_id__in={position.entry_id for position in wanted})
        found = {place: event for event in events_of(rows, self._numbers) if (place := Position.of(event)) in wanted}
        rest = (self._stream_part.event(place.stream, place.entry_id) for place in wanted - found.keys())
        return found | {Position.of(event): event for event in rest if event}

    def first_alike(self, event: Event) -> EntryId | None:
        return first_alike(event)

    def sessions(
        self,
        *,
        before: EntryId | None = None,
        after: EntryId | None = None,
        user_id: str | None = None,
        limit: int = 50,
    ) -> SessionPage:
        self._stream_part.tail()
        with snapshot():
            return activity.session_page(self._unlogged(), before=before, after=after, user_id=user_id, limit=limit)

    def session(self, session_id: str) -> SessionSummary | None:
        self._stream_part.tail()
        with snapshot():
            return activity.session_summaries(self._unlogged(), [session_id]).get(session_id)

    def session_steps(self, session_id: str, through: EntryId | None = None, *, history: int = 1) -> Iterator[Step]:
        return steps(self, session_id, through, history)

    @property
    def logged_through(self) -> EntryId:
        """The entry ID up to which the log has everything that any stream has; EntryId.MAX where it has all."""
        tail = self._stream_part.tail()
        if tail.stopped_at is not None:
            return min(self._stream_part.watermarks.values())
        return min((event.entry_id.previous() for event in tail.events), default=EntryId.MAX)

    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        self._stream_part.tail()
        with snapshot():
            return session_outline(self._unlogged(), summary)

    def users(self, *, before: EntryId | None = None, after: EntryId | None = None, limit: int = 50) -> UserPage:
        self._stream_part.tail()
        with snapshot():
            return activity.user_page(self._unlogged(), before=before, after=after, limit=limit)

    def user(self, user_id: str) -> UserSummary | None:
        self._stream_part.tail()
        with snapshot():
            return activity.user_summaries(self._unlogged(), [user_id]).get(user_id)

    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        self._stream_part.tail()
        with snapshot():
            return activity.user_days(self._unlogged(), user_id, since, until)

    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        since, until = whole_minutes(since, until)
        errors = self.page(EventFilter().errors().between(since, until), limit=overviews.RECENT_ERRORS)
        with snapshot():
            return overviews.overview(self._unlogged(), self.has_read_all, errors.events, since, until, self.now)

    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        since, until = whole_minutes(since, until)
        return latencies(self._client, self.streams, settings.EVDASH.analytics_group, since, until)

    def error_groups(self) -> list[ErrorGroupRecord]:
        return error_groups(self._client, self.streams, settings.EVDASH.debug_group)

    def _unlogged(self) -> list[Change]:
        """What the events of the tail that the log does not have change.

        Asked inside the snapshot whose rows they are added to, after the stream was read: what is committed between
        is in the log, and never in both or in neither.
        """
        return unlogged_changes(self._stream_part.tail().events, self._numbers)
