"""Alignment of two sessions by their units (comparison_units.py): calls with their ends, and other events.

Calls are aligned first. Calls of the same tool and arguments correspond, the first to the first, the second to the
second. Among the other calls, first attempts correspond to first attempts of the same tool, and retries to retries.
Between corresponding calls, the other events correspond if type, tool and role are the same.

Equal items that occur once in each session anchor an alignment (their longest run in order, as in patience diff).
Between anchors the longest common subsequence is aligned.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

from rapidfuzz.distance import LCSseq

from evdash.events.event import Event
from evdash.events.session.comparison_units import KINDS, MATTERS, Kind, Unit, as_json, content_of, key_of, units
from evdash.events.session.reducer import fold_all
from evdash.events.session.state import SessionState

Verdict = Literal["same", "wording", "differs", "only a", "only b"]


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One row of an alignment: a unit of each session, or of one alone."""

    a: Unit | None
    b: Unit | None
    verdict: Verdict  # "wording": nothing else differs
    kinds: tuple[Kind, ...]  # the differing kinds; of a unit alone, the kinds that it has
    moved_to: int | None = None  # of a call alone: the number of the row, from 0, with the other session's equal call

    @property
    def matters(self) -> bool:
        """True if a call, result, error or outcome differs."""
        return self.verdict != "same" and not MATTERS.isdisjoint(self.kinds)


@dataclass(frozen=True, slots=True)
class Contrast:
    """One total of both sessions."""

    name: str  # outcome, events, errors, messages, tool calls, searches, tokens, latency (ms), duration (ms)
    a: str | int | float | None
    b: str | int | float | None

    @property
    def differs(self) -> bool:
        return self.a != self.b


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two sessions, aligned. Every event of both is in one row. The units of both are in their order."""

    rows: tuple[AlignedRow, ...]
    contrasts: tuple[Contrast, ...]


def align(a: Sequence[Event], b: Sequence[Event], states: tuple[SessionState, SessionState] | None = None) -> Alignment:
    """Return the alignment of two sessions.

    `states`: their states after these events, if the caller has them already. The call takes some seconds at worst for
    20,000 events each. Most of that time is folding both.
    """
    ours, theirs = _read(units(a)), _read(units(b))
    rows: list[AlignedRow] = []
    alone: list[tuple[int, _ReadUnit]] = []
    start_a = start_b = 0
    for i, j in [*_corresponding_units(ours, theirs), (len(ours), len(theirs))]:
        alone += enumerate((*ours[start_a:i], *theirs[start_b:j]), len(rows))
        rows += [AlignedRow(each.unit, None, "only a", tuple(each.digests)) for each in ours[start_a:i]]
        rows += [AlignedRow(None, each.unit, "only b", tuple(each.digests)) for each in theirs[start_b:j]]
        if i < len(ours):
            rows.append(_row(ours[i], theirs[j]))
        start_a, start_b = i + 1, j + 1
    for one, other in _moved(rows, alone):
        rows[one], rows[other] = replace(rows[one], moved_to=other), replace(rows[other], moved_to=one)
    return Alignment(tuple(rows), contrasts(*(states or (fold_all(a), fold_all(b)))))


def _moved(rows: Sequence[AlignedRow], alone: Iterable[tuple[int, _ReadUnit]]) -> Iterator[tuple[int, int]]:
    """Yield the rows of equal calls that are alone in each session: the first with the first, and so on."""
    by_call: dict[Hashable, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
    for number, each in alone:
        if each.unit.is_call:
            by_call[each.call][rows[number].verdict == "only b"].append(number)
    for in_a, in_b in by_call.values():
        yield from zip(in_a, in_b, strict=False)


@dataclass(frozen=True, slots=True)
class _ReadUnit:
    """A unit, with the keys by which it is aligned."""

    unit: Unit
    digests: dict[Kind, bytes]
    key: Hashable
    call: Hashable  # tool and arguments; of another event, its content
    occurrence: Hashable  # `call`, and the number of earlier units with the same
    attempt: Hashable  # tool, and the number of failed calls of it since one succeeded


def _read(found: Sequence[Unit]) -> list[_ReadUnit]:
    read: list[_ReadUnit] = []
    times: Counter[Hashable] = Counter()
    failures: Counter[Hashable] = Counter()
    for unit in found:
        content = content_of(unit)
        digests = {kind: _digest(content[kind]) for kind in KINDS if content.get(kind)}
        key = key_of(unit)
        call = (key, digests.get("call")) if unit.is_call else (key, *digests.items())
        read.append(_ReadUnit(unit, digests, key, call, (call, times[call]), (key, failures[key])))
        times[call] += 1
        failures[key] = failures[key] + 1 if unit.is_failed else 0
    return read


def _digest(values: object) -> bytes:
    return blake2b(as_json(values).encode("utf-8"), digest_size=16).digest()


def _row(a: _ReadUnit, b: _ReadUnit) -> AlignedRow:
    kinds = tuple(kind for kind in KINDS if a.digests.get(kind) != b.digests.get(kind))
    return AlignedRow(a.unit, b.unit, "same" if not kinds else "wording" if kinds == ("wording",) else "differs", kinds)


Pairs = list[tuple[int, int]]
"""Indices of corresponding items, both increasing."""


def _corresponding_units(a: Sequence[_ReadUnit], b: Sequence[_ReadUnit]) -> Pairs:
    calls_a, calls_b = ([i for i, each in enumerate(side) if each.unit.is_call] for side in (a, b))
    read_a, read_b = [a[i] for i in calls_a], [b[j] for j in calls_b]
    found = _anchors([each.occurrence for each in read_a], [each.occurrence for each in read_b])
    for key in (lambda each: (each.call, each.attempt), lambda each: each.attempt):
        found = _refined(read_a, read_b, found, key)
    pairs: Pairs = []
    start_a = start_b = 0
    for i, j in [*((calls_a[i], calls_b[j]) for i, j in found), (len(a), len(b))]:
        others_a = [other for other in range(start_a, i) if not a[other].unit.is_call]
        others_b = [other for other in range(start_b, j) if not b[other].unit.is_call]
        read_a, read_b = [a[other] for other in others_a], [b[other] for other in others_b]
        anchors = _anchors([each.call for each in read_a], [each.call for each in read_b])
        pairs += [(others_a[i], others_b[j]) for i, j in _refined(read_a, read_b, anchors, lambda each: each.key)]
        if i < len(a):
            pairs.append((i, j))
        start_a, start_b = i + 1, j + 1
    return pairs


def _refined(
    a: Sequence[_ReadUnit], b: Sequence[_ReadUnit], pairs: Pairs, key: Callable[[_ReadUnit], Hashable]
) -> Pairs:
    """Return the pairs, and those between them by this key."""
    keys_a, keys_b = [key(each) for each in a], [key(each) for each in b]
    refined: Pairs = []
    start_a = start_b = 0
    for i, j in [*pairs, (len(a), len(b))]:
        between = corresponding(keys_a[start_a:i], keys_b[start_b:j]) if start_a < i and start_b < j else ()
        refined += [(start_a + one, start_b + other) for one, other in between]
        if i < len(a):
            refined.append((i, j))
        start_a, start_b = i + 1, j + 1
    return refined


def corresponding(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """Return the longest common subsequence as pairs of indices, both increasing.

    For 20,000 items each, rapidfuzz needs about 0.1 s and 50 MiB for a moment.
    """
    numbers: dict[Hashable, int] = {}
    ours, theirs = ([numbers.setdefault(item, len(numbers)) for item in items] for items in (a, b))
    blocks = LCSseq.editops(ours, theirs).as_matching_blocks()
    return [(block.a + step, block.b + step) for block in blocks for step in range(block.size)]


def contrasts(a: SessionState, b: SessionState) -> tuple[Contrast, ...]:
    """Return the totals of both sessions, including equal ones."""
    ours, theirs = _totals(a), _totals(b)
    return tuple(Contrast(name, ours[name], theirs[name]) for name in ours)


def _totals(state: SessionState) -> dict[str, str | int | float | None]:
    life, totals = state.lifecycle, state.totals
    duration_us = life.last_us - life.started_us if life.last_us is not None and life.started_us is not None else None
    return {
        "outcome": life.outcome or life.status,
        "events": totals.events,
        "errors": totals.errors,
        "messages": totals.messages,
        "tool calls": totals.tool_calls,
        "searches": totals.searches,
        "tokens": state.tokens.total,
        "latency (ms)": round(state.latency.total_ms, 3) if state.latency.events else None,
        "duration (ms)": None if duration_us is None else duration_us / 1000,
    }


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """Return the places, in both sessions, of equal contents that each session has once.

    The result is the longest sequence of them in order.
    """
    once_a = {content for content, times in Counter(a).items() if times == 1}
    place_in_b = {content: j for j, content in enumerate(b)}
    once = once_a & {content for content, times in Counter(b).items() if times == 1}
    both = [(i, place_in_b[content]) for i, content in enumerate(a) if content in once]
    # The longest increasing subsequence, by patience: the smallest end of each length, and each item's predecessor.
    ends: list[int] = []
    last_of_length: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(both):
        length = bisect_left(ends, j)
        before.append(last_of_length[length - 1] if length else -1)
        ends[length : length + 1] = [j]
        last_of_length[length : length + 1] = [number]
    anchors: Pairs = []
    number = last_of_length[-1] if last_of_length else -1
    while number >= 0:
        anchors.append(both[number])
        number = before[number]
    return anchors[::-1]
