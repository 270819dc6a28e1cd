"""Lists of the sessions or users of a selection: read models joined with uncommitted stream entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nlargest
from typing import Any, Final

from django.db import connection
from django.db.models import BigIntegerField, BooleanField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable, RawSQL
from django.db.models.functions import Collate, Left
from django.db.models.lookups import Exact

from evdash.eventlog.event_query import compared, id_range
from evdash.eventlog.filter_summary import matches_of, numbers_of_rows, raw_values
from evdash.eventlog.models import AgentSession, AgentUser, LoggedEvent, Participation
from evdash.eventlog.records import OutcomeCounts
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.eventlog.time_buckets import ALL_TIME, RangeUs, in_us, whole_minutes, within
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import Condition
from evdash.events.filters.summary_filter import SESSIONS, Selection, SummaryFilter, SummaryKind
from evdash.events.summaries import CALL_TYPES, Outcome

# evdash follows at most this number of streams at once, and entries with equal IDs are in different streams.
TIES_MAX: Final = 64
COUNT_MAX: Final = 10_000
"""Limit of counted sessions or users, of those that a time range considers, and of rows in a sorted list."""
MATCHES_MAX: Final = 50_000
"""Conditions on events consider the newest events that match them, at most this number."""

UNLOGGED_MAX: Final = 1_000
"""Limit of those with uncommitted entries whose summaries decide whether and where a list has them, the newest."""
_NAMES_MAX: Final = 5_000  # of a condition; more are in a subquery

Summaries = Callable[[Collection[str]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Order:
    """An order of a list: by a column, `descending` or not, and then by name."""

    column: str = "last"
    descending: bool = True

    @property
    def is_by_last_entry(self) -> bool:
        return self == BY_LAST


BY_LAST: Final = Order()


@dataclass(frozen=True, slots=True)
class Column:
    """A column that a list can be sorted by: its SQL expression, and its value in a summary."""

    expression: str | Combinable
    value: Callable[[Any], Any]
    is_text: bool = False


# A call that an event of its own and a message state is one (events/summaries.py). Few sessions have such calls.
_REPEATS: Final = """
    CASE WHEN calls_inside = 0 OR calls_inside >= tool_calls THEN 0 ELSE COALESCE((
        SELECT SUM(CASE WHEN own < inside THEN own ELSE inside END) FROM (
            SELECT SUM(CASE WHEN called.is_inside THEN 0 ELSE 1 END) AS own,
                SUM(CASE WHEN called.is_inside THEN 1 ELSE 0 END) AS inside
            FROM eventlog_callentry AS called
            JOIN eventlog_loggedevent AS event
                ON event.stream_id = called.stream_id AND event.entry_id = called.entry_id
            WHERE called.session_id = eventlog_agentsession.session_id AND NOT event.is_duplicate
                AND (called.is_inside OR event.type IN ({types}))
            GROUP BY called.call_id
        ) AS stated
    ), 0) END
"""
_CALLS: Final = F("tool_calls") - RawSQL(  # noqa: S611 - a constant
    _REPEATS.format(types=", ".join(["%s"] * len(CALL_TYPES))), CALL_TYPES, BigIntegerField()
)
_SESSION_COLUMNS: Final = {
    "last": Column("last_id", lambda each: each.last_id),
    "session": Column("session_id", lambda each: each.session_id, is_text=True),
    "user": Column("user_id", lambda each: each.user_id, is_text=True),
    "started": Column("first_id", lambda each: each.first_id),
    "duration": Column(F("last_us") - F("started_us"), lambda each: each.last_us - each.started_us),
    "events": Column("events", lambda each: each.events),
    "errors": Column("errors", lambda each: each.errors),
    "agent": Column("agent", lambda each: each.agent.text, is_text=True),
    "model": Column("model", lambda each: each.model.text, is_text=True),
    "outcome": Column("outcome", lambda each: each.outcome, is_text=True),
    "messages": Column("messages", lambda each: each.messages),
    "calls": Column(_CALLS, lambda each: each.tool_calls),
    "searches": Column("searches", lambda each: each.searches),
    "tokens": Column("tokens", lambda each: each.tokens),
}
_USER_COLUMNS: Final = {
    "last": Column("last_id", lambda each: each.last_id),
    "user": Column("user_id", lambda each: each.user_id, is_text=True),
    "first": Column("first_id", lambda each: each.first_id),
    "events": Column("events", lambda each: each.events),
    "errors": Column("errors", lambda each: each.errors),
    "sessions": Column("sessions", lambda each: each.sessions),
    "tokens": Column("tokens", lambda each: each.tokens),
}


def sort_columns(kind: SummaryKind) -> Mapping[str, Column]:
    """Return the columns that a list of this kind can be sorted by."""
    return _SESSION_COLUMNS if kind is SESSIONS else _USER_COLUMNS


@dataclass(slots=True)
class Selected:
    """The sessions or users of a selection: rows of the log, and those with additions from the stream."""

    kind: SummaryKind
    rows: QuerySet[Any]  # without those with additions
    touched: Mapping[str, EntryId]  # last entries of those with additions, in the log and the stream
    summaries: Summaries
    is_complete: bool  # False: a limit left some out
    _newest: Sequence[tuple[Any, ...]] = field(default=(), init=False, repr=False)
    _newest_limit: int = field(default=0, init=False, repr=False)

    def _newest_rows(self, limit: int) -> Sequence[tuple[Any, ...]]:
        """Return packed last entry, name, number of events, outcome and packed end of the newest rows, at most `limit`.

        A filter that matches few rows searches the whole table, so rows are read once: by the largest limit.
        """
        if limit > self._newest_limit:
            end = ("outcome", "ended_id") if self.kind is SESSIONS else ()
            found = self.rows.order_by("-last_id").values_list("last_id", self.kind.attribute, "events", *end)
            self._newest, self._newest_limit = raw_values(found[:limit]), limit
        return self._newest[:limit]

    @property
    def count(self) -> tuple[int, bool]:
        """The number, at most COUNT_MAX of the log, and whether it is exact."""
        logged = len(self._newest_rows(COUNT_MAX + 1))
        return min(logged, COUNT_MAX) + len(self.touched), self.is_complete and logged <= COUNT_MAX

    @property
    def outcomes(self) -> OutcomeCounts:
        """The outcomes of these sessions: of the log, those of the newest COUNT_MAX."""
        touched = self.newest_touched
        counts = Counter(each.end for each in self.summaries(touched).values())
        if self._newest_limit > COUNT_MAX:
            numbers = Counter((outcome, ended_id is None) for *_, outcome, ended_id in self._newest[:COUNT_MAX])
            ends = [(*end, number) for end, number in numbers.items()]
        else:  # the database counts faster than it hands out rows
            has_no_end = ExpressionWrapper(Q(ended_id__isnull=True), output_field=BooleanField())
            newest = self.rows.order_by("-last_id").annotate(has_no_end=has_no_end)
            ends = numbers_of_rows(newest[:COUNT_MAX], ("outcome", "has_no_end"))
        for outcome, is_open, number in ends:
            counts[Outcome(outcome, not is_open)] += number
        is_complete = (
            self.is_complete and sum(number for *_, number in ends) < COUNT_MAX and len(touched) == len(self.touched)
        )
        return OutcomeCounts(most_frequent(counts), is_complete)

    @property
    def newest_touched(self) -> Collection[str]:
        """Those with additions whose summaries are read: the newest UNLOGGED_MAX."""
        return nlargest(UNLOGGED_MAX, self.touched, key=self.touched.__getitem__)

    def newest(self, limit: int) -> list[tuple[str, int]]:
        """Return the names of the newest ones by last entry with their numbers of events, at most `limit`."""
        found = [
            (EntryId.from_bytes(bytes(last_id)), name, events) for last_id, name, events, *_ in self._newest_rows(limit)
        ]
        touched = nlargest(limit, self.touched, key=self.touched.__getitem__)
        found += [(self.touched[name], name, each.events) for name, each in self.summaries(touched).items()]
        return [(name, events) for _, name, events in sorted(found, reverse=True)[:limit]]

    def page(
        self, before: EntryId | None, after: EntryId | None, limit: int
    ) -> tuple[list[str], EntryId | None, EntryId | None]:
        """Return names by last entry, newest first, and the starts of the neighbouring pages.

        A page never ends between names with equal last entry IDs. They are of different streams, so there are few.
        """
        forward = after is not None
        start = after or before
        if start is None:
            newest = self._newest_rows(limit + TIES_MAX)
            logged = {name: EntryId.from_bytes(bytes(last_id)) for last_id, name, *_ in newest}
        else:
            rows = self.rows.filter(**{"last_id__gt" if forward else "last_id__lt": start})
            ordered = rows.order_by("last_id" if forward else "-last_id")
            logged = dict(ordered.values_list(self.kind.attribute, "last_id")[: limit + TIES_MAX])
        return page_by_last_id({**logged, **self.touched}, before, after, limit)

    def sorted_page(self, order: Order, skip: int, limit: int) -> tuple[list[str], bool]:
        """Return the names after the first `skip` in this order, and whether there are more."""
        column = sort_columns(self.kind)[order.column]
        expression: Any = F(column.expression) if isinstance(column.expression, str) else column.expression
        if column.is_text and connection.vendor == "postgresql":
            expression = Collate(expression, "C")
        name: Any = F(self.kind.attribute)
        name = Collate(name, "C") if connection.vendor == "postgresql" else name
        rows = self.rows.annotate(sorted_by=expression)
        rows = rows.order_by(F("sorted_by").desc() if order.descending else F("sorted_by").asc(), name.asc())
        end = skip + limit
        found = list(rows.values_list("sorted_by", self.kind.attribute)[: end + 1])
        summaries = self.summaries(self.newest_touched)
        found += [(column.value(summary), key) for key, summary in summaries.items()]
        found.sort(key=lambda each: each[1])
        found.sort(key=lambda each: each[0], reverse=order.descending)
        return [key for _, key in found[skip:end]], len(found) > end


def page_by_last_id(
    last_ids: Mapping[str, EntryId], before: EntryId | None, after: EntryId | None, limit: int
) -> tuple[list[str], EntryId | None, EntryId | None]:
    """Return the page's part of these keys by last entry, newest first, and the starts of the neighbouring pages."""
    forward = after is not None
    start = after or before
    last_ids = {
        key: last_id
        for key, last_id in last_ids.items()
        if start is None or (last_id > start if forward else last_id < start)
    }
    places = sorted(((last_id, key) for key, last_id in last_ids.items()), reverse=not forward)
    end = limit
    while limit <= end < len(places) and places[end][0] == places[end - 1][0]:
        end += 1
    kept, more = places[:end], len(places) > end
    onward = kept[-1][0] if more else None
    back = (kept[0][0] if kept else start) if start is not None else None
    shown = list(reversed(kept)) if forward else kept
    return [key for _, key in shown], onward if forward else back, back if forward else onward


class Selector:
    """The selection of sessions or users in one database state."""

    def __init__(
        self,
        kind: SummaryKind,
        unlogged: StreamDeltas,
        unlogged_complete: bool,
        numbers: Mapping[str, int],
        now: datetime,
        summaries: Summaries,
    ) -> None:
        self._kind, self._unlogged, self._numbers, self._now = kind, unlogged, numbers, now
        self._unlogged_complete, self._summaries = unlogged_complete, summaries
        self._model = AgentSession if kind is SESSIONS else AgentUser
        self._added = unlogged.last_ids_by_session if kind is SESSIONS else unlogged.last_ids_by_user
        self._is_complete = True

    def selected(self, selection: Selection) -> Selected:
        """Return the sessions or users of the selection."""
        added = self._added
        rows: QuerySet[Any] = self._model._default_manager.all()
        touched: Set[str] = set(added)
        self._is_complete = True
        for part in selection.required:
            matches, kept = self._matching(part, touched)
            rows, touched = rows.filter(matches), kept
        if selection.excluded:
            excluded, left_out = Q(), touched
            for part in selection.excluded:
                matches, kept = self._matching(part, touched)
                excluded, left_out = excluded & matches, left_out & kept
            rows, touched = rows.exclude(excluded), touched - left_out
        key = self._kind.attribute
        logged = dict(self._model._default_manager.filter(**{f"{key}__in": list(touched)}).values_list(key, "last_id"))
        last_ids = {name: max(added[name], logged.get(name, EntryId.MIN)) for name in touched}
        others = rows.exclude(**{f"{key}__in": list(added)}) if added else rows
        return Selected(self._kind, others, last_ids, self._summaries, self._is_complete)

    def _matching(self, part: SummaryFilter, touched: Set[str]) -> tuple[Q, Set[str]]:
        """Return the condition for rows, and those of `touched` that match."""
        matches = Q()
        for group in part.own_groups():
            any_of = Q()
            for condition in group:
                test = self._own(condition)
                any_of |= ~test if condition.negated else test
            matches &= any_of
        if touched and any(True for _ in part.own_groups()):
            touched = self._newest(touched)
            accepts, summaries = part.accepts(), self._summaries(touched)
            touched = {key for key in touched if key in summaries and accepts(summaries[key])}
        if part.events:
            found, kept = self._with_event(part.events, touched)
            matches, touched = matches & found, kept
        for event_filter in part.excluded:
            found, left_out = self._with_event(event_filter, touched)
            matches, touched = matches & ~found, touched - left_out
        return matches, touched

    def _newest(self, touched: Set[str]) -> Set[str]:
        """Return those whose summaries are read: the newest UNLOGGED_MAX."""
        if len(touched) <= UNLOGGED_MAX:
            return touched
        self._is_complete = False
        return set(nlargest(UNLOGGED_MAX, touched, key=self._added.__getitem__))

    def _own(self, condition: Condition) -> Q:
        """Return the condition on rows, which ignores `negated`."""
        if condition.key == "ended":
            return Q(ended_id__isnull=condition.value == "no")
        column = sort_columns(self._kind)[condition.key].expression
        if condition.comparison:
            number = float(condition.value) * (1_000_000 if condition.key == "duration" else 1)
            return Q(compared(column, condition.comparison, number))
        if "\x00" in condition.value:  # decoding writes NUL as ␀
            return Q(pk__in=[])
        if not condition.prefix:
            return Q(outcome=condition.value)
        return Q(Exact(Left(column, len(condition.value)), condition.value)) if condition.value else ~Q(outcome="")

    def _with_event(self, event_filter: EventFilter, touched: Set[str]) -> tuple[Q, Set[str]]:
        """Return the condition for rows that have an event of the filter, and those of `touched` that have one."""
        key, conditions = self._kind.attribute, event_filter.conditions
        names = {c.value for c in conditions if c.key == self._kind.noun and is_exact(c)}
        has_range = bool(event_filter.since or event_filter.until)
        if not conditions:
            return self._in_range(event_filter, touched)
        if len(names) == len(conditions) and not has_range:
            return Q(**{f"{key}__in": names}), touched & names
        if self._kind is SESSIONS and not has_range and len(users := event_filter.values("user")) == len(conditions):
            return self._of_users(users, touched)
        matching = matches_of(
            self._unlogged, self._unlogged_complete, self._numbers, event_filter, self._now, limit=MATCHES_MAX
        )
        logged = [name for (name,) in raw_values(matching.rows.values_list(key))]
        self._is_complete = self._is_complete and matching.complete and len(logged) <= MATCHES_MAX
        # Rows that inherit other values by now are among the counted, also of sessions without additions.
        found = {getattr(event, key) for event in matching.counted}
        if len(set(logged)) > _NAMES_MAX:
            any_of = Q(**{f"{key}__in": matching.rows.values(key)}) | Q(**{f"{key}__in": found})
            return any_of, touched & (found | set(logged))
        found |= set(logged)
        return Q(**{f"{key}__in": found}), touched & found

    def _of_users(self, user_ids: Collection[str], touched: Set[str]) -> tuple[Q, Set[str]]:
        rows = Participation.objects.filter(user_id__in=user_ids)
        added = {change.event.session_id for user_id in user_ids for change in self._unlogged.of_user(user_id)}
        logged = set(rows.filter(session_id__in=list(touched)).values_list("session_id", flat=True))
        return Q(session_id__in=rows.values("session_id")), touched & (added | logged)

    def _in_range(self, event_filter: EventFilter, touched: Set[str]) -> tuple[Q, Set[str]]:
        """Return those with an event in the time range, which is widened to whole minutes as Overview counts."""
        span = Span.of(range_of(event_filter, self._now))
        rows, key = self._model._default_manager.all(), self._kind.attribute
        inside = active_in(span, rows, key)
        self._is_complete = self._is_complete and is_countable(span, rows)
        added = added_in(self._unlogged, span.us, self._kind)
        logged = set(inside.filter(**{f"{key}__in": list(touched)}))
        return Q(**{f"{key}__in": inside}), touched & (added | logged)


def is_exact(condition: Condition) -> bool:
    """Return whether the condition states one value that a property has."""
    return not (condition.negated or condition.prefix or condition.comparison)


def range_of(event_filter: EventFilter, now: datetime) -> RangeUs:
    """Return the time range of a filter, widened to whole minutes."""
    since, until = event_filter.since, event_filter.until
    return in_us(*whole_minutes(since.at(now) if since else None, until.at(now) if until else None))


@dataclass(frozen=True, slots=True)
class Span:
    """A time range, with the first and last entry ID of its logged events, which several queries need."""

    us: RangeUs
    ids: tuple[EntryId | None, EntryId | None]

    @classmethod
    def of(cls, range_us: RangeUs) -> Span:
        """Return the span of a range. Reads the database."""
        return cls(range_us, id_range(*range_us))


def active_in(span: Span, rows: QuerySet[Any], key: str) -> QuerySet[Any, str]:
    """Return the names of those candidates that have an event in the range."""
    since_us, until_us = span.us
    first_id, last_id = span.ids
    events = LoggedEvent.objects.filter(
        **{key: OuterRef(key)}, entry_id__gte=first_id or EntryId.MIN, entry_id__lte=last_id or EntryId.MAX
    )
    if since_us is not None:
        events = events.filter(occurred_us__gte=since_us)
    if until_us is not None:
        events = events.filter(occurred_us__lt=until_us)
    active = rows.filter(Exists(events), pk__in=_candidates(span, rows).values("pk"))
    return active.values_list(key, flat=True)


def _candidates(span: Span, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the sessions or users whose last entry is in the range or after it: at most COUNT_MAX, the nearest."""
    first_id, _ = span.ids
    order = "last_id" if span.us[1] is not None else "-last_id"
    return rows.filter(last_id__gte=first_id or EntryId.MIN).order_by(order)[:COUNT_MAX]


def is_countable(span: Span, rows: QuerySet[Any]) -> bool:
    """Return whether `active_in` considers all of these rows that can have an event in the range."""
    return span.us == ALL_TIME or _candidates(span, rows).count() < COUNT_MAX


def added_in(unlogged: StreamDeltas, range_us: RangeUs, kind: SummaryKind) -> Set[str]:
    """Return the sessions or users with an event in the range that the tables lack, or have for another user."""
    changes = unlogged.changes
    if kind is not SESSIONS:
        changes = [*changes, *(CountChange(row.now) for row in unlogged.inheritance.relabelled)]
    return {getattr(change.event, kind.attribute) for change in within(changes, range_us)} - {""}


def most_frequent(counts: Mapping[Outcome, int]) -> tuple[tuple[Outcome, int], ...]:
    """Return the counts of outcomes, the largest first."""
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True)
class ListPosition:
    """The displayed part of a list: in the order of last entries before or after one, else after the first `skip`."""

    order: Order = BY_LAST
    before: EntryId | None = None
    after: EntryId | None = None
    skip: int = 0
    limit: int = 50


FIRST: Final = ListPosition()


def page_of(selected: Selected, position: ListPosition) -> tuple[list[str], EntryId | None, EntryId | None, bool]:
    """Return the names of a part of the list, `newer` and `older` as in SessionPage, and whether there are more."""
    if position.order.is_by_last_entry:
        keys, newer, older = selected.page(position.before, position.after, position.limit)
        return keys, newer, older, older is not None
    keys, has_more = selected.sorted_page(position.order, position.skip, position.limit)
    return keys, None, None, has_more
