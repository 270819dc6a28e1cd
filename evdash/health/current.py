"""The health conditions that hold now, shared by all pages of a process."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings

from evdash.health.conditions import KINDS, Condition
from evdash.health.facts import Facts, read_facts

KEPT_S: Final = 2.0
SHARE_OF_TIME: Final = 20
"""Conditions are kept for KEPT_S seconds, or for this multiple of the time that it took to find them."""


@dataclass(frozen=True, slots=True)
class Health:
    """All conditions at one moment, the gravest kind first, and the facts that they follow from."""

    facts: Facts
    conditions: tuple[Condition, ...]

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of conditions by kind, with 0 for kinds without one. Notes (level info) do not count."""
        found = Counter(condition.kind for condition in self.conditions if condition.level != "info")
        return {kind.name: found[kind.name] for kind in KINDS}

    def badge(self, page: str) -> int:
        """Return the number of conditions on the rail entry of a page."""
        numbers = self.numbers
        return sum(numbers[kind.name] for kind in KINDS if kind.rail == page)


def health_of_now(*, with_sql: bool = True) -> Health:
    """Read the facts and return the conditions that follow from them. Never raises.

    Without `with_sql` nothing that only SQL has is known.
    """
    facts = read_facts(with_sql=with_sql)
    return Health(facts, tuple(condition for kind in KINDS for condition in kind.find(facts)))


class _Kept:
    """The last result. While one thread reads the facts again, others use it as it is."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._health: Health | None = None
        self._of: Any = None
        self._until_s = 0.0

    def get(self) -> Health:
        health = self._health if self._of is settings.EVDASH else None
        if health is not None and time.monotonic() < self._until_s:
            return health
        if not self._reading.acquire(blocking=health is None):
            return health or self.get()
        try:
            return self._read()
        finally:
            self._reading.release()

    def _read(self) -> Health:
        if self._health is not None and self._of is settings.EVDASH and time.monotonic() < self._until_s:
            return self._health  # another thread has just read
        began_s = time.monotonic()
        self._health, self._of = health_of_now(), settings.EVDASH
        now_s = time.monotonic()
        self._until_s = now_s + max(KEPT_S, (now_s - began_s) * SHARE_OF_TIME)
        return self._health

    def forget(self) -> None:
        self._health = None


_kept = _Kept()


def current_health() -> Health:
    """Return the conditions, at most some seconds old: a page does not wait for Redis on their account."""
    return _kept.get()


def forget_health() -> None:
    """Drop the kept conditions, as if the process were new."""
    _kept.forget()
