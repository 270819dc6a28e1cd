"""An event: what one stream entry says, decoded for reading, with the raw entry kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal

from evdash.events.clock_skew import bounded_time_us
from evdash.events.entry import Entry, EntryId

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TimeSource = Literal["timestamp", "entry ID"]


@dataclass(frozen=True, slots=True)
class Field:
    """One pair of an entry, decoded for display."""

    name: str
    value: str  # what is not UTF-8 stands as \xNN
    raw: bytes
    is_text: bool  # False: the raw value is not UTF-8


def text_of(raw: bytes) -> tuple[str, bool]:
    """Return the text of a raw value, and whether it is UTF-8. What is not stands as \\xNN."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("utf-8", errors="backslashreplace"), False


def name_of(raw_name: bytes) -> str:
    """Return the text of a field name: one object for all equal names, as long as they are short and not many."""
    return _known_name(raw_name) if len(raw_name) <= 64 else text_of(raw_name)[0]


@lru_cache(maxsize=4096)
def _known_name(raw_name: bytes) -> str:
    return text_of(raw_name)[0]


def _field(raw_name: bytes, raw_value: bytes) -> Field:
    value, is_text = text_of(raw_value)
    return Field(name_of(raw_name), value, raw_value, is_text)


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded entry. Texts are "" where the entry says nothing; nothing here can fail to encode as UTF-8.

    What identifies (type, session, user, tool, …) is at most 200 characters long: a longer text is cut and ends
    with a hash of the whole, and a remark says so. The whole is in `fields`.
    """

    entry: Entry
    event_id: str  # the producer's own
    type: str
    session_id: str
    user_id: str
    occurred_us: int  # Unix microseconds
    time_source: TimeSource
    severity: str  # debug, info, warning, error, critical, or as written, in lower case
    is_error: bool
    error: str  # the error in the producer's words
    code: str
    tool: str
    model: str
    agent: str
    latency_ms: float | None
    tokens: int
    version: int | None  # the schema version that the entry carries
    simulated: bool  # written by the demonstration
    data: Mapping[str, Any]  # the last value of each name, and the keys of a JSON object in `data`; the newest version
    remarks: tuple[str, ...]  # sentences: what could not be understood

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every pair, in the entry's order. Made anew by each access: most events are never shown in full."""
        return tuple(_field(name, value) for name, value in self.entry.pairs)

    @property
    def stream(self) -> str:
        return self.entry.stream

    @property
    def entry_id(self) -> EntryId:
        return self.entry.entry_id

    @property
    def credible_us(self) -> int:
        """`occurred_us`, or the time of writing where the producer's clock runs far ahead (clocks.py)."""
        return bounded_time_us(self.occurred_us, self.entry_id)

    @property
    def occurred_at(self) -> datetime:
        """When it happened, in UTC."""
        return datetime_from_us(self.occurred_us)


def datetime_from_us(unix_us: int) -> datetime:
    """The UTC time of Unix microseconds between the years 1 and 9999."""
    return UNIX_EPOCH + timedelta(microseconds=unix_us)


def us_from_datetime(moment: datetime) -> int:
    """Unix microseconds, exactly."""
    return (moment - UNIX_EPOCH) // timedelta(microseconds=1)
