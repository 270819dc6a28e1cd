"""The reader of a sandbox: it answers the same queries as for the watched streams, from memory."""

from __future__ import annotations

import builtins
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import islice

from evdash.eventlog.breakdowns import EVENTS_MAX, breakdown_of, error_counts_of
from evdash.eventlog.error_groups import (
    ERRORS_MAX,
    NEWEST_FIRST,
    ErrorGroups,
    ErrorTrends,
    GroupSort,
    group_of_summary,
    in_order,
    trends_of,
    with_newness,
)
from evdash.eventlog.filter_summary import summary_of
from evdash.eventlog.latencies import Latencies, latencies_of
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import (
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
from evdash.eventlog.selection_values import FACET_SAMPLE, SET_SESSIONS, facets_of_events, set_event
from evdash.eventlog.selections import FIRST, ListPosition, most_frequent, page_by_last_id, range_of, sort_columns
from evdash.eventlog.session_queries import outline_of
from evdash.eventlog.session_snapshots import Step
from evdash.eventlog.summaries import RECENT_ERRORS, days_of, overview_of
from evdash.eventlog.time_buckets import whole_minutes, within
from evdash.events.breakdown import Breakdown, BreakdownQuery
from evdash.events.entry import EntryId
from evdash.events.error_groups import error_groups_of
from evdash.events.error_rates import ErrorCounts
from evdash.events.event import Event, us_from_datetime
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import EVERY_SESSION, EVERY_USER, Selection
from evdash.events.session_activity import ActivityEvent, SessionActivity, activity_of, with_activity
from evdash.events.session_sets import SetComparison, SetEvent, compare_sets
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.replay.sandbox_contents import Contents
from evdash.streams.sandbox import Sandbox


class SandboxReader(Reader):
    """Reader of one sandbox as of now. It reports no gaps, because a sandbox is not meant to be complete."""

    def __init__(self, sandbox: Sandbox, contents: Contents, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)
        self.streams = (sandbox.name,)
        self._stream, self._info, self._contents = sandbox.name, sandbox.info, contents

    @property
    def coverage(self) -> Coverage:
        shown = len(self._contents.events)
        length = self._info.length if self._info else 0
        cut = f"Showing the first {shown:,} of {length:,} entries."
        return Coverage(0, False, "", () if self.has_read_all else (cut,), is_of_copies=True)

    @property
    def unreachable(self) -> str:
        return ""

    @property
    def has_read_all(self) -> bool:
        return self._contents.is_all

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
        forward = after is not None or (oldest_first and before is None)
        side = self._side(self._among(filter), before, after, forward=forward)
        matching = list(islice(builtins.filter(filter.predicate(self.now), side), limit + 1))
        kept = matching[:limit]
        onward = Position.of(kept[-1]) if len(matching) > limit else None
        start = after or before
        back = (Position.of(kept[0]) if kept else start) if start is not None else None
        newer, older = (onward, back) if forward else (back, onward)
        duplicates = self._contents.duplicates
        return EventPage(
            events=tuple(kept if forward == oldest_first else reversed(kept)),
            newer=newer,
            older=older,
            searched_to=None,
            cursor={self._stream: self._contents.last_id},
            duplicates=frozenset(Position.of(event) for event in kept if event.entry_id in duplicates),
        )

    def first_page(self, filter: EventFilter, *, limit: int) -> EventPage:
        return self.page(filter, oldest_first=True, limit=limit)

    def last_entry_ids(self) -> Mapping[str, EntryId]:
        return {self._stream: self._contents.last_id}

    def removed_unread(self, seen: Position) -> MissingEntries | None:
        return None

    def gaps(self, after: EntryId, through: EntryId) -> tuple[MissingEntries, ...]:
        return ()

    def total_missing(self) -> MissingInAll:
        return MissingInAll(0, 0, is_exact=True)

    def summary(self, filter: EventFilter) -> FilterSummary:
        return summary_of(self._contents.changes[::-1], filter, self.now)

    def count(self, filter: EventFilter) -> Count:
        return self.summary(filter).events

    def event(self, stream: str, entry_id: EntryId) -> Event | None:
        return self._contents.event(entry_id) if stream == self._stream else None

    def events_by_position(self, positions: Collection[Position]) -> Mapping[Position, Event]:
        by_position = {position: self.event(position.stream, position.entry_id) for position in positions}
        return {position: event for position, event in by_position.items() if event}

    def original_of_duplicate(self, event: Event) -> EntryId | None:
        return self._contents.duplicates.get(event.entry_id)

    def sessions(self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST) -> SessionPage:
        found = self._contents.sessions
        keys, newer, older, has_more = self._page(selection, found, position)
        return SessionPage(tuple(found[key] for key in keys), newer, older, has_more=has_more)

    def session_list(
        self, selection: Selection = EVERY_SESSION, position: ListPosition = FIRST
    ) -> tuple[SessionPage, SelectionCounts]:
        found = self._contents.sessions
        ends = Counter(found[key].end for key in self._selected(selection.of_any_outcome, found))
        counts = self._counts(selection, found, OutcomeCounts(most_frequent(ends)))
        return self.sessions(selection, position), counts

    def session_activity(self, sessions: Sequence[SessionSummary]) -> Mapping[str, SessionActivity]:
        read, duplicates = with_activity(sessions), self._contents.duplicates
        own = (event for each in read for event in self._contents.by_session[each.session_id])
        return activity_of(
            read, (ActivityEvent(e.session_id, e.occurred_us, e.tool) for e in own if e.entry_id not in duplicates)
        )

    def session_sets(self, a: Selection, b: Selection, *, until_error: bool = False) -> SetComparison:
        found = self._contents.sessions
        sets = [[found[key] for key in self._newest(each, found)] for each in (a, b)]
        is_complete = all(len(each) <= SET_SESSIONS for each in sets)

        def events(sessions: Sequence[SessionSummary]) -> Iterator[SetEvent]:
            duplicates = self._contents.duplicates
            for session_id in sorted(each.session_id for each in sessions):
                own = (event for event in self._contents.by_session[session_id] if event.entry_id not in duplicates)
                yield from (set_event(event, session_id) for event in own)

        ours, theirs = (each[:SET_SESSIONS] for each in sets)
        return compare_sets(ours, theirs, events, until_error=until_error, is_complete=is_complete)

    def _selected(self, selection: Selection, summaries: Mapping[str, SessionSummary | UserSummary]) -> set[str]:
        attribute, changes = selection.kind.attribute, self._contents.changes

        def with_event(event_filter: EventFilter) -> set[str]:
            if not event_filter.conditions:
                changed = within(changes, range_of(event_filter, self.now))
                return {getattr(change.event, attribute) for change in changed}
            matches = event_filter.predicate(self.now)
            return {getattr(change.event, attribute) for change in changes if change.counts and matches(change.event)}

        return selection.select(summaries, with_event)

    def _newest(self, selection: Selection, summaries: Mapping[str, SessionSummary | UserSummary]) -> list[str]:
        return sorted(self._selected(selection, summaries), key=lambda key: summaries[key].last_id, reverse=True)

    def _page(
        self, selection: Selection, summaries: Mapping[str, SessionSummary | UserSummary], position: ListPosition
    ) -> tuple[list[str], EntryId | None, EntryId | None, bool]:
        order, names = position.order, self._selected(selection, summaries)
        if order.is_by_last_entry:
            last_ids = {key: summaries[key].last_id for key in names}
            keys, newer, older = page_by_last_id(last_ids, position.before, position.after, position.limit)
            return keys, newer, older, older is not None
        value = sort_columns(selection.kind)[order.column].value
        ordered = sorted(sorted(names), key=lambda key: value(summaries[key]), reverse=order.descending)
        end = position.skip + position.limit
        return ordered[position.skip : end], None, None, len(ordered) > end

    def _counts(
        self,
        selection: Selection,
        summaries: Mapping[str, SessionSummary | UserSummary],
        outcomes: OutcomeCounts,
    ) -> SelectionCounts:
        names, kind = self._newest(selection, summaries), selection.kind
        sample = set(names[:FACET_SAMPLE])
        changes = self._contents.changes
        events = (
            change.event for change in changes if change.counts and getattr(change.event, kind.attribute) in sample
        )
        facets = facets_of_events(set_event(event, getattr(event, kind.attribute)) for event in events)
        return SelectionCounts(Count(len(names)), outcomes, facets, len(sample), len(names) > len(sample))

    def session(self, session_id: str) -> SessionSummary | None:
        return self._contents.sessions.get(session_id)

    def session_streams(self, session_id: str) -> tuple[str, ...]:
        return (self._stream,) if session_id in self._contents.sessions else ()

    def session_steps(self, session_id: str, through: EntryId | None = None, *, history: int = 1) -> Iterator[Step]:
        return self._contents.steps(session_id, through or EntryId.MAX, history)

    def session_outline(self, summary: SessionSummary) -> tuple[OutlineSlot, ...]:
        return outline_of(self._contents.changes, summary)

    def users(self, selection: Selection = EVERY_USER, position: ListPosition = FIRST) -> UserPage:
        found = self._contents.users
        keys, newer, older, has_more = self._page(selection, found, position)
        return UserPage(tuple(found[key] for key in keys), newer, older, has_more=has_more)

    def user_list(
        self, selection: Selection = EVERY_USER, position: ListPosition = FIRST
    ) -> tuple[UserPage, SelectionCounts]:
        counts = self._counts(selection, self._contents.users, OutcomeCounts(()))
        return self.users(selection, position), counts

    def user(self, user_id: str) -> UserSummary | None:
        return self._contents.users.get(user_id)

    def user_days(self, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
        return days_of(self._contents.changes, user_id, since, until)

    def overview(self, since: datetime | None = None, until: datetime | None = None) -> Overview:
        since, until = whole_minutes(since, until)
        errors = self.page(EventFilter().errors().between(since, until), limit=RECENT_ERRORS)
        return overview_of(self._contents.changes, errors, since, until, self.now)

    def latencies(self, since: datetime | None = None, until: datetime | None = None) -> Latencies:
        return latencies_of(self._contents.changes, *whole_minutes(since, until))

    def breakdown(self, query: BreakdownQuery) -> Breakdown:
        return breakdown_of(self._contents.changes[::-1], query, self.now)

    def error_counts(
        self, events: EventFilter, errors: EventFilter, keys: tuple[str, ...], limit: int = EVENTS_MAX
    ) -> ErrorCounts:
        return error_counts_of(self._contents.changes[::-1], events, errors, keys, self.now, limit)

    def error_groups(self, filter: EventFilter, sort: GroupSort = NEWEST_FIRST) -> ErrorGroups:
        matches = filter.errors().predicate(self.now)
        changes = self._contents.changes
        found = error_groups_of(change for change in changes if matches(change.event)).values()
        groups = [group for each in found if (group := group_of_summary(each)).events]
        firsts_us = {key: each.first_us for key, each in error_groups_of(changes).items()}
        end_us = us_from_datetime(filter.until.at(self.now) if filter.until else self.now)
        earliest_us = min(firsts_us.values(), default=None)
        return ErrorGroups(with_newness(in_order(groups, sort), firsts_us, earliest_us, end_us), len(groups))

    def error_trends(self, filter: EventFilter, since: datetime, until: datetime) -> ErrorTrends:
        matches = filter.errors().predicate(self.now)
        found = (change.event for change in self._contents.changes[::-1] if change.counts and matches(change.event))
        errors = list(islice(found, ERRORS_MAX + 1))
        times = ((event.error_group, event.occurred_us) for event in errors[:ERRORS_MAX])
        range_us = us_from_datetime(since), us_from_datetime(until)
        return ErrorTrends(trends_of(times, range_us), len(errors) <= ERRORS_MAX)

    def events_before(self, events: Collection[Event]) -> Mapping[Position, Event]:
        found = {}
        for event in events:
            inside = self._contents.by_session.get(event.session_id, ())
            if place := bisect_left(inside, event.entry_id, key=_entry_id):
                found[Position.of(event)] = inside[place - 1]
        return found

    def _among(self, filter: EventFilter) -> Sequence[Event]:
        """Return the events that the filter can match: those of one session, or all."""
        for group in filter.alternatives():
            condition = group[0]
            if len(group) == 1 and condition.key == "session" and not condition.negated and not condition.prefix:
                return self._contents.by_session.get(condition.value, ())
        return self._contents.events

    def _side(
        self, among: Sequence[Event], before: Position | None, after: Position | None, *, forward: bool
    ) -> Iterator[Event]:
        """Yield the events on the wanted side of a position, in the direction of reading."""
        if after is not None:
            # A position of another stream precedes this stream's entry with the same ID.
            bisect = bisect_right if after.stream == self._stream else bisect_left
            return islice(among, bisect(among, after.entry_id, key=_entry_id), None)
        end = bisect_left(among, before.entry_id, key=_entry_id) if before is not None else len(among)
        return islice(among, end) if forward else (among[number] for number in range(end - 1, -1, -1))


def _entry_id(event: Event) -> EntryId:
    return event.entry_id
