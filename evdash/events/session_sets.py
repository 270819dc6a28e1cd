"""Two sets of sessions compared: their measures, and the values and steps that one of them has more often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from statistics import median
from typing import Final, NamedTuple

from evdash.events.breakdown import MARKED_BELOW, probability
from evdash.events.event_types import type_of
from evdash.events.summaries import Outcome, SessionSummary

VALUES_MAX: Final = 12
"""Rows of one property. Those that differ least are left out."""
FEW: Final = 5
"""A value in fewer sessions of both sets together is marked as having few."""
LIKELY_BELOW: Final = 0.05
"""A difference is marked weakly if chance gives one as large with a smaller probability, strongly by MARKED_BELOW."""
KEYS: Final = ("tool", "type", "code", "model", "agent", "agent_version", "user", "severity", "stream")
"""The filter keys whose values are compared, in the order of the page."""
STEP: Final = "step"
"""The key of steps: two calls of tools in succession, as a pair of tools."""


class SetEvent(NamedTuple):
    """An event of a session as a comparison needs it. `values` are those of KEYS."""

    session_id: str
    is_error: bool
    type: str
    tool: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """The median of a number per session in both sets; None for an empty set."""

    name: str
    a: float | None
    b: float | None


@dataclass(frozen=True, slots=True)
class SharedValue:
    """A value, or a step, with the sessions of both sets that have it."""

    value: str
    a: int
    b: int
    share_a: float  # of the sessions of set A, 0 to 1
    share_b: float
    chance: float  # the probability that chance alone gives one of the sets as many or more (Fisher, one-sided)
    sessions: tuple[tuple[str, ...], tuple[str, ...]]  # of A and of B

    @property
    def lift(self) -> float | None:
        """The share in A divided by that in B; None if B has none."""
        return self.share_a / self.share_b if self.share_b else None

    @property
    def is_few(self) -> bool:
        return self.a + self.b < FEW

    @property
    def is_likely(self) -> bool:
        return self.chance < LIKELY_BELOW and not self.is_few

    @property
    def is_marked(self) -> bool:
        return self.chance < MARKED_BELOW and not self.is_few


@dataclass(frozen=True, slots=True)
class SharedValues:
    """The values of one property, those that differ most first."""

    key: str  # one of KEYS, or STEP
    values: tuple[SharedValue, ...]
    further: int  # values that are left out


@dataclass(frozen=True, slots=True)
class SetComparison:
    """The comparison of the sets A and B."""

    sessions: tuple[int, int]
    measures: tuple[Measure, ...]
    outcomes: tuple[tuple[Outcome, int, int], ...]  # the sessions of A and of B
    values: tuple[SharedValues, ...]
    until_error: tuple[int, int] | None  # the sessions with an error; None: whole sessions are compared
    is_complete: bool = True  # False: the sets have more sessions or events than were compared


_MEASURES: Final[Mapping[str, Callable[[SessionSummary], float]]] = {
    "Duration": lambda each: each.duration_s,
    "Events": lambda each: each.events,
    "Messages": lambda each: each.messages,
    "Calls and searches": lambda each: each.tool_calls + each.searches,
    "Errors": lambda each: each.errors,
    "Tokens": lambda each: each.tokens,
}


@dataclass(slots=True)
class _Folded:
    """The events of one set: the sessions by property and value."""

    sessions: dict[str, dict[str, dict[str, None]]] = field(default_factory=lambda: defaultdict(dict))
    with_error: int = 0

    def add(self, key: str, value: str, session_id: str) -> None:
        if value:
            self.sessions[key].setdefault(value, {})[session_id] = None


def compare_sets(
    a: Sequence[SessionSummary],
    b: Sequence[SessionSummary],
    events: Callable[[Sequence[SessionSummary]], Iterable[SetEvent]],
    *,
    until_error: bool = False,
    is_complete: bool = True,
) -> SetComparison:
    """Return the comparison of two sets of sessions.

    `events` returns the events of some sessions, those of one session in succession and in their order. With
    `until_error`, values and steps are those before the first error of each session, where there is one.
    """
    folded = [_fold(events(each), until_error=until_error) for each in (a, b)]
    sizes = (len(a), len(b))
    ends = [Counter(summary.end for summary in each) for each in (a, b)]
    return SetComparison(
        sessions=sizes,
        measures=tuple(
            Measure(name, *(median(map(measure, each)) if each else None for each in (a, b)))
            for name, measure in _MEASURES.items()
        ),
        outcomes=tuple(
            (end, ends[0][end], ends[1][end])
            for end in sorted({*ends[0], *ends[1]}, key=lambda end: (-ends[0][end] - ends[1][end], end))
        ),
        values=tuple(
            shared
            for key in (KEYS[0], STEP, *KEYS[1:])
            if (shared := _shared(key, folded[0].sessions[key], folded[1].sessions[key], sizes)).values
        ),
        until_error=(folded[0].with_error, folded[1].with_error) if until_error else None,
        is_complete=is_complete,
    )


def _fold(events: Iterable[SetEvent], *, until_error: bool) -> _Folded:
    folded = _Folded()
    for session_id, own in groupby(events, key=lambda event: event.session_id):
        calls = []
        has_error = False
        for event in own:
            if event.is_error:
                folded.with_error += not has_error
                has_error = True
            if has_error and until_error:
                continue
            for key, value in zip(KEYS, event.values, strict=True):
                folded.add(key, value, session_id)
            if event.tool and type_of(event.type).is_call:
                calls.append(event.tool)
        for first, second in pairwise(calls):
            folded.add(STEP, f"{first} → {second}", session_id)
    return folded


def _shared(
    key: str, a: Mapping[str, Collection[str]], b: Mapping[str, Collection[str]], sizes: tuple[int, int]
) -> SharedValues:
    found = [_value(value, a.get(value, ()), b.get(value, ()), sizes) for value in {*a, *b}]
    differing = [each for each in found if each.share_a != each.share_b]
    differing.sort(key=lambda each: (each.is_few, each.chance, -abs(each.share_a - each.share_b), each.value))
    return SharedValues(key, tuple(differing[:VALUES_MAX]), len(differing[VALUES_MAX:]))


def _value(value: str, a: Collection[str], b: Collection[str], sizes: tuple[int, int]) -> SharedValue:
    both, all_sessions = len(a) + len(b), sum(sizes)
    return SharedValue(
        value,
        len(a),
        len(b),
        len(a) / sizes[0] if sizes[0] else 0.0,
        len(b) / sizes[1] if sizes[1] else 0.0,
        min(probability(len(part), size, both, all_sessions) for part, size in zip((a, b), sizes, strict=True)),
        (tuple(a), tuple(b)),
    )
