"""Formatting of numbers, durations and sizes for people."""

from __future__ import annotations

from datetime import datetime

from evdash.events.formatting import SPANS, format_count, format_duration, format_milliseconds

__all__ = ["format_age", "format_count", "format_duration", "format_milliseconds", "format_percent", "format_size"]


def format_age(moment: datetime, now: datetime) -> str:
    """Return a time relative to now: `just now`, `12 s ago`, `3 h ago`, `in 2 d`."""
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 2:
        return "just now"
    for unit, size in SPANS:
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
