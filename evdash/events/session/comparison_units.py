"""Units of a comparison: a call with the events that end it, or any other event. Volatile fields are not compared.

A duplicate is in the unit of its original. An end that does not match a call (call_matching.py) is in the unit of the
latest call with its ID. Without an ID it is in that of the latest call of its tool, if that call has no end, or if
the end directly follows it.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from evdash.events.event import Event
from evdash.events.event_types import MESSAGE, MODEL, SUMMARY, type_of
from evdash.events.field_values import message_text, text
from evdash.events.identifiers import identifier_of
from evdash.events.json_values import InvalidJson, parse
from evdash.events.session.call_matching import call_steps, matched

Kind = Literal["call", "result", "error", "outcome", "wording", "fields"]
KINDS: Final[tuple[Kind, ...]] = ("call", "result", "error", "outcome", "wording", "fields")
MATTERS: Final[frozenset[Kind]] = frozenset({"call", "result", "error", "outcome"})
"""Differences of these kinds change what a session did. Models word every message and thought differently."""

Content = Mapping[Kind, Mapping[str, Any]]
"""Values by kind and name. JSON objects and lists are parsed."""

_PROSE_WORDS: Final = 8
_PROSE_SHARE: Final = 0.7
"""The share of the words of a sentence, at least, that are letters with punctuation around."""
_WORD: Final = re.compile(r"[\W_]?[^\W\d_]+(?:[’'-][^\W\d_]+)*[.,;:!?…)\"”]*$")

# Longer JSON is compared as text.
_JSON_CHARS: Final = 500_000
_LEAVES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Unit:
    """A call with the events that end it, or another event."""

    events: tuple[Event, ...]  # the call first, then the others in order, with duplicates
    is_call: bool

    @property
    def counted(self) -> tuple[Event, ...]:
        """The events without duplicates."""
        if len(self.events) == 1:
            return self.events
        seen: set[bytes] = set()
        counted = []
        for event in self.events:
            if event.identity is None or event.identity not in seen:
                counted.append(event)
            if event.identity is not None:
                seen.add(event.identity)
        return tuple(counted)

    @property
    def tool(self) -> str:
        """The called tools, "" for another event."""
        return ", ".join(tool for event in self.counted for tool, _ in _calls_of(event)) if self.is_call else ""

    @property
    def is_failed(self) -> bool:
        return any(event.is_error for event in self.events)


def units(events: Sequence[Event]) -> list[Unit]:
    """Return the units of a session's events, in the order of their first events. Every event is in one of them."""
    originals: dict[bytes, int] = {}
    owner = list(range(len(events)))  # of each event: an earlier event of its unit, or itself
    counted: list[int] = []
    for number, event in enumerate(events):
        if event.identity is not None and (first := originals.setdefault(event.identity, number)) != number:
            owner[number] = first
        else:
            counted.append(number)
    calls = _join_ends(events, counted, owner)
    members: dict[int, list[int]] = defaultdict(list)
    for number in range(len(events)):
        members[_root(owner, number)].append(number)
    found = [
        (numbers[0], Unit(tuple(events[number] for number in numbers), numbers[0] in calls))
        for numbers in (sorted(each, key=lambda number: (number not in calls, number)) for each in members.values())
    ]
    return [unit for _, unit in sorted(found, key=lambda each: each[0])]


def _join_ends(events: Sequence[Event], counted: Sequence[int], owner: list[int]) -> set[int]:
    """Give each end of a call the call as its owner. Return the numbers of the events that state calls."""
    steps = [((number, step), step) for number in counted for step in call_steps(events[number])]
    found = matched(steps)
    calls = {number for (number, _), _ in found.ended} | {number for number, _ in found.open}
    has_end: set[int] = set()
    # An end that also states a call stays apart: else all calls of a chain would be one unit.
    for (call, _), (end, _) in found.ended:
        if end not in calls:
            _join(owner, call, end)
            has_end.add(call)
    by_id: dict[str, list[int]] = defaultdict(list)
    by_tool: dict[str, list[int]] = defaultdict(list)
    for (number, step), _ in steps:
        if number in calls and step.kind == "call":
            by_id[step.call_id].append(number)
            by_tool[step.tool].append(number)
    before = dict(zip(counted[1:], counted, strict=False))
    for number, step in sorted(found.alone, key=lambda each: each[0]):
        if number in calls or owner[number] != number:
            continue
        candidates = by_id[step.call_id] if step.call_id else by_tool[step.tool] if step.tool else []
        earlier = bisect_left(candidates, number)
        if not earlier:
            continue
        call = candidates[earlier - 1]
        follows = number in before and _root(owner, before[number]) == _root(owner, call)
        if step.call_id or call not in has_end or follows:
            _join(owner, call, number)
            has_end.add(call)
    return calls


def _root(owner: list[int], number: int) -> int:
    while owner[number] != number:
        owner[number] = owner[owner[number]]
        number = owner[number]
    return number


def _join(owner: list[int], one: int, other: int) -> None:
    low, high = sorted((_root(owner, one), _root(owner, other)))
    owner[high] = low


def _calls_of(event: Event) -> list[tuple[str, Any]]:
    """Return the calls that an event states, each as tool and arguments."""
    if type_of(event.type).is_call:
        profile = event.profile
        names = (*profile.arguments, *profile.query)
        return [(event.tool, next((event.data[name] for name in names if event.data.get(name) not in _EMPTY), ""))]
    if not event.parts:
        return []
    return [(step.tool, step.part.arguments) for step in call_steps(event) if step.kind == "call" and step.part]


_EMPTY: Final = (None, "")


def content_of(unit: Unit) -> Content:
    """Return the content of a unit, without times, IDs, latencies and tokens.

    Of the start of a session only agent and model count, because its other fields name the run.
    """
    content: dict[Kind, dict[str, Any]] = {}
    for event in unit.counted:
        for kind, name, value in _values_of(event, unit):
            values = content.setdefault(kind, {})
            number, own = 1, name
            while own in values:
                number += 1
                own = f"{name} {number}"
            values[own] = _value(value)
    return content


Named = Iterator[tuple[Kind, str, Any]]
"""Values with their kinds and names."""


def _values_of(event: Event, unit: Unit) -> Named:
    event_type = type_of(event.type)
    if event_type.starts_session:
        yield from (("fields", name, value) for name in ("agent", "model") if (value := getattr(event, name)))
        return
    calls = _calls_of(event) if unit.is_call else []
    is_end = event_type.call == "return" or (unit.is_call and not calls)
    yield from _of_calls(event, calls)
    if event.is_error:
        yield "error", "error", event.error
        if event.code:
            yield "error", "code", event.code
    if is_end:
        result = message_text(event) if event.parts else text(event, event.profile.result_text)
        if result and not (event.is_error and result == event.error):
            yield "result", "result", result
    elif event_type.ends_session:
        yield "outcome", "outcome", text(event, event.profile.outcome_text)
    elif _is_worded(event) and (wording := message_text(event) or text(event, event.profile.summary)):
        yield "wording", "content", wording
    shown = _names_of_other_kinds(event, is_end)
    yield from (("fields", name, value) for name, value in event.data.items() if name not in shown)


def _of_calls(event: Event, calls: Sequence[tuple[str, Any]]) -> Named:
    for tool, arguments in calls:
        yield "call", "tool", tool
        given = _value(arguments)
        sentences = {}
        if isinstance(given, dict):
            sentences = {name: value for name, value in given.items() if _is_prose(value)}
            given = {name: value for name, value in given.items() if name not in sentences} if sentences else given
        elif _is_prose(given):
            sentences, given = {"arguments": given}, ""
        if given not in _EMPTY and not (sentences and given == {}):
            yield "call", "arguments", given
        yield from (("wording", name, value) for name, value in sentences.items())
    if type_of(event.type).is_call:
        profile = event.profile
        names = (*profile.result, *profile.results, *profile.results_count)
        yield from (("result", "result", event.data[name]) for name in names if event.data.get(name) not in _EMPTY)


def _is_prose(value: Any) -> bool:
    """Return whether a model worded this argument: whole sentences, and neither code nor a query."""
    if not isinstance(value, str) or not value.rstrip().endswith((".", "!", "?", "…")):
        return False
    words = value.split()
    in_letters = sum(_WORD.match(word) is not None for word in words)
    return len(words) >= _PROSE_WORDS and in_letters >= _PROSE_SHARE * len(words)


def _is_worded(event: Event) -> bool:
    return bool(event.parts) or type_of(event.type).category in (MESSAGE, SUMMARY, MODEL)


def _names_of_other_kinds(event: Event, is_end: bool) -> set[str | None]:
    """Return the names of fields that are not compared as fields."""
    profile, event_type = event.profile, type_of(event.type)
    # Type, tool and role are the key of a unit.
    names = {event.json_field, *profile.differs_by_run, *profile.type, *profile.role}
    if event_type.is_call or is_end or event.is_error:
        names |= {*profile.tool}
    if event_type.is_call:
        names |= {*profile.arguments, *profile.query, *profile.result, *profile.results, *profile.results_count}
    if event.is_error:
        names |= {*profile.error, *profile.error_text, *profile.code, *profile.severity, *profile.status}
        names |= {*profile.error_flag, *profile.success_flag}
    if is_end:
        names |= {*profile.result_text, *profile.content, *profile.tool_calls}
    elif event_type.ends_session:
        names |= {*profile.outcome_text}
    elif _is_worded(event):
        names |= {*profile.content, *profile.summary, *profile.tool_calls, *profile.content_length}
    return names


def _value(value: Any) -> Any:
    """Return the JSON object or list in a text; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and len(value) <= _JSON_CHARS:
        try:
            return parse(value.strip())
        except InvalidJson:
            return value
    return value


def key_of(unit: Unit) -> tuple[str, str, str]:
    """Return the type, tool and role of a unit. Units with different keys never correspond."""
    first = unit.events[0]
    if unit.is_call:
        return "call", unit.tool, ""
    return first.type, identifier_of(first.tool), text(first, first.profile.role)


@dataclass(frozen=True, slots=True)
class Difference:
    """A value that differs between two units. A value that is not a text is given as JSON."""

    kind: Kind
    name: str  # of a value inside JSON with its path: `arguments.flights.0.date`
    a: str | None  # None: absent
    b: str | None


def differences(a: Unit, b: Unit) -> tuple[Difference, ...]:
    """Return the differences of two units in the order of KINDS; none for units of the same content."""
    ours, theirs = content_of(a), content_of(b)
    found: list[Difference] = []
    for kind in KINDS:
        one, other = ours.get(kind, {}), theirs.get(kind, {})
        for name in dict.fromkeys((*one, *other)):
            if (name in one) != (name in other) or as_json(one[name]) != as_json(other[name]):
                found += _inside(kind, name, one.get(name, _ABSENT), other.get(name, _ABSENT))
    return tuple(found)


_ABSENT: Final = object()


def _inside(kind: Kind, name: str, a: Any, b: Any) -> Iterator[Difference]:
    """Yield the values that differ inside two JSON values, or the whole values if they have no path in common."""
    if type(a) is type(b) and isinstance(a, dict | list):
        ours, theirs = dict(_leaves(name, a)), dict(_leaves(name, b))
        if ours.keys() & theirs.keys() and max(len(ours), len(theirs)) <= _LEAVES:
            for path in dict.fromkeys((*ours, *theirs)):
                one, other = ours.get(path, _ABSENT), theirs.get(path, _ABSENT)
                if one is _ABSENT or other is _ABSENT or as_json(one) != as_json(other):
                    yield Difference(kind, path, _as_text(one), _as_text(other))
            return
    yield Difference(kind, name, _as_text(a), _as_text(b))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not members or not value:
        yield path, value
        return
    for name, member in members:
        yield from _leaves(f"{path}.{name}", member)


def as_json(value: Any) -> str:
    """Return the JSON of a value, equal for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _as_text(value: Any) -> str | None:
    return None if value is _ABSENT else value if isinstance(value, str) else as_json(value)
