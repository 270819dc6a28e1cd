"""Bars of the pending entries of consumers before and after an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evdash.streams.commands.outcomes import PendingChange

WIDTH: Final = 160
LEAST: Final = 2.0
BARS_MAX: Final = 10


@dataclass(frozen=True, slots=True)
class PendingBar:
    """The two bars of a consumer, in pixels."""

    change: PendingChange
    before_width: float
    after_width: float


@dataclass(frozen=True, slots=True)
class PendingBars:
    """The context of templates/charts/_pending_bars.html."""

    width: int
    bars: tuple[PendingBar, ...]
    more: int  # the number of consumers that are not drawn


def pending_bars(changes: Sequence[PendingChange]) -> PendingBars:
    """Return at most BARS_MAX changes as bars, the largest ones. The largest number has the full width."""
    largest = sorted(changes, key=lambda change: -max(change.before, change.after))[:BARS_MAX]
    most = max((max(change.before, change.after) for change in largest), default=0)

    def width(number: int) -> float:
        return round(max(LEAST, number / most * WIDTH), 2) if number else 0.0

    return PendingBars(
        width=WIDTH,
        bars=tuple(
            PendingBar(change, width(change.before), width(change.after)) for change in changes if change in largest
        ),
        more=len(changes) - len(largest),
    )
