"""Version 1 of the seed vocabulary's events: what their fields were called before they had today's names.

README's table of versions says the same; a test compares both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Upcaster = Callable[[dict[str, Any]], Mapping[str, Any]]

# Other names that are read as these in every version (profile.py, web/readings.py).
_READ_AS: Mapping[str, tuple[str, ...]] = {
    "tool": ("tool_name",),
    "error": ("error_message",),
    "error_code": ("code", "error_type"),
    "results": ("results_count", "result_count"),
}


@dataclass(frozen=True, slots=True)
class Renamed:
    """An upcaster: each old name gives its value to the new one, unless that says something already."""

    names: tuple[tuple[str, str], ...]
    seconds: tuple[str, str] | None = ("duration_s", "latency_ms")  # renamed, and a thousand times as many

    def __call__(self, data: dict[str, Any]) -> Mapping[str, Any]:
        for old, new in self.names:
            if old in data and not _says(data, new):
                data[new] = data.pop(old)
        if self.seconds:
            old, new = self.seconds
            span_ms = _milliseconds(data.get(old))
            if span_ms is not None and not _says(data, new):
                data[new] = span_ms
                del data[old]
        return data


VERSION_1: Mapping[str, Renamed] = {
    "session.ended": Renamed((("status", "outcome"),), seconds=None),
    "message.added": Renamed((("text", "content"), ("message", "content"), ("sender", "role"))),
    "summary.created": Renamed((("text", "summary"), ("content", "summary"))),
    "search.performed": Renamed((("q", "query"), ("hits", "results"))),
    "error.occurred": Renamed((("message", "error"), ("kind", "error_code"))),
    "tool.*": Renamed((("name", "tool"), ("args", "arguments"), ("input", "arguments"), ("output", "result"))),
}
"""By event type, what version 2 calls otherwise; a star stands for any ending."""


def _says(data: Mapping[str, Any], name: str) -> bool:
    return any(data.get(each) not in (None, "") for each in (name, *_READ_AS.get(name, ())))


def _milliseconds(seconds: Any) -> float | None:
    """The span in milliseconds; None when it is no span."""
    try:
        span_ms = float(seconds) * 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return round(span_ms, 3) if math.isfinite(span_ms) and span_ms >= 0 else None
