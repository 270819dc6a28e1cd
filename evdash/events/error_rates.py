"""Error rates: errors as a share of events or calls, from numbers of events by some properties."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from evdash.events.breakdown import Breakdown, Occurrence, break_down
from evdash.events.event_types import type_of

RATE_KEYS: Final = ("tool", "model", "agent", "agent_version")
"""The filter keys by which events are counted."""


class CountedEvents(NamedTuple):
    """The number of events that have the same values."""

    values: tuple[str, ...]  # of the keys of ErrorCounts; "" for an event without one
    type: str
    group: str  # the fingerprint of an error
    is_error: bool  # one of the errors that are counted
    events: int


@dataclass(frozen=True, slots=True)
class ErrorCounts:
    """The numbers of events by the values of keys, with the errors among them."""

    keys: tuple[str, ...]  # some of RATE_KEYS
    counts: tuple[CountedEvents, ...]
    is_complete: bool = True  # False: there may be older events, which are not counted

    @property
    def events(self) -> int:
        return sum(each.events for each in self.counts)


@dataclass(frozen=True, slots=True)
class GroupRate:
    """The errors of a group, and the calls of the tools that they name."""

    errors: int
    calls: int

    @property
    def rate(self) -> float:
        """Errors divided by calls, 0 to 1."""
        return self.errors / self.calls


def breakdown_of_counts(
    found: ErrorCounts, key: str, *, by_errors: bool = True, chosen: Collection[str] = ()
) -> Breakdown:
    """Return the breakdown of the events by one of their keys, without latencies."""
    place = found.keys.index(key)
    return break_down(
        (Occurrence(each.values[place], each.type, each.is_error, events=each.events) for each in found.counts),
        key,
        by_errors=by_errors,
        chosen=chosen,
        is_complete=found.is_complete,
    )


def group_rates(found: ErrorCounts, tools: Collection[str] = ()) -> Mapping[str, GroupRate]:
    """Return the rates of error groups by fingerprint; `tools` limits the errors to those of some tools.

    A group has a rate if each of its errors has a tool, and if their tools have at least as many calls as errors.
    """
    place = found.keys.index("tool")
    calls, errors, tools_of = Counter[str](), Counter[str](), defaultdict[str, set[str]](set)
    for each in found.counts:
        tool = each.values[place]
        if type_of(each.type).is_call:
            calls[tool] += each.events
        if each.is_error and (tool in tools or not tools):
            errors[each.group] += each.events
            tools_of[each.group].add(tool)
    rates = {
        group: GroupRate(number, sum(calls[tool] for tool in tools_of[group]))
        for group, number in errors.items()
        if "" not in tools_of[group]
    }
    return {group: rate for group, rate in rates.items() if rate.errors <= rate.calls}
