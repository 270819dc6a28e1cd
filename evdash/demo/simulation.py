"""A simulated day of many sessions. They start at random, at an increasing rate, and share one order of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from random import Random

from evdash.demo.session import SimulatedSession
from evdash.streams.publisher import NewEvent

HISTORY_S = 6 * 3600.0
# Sessions per second: a quiet night, then the morning. A session has some 17 events.
QUIET_RATE = 0.003
BUSY_RATE = 0.06
MORNING = 8
"""Exponent of the elapsed share of the history. A higher one makes the day busy later."""


def simulate(seed: int, start_s: float, busy_from_s: float) -> Iterator[NewEvent]:
    """Yield events without end, from the Unix time `start_s` on, at their full rate from `busy_from_s` on.

    The same arguments yield the same events. Their timestamps never decrease.
    """
    random = Random(seed)
    due: list[tuple[float, int, NewEvent, Iterator[NewEvent]]] = []
    number = 0
    next_start_s = start_s
    while True:
        while not due or next_start_s <= due[0][0]:
            number += 1
            events = SimulatedSession(seed, Random(random.getrandbits(64)), next_start_s).events()
            first = next(events)
            heapq.heappush(due, (first.timestamp, number, first, events))
            next_start_s += random.expovariate(_session_rate(next_start_s, start_s, busy_from_s))
        _, session, event, events = heapq.heappop(due)
        yield event
        following = next(events, None)
        if following is not None:
            heapq.heappush(due, (following.timestamp, session, following, events))


def _session_rate(now_s: float, start_s: float, busy_from_s: float) -> float:
    passed = min(1.0, (now_s - start_s) / (busy_from_s - start_s)) if busy_from_s > start_s else 1.0
    return QUIET_RATE + (BUSY_RATE - QUIET_RATE) * float(passed**MORNING)
