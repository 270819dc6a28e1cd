"""The activity of sessions: when their events occurred, and the tools that they name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import Final, NamedTuple

from evdash.events.summaries import SessionSummary

PARTS: Final = 24
"""The equal parts of a session's duration in which its events are counted."""
EVENTS_MAX: Final = 20_000
"""Limit of the events that are read. Sessions in the list from the one that exceeds it on have no activity."""


class ActivityEvent(NamedTuple):
    """An event of a session as its activity needs it."""

    session_id: str
    occurred_us: int
    tool: str


@dataclass(frozen=True, slots=True)
class SessionActivity:
    """The activity of one session."""

    events: tuple[int, ...]  # in PARTS equal parts from the first to the last event by the producers' times
    tools: tuple[tuple[str, int], ...]  # with the number of events that name them, most first


def with_activity(sessions: Sequence[SessionSummary]) -> Sequence[SessionSummary]:
    """Return the sessions of a list whose events are read, from its first one on."""
    sums = accumulate(session.events for session in sessions)
    return [session for session, _ in takewhile(lambda each: each[1] <= EVENTS_MAX, zip(sessions, sums, strict=True))]


def activity_of(sessions: Collection[SessionSummary], events: Iterable[ActivityEvent]) -> Mapping[str, SessionActivity]:
    """Return the activity of these sessions by ID, of these events without duplicates."""
    starts = {each.session_id: each.started_us for each in sessions}
    lengths = {each.session_id: each.last_us - each.started_us + 1 for each in sessions}
    parts = {session_id: [0] * PARTS for session_id in starts}
    tools: Mapping[str, Counter[str]] = defaultdict(Counter)
    for session_id, occurred_us, tool in events:
        # A producer's clock that runs ahead does not count for the duration (events/clock_skew.py).
        part = (occurred_us - starts[session_id]) * PARTS // lengths[session_id]
        parts[session_id][min(max(part, 0), PARTS - 1)] += 1
        if tool:
            tools[session_id][tool] += 1
    return {
        session_id: SessionActivity(
            tuple(counts), tuple(sorted(tools[session_id].items(), key=lambda each: (-each[1], each[0])))
        )
        for session_id, counts in parts.items()
    }
