"""Events: decoded stream entries. Each event keeps its raw entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from evdash.events.clock_skew import bounded_time_us
from evdash.events.entry import Entry, EntryId
from evdash.events.message_parts import MessagePart
from evdash.events.wire_profile import WireProfile

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

TimeSource = Literal["timestamp", "entry ID"]


@dataclass(frozen=True, slots=True)
class Field:
    """One pair of an entry, decoded for display."""

    name: str
    value: str  # bytes that are not UTF-8 become \xNN
    raw: bytes
    is_text: bool  # False: the raw value is not UTF-8


def text_of(raw: bytes) -> tuple[str, bool]:
    """Return the text of a raw value, and whether it is UTF-8. Other bytes become \\xNN."""
    try:
        return raw.decode("utf-8"), True
    except UnicodeDecodeError:
        return raw.decode("utf-8", errors="backslashreplace"), False


def name_of(raw_name: bytes) -> str:
    """Return the text of a field name.

    Equal names of at most 64 bytes share one object. The cache holds 4,096 names.
    """
    return _known_name(raw_name) if len(raw_name) <= 64 else text_of(raw_name)[0]


@lru_cache(maxsize=4096)
def _known_name(raw_name: bytes) -> str:
    return text_of(raw_name)[0]


def _field(raw_name: bytes, raw_value: bytes) -> Field:
    value, is_text = text_of(raw_value)
    return Field(name_of(raw_name), value, raw_value, is_text)


class Event(NamedTuple):
    """A decoded entry. A text that the entry lacks is "". Every text encodes as UTF-8.

    Identifiers (type, session, user, tool, …) have at most 200 characters. A longer identifier is cut and ends with a
    hash of the whole text. A remark states the cut. `fields` holds the whole text.
    """

    entry: Entry
    event_id: str  # assigned by the producer
    type: str
    session_id: str
    user_id: str
    occurred_us: int  # Unix microseconds
    time_source: TimeSource
    severity: str  # debug, info, warning, error, critical, or as written, in lower case
    is_error: bool
    error: str  # the producer's text
    code: str
    error_group: str  # the fingerprint of an error (error_fingerprints.py); "" for other events
    tool: str
    model: str
    agent: str
    agent_version: str
    call_id: str  # links a call to its return; as long as written
    latency_ms: float | None
    tokens: int
    input_tokens: int | None
    output_tokens: int | None
    version: int | None  # schema version of the entry
    simulated: bool  # written by the demonstration
    data: Mapping[str, Any]  # last value of each name, and keys of a JSON object in `data`; in the newest version
    json_field: str | None  # the field with the JSON object whose keys are fields of the event
    shown_apart: frozenset[str]  # names in `data` that a row of the event shows apart from its other fields
    parts: tuple[MessagePart, ...]  # of the message, if its content is a list of parts or it has tool calls
    remarks: tuple[str, ...]  # sentences: problems of decoding, and upcasts
    profile: WireProfile  # the names that it was decoded with
    identity: bytes | None  # 16 bytes, equal for duplicates (decoding.py); None without `event_id`
    # Properties that the entry lacks, and that are from its session or call: keys of INHERITED (inheritance.py).
    inherited: tuple[str, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every pair, in the entry's order.

        Each access decodes the pairs again, because most events are never shown in full.
        """
        return tuple(_field(name, value) for name, value in self.entry.pairs)

    @property
    def stream(self) -> str:
        return self.entry.stream

    @property
    def entry_id(self) -> EntryId:
        return self.entry.entry_id

    @property
    def credible_us(self) -> int:
        """`occurred_us`, or the write time if the producer's clock runs far ahead (clock_skew.py)."""
        return bounded_time_us(self.occurred_us, self.entry_id)

    @property
    def occurred_at(self) -> datetime:
        """Time of the event in UTC."""
        return datetime_from_us(self.occurred_us)


def datetime_from_us(unix_us: int) -> datetime:
    """Return the UTC time of Unix microseconds between the years 1 and 9999."""
    return UNIX_EPOCH + timedelta(microseconds=unix_us)


def us_from_datetime(moment: datetime) -> int:
    """Return the exact Unix microseconds."""
    return (moment - UNIX_EPOCH) // timedelta(microseconds=1)
