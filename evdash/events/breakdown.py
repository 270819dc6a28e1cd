"""Breakdowns: events by the values of one property, each value against the rest.

The conditions of a filter that state errors (`is:error`, `code:timeout`, `group:…`) do not limit the events: they are
the errors that a breakdown counts among them. So a filter for errors has rates, too.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Final, NamedTuple

from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter, Predicate
from evdash.events.filters.keys import BY_NAME, FIELD_PREFIX, IS, Condition
from evdash.events.filters.search_text import field_value, search_text, text_needle

VALUES_MAX: Final = 20
"""Values with a row of their own. The others are together in one row."""
VALUE_CHARS: Final = 200
"""The length of a field's value. A longer one counts as absent."""
MARKED_BELOW: Final = 0.001
"""A value has too many errors if chance gives it as many with a smaller probability."""


FOCUS_KEYS: Final = (IS, "code", "group")
"""The keys of conditions that state errors."""


@dataclass(frozen=True, slots=True)
class BreakdownQuery:
    """A breakdown of the events of a filter.

    `key` is one of BY_NAME without numbers, or `field.NAME` for a field or a path into JSON.
    """

    key: str
    events: EventFilter
    errors: EventFilter  # the condition of an error
    by_errors: bool  # most errors first, else most events first
    chosen: tuple[str, ...]  # values that have a row of their own in any case


def breakdown_query(key: str, own: EventFilter, within: Callable[[EventFilter], EventFilter]) -> BreakdownQuery:
    """Return the breakdown of a list by a key.

    `own` is the filter of a person, and `within` limits a filter to the scope of the page. The values of `key` that the
    person has chosen do not limit the events: the breakdown compares them with the others.
    """
    chosen = tuple(condition for condition in own.conditions if is_value_of(condition, key))
    stated = tuple(c for c in within(own).conditions if not c.negated and c.key in FOCUS_KEYS)
    events = within(replace(own, conditions=tuple(c for c in own.conditions if c not in chosen)))
    return BreakdownQuery(
        key=key,
        events=replace(events, conditions=tuple(c for c in events.conditions if c not in stated)),
        errors=EventFilter(stated) if stated else EventFilter().errors(),
        by_errors=bool(stated),
        chosen=tuple(folded(key, condition.value) for condition in chosen),
    )


def is_value_of(condition: Condition, key: str) -> bool:
    """Return whether the condition states one exact value of the key."""
    is_exact = not (condition.negated or condition.prefix or condition.comparison)
    return is_exact and (condition.key == key or (_is_field(key) and condition.key.upper() == key.upper()))


def folded(key: str, value: str) -> str:
    """Return a value as the rows of a breakdown have it: those of fields are folded."""
    return text_needle(value) if _is_field(key) else value


def _is_field(key: str) -> bool:
    return key not in BY_NAME or bool(BY_NAME[key].field)


class Occurrence(NamedTuple):
    """An event as a breakdown needs it, or several that are the same to it."""

    value: str  # of the property; "" if the event has none
    type: str
    is_error: bool  # one of the errors that the breakdown counts
    latency_ms: float | None = None
    events: int = 1


@dataclass(frozen=True, slots=True)
class BreakdownRow:
    """The events with one value, and their errors compared with those of all other events."""

    value: str
    events: int
    errors: int
    base: int  # the number that the error rate is a share of: events or calls
    share: float  # of all events, 0 to 1
    p50_ms: float | None  # of the events with a latency; None: there are none
    p95_ms: float | None
    rest_rate: float | None  # the error rate of the others, 0 to 1; None: there are no others
    is_marked: bool = False  # its errors have a probability below MARKED_BELOW

    @property
    def rate(self) -> float:
        """Errors divided by `base`, 0 to 1."""
        return self.errors / self.base if self.base else 0.0

    @property
    def lift(self) -> float | None:
        """The error rate divided by that of the others; None if the others have no error."""
        return self.rate / self.rest_rate if self.rest_rate else None


@dataclass(frozen=True, slots=True)
class Breakdown:
    """The events of a filter by the values of a key."""

    key: str
    rows: tuple[BreakdownRow, ...]  # at most VALUES_MAX, and the chosen values
    others: BreakdownRow | None  # all further values together
    further: int  # the number of these values
    absent: BreakdownRow | None  # the events without a value; of a field also those with a long one, or with JSON
    events: int
    errors: int
    of_calls: bool  # error rates are shares of calls: a call and its return are two events of one tool
    is_complete: bool = True  # False: only the newest `events` are counted


@dataclass(slots=True)
class _Group:
    """The events of some values."""

    types: Counter[str] = field(default_factory=Counter)
    errors: int = 0
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # by type

    def add(self, other: _Group) -> None:
        self.types.update(other.types)
        self.errors += other.errors
        for name, latencies_ms in other.latencies_ms.items():
            self.latencies_ms[name].extend(latencies_ms)

    @property
    def events(self) -> int:
        return self.types.total()

    @property
    def calls(self) -> int:
        return sum(events for name, events in self.types.items() if type_of(name).is_call)

    def base(self, *, of_calls: bool) -> int:
        return self.calls if of_calls else self.events

    def sorted_latencies_ms(self) -> list[float]:
        """Return one latency for each call: if returns have one, those of calls are left out."""
        has_returns = any(type_of(name).call == "return" for name in self.latencies_ms)
        left_out = {name for name in self.latencies_ms if has_returns and type_of(name).is_call}
        return sorted(chain.from_iterable(ms for name, ms in self.latencies_ms.items() if name not in left_out))


def break_down(
    occurrences: Iterable[Occurrence],
    key: str,
    *,
    by_errors: bool = False,
    chosen: Collection[str] = (),
    is_complete: bool = True,
) -> Breakdown:
    """Return the breakdown of these events, most frequent values first; with `by_errors`, most errors first.

    The error rate of a tool is a share of its calls if no tool has more errors than calls: an event without a tool is
    then none of the others.
    """
    groups: dict[str, _Group] = defaultdict(_Group)
    for value, type_, is_error, latency_ms, number in occurrences:
        group = groups[value]
        group.types[type_] += number
        group.errors += is_error * number
        if latency_ms is not None:
            group.latencies_ms[type_].append(latency_ms)
    absent = groups.pop("", None)
    events = sum(group.events for group in groups.values()) + (absent.events if absent else 0)
    of_calls = (
        key == "tool"
        and any(group.calls for group in groups.values())
        and all(group.errors <= group.calls for group in groups.values())
    )
    compared = [*groups.values(), *([absent] if absent and not of_calls else [])]
    all_errors = sum(group.errors for group in compared)
    all_base = sum(group.base(of_calls=of_calls) for group in compared)

    def row(value: str, group: _Group, *, is_compared: bool = True) -> BreakdownRow:
        base = group.base(of_calls=of_calls) if is_compared else group.events
        rest = all_base - base if is_compared else 0
        latencies_ms = group.sorted_latencies_ms()
        return BreakdownRow(
            value=value,
            events=group.events,
            errors=group.errors,
            base=base,
            share=group.events / events,
            p50_ms=_percentile(latencies_ms, 0.5),
            p95_ms=_percentile(latencies_ms, 0.95),
            rest_rate=(all_errors - group.errors) / rest if rest > 0 else None,
            is_marked=rest > 0 and probability(group.errors, base, all_errors, all_base) < MARKED_BELOW,
        )

    ordered = sorted(
        groups, key=lambda value: (-groups[value].errors if by_errors else 0, -groups[value].events, value)
    )
    shown = [value for place, value in enumerate(ordered) if place < VALUES_MAX or value in chosen]
    left = [value for value in ordered[VALUES_MAX:] if value not in chosen]
    together = _Group()
    for value in left:
        together.add(groups[value])
    return Breakdown(
        key=key,
        rows=tuple(row(value, groups[value]) for value in shown),
        others=row("", together) if left else None,
        further=len(left),
        absent=row("", absent, is_compared=not of_calls) if absent else None,
        events=events,
        errors=all_errors if not of_calls else all_errors + (absent.errors if absent else 0),
        of_calls=of_calls,
        is_complete=is_complete,
    )


def occurrence_of(event: Event, key: str, is_counted: Predicate) -> Occurrence:
    """Return the event as a breakdown by this key needs it; `is_counted` is the test for its errors."""
    known = BY_NAME.get(key)
    if known and known.attribute:
        value = str(getattr(event, known.attribute) or "")
    else:
        value = field_value(search_text(event), field_of(key), VALUE_CHARS)
    return Occurrence(value, event.type, is_counted(event), event.latency_ms)


def field_of(key: str) -> str:
    """Return the name or path of the field that the key names."""
    return BY_NAME[key].field if key in BY_NAME else key.removeprefix(FIELD_PREFIX)


def probability(errors: int, base: int, all_errors: int, all_base: int) -> float:
    """Return the probability that a random part of `base` of all has at least `errors` of the errors.

    This is Fisher's exact test, one-sided: the upper tail of the hypergeometric distribution. Return 1 if the part has
    no more errors than the average.
    """
    if errors * all_base <= all_errors * base:
        return 1.0  # no more than on average, so about a half or more
    rest = all_base - all_errors - base  # negative if the part must have some of the errors
    logs = _log_choose(all_errors, errors) + _log_choose(all_base - all_errors, base - errors)
    term = total = math.exp(logs - _log_choose(all_base, base))
    for count in range(errors, min(base, all_errors)):
        term *= (all_errors - count) * (base - count) / ((count + 1) * (rest + count + 1))
        total += term
        if term < total * 1e-12:  # beyond the average each term is smaller than the one before it
            break
    return min(1.0, total)


def _log_choose(all_: int, part: int) -> float:
    return math.lgamma(all_ + 1) - math.lgamma(part + 1) - math.lgamma(all_ - part + 1)


def _percentile(sorted_ms: Sequence[float], share: float) -> float | None:
    """Return the smallest value that this share of the values does not exceed (the nearest rank)."""
    return sorted_ms[max(0, math.ceil(share * len(sorted_ms)) - 1)] if sorted_ms else None
