"""Alignment of two sessions by their events.

Events correspond if type, tool and role are the same. Equal events that occur once in each session anchor the alignment
(their longest run in order, as in patience diff). Between anchors the longest common subsequence is aligned.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

from rapidfuzz.distance import LCSseq

from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import text
from evdash.events.session.reducer import fold_all
from evdash.events.session.state import SessionState

Verdict = Literal["same", "differs", "only a", "only b"]


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """One row of an alignment: an event of each session, or of one alone."""

    a: Event | None
    b: Event | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Contrast:
    """One total of both sessions."""

    name: str  # outcome, events, errors, messages, tool calls, searches, tokens, latency (ms), length (ms)
    a: str | int | float | None
    b: str | int | float | None

    @property
    def differs(self) -> bool:
        return self.a != self.b


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two sessions, aligned. Every event of both is in one row, in its order."""

    rows: tuple[AlignedRow, ...]
    first_divergence: int | None  # number of the first row that is not the same, from 0
    contrasts: tuple[Contrast, ...]


def align(a: Sequence[Event], b: Sequence[Event], states: tuple[SessionState, SessionState] | None = None) -> Alignment:
    """Return the alignment of two sessions.

    `states`: their states after these events, if the caller has them already. The call takes some seconds at worst for
    20,000 events each. Most of that time is folding both.
    """
    contents_a, contents_b = [_content(event) for event in a], [_content(event) for event in b]
    keys_a, keys_b = [_key(event) for event in a], [_key(event) for event in b]
    rows: list[AlignedRow] = []
    start_a = start_b = 0
    for end_a, end_b in [*_anchors(contents_a, contents_b), (len(a), len(b))]:
        matched = corresponding(keys_a[start_a:end_a], keys_b[start_b:end_b])
        for i, j in [*((start_a + i, start_b + j) for i, j in matched), (end_a, end_b)]:
            rows.extend(AlignedRow(event, None, "only a") for event in a[start_a:i])
            rows.extend(AlignedRow(None, event, "only b") for event in b[start_b:j])
            if i < len(a) and j < len(b):
                rows.append(AlignedRow(a[i], b[j], "same" if contents_a[i] == contents_b[j] else "differs"))
            start_a, start_b = i + 1, j + 1
    divergence = next((number for number, row in enumerate(rows) if row.verdict != "same"), None)
    return Alignment(tuple(rows), divergence, contrasts(*(states or (fold_all(a), fold_all(b)))))


def corresponding(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
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


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """A field that differs between two corresponding events. A value that is not a text is given as JSON."""

    name: str
    a: str | None  # None: the event lacks the field
    b: str | None


def differing(a: Event, b: Event) -> tuple[FieldDifference, ...]:
    """Return the fields that make `align` find that two corresponding events differ.

    The result is empty for two events that are the same.
    """
    ours, theirs = _compared(a), _compared(b)
    return tuple(
        FieldDifference(name, _as_text(ours, name), _as_text(theirs, name))
        for name in dict.fromkeys((*ours, *theirs))
        if (name in ours) != (name in theirs) or _as_json(ours[name]) != _as_json(theirs[name])
    )


def _totals(state: SessionState) -> dict[str, str | int | float | None]:
    life, totals = state.lifecycle, state.totals
    length_us = life.last_us - life.started_us if life.last_us is not None and life.started_us is not None else None
    return {
        "outcome": life.outcome or life.status,
        "events": totals.events,
        "errors": totals.errors,
        "messages": totals.messages,
        "tool calls": totals.tool_calls,
        "searches": totals.searches,
        "tokens": state.tokens.total,
        "latency (ms)": round(state.latency.total_ms, 3) if state.latency.events else None,
        "length (ms)": None if length_us is None else length_us / 1000,
    }


def _key(event: Event) -> tuple[str, str, str]:
    return event.type, event.tool, text(event, event.profile.role)


def _content(event: Event) -> bytes:
    """Return a hash that is equal for events of equal content, whatever their times, sessions and IDs."""
    whole = _as_json([event.type, event.tool, _compared(event)])
    return blake2b(whole.encode("utf-8"), digest_size=16).digest()


def _compared(event: Event) -> Mapping[str, Any]:
    """Return the content of an event without times, session and IDs.

    Of the start of a session only agent and model count, because its other fields name the run.
    """
    if type_of(event.type).starts_session:
        return {"agent": event.agent, "model": event.model}
    ignored = {*event.profile.differs_by_run, event.json_field}
    return {name: value for name, value in event.data.items() if name not in ignored}


def _as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _as_text(content: Mapping[str, Any], name: str) -> str | None:
    value = content.get(name)
    return value if isinstance(value, str) else _as_json(value) if name in content else None


def _anchors(a: Sequence[bytes], b: Sequence[bytes]) -> list[tuple[int, int]]:
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
    anchors: list[tuple[int, int]] = []
    number = last_of_length[-1] if last_of_length else -1
    while number >= 0:
        anchors.append(both[number])
        number = before[number]
    return anchors[::-1]
