"""Times that producers write: Unix times, ISO 8601, RFC 2822, and dates without separators."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Final

from evdash.events.event import us_from_datetime

# The last second of the year 9999, the end of Python's datetime. A number is read in the coarsest unit that does not
# exceed it. So no plausible time is ambiguous: milliseconds cover every time from 1978-01-12 on.
_LAST_SECOND: Final = 253_402_300_799
_NUMBER = re.compile(r"[+-]?\d{1,25}(\.\d{1,25})?([eE][+-]?\d{1,2})?", re.ASCII)
# Unix times from 2001 to 2286 in seconds.
_SECONDS = re.compile(r"[1-9]\d{9}(?:\.\d{1,15})?", re.ASCII)
# Exports and logs write dates so. As Unix times these numbers are days of 1970 to 1973, or milliseconds far ahead.
_COMPACT = re.compile(r"(19[7-9]\d|20\d\d)\d{4}(\d{6})?", re.ASCII)


class InvalidTimestamp(ValueError):
    """Timestamp that cannot be displayed. The message states the reason."""


def parse_timestamp(text: str) -> int:
    """Return the Unix microseconds of a producer's timestamp. A time without a zone is UTC.

    Eight digits that are a date from 1970 to 2099, and fourteen that are a date and a time, are read as such.

    Raise InvalidTimestamp for a text that is not a time. Also raise it for a time not after the start of 1970, such as
    Go's zero time, or past the year 9999.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):  # nearly always
        whole, _, fraction = text.partition(".")
        return int(whole) * 1_000_000 + int(f"{fraction}000000"[:6])
    if (moment := _compact(text)) is None and _NUMBER.fullmatch(text):
        return _from_number(text)
    try:
        moment = moment or _from_text(text)
        if moment.tzinfo is not UTC:
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidTimestamp(f"{text[:60]!r} is neither a Unix time nor ISO 8601 nor RFC 2822") from None
    unix_us = us_from_datetime(moment)
    if unix_us <= 0:
        raise InvalidTimestamp(f"{text[:60]!r} is not after 1970 and is ignored")
    return unix_us


def _from_text(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper())  # RFC 3339 allows `t` and `z`
    except ValueError:
        if not text[:1].isalpha() and not text[:1].isdigit():
            raise
        return parsedate_to_datetime(text)


def _compact(text: str) -> datetime | None:
    if not _COMPACT.fullmatch(text):
        return None
    try:
        return datetime.strptime(text.ljust(14, "0"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _from_number(text: str) -> int:
    number: int | Decimal = int(text) if text.isdecimal() else Decimal(text)
    for unit_per_second in (1, 10**3, 10**6, 10**9):
        if number < (_LAST_SECOND + 1) * unit_per_second:
            unix_us = int(number * 1_000_000 // unit_per_second)
            if unix_us <= 0:
                raise InvalidTimestamp(f"{text[:60]!r} is not after 1970 and is ignored")
            return unix_us
    raise InvalidTimestamp(f"{text[:60]!r} is after the year 9999 in every unit from seconds to nanoseconds")
