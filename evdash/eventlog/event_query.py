"""SQL query of an EventFilter, with bounds that keep its cost independent of the length of history."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, FloatField, Func, Q, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Cast, Coalesce, Left, StrIndex
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual
from django.db.models.sql.compiler import SQLCompiler

from evdash.eventlog.models import LoggedEvent, Stream, TypeCount
from evdash.eventlog.time_buckets import LAST_SLOT_END_S, MINUTE_S, slot_start_s, slots_of_range
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import ATTRIBUTES, BY_NAME, COMPARISONS, IS, Condition
from evdash.events.filters.search_text import numbers_in

# Limit of rows that a search reads when no index answers it (a text search, for example). It then reports its position.
SCAN_ROWS = 50_000

_NOTHING = Q(pk__in=[])


@dataclass(frozen=True, slots=True)
class LogQuery:
    """The rows of a filter: those that an index finds, and those of them that the rest of the filter matches."""

    indexed: QuerySet[LoggedEvent]
    matching: QuerySet[LoggedEvent]
    exact: bool  # the index alone answers the filter

    def without_sessions(self, session_ids: Collection[str]) -> LogQuery:
        """Return the query without the rows of these sessions."""
        ids = list(session_ids)
        return LogQuery(self.indexed.exclude(session_id__in=ids), self.matching.exclude(session_id__in=ids), self.exact)

    def bound(self, *, newest_first: bool) -> EntryId | None:
        """Return the entry ID at which a search stops after SCAN_ROWS rows; None if it finishes earlier."""
        if self.exact:
            return None
        order = ("-entry_id", "-stream_id") if newest_first else ("entry_id", "stream_id")
        row = self.indexed.order_by(*order).values_list("entry_id", flat=True)[SCAN_ROWS : SCAN_ROWS + 1]
        return next(iter(row), None)


def log_query(filter: EventFilter, now: datetime) -> LogQuery:
    """Return the rows of the filter; relative times are relative to `now`."""
    driver = filter.driver()
    rows = LoggedEvent.objects.all()
    since_us, until_us = filter.range_us(now)
    first_id, last_id = id_range(since_us, until_us)
    if first_id is not None:
        rows = rows.filter(entry_id__gte=first_id)
    if last_id is not None:
        rows = rows.filter(entry_id__lte=last_id)
    if driver:
        rows = rows.filter(_by_index(driver))
    # The other conditions are opaque to the indexes. SQLite keeps no statistics and would otherwise use a worse index.
    other_groups = [group for group in filter.alternatives() if group != (driver,)]
    matching = rows
    for group in other_groups:
        any_of = Q()
        for condition in group:
            test = _opaque(condition)
            any_of |= ~test if condition.negated else test
        matching = matching.filter(any_of)
    if since_us is not None:
        matching = matching.filter(occurred_us__gte=since_us)
    if until_us is not None:
        matching = matching.filter(occurred_us__lt=until_us)
    return LogQuery(rows, matching, exact=not other_groups and since_us is None and until_us is None)


def duplicates_query(filter: EventFilter, now: datetime) -> QuerySet[LoggedEvent]:
    """Return the duplicates among the filter's rows. They are few, and the query is written to use their own index."""
    rows = LoggedEvent.objects.filter(is_duplicate=True)
    for group in filter.alternatives():
        any_of = Q()
        for condition in group:
            any_of |= ~_opaque(condition) if condition.negated else _opaque(condition)
        rows = rows.filter(any_of)
    since_us, until_us = filter.range_us(now)
    if since_us is not None:
        rows = rows.filter(occurred_us__gte=since_us)
    if until_us is not None:
        rows = rows.filter(occurred_us__lt=until_us)
    return rows


def _by_index(condition: Condition) -> Q:
    if condition.key == IS:
        return Q(is_error=True)
    return _NOTHING if _is_unwritten(condition.value) else Q(**{ATTRIBUTES[condition.key]: condition.value})


def _is_unwritten(value: str) -> bool:
    """Return whether a column cannot hold this value: decoding writes NUL as ␀, since PostgreSQL rejects NUL."""
    return "\x00" in value


def _opaque(condition: Condition) -> Q:
    if condition.key == IS:
        return Q(Exact(Coalesce("is_error", Value(False), output_field=BooleanField()), True))
    if condition.key == "stream":
        # Streams are few. The comparison in Python gives a prefix the same meaning as in the predicate.
        names = Stream.objects.values_list("pk", "name")
        return Q(stream_id__in=[pk for pk, name in names if condition.accepts(name)])
    if condition.comparison:
        return _compared(condition)
    if condition.key in ATTRIBUTES:
        column = ATTRIBUTES[condition.key]
        if _is_unwritten(condition.value):
            return _NOTHING
        if not condition.prefix:
            return Q(Exact(Coalesce(column, Value(""), output_field=TextField()), condition.value))
        if not condition.value:
            return ~Q(Exact(Coalesce(column, Value(""), output_field=TextField()), ""))
        return Q(Exact(Left(column, len(condition.value)), condition.value))
    any_of = Q()
    for needle in condition.needles():
        any_of |= Q(GreaterThan(StrIndex("search_text", Value(needle, output_field=TextField())), 0))
    return any_of


_LOOKUPS: Final = {
    ">": GreaterThan, ">=": GreaterThanOrEqual, "<": LessThan, "<=": LessThanOrEqual, "=": Exact,
}  # fmt: skip


def compared(column: str | Combinable, comparison: str, number: float) -> Any:
    """Return the comparison of a column with a number.

    Django would cut the fraction off a number that it compares with a whole one.
    """
    return _LOOKUPS[comparison](Cast(column, FloatField()), number)


def _compared(condition: Condition) -> Q:
    number = float(condition.value)
    if condition.key in BY_NAME:
        key = BY_NAME[condition.key]
        has_number = Q(**({f"{key.attribute}__gt": 0} if key.zero_is_none else {f"{key.attribute}__isnull": False}))
        return has_number & Q(compared(key.attribute, condition.comparison, number))
    return Q(HasNumber("search_text", condition.number_pattern, condition.comparison, number))


class HasNumber(Func):
    """The comparison of the numbers that a search text has at the places of a pattern: true if one of them holds."""

    output_field = BooleanField()
    arity = 4

    def __init__(self, text: str, pattern: str, comparison: str, number: float) -> None:
        values = (Value(value, output_field=TextField()) for value in (pattern, comparison))
        super().__init__(text, *values, Value(number, output_field=FloatField()))
        self._comparison = comparison

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        """Call `has_number`, which every connection gets (see `add_functions`)."""
        return self.as_sql(compiler, connection, function="evdash_has_number")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **_: Any) -> Any:
        text, pattern, _comparison, number = (
            compiler.compile(each) for each in self.get_source_expressions() if each is not None
        )
        found = f"SELECT 1 FROM regexp_matches({text[0]}, {pattern[0]}, 'g') AS found"  # noqa: S608 - expressions
        statement = f"EXISTS ({found} WHERE found[1]::float8 {self._comparison} {number[0]})"
        return statement, (*text[1], *pattern[1], *number[1])


def has_number(text: str, pattern: str, comparison: str, number: float) -> bool:
    """Return the value of HasNumber for one text."""
    compares = COMPARISONS[comparison]
    return any(compares(own, number) for own in numbers_in(text, pattern))


def add_functions(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Add the functions of queries to a new connection to SQLite."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("evdash_has_number", 4, has_number, deterministic=True)


def id_range(since_us: int | None, until_us: int | None) -> tuple[EntryId | None, EntryId | None]:
    """Return the first and last entry ID of the logged events of a time range, to the minute; None at an open end.

    Event times come from producers and entry IDs from Redis. The log is ordered by entry ID.
    """
    if since_us is None and until_us is None:
        return None, None
    rows = TypeCount.objects.filter(slots_between(since_us, until_us))
    first_id = next(iter(rows.order_by("first_id").values_list("first_id", flat=True)[:1]), EntryId.MAX)
    last_id = next(iter(rows.order_by("-last_id").values_list("last_id", flat=True)[:1]), EntryId.MIN)
    return first_id, last_id


def slots_between(since_us: int | None, until_us: int | None) -> Q:
    """Return the condition for the rows of TypeCount that add up to a range, widened to whole minutes."""
    since_s = slot_start_s(since_us, MINUTE_S) if since_us is not None and since_us > 0 else 0
    until_s = slot_start_s(until_us + MINUTE_S * 1_000_000 - 1, MINUTE_S) if until_us is not None else LAST_SLOT_END_S
    any_of = Q(pk__in=[])
    for width_s, start_s, end_s in slots_of_range(since_s, until_s):
        any_of |= Q(width_s=width_s, start_s__gte=start_s, start_s__lt=end_s)
    return any_of
