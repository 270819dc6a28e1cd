"""Producers' timestamps: Unix seconds, milliseconds, microseconds, nanoseconds, ISO 8601."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

from evdash.events.event import us_from_datetime

# The last second of the year 9999, where Python's datetime ends. A number is read in the coarsest unit in which it
# does not lie past it, so no plausible time is ambiguous: as milliseconds, everything from 1978-01-12 on.
_LAST_SECOND = 253_402_300_799
_NUMBER = re.compile(r"[+-]?\d{1,25}(\.\d{1,12})?", re.ASCII)


class InvalidTimestamp(ValueError):
    """The text is no time that can be shown; the message says why."""


def parse_timestamp(text: str) -> int:
    """Unix microseconds of a producer's timestamp; a time without a zone is UTC.

    Raises InvalidTimestamp for what is no time, lies before 1970 (Go's zero time among it) or past the year 9999.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        return _from_number(text)
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not UTC:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTimestamp(f"{text[:60]!r} is neither a Unix time nor ISO 8601") from None
    unix_us = us_from_datetime(moment)
    if unix_us <= 0:
        raise InvalidTimestamp(f"{text[:60]!r} is not after 1970, so it is taken as not set")
    return unix_us


def _from_number(text: str) -> int:
    number = Decimal(text)
    if number <= 0:
        raise InvalidTimestamp(f"{text[:60]!r} is not after 1970, so it is taken as not set")
    for unit_per_second in (1, 10**3, 10**6, 10**9):
        if number < (_LAST_SECOND + 1) * unit_per_second:
            return int(number * 1_000_000 / unit_per_second)
    raise InvalidTimestamp(f"{text[:60]!r} lies past the year 9999 in every unit from seconds to nanoseconds")
