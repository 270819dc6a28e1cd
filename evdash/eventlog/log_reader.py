"""The reader that joins the log up to the watermark with the stream after it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial

from django.conf import settings
from django.utils.functional import cached_property

from evdash.eventlog import summaries
from evdash.eventlog.breakdowns import EVENTS_MAX, breakdown_of_log, error_counts_of_log
from evdash.eventlog.decoders import redecoding_progress
from evdash.eventlog.error_groups import (
    NEWEST_FIRST,
    ErrorGroups,
    ErrorTrends,
    GroupSort,
    error_groups,
    error_groups_of_filter,
    error_trends,
    since_first_error,
)
from evdash.eventlog.event_pages import event_page, events_of
from evdash.eventlog.filter_summary import filter_count, filter_summary
from evdash.eventlog.gaps import gaps_between, total_missing
from evdash.eventlog.group_progress import all_stream_numbers, committed, compared_through
from evdash.eventlog.inheritance import inherit_from_log
from evdash.eventlog.latencies import Latencies, latencies
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.read_transaction import read_transaction
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import (
    UNREAD,
    Count,
    Coverage,
    DayCount,
    EventPage,
    FilterSummary,
    MissingEntries,
    MissingInAll,
    OutcomeCounts,
    OutlineSlot,
    Overview,
    Position,
    SelectionCounts,
    SessionPage,
    UserPage,
)
from evdash.eventlog.selection_values import (
    FACET_EVENTS,
    FACET_SAMPLE,
    SET_EVENTS,
    SET_SESSIONS,
    activity_events,
    facets_of,
    sample_of,
    set_events,
)
from evdash.eventlog.selections import FIRST, ListPosition, Selected, Selector, page_of
from evdash.eventlog.session_queries import last_before, session_outline
from evdash.eventlog.session_snapshots import Step, steps
from evdash.eventlog.stream_deltas import StreamDeltas, originals, pending_deltas
from evdash.eventlog.stream_tail import StreamPart
from evdash.eventlog.time_buckets import whole_minutes
from evdash.events.breakdown import Breakdown, BreakdownQuery
from evdash.events.entry import EntryId
from evdash.events.error_rates import ErrorCounts
from evdash.events.event import Event, us_from_datetime
from evdash.events.filters.event_filter import Condition, EventFilter
from evdash.events.filters.summary_filter import EVERY_SESSION, EVERY_USER, SESSIONS, USERS, Selection, SummaryKind
from evdash.events.session_activity import SessionActivity, activity_of, with_activity
from evdash.events.session_sets import SetComparison, compare_sets
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.streams.client import StreamsUnavailable
from evdash.streams.shared_tail import TAIL_ENTRIES, SharedTail
from evdash.streams.stream_info import first_left_of


class LogReader(Reader):
    """A reader of the configured streams. During an outage of Redis it returns the content of the log.

    `tail` is the shared tail of the process. All stream data of one reader is from one moment: that of the first query.
    """

    def __init__(self, tail: SharedTail, group: str, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.streams = tail.streams
        self._tail, self._group = tail, group

    @cached_property
    def _numbers(self) -> Mapping[str, int]:
        return all_stream_numbers(self.streams)

    @cached_property
    def _stream_part(self) -> StreamPart:
        """The tail after the watermarks.

        SQL is read before Redis. An entry that is committed in between is then in both, or in the log, and never in
        neither.
        """
        _ = self._numbers  # a stream that is new to the log gets its number before any read transaction begins
        reading = self._tail.read(committed(self._tail.groups, self.streams))
        return StreamPart(self._tail, reading, self._group)

    @property
    def coverage(self) -> Coverage:
        stream_part = self._stream_part
        with read_transaction():
            behind = self._unlogged().entries
            redecoding = redecoding_progress(self._tail.groups)
        notes = tuple(f"{each} Other streams are read." for each in stream_part.reading.problems)
        return Coverage(behind, not stream_part.is_complete, stream_part.unreachable, notes, redecoding=redecoding)

    @property
    def unreachable(self) -> str:
        return self._stream_part.unreachable

    @property
    def has_read_all(self) -> bool:
        return self._stream_part.is_complete and not self.unreachable

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
        return event_page(
            self._stream_part,
            self._numbers,
            filter,
            self.now,
            self._deltas(),
            before=before,
            after=after,
            oldest_first=oldest_first,
            limit=limit,
            reads_on=reads_on,
        )

    def first_page(self, filter: EventFilter, *, limit: int) -> EventPage:
        first = self.page(filter, oldest_first=True, limit=limit)
        if first.events or first.searched_to is None:
            return first
        # The log is so far behind that the search stops before it finds an event.
        tail_events = self._stream_part.window(
            "backward", None, filter, self.now, self._deltas(), limit=TAIL_ENTRIES
        ).events
        if not tail_events:
            return first
        start = Position(min(event.entry_id for event in tail_events).previous(), "")
        return self.page(filter, after=start, oldest_first=True, limit=limit)

    def last_entry_ids(self) -> Mapping[str, EntryId]:
        if self.unreachable:
            raise StreamsUnavailable(self.unreachable)
        return {stream: each.end for stream, each in self._stream_part.reading.slices.items()}

    def removed_unread(self, seen: Position) -> MissingEntries | None:
        # Whenever workers have caught up, they record missing entries as gaps. This covers entries that they have not
        # reconciled yet.
        if self.unreachable or seen.stream in settings.EVDASH.queues:  # consumers of a queue delete entries
            return None
        compared = max(seen.entry_id, compared_through([self._group], seen.stream))
        slice_of_stream = self._stream_part.reading.slices.get(seen.stream)
        info = slice_of_stream.info if slice_of_stream else None
        first = first_left_of(info, compared) if info else None
        if first is None:
            return None
        return MissingEntries(seen.stream, UNREAD, compared.next(), first.previous(), None, self.now, "")

    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]:
        return gaps_between(after, through, EventFilter(), self.now, oldest_first=True)

    def total_missing(self) -> MissingInAll:
        return total_missing(self.streams)

    def summary(self, filter: EventFilter) -> FilterSummary:
        complete = self.has_read_all
        with read_transaction():
            return filter_summary(self._unlogged(), complete, self._numbers, filter, self.now)

    def count(self, filter: EventFilter) -> Count:
        complete = self.has_read_all
        with read_transaction():
            return filter_count(self._unlogged(), complete, self._numbers, filter, self.now)

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        rows = LoggedEvent.objects.filter(stream_id=self._numbers.get(stream, -1), entry_id=entry_id)
        logged = events_of(rows, self._numbers)
        event = logged[0] if logged else self._unlogged_event(stream, entry_id)
        return self._deltas().inheritance.event(event) if event else None

    def events_by_position(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        requested = set(positions)
        rows = LoggedEvent.objects.filter(entry_id__in={position.entry_id for position in requested})
        logged = {
            position: event for event in events_of(rows, self._numbers) if (position := Position.of(event)) in requested
        }
        unlogged = (self._unlogged_event(position.stream, position.entry_id) for position in requested - logged.keys())
        events = logged | {Position.of(event): event for event in unlogged if event}
        inheritance = self._deltas().inheritance
        return {position: inheritance.event(event) for position, event in events.items()}

    def _unlogged_event(self, stream: str, entry_id: EntryId) -> Event | None:
        event = self._stream_part.event(stream, entry_id)
        return inherit_from_log([event])[0] if event else None

    def original_of_duplicate(self, event: Event) -> EntryId | None:
        return originals([event], self._deltas()).get(Position.of(event))

    def sessions(self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST) -> SessionPage:
        with self._selecting(SESSIONS) as (unlogged, selector):
            return _session_page(unlogged, selector.selected(selection), position)

    def session_list(
        self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST
    ) -> tuple[SessionPage, SelectionCounts]:
        with self._selecting(SESSIONS) as (unlogged, selector):
            selected = selector.selected(selection)
            counts = self._counts(unlogged, selection, selected)
            any_outcome = selection.of_any_outcome
            outcomes = (selected if any_outcome == selection else selector.selected(any_outcome)).outcomes
            page = _session_page(unlogged, selected, position)
        is_complete = outcomes.is_complete and self.has_read_all
        return page, replace(counts, outcomes=replace(outcomes, is_complete=is_complete))

    def session_activity(self, sessions: Sequence[SessionSummary]) -> Mapping[str, SessionActivity]:
        read = with_activity(sessions)
        self._read_stream()
        with read_transaction():
            return activity_of(read, activity_events(self._unlogged(), self._numbers, read))

    def session_sets(self, a: Selection, b: Selection, *, until_error: bool = False) -> SetComparison:
        with self._selecting(SESSIONS) as (unlogged, selector):
            samples = [sample_of(selector.selected(each), SET_SESSIONS, SET_EVENTS) for each in (a, b)]
            ours, theirs = (list(summaries.session_summaries(unlogged, names).values()) for names, _ in samples)
            return compare_sets(
                ours,
                theirs,
                partial(set_events, unlogged, self._numbers),
                until_error=until_error,
                is_complete=self.has_read_all and not any(has_more for _, has_more in samples),
            )

    @contextmanager
    def _selecting(self, kind: SummaryKind) -> Iterator[tuple[StreamDeltas, Selector]]:
        complete = self.has_read_all
        with read_transaction():
            unlogged = self._unlogged()
            summaries_of = summaries.session_summaries if kind is SESSIONS else summaries.user_summaries
            yield unlogged, Selector(kind, unlogged, complete, self._numbers, self.now, partial(summaries_of, unlogged))

    def _counts(self, unlogged: StreamDeltas, selection: Selection, selected: Selected) -> SelectionCounts:
        """Return number and facets of the selected; `outcomes` is empty."""
        total = Count(*selected.count) if selection else summaries.total(unlogged, selection.kind)
        names, is_sampled = sample_of(selected, FACET_SAMPLE, FACET_EVENTS)
        facets = facets_of(unlogged, self._numbers, selection.kind, names)
        is_exact = total.exact and self.has_read_all
        return SelectionCounts(Count(total.value, is_exact), OutcomeCounts(()), facets, len(names), is_sampled)

    def session(self, session_id: str) -> SessionSummary | None:
        self._read_stream()
        with read_transaction():
            return summaries.session_summaries(self._unlogged(), [session_id]).get(session_id)

    def session_streams(self, session_id: str) -> tuple[str, ...]:
        self._read_stream()
        with read_transaction():
            tailed = {change.event.stream for change in self._unlogged().of_session(session_id)}
            rows = LoggedEvent.objects.filter(session_id=session_id).order_by()
            logged = set(rows.values_list("stream_id", flat=True).distinct())
        names = {number: name for name, number in self._numbers.items()}
        return tuple(sorted(tailed | {names[number] for number in logged}))

    def session_steps(self, session_id: str, through: EntryId | None = None, *, history: int = 1) -> Iterator[Step]:
        return steps(self, session_id, through, history)

    @property
    def logged_through(self) -> EntryId:
        """The entry ID up to which the log has every entry of all streams; EntryId.MAX if the log has all of them."""
        if not self._stream_part.is_complete:
            return min(self._stream_part.watermarks.values())
        uncommitted = self._stream_part.reading.uncommitted(self._group)
        return min((held.entry_id.previous() for held in uncommitted.values()), default=EntryId.MAX)

    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        self._read_stream()
        with read_transaction():
            return session_outline(self._unlogged(), summary)

    def users(self, selection: Selection = EVERY_USER, position: ListPosition = FIRST) -> UserPage:
        with self._selecting(USERS) as (unlogged, selector):
            return _user_page(unlogged, selector.selected(selection), position)

    def user_list(
        self, selection: Selection = EVERY_USER, position: ListPosition = FIRST
    ) -> tuple[UserPage, SelectionCounts]:
        with self._selecting(USERS) as (unlogged, selector):
            selected = selector.selected(selection)
            counts = self._counts(unlogged, selection, selected)
            return _user_page(unlogged, selected, position), counts

    def user(self, user_id: str) -> UserSummary | None:
        self._read_stream()
        with read_transaction():
            return summaries.user_summaries(self._unlogged(), [user_id]).get(user_id)

    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        self._read_stream()
        with read_transaction():
            return summaries.user_days(self._unlogged(), user_id, since, until)

    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        since, until = whole_minutes(since, until)
        errors = self.page(EventFilter().errors().between(since, until), limit=summaries.RECENT_ERRORS)
        with read_transaction():
            found = summaries.overview(self._unlogged(), self.has_read_all, errors, since, until, self.now)
        is_complete = found.outcomes.is_complete and self.has_read_all
        return replace(found, outcomes=replace(found.outcomes, is_complete=is_complete))

    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        since, until = whole_minutes(since, until)
        return latencies(self._tail, self._stream_part.reading, settings.EVDASH.analytics_group, since, until)

    def breakdown(self, query: BreakdownQuery) -> Breakdown:
        complete = self.has_read_all
        with read_transaction():
            return breakdown_of_log(self._unlogged(), complete, self._numbers, query, self.now)

    def error_counts(
        self, events: EventFilter, errors: EventFilter, keys: tuple[str, ...], limit: int = EVENTS_MAX
    ) -> ErrorCounts:
        complete = self.has_read_all
        with read_transaction():
            return error_counts_of_log(self._unlogged(), complete, self._numbers, events, errors, keys, self.now, limit)

    def error_groups(self, filter: EventFilter, sort: GroupSort = NEWEST_FIRST) -> ErrorGroups:
        complete = self.has_read_all
        place = self._tail, self._stream_part.reading, settings.EVDASH.debug_group
        end_us = us_from_datetime(filter.until.at(self.now) if filter.until else self.now)
        with read_transaction():
            only = None if filter.errors() == EventFilter().errors() else filter.values("group")
            if only is None or filter.errors() == _of_groups(only):
                return error_groups(*place, self._unlogged().inheritance, sort, end_us, only)
            found = error_groups_of_filter(self._unlogged(), complete, self._numbers, filter, self.now, sort)
            return since_first_error(found, *place, end_us)

    def error_trends(self, filter: EventFilter, since: datetime, until: datetime) -> ErrorTrends:
        complete, range_us = self.has_read_all, (us_from_datetime(since), us_from_datetime(until))
        with read_transaction():
            return error_trends(self._unlogged(), complete, self._numbers, filter, self.now, range_us)

    def events_before(self, events: Collection[Event]) -> Mapping[Position, Event]:
        inside = [event for event in events if event.session_id]
        self._read_stream()
        with read_transaction():
            unlogged = self._unlogged()
            tailed = {
                session_id: [change.event for change in unlogged.of_session(session_id) if change.counts >= 0]
                for session_id in {event.session_id for event in inside}
            }
            logged = last_before(inside, self._numbers)
        known = self.events_by_position(set(logged.values())) if logged else {}
        found = {}
        for event in inside:
            earlier = [each for each in tailed[event.session_id] if each.entry_id < event.entry_id]
            place = Position.of(event)
            if place in logged and logged[place] in known:
                earlier.append(known[logged[place]])
            if earlier:
                found[place] = max(earlier, key=lambda each: (each.entry_id, self._numbers[each.stream]))
        return found

    def _read_stream(self) -> None:
        """Read the stream now, before a read transaction on the log begins."""
        _ = self._stream_part

    def _deltas(self) -> StreamDeltas:
        """Return the same as `_unlogged`, in a read transaction of its own."""
        self._read_stream()
        with read_transaction():
            return self._unlogged()

    def _unlogged(self) -> StreamDeltas:
        """Return the effect of the tail's uncommitted events; call inside the read transaction that uses it."""
        return pending_deltas(self._tail, self._stream_part.reading, self._group, self._numbers)


def _session_page(unlogged: StreamDeltas, selected: Selected, position: ListPosition) -> SessionPage:
    keys, newer, older, has_more = page_of(selected, position)
    found = summaries.session_summaries(unlogged, keys)
    return SessionPage(tuple(found[key] for key in keys), newer, older, selected.is_complete, has_more)


def _user_page(unlogged: StreamDeltas, selected: Selected, position: ListPosition) -> UserPage:
    keys, newer, older, has_more = page_of(selected, position)
    found = summaries.user_summaries(unlogged, keys)
    return UserPage(tuple(found[key] for key in keys), newer, older, selected.is_complete, has_more)


def _of_groups(fingerprints: Collection[str]) -> EventFilter:
    return EventFilter(tuple(Condition("group", each) for each in fingerprints)).errors()
