"""The time axis of a timeline: maps times to per cent of its width. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MARGIN: Final = 1.0  # per cent kept free at both ends, so that the first and last marks are whole
_IDLE_AT_LEAST_US: Final = 30_000_000
_IDLE_TIMES_USUAL: Final = 6
_ZIGZAG: Final = 2.4
_ZIGZAGS_AT_MOST: Final = 30.0


class Scale:
    """A map from times to horizontal positions. Idle periods shrink to a zigzag; the rest is linear in time."""

    def __init__(self, busy: Sequence[tuple[int, int]]) -> None:
        self.start_us, self.end_us = busy[0][0], max(end for _, end in busy)
        self.gaps = _idle_gaps(busy)
        room = 100 - 2 * _MARGIN
        self.zigzag = min(_ZIGZAG, _ZIGZAGS_AT_MOST / len(self.gaps)) if self.gaps else 0.0
        active_us = self.end_us - self.start_us - sum(end - start for start, end in self.gaps)
        self.per_us = (room - self.zigzag * len(self.gaps)) / active_us if active_us else 0.0

    def x(self, moment_us: int) -> float:
        """Return the position of a time (Unix microseconds), in per cent."""
        x, at_us = _MARGIN, self.start_us
        for start, end in self.gaps:
            if moment_us <= start:
                break
            x += (start - at_us) * self.per_us
            if moment_us < end:
                return round(x + self.zigzag * (moment_us - start) / (end - start), 3)
            x, at_us = x + self.zigzag, end
        return round(x + (moment_us - at_us) * self.per_us, 3) if self.per_us else round(max(x, 50.0), 3)

    @property
    def corners(self) -> tuple[tuple[float, int], ...]:
        """The ends of the straight parts of the map, each with its position and time, in the order of time."""
        moments = [self.start_us, *(moment for gap in self.gaps for moment in gap), self.end_us]
        return tuple((self.x(moment), moment) for moment in moments)

    def idle_after(self, moment_us: int) -> float:
        """Return the start of the next collapsed period after a time, in per cent; 100 if there is none."""
        return next((self.x(start) for start, _ in self.gaps if start >= moment_us), 100.0)


def _idle_gaps(busy: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the periods without activity that are much longer than the usual pause. `busy` must be sorted.

    "Much longer" is more than _IDLE_AT_LEAST_US and more than _IDLE_TIMES_USUAL times the usual pause. The usual pause
    is the shortest of up to three pauses, or else the third quartile.
    """
    gaps: list[tuple[int, int]] = []
    end_us = busy[0][1]
    for start, end in busy[1:]:
        if start > end_us:
            gaps.append((end_us, start))
        end_us = max(end_us, end)
    if not gaps:
        return []
    lengths = sorted(end - start for start, end in gaps)
    usual_us = lengths[(len(lengths) - 1) * 3 // 4] if len(lengths) > 3 else lengths[0]
    least_us = max(_IDLE_AT_LEAST_US, _IDLE_TIMES_USUAL * usual_us)
    # A small part of the pause stays at both ends, so that adjacent marks do not touch the zigzag.
    edge_us = round(min(usual_us, least_us / 10) / 2)
    return [(start + edge_us, end - edge_us) for start, end in gaps if end - start > least_us]
