"""The time that one page may spend waiting for Redis, for all its calls and streams together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

PAGE_BUDGET_S = 2.0
"""Seconds for all Redis reads of a page together."""


@dataclass(slots=True)
class Budget:
    """Seconds that calls to Redis may still take. Time spent on other work is not counted."""

    total_s: float
    left_s: float

    @property
    def is_spent(self) -> bool:
        return self.left_s <= 0


_budget: ContextVar[Budget | None] = ContextVar("redis budget", default=None)
_call_ends_s: ContextVar[float | None] = ContextVar("end of the call to Redis", default=None)


@contextmanager
def redis_budget(seconds: float, *, is_separate: bool = False) -> Iterator[Budget]:
    """Limit all calls to Redis inside the block to this many seconds together.

    After that each call raises at once. The limit holds for this thread or task. Inside another budget the shorter
    one counts, unless this one is separate: it neither uses the other one nor depends on it.
    """
    outer = None if is_separate else _budget.get()
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
    """Return the budget of this thread or task, or None if only the client limits its calls."""
    return _budget.get()


@contextmanager
def spending(budget: Budget, at_most_s: float | None = None) -> Iterator[None]:
    """Count the time inside the block against the budget.

    Waiting for a reply ends when the budget is spent, or after `at_most_s`.
    """
    started_s = time.monotonic()
    left_s = budget.left_s if at_most_s is None else min(budget.left_s, at_most_s)
    token = _call_ends_s.set(started_s + left_s)
    try:
        yield
    finally:
        _call_ends_s.reset(token)
        budget.left_s -= time.monotonic() - started_s


def call_left_s() -> float | None:
    """Return the seconds that the present call to Redis may still take, or None if only its client limits it."""
    ends_s = _call_ends_s.get()
    return None if ends_s is None else ends_s - time.monotonic()
