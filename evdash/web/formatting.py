"""Formatting of numbers, durations and sizes for people."""

from __future__ import annotations

from datetime import datetime, timedelta

_SPANS = (("y", 31_536_000), ("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


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
    rest = round(seconds)
    for index, (unit, size) in enumerate(_SPANS):
        if rest >= size:
            whole, rest = divmod(rest, size)
            if index + 1 == len(_SPANS):
                return f"{whole} {unit}"
            smaller, smaller_size = _SPANS[index + 1]
            part = rest // smaller_size
            return f"{whole:,} {unit} {part} {smaller}" if part else f"{whole:,} {unit}"
    return "0 s"


def format_age(moment: datetime, now: datetime) -> str:
    """Return a time relative to now: `just now`, `12 s ago`, `3 h ago`, `in 2 d`."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    for unit, size in _SPANS:
        if abs(seconds) >= size:
            amount = f"{int(abs(seconds) // size):,} {unit}"
            return f"{amount} ago" if seconds > 0 else f"in {amount}"
    return "just now"


def format_size(size_bytes: int) -> str:
    """Return a size in powers of 1,000: `812 B`, `14 kB`, `1.0 MB`."""
    amount = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} TB"


def format_percent(part: float) -> str:
    """Return a share between 0 and 1 as per cent: `1.1 %`. A positive share is never shown as zero."""
    if 0 < part < 0.0005:
        return "< 0.1 %"
    return f"{part * 100:.1f} %" if part < 0.1 else f"{part * 100:.0f} %"
