"""Formatting of numbers and durations for people."""

from __future__ import annotations

from datetime import timedelta

SPANS = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
"""Units of durations, with their seconds."""


def format_count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 event`, `1,310 events`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def format_milliseconds(duration_ms: float) -> str:
    """Return a duration in milliseconds as text: `412 ms`, `3.3 s`, `1 min 23 s`."""
    if duration_ms < 999.5:
        return f"{duration_ms:.0f} ms" if duration_ms >= 1 or duration_ms == 0 else f"{duration_ms:.2g} ms"
    if duration_ms < 59_950:
        return f"{duration_ms / 1000:.1f} s".replace(".0 s", " s")
    return format_duration(timedelta(milliseconds=duration_ms))


def format_duration(duration: timedelta) -> str:
    """Return the two largest units of a duration: `1 min 23 s`, `2 h 10 min`, `3 d 4 h`.

    Durations below a minute have the form of `format_milliseconds`.
    """
    seconds = duration.total_seconds()
    if seconds < 0:
        return f"−{format_duration(-duration)}"
    if seconds < 59.95:
        return format_milliseconds(seconds * 1000)
    remaining_s = round(seconds)
    for index, (unit, size) in enumerate(SPANS):
        if remaining_s >= size:
            whole, remaining_s = divmod(remaining_s, size)
            if index + 1 == len(SPANS):
                return f"{whole} {unit}"
            smaller, smaller_size = SPANS[index + 1]
            part = remaining_s // smaller_size
            return f"{whole:,} {unit} {part} {smaller}" if part else f"{whole:,} {unit}"
    return "0 s"
