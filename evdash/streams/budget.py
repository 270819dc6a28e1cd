"""The time that one page may spend waiting for Redis, whatever it asks and however many streams there are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

PAGE_BUDGET_S = 2.0
"""For all Redis reads of a page together."""


@dataclass(slots=True)
class Budget:
    """Seconds that calls to Redis may still take. Time spent on anything else is not counted."""

    total_s: float
    left_s: float

    @property
    def is_spent(self) -> bool:
        return self.left_s <= 0


_budget: ContextVar[Budget | None] = ContextVar("redis budget", default=None)
_call_ends_s: ContextVar[float | None] = ContextVar("end of the call to Redis", default=None)


@contextmanager
def redis_budget(seconds: float) -> Iterator[Budget]:
    """Inside, in this thread or task, calls to Redis have so many seconds together; then each raises at once.

    Within another budget the shorter one counts.
    """
    outer = _budget.get()
    if outer is not None:
        seconds = max(min(seconds, outer.left_s), 0.0)
    budget = Budget(seconds, seconds)
    token = _budget.set(budget)
    try:
        yield budget
    finally:
        _budget.reset(token)
        if outer is not None:
            outer.left_s -= budget.total_s - budget.left_s


def budget_in_use() -> Budget | None:
    """The budget of this thread or task; None: calls take as long as their client allows."""
    return _budget.get()


@contextmanager
def spending(budget: Budget, at_most_s: float | None = None) -> Iterator[None]:
    """Count the time inside against the budget, and end the waiting for answers when it is spent, or `at_most_s`."""
    started_s = time.monotonic()
    left_s = budget.left_s if at_most_s is None else min(budget.left_s, at_most_s)
    token = _call_ends_s.set(started_s + left_s)
    try:
        yield
    finally:
        _call_ends_s.reset(token)
        budget.left_s -= time.monotonic() - started_s


def call_left_s() -> float | None:
    """Return how long the present call to Redis may still take; None: as long as its client allows."""
    ends_s = _call_ends_s.get()
    return None if ends_s is None else ends_s - time.monotonic()
