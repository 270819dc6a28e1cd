"""Figures of many measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds, by nearest rank; all zero where nothing was measured."""

    measured: int
    p50_ms: float
    p99_ms: float
    max_ms: float

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:,.0f} ms, p99 {self.p99_ms:,.0f} ms, max {self.max_ms:,.0f} ms"


def spread(milliseconds: Sequence[float]) -> Spread:
    """The spread of these, in any order."""
    ordered = sorted(milliseconds)
    if not ordered:
        return Spread(0, 0.0, 0.0, 0.0)
    p50, p99 = (ordered[ceil(len(ordered) * share) - 1] for share in (0.5, 0.99))
    return Spread(len(ordered), p50, p99, ordered[-1])
