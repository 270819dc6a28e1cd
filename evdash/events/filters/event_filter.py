"""EventFilter: one value for ORM query, predicate, query string, description and live subscription."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import urlencode

from evdash.events.event import Event, us_from_datetime
from evdash.events.filters import parser
from evdash.events.filters.keys import BY_NAME, FIELD_PREFIX, IS, TEXT, Condition, Keys
from evdash.events.filters.parser import FilterError
from evdash.events.filters.search_text import search_text
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound

__all__ = ["PARAMETERS", "Chip", "Condition", "EventFilter", "FilterError", "Predicate", "TimeBound"]


def parameters_of(keys: Keys) -> tuple[str, ...]:
    """Return the query-string parameters of a filter with these keys."""
    return ("q", *(key.name for key in keys.values() if key.is_parameter), "text", "errors", "since", "until")


PARAMETERS = parameters_of(BY_NAME)
"""Query-string parameters of a filter of events."""

_ERRORS = Condition(IS, "error")
_SWITCH = dict.fromkeys(("1", "true", "on", "yes"), True) | dict.fromkeys(("", "0", "false", "off", "no"), False)


@dataclass(frozen=True, slots=True)
class Chip:
    """One part of a filter as displayed, and the filter without it."""

    label: str
    without: EventFilter


class Predicate(Protocol):
    """Test of one event."""

    def __call__(self, event: Event, text: str | None = None) -> bool:
        """Return whether the event matches. `text`: its search text, if the caller has it."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A set of conditions that all hold. Conditions on the same key are alternatives.

    Texts and negated conditions must each hold. `since` is included, `until` excluded. Both refer to the time at which
    an event occurred.
    """

    conditions: tuple[Condition, ...] = ()
    since: TimeBound | None = None
    until: TimeBound | None = None

    @classmethod
    def from_query(cls, params: Mapping[str, Sequence[str]], keys: Keys = BY_NAME) -> EventFilter:
        """Return the filter of a query string's parameters: `q` in the grammar, single fields, or both.

        `keys` are those of the list that is filtered. Raise FilterError if a parameter is invalid.
        """
        parsed = parser.parse(_single(params, "q"), keys)
        conditions = list(parsed.conditions)
        for key in keys.values():
            for value in params.get(key.name, ()) if key.is_parameter else ():
                if value and key.values and value not in key.values:
                    raise FilterError(f"{key.name}= accepts {' or '.join(key.values)}, not {value[:40]!r}.", value)
                if value:
                    conditions.append(Condition(key.name, key.normalized(value)))
        conditions.extend(Condition(TEXT, value) for value in params.get("text", ()) if value)
        errors = _single(params, "errors").lower()
        if errors not in _SWITCH:
            raise FilterError(f"errors= accepts 1 or 0, not {errors[:40]!r}.", errors)
        if _SWITCH[errors]:
            conditions.append(_ERRORS)
        if len(conditions) > parser.MAX_CONDITIONS:
            raise FilterError(
                f"The filter has more than {parser.MAX_CONDITIONS} conditions, which is the limit. Remove some.",
                _single(params, "q"),
            )
        return cls(
            tuple(dict.fromkeys(conditions)),
            _time_parameter(params, "since") or parsed.since,
            _time_parameter(params, "until") or parsed.until,
        )

    @classmethod
    def parse(cls, text: str) -> EventFilter:
        """Return the filter of a text in the grammar. Raise FilterError."""
        return cls.from_query({"q": [text]})

    def __bool__(self) -> bool:
        return bool(self.conditions or self.since or self.until)

    @property
    def errors_only(self) -> bool:
        return _ERRORS in self.conditions

    @property
    def is_of_errors(self) -> bool:
        """True if only errors can match: by `is:error`, or by an error group, which other events lack."""
        return self.errors_only or any(
            all(c.key == "group" and not c.negated and (c.value or c.prefix) for c in group)
            for group in self.alternatives()
        )

    def values(self, key: str) -> tuple[str, ...]:
        """Return the exact values that the filter allows for this key; empty if it names none."""
        exact = (c for c in self.conditions if c.key == key and not c.negated and not c.prefix)
        return tuple(c.value for c in exact if c.comparison in ("", "="))

    def text(self) -> str:
        """Return the filter in the grammar. The text parses to an equal filter."""
        terms = [parser.write(condition) for condition in self.conditions]
        terms += [f"since:{self.since}"] if self.since else []
        terms += [f"until:{self.until}"] if self.until else []
        return " ".join(terms)

    def query_string(self) -> str:
        """Return `q=…`, percent-encoded, or "" for the filter that matches everything."""
        return urlencode({"q": self.text()}) if self else ""

    def also(self, key: str, value: str, *, negated: bool = False) -> EventFilter:
        """Return the filter with one more condition."""
        condition = Condition(key, value, negated)
        return self if condition in self.conditions else replace(self, conditions=(*self.conditions, condition))

    def without(self, condition: Condition) -> EventFilter:
        """Return the filter without this condition."""
        return replace(self, conditions=tuple(c for c in self.conditions if c != condition))

    def errors(self, only: bool = True) -> EventFilter:
        """Return the filter for errors only, or for errors and other events."""
        return self.also(_ERRORS.key, _ERRORS.value) if only else self.without(_ERRORS)

    def between(self, since: datetime | None, until: datetime | None) -> EventFilter:
        """Return the filter with this fixed time range."""
        return replace(
            self,
            since=TimeBound(moment=since) if since else None,
            until=TimeBound(moment=until) if until else None,
        )

    def chips(self) -> tuple[Chip, ...]:
        """Return the parts, each with the filter without it."""
        chips = [Chip(parser.write(c), self.without(c)) for c in self.conditions]
        if self.since:
            chips.append(Chip(f"since:{self.since}", replace(self, since=None)))
        if self.until:
            chips.append(Chip(f"until:{self.until}", replace(self, until=None)))
        return tuple(chips)

    def alternatives(self) -> tuple[tuple[Condition, ...], ...]:
        """Return the conditions as a conjunction of groups. A group holds if one of its conditions holds."""
        groups: dict[object, list[Condition]] = {}
        for condition in self.conditions:
            is_bound = condition.comparison not in ("", "=")
            alone = condition.negated or is_bound or condition.key == TEXT
            groups.setdefault(condition if alone else condition.key, []).append(condition)
        return tuple(tuple(group) for group in groups.values())

    def range_us(self, now: datetime) -> tuple[int | None, int | None]:
        """Return the time range in Unix microseconds, relative to `now`: included start, excluded end."""
        return (
            us_from_datetime(self.since.at(now)) if self.since else None,
            us_from_datetime(self.until.at(now)) if self.until else None,
        )

    def has_empty_range(self, now: datetime) -> bool:
        """Return whether the time range ends at or before its start, so that no event can match."""
        since_us, until_us = self.range_us(now)
        return since_us is not None and until_us is not None and until_us <= since_us

    def driver(self) -> Condition | None:
        """Return the condition with the most selective index, or None. An error group implies the condition of errors.

        The order of preference is one session, one user, errors, one type. The first finds the fewest events.
        """
        alone = {
            group[0].key: group[0]
            for group in self.alternatives()
            if len(group) == 1 and not group[0].negated and not group[0].prefix
        }
        of_errors = _ERRORS if self.is_of_errors else alone.get(IS)
        return alone.get("session") or alone.get("user") or of_errors or alone.get("type")

    @property
    def needs_search_text(self) -> bool:
        """True if the test of an event needs its search text."""
        return any(condition.needs_search_text for condition in self.conditions)

    def predicate(self, now: datetime | None = None) -> Predicate:
        """Return the test of one event, with times relative to `now` (default: the clock)."""
        since_us, until_us = self.range_us(now or datetime.now(UTC))
        groups = [[(c.holds(), c.negated) for c in group] for group in self.alternatives()]
        needs_text = self.needs_search_text

        def matches(event: Event, text: str | None = None) -> bool:
            if since_us is not None and event.occurred_us < since_us:
                return False
            if until_us is not None and event.occurred_us >= until_us:
                return False
            if text is None:
                text = search_text(event) if needs_text else ""
            return all(any(holds(event, text) != negated for holds, negated in group) for group in groups)

        return matches

    def matches(self, event: Event, now: datetime | None = None) -> bool:
        """Return whether the filter matches this event."""
        return self.predicate(now)(event)

    def describe(self) -> str:
        """Return the filter in words: "errors of user mia_li_3668 in the last 2 hours"."""
        noun = "errors" if self.errors_only else "events" if self else "all events"
        return " ".join([noun, *self.without(_ERRORS).words()])

    def words(self, keys: Keys = BY_NAME) -> list[str]:
        """Return the conditions in words."""
        words = [_describe_group(group, keys) for group in self.alternatives()]
        if self.since and self.since.ago is not None and not self.until:
            words.append(f"in the last {self.since.describe()}")
        else:
            words += [f"since {_describe_time(self.since)}"] if self.since else []
            words += [f"until {_describe_time(self.until)}"] if self.until else []
        return words


def _describe_time(bound: TimeBound) -> str:
    if bound.ago is None:
        return bound.describe()
    return f"{'1 ' if bound.describe().isalpha() else ''}{bound.describe()} ago"


def _describe_group(group: tuple[Condition, ...], keys: Keys) -> str:
    first = group[0]
    values = " or ".join(map(_describe_value, group))
    if first.key == IS:
        return "without errors" if first.negated else "with errors"
    if first.key == TEXT:
        return f'{"without" if first.negated else "with"} the text "{first.value}"'
    if first.key.startswith(FIELD_PREFIX):
        name, sign = first.key.removeprefix(FIELD_PREFIX), first.comparison or "="
        return f"{'without' if first.negated else 'with'} {name} {sign} {values}"
    key = keys[first.key]
    if _is_any(first) and len(group) == 1:
        return f"{'without' if first.negated else 'of'} any {key.noun or key.name}"
    sign = "" if first.comparison in ("", "=") else f"{first.comparison} "
    return f"{'not ' if first.negated else ''}{key.phrase} {sign}{values}"


def _describe_value(condition: Condition) -> str:
    if _is_any(condition):
        return "any"
    return f"{condition.value or '(none)'}{'*' if condition.prefix else ''}"


def _is_any(condition: Condition) -> bool:
    return condition.prefix and not condition.value


def _single(params: Mapping[str, Sequence[str]], name: str) -> str:
    values = params.get(name, ())
    return values[-1] if values else ""


def _time_parameter(params: Mapping[str, Sequence[str]], name: str) -> TimeBound | None:
    text = _single(params, name)
    if not text:
        return None
    try:
        return TimeBound.parse(text)
    except InvalidTimeBound as error:
        raise FilterError(f"{name}: {error}.", text) from None
