"""The health conditions that hold now, shared by all pages and probes of a process."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evdash.health.conditions import KINDS, Condition
from evdash.health.facts import Facts, read_facts
from evdash.streams.budget import redis_budget

KEPT_S: Final = 2.0
KEPT_MAX_S: Final = 5.0
SHARE_OF_TIME: Final = 20
"""Conditions are kept for this multiple of the time that it took to find them, from KEPT_S to KEPT_MAX_S seconds."""
BUDGET_S: Final = 1.0
"""Seconds of waiting for Redis. They do not count for the page that happens to read the conditions."""


@dataclass(frozen=True, slots=True)
class Health:
    """All conditions at one moment, the most severe kind first, and the facts that they follow from."""

    facts: Facts
    conditions: tuple[Condition, ...]

    @property
    def numbers(self) -> Mapping[str, int]:
        """The number of conditions by kind, with 0 for kinds without one."""
        return {kind.name: len(self.of_kind(kind.name)) for kind in KINDS}

    def of_kind(self, kind: str) -> list[Condition]:
        """Return the conditions of a kind, without notes (level info)."""
        return [condition for condition in self.conditions if condition.kind == kind and condition.level != "info"]

    def badge(self, page: str) -> int:
        """Return the number of conditions on the rail entry of a page."""
        numbers = self.numbers
        return sum(numbers[kind.name] for kind in KINDS if kind.rail == page)


def health_of_now() -> Health:
    """Read the facts and return the conditions that follow from them. Never raises."""
    with redis_budget(BUDGET_S, is_separate=True):
        facts = read_facts()
    return Health(facts, tuple(condition for kind in KINDS for condition in kind.find(facts)))


class KeptHealth:
    """The last conditions. While one thread reads them again, others use them as they are."""

    def __init__(self) -> None:
        self._reading = threading.Lock()
        self._health: Health | None = None
        self._until_s = 0.0

    def get(self) -> Health:
        """Return the last conditions. If they are too old, read them again first, unless another thread does."""
        kept = self._health
        if kept is not None and (time.monotonic() < self._until_s or not self._reading.acquire(blocking=False)):
            return kept
        if kept is None:
            self._reading.acquire()
        try:
            if self._health is None or time.monotonic() >= self._until_s:  # another thread may have just read them
                began_s = time.monotonic()
                self._health = health_of_now()
                ended_s = time.monotonic()
                self._until_s = ended_s + kept_s(self._health, ended_s - began_s)
            return self._health
        finally:
            self._reading.release()


def kept_s(health: Health, took_s: float) -> float:
    """Return the seconds for which conditions are kept. An outage is kept for KEPT_S, however long it took to find."""
    if health.facts.unreachable or health.facts.sql.is_unreachable:
        return KEPT_S
    return min(max(KEPT_S, took_s * SHARE_OF_TIME), KEPT_MAX_S)


_kept = KeptHealth()


def current_health() -> Health:
    """Return the conditions, at most some seconds old. Few pages wait for a new reading."""
    return _kept.get()
