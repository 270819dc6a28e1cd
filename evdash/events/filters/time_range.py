"""Ends of a time range in user input: `2h` ago, or an ISO 8601 date or time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)


class InvalidTimeBound(ValueError):
    """Invalid time bound. The message contains the text and the expected formats."""


@dataclass(frozen=True, slots=True)
class TimeBound:
    """One end of a time range: a fixed time, or a span before now, which moves with the clock."""

    moment: datetime | None = None
    ago: timedelta | None = None

    @classmethod
    def parse(cls, text: str) -> TimeBound:
        """Return the bound of `90s`, `30m`, `2h`, `7d`, `2w` or ISO 8601 (without a zone: UTC).

        Raise InvalidTimeBound for any other text, and for a span over 36,500 days.
        """
        if match := _AGO.fullmatch(text.strip()):
            ago = timedelta(**{_UNITS[match[2]]: int(match[1])})
            if ago <= timedelta(days=36_500):
                return cls(ago=ago)
        else:
            try:
                moment = datetime.fromisoformat(text.strip())
                return cls(moment=moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))
            except (ValueError, OverflowError):
                pass
        raise InvalidTimeBound(
            f"{text[:60]!r} is not a time. Write 30m, 2h or 7d (before now), 2026-11-23 or 2026-11-23T14:00Z"
        )

    def at(self, now: datetime) -> datetime:
        """Return the time of this bound, relative to `now` (UTC)."""
        if self.moment is not None:
            return self.moment
        return now - (self.ago or timedelta())

    def __str__(self) -> str:
        if self.moment is not None:
            return self.moment.isoformat().replace("+00:00", "Z")
        seconds = int((self.ago or timedelta()).total_seconds())
        for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
            if seconds and seconds % size == 0:
                return f"{seconds // size}{unit}"
        return f"{seconds}s"

    def describe(self) -> str:
        """Return `2 hours`, or `2026-11-23 14:00 UTC`."""
        if self.moment is not None:
            pattern = "%Y-%m-%d %H:%M:%S" if self.moment.second or self.moment.microsecond else "%Y-%m-%d %H:%M"
            return f"{self.moment.strftime(pattern)} UTC"
        text = str(self)
        number, unit = int(text[:-1]), _UNITS[text[-1]]
        return f"{number} {unit}" if number != 1 else unit[:-1]
