"""The sparkline of a consumer group's throughput: one bar per minute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.eventlog.group_progress import Throughput
from evdash.web.formatting import format_count

HEIGHT: Final = 22
BAR: Final = 3
STEP: Final = 4


@dataclass(frozen=True, slots=True)
class SparkBar:
    """The bar of one minute, in pixels."""

    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The context of templates/pages/streams/_sparkline.html."""

    width: int
    height: int
    bar_width: int
    bars: tuple[SparkBar, ...]  # of the minutes with events
    summary: str  # the sparkline in words


def sparkline(throughput: Throughput) -> Sparkline:
    """Return the minutes as bars. The bar of the busiest minute has the full height."""
    most = throughput.most
    heights = [max(1.5, events / most * HEIGHT) if events else 0.0 for events in throughput.minutes]
    return Sparkline(
        width=len(heights) * STEP - (STEP - BAR),
        height=HEIGHT,
        bar_width=BAR,
        bars=tuple(
            SparkBar(index * STEP, round(HEIGHT - height, 2), round(height, 2))
            for index, height in enumerate(heights)
            if height
        ),
        summary=f"{format_count(sum(throughput.minutes), 'event')} in the last {len(heights)} minutes, "
        f"at most {most:,} in one of them",
    )
