"""Sparklines: bars of numbers over equal parts of time, without an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from evdash.eventlog.group_progress import Throughput
from evdash.web.formatting import format_count

HEIGHT: Final = 22
BAR: Final = 3
STEP: Final = 4


@dataclass(frozen=True, slots=True)
class SparkBar:
    """The bar of one part, in pixels."""

    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The context of templates/charts/_sparkline.html."""

    width: int
    height: int
    bar_width: int
    bars: tuple[SparkBar, ...]  # of the parts with events
    summary: str  # the sparkline in words
    is_of_errors: bool = False


def throughput_sparkline(throughput: Throughput) -> Sparkline:
    """Return the throughput of a consumer group, one bar per minute."""
    return sparkline(
        throughput.minutes,
        f"{format_count(sum(throughput.minutes), 'event')} in the last {len(throughput.minutes)} minutes, "
        f"at most {throughput.most:,} in one of them",
    )


def sparkline(numbers: Sequence[int], summary: str, *, is_of_errors: bool = False) -> Sparkline:
    """Return the numbers as bars. The bar of the largest one has the full height."""
    most = max(numbers, default=0)
    heights = [max(1.5, number / most * HEIGHT) if number else 0.0 for number in numbers]
    return Sparkline(
        width=len(heights) * STEP - (STEP - BAR),
        height=HEIGHT,
        bar_width=BAR,
        bars=tuple(
            SparkBar(index * STEP, round(HEIGHT - height, 2), round(height, 2))
            for index, height in enumerate(heights)
            if height
        ),
        summary=summary,
        is_of_errors=is_of_errors,
    )
