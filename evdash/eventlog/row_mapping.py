"""Conversion between rows of the event log and values of the `events` package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import msgpack

from evdash.eventlog.models import AgentSession, AgentUser
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.events.inheritance import INHERITED, NO_TEXT, NO_VALUES, FirstText, SessionValues, with_values
from evdash.events.summaries import SessionSummary, UserSummary


def pack(pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the pairs as bytes for the log."""
    packed: bytes = msgpack.packb(list(chain.from_iterable(pairs)), use_bin_type=True)
    return packed


def unpack(packed: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the pairs that `pack` has packed."""
    parts = iter(msgpack.unpackb(packed, raw=True, max_bin_len=2**31))
    return tuple(zip(parts, parts, strict=True))


EVENT_COLUMNS = (
    "stream_id", "entry_id", "occurred_us", "is_error", "type", "session_id", "user_id", "severity", "tool", "model",
    "agent", "agent_version", "code", "error_group", "event_id", "pairs", "search_text", "identity",
    "is_duplicate", "latency_ms", "tokens", "inherited", "decoder_id",
)  # fmt: skip


def event_values(change: CountChange, stream_id: int, decoder_id: int) -> tuple[Any, ...]:
    """Return the EVENT_COLUMNS of this change's event."""
    event = change.event
    entry = event.entry
    # sqlite3 searches an adapter for every value that is bytes: to bind a bytearray takes a third of the time.
    return (
        stream_id, bytearray(entry.entry_id.to_bytes()), event.occurred_us, event.is_error, event.type,
        event.session_id, event.user_id, event.severity, event.tool, event.model, event.agent, event.agent_version,
        event.code, event.error_group, event.event_id, bytearray(pack(entry.pairs)), search_text(event),
        change.identity and bytearray(change.identity), change.is_duplicate, event.latency_ms, event.tokens,
        inherited_bits(event), decoder_id,
    )  # fmt: skip


DECODED_COLUMNS = (
    "occurred_us", "is_error", "type", "session_id", "user_id", "severity", "tool", "model", "agent", "agent_version",
    "code", "error_group", "event_id", "latency_ms", "tokens", "inherited", "search_text", "identity",
)  # fmt: skip
"""The columns that depend on the decoder, without `is_duplicate`, which depends on other rows, too."""


def decoded_values(event: Event) -> tuple[Any, ...]:
    """Return the DECODED_COLUMNS of an event."""
    return (
        event.occurred_us, event.is_error, event.type, event.session_id, event.user_id, event.severity, event.tool,
        event.model, event.agent, event.agent_version, event.code, event.error_group, event.event_id,
        event.latency_ms, event.tokens, inherited_bits(event), search_text(event), event.identity,
    )  # fmt: skip


INHERITED_BITS = {name: 1 << number for number, name in enumerate(INHERITED)}


def inherited_bits(event: Event) -> int:
    """Return the sum of INHERITED_BITS of what the event inherited."""
    return sum([INHERITED_BITS[name] for name in event.inherited]) if event.inherited else 0


INHERITED_COLUMNS = (*INHERITED.values(), "inherited")
"""The columns that depend on other entries of the session."""


def inherited_values(event: Event) -> tuple[Any, ...]:
    """Return the INHERITED_COLUMNS of an event."""
    return (*[getattr(event, attribute) for attribute in INHERITED.values()], inherited_bits(event))


ROW_COLUMNS = ("stream_id", "entry_id", "pairs", *INHERITED_COLUMNS)
"""The columns from which `event_of_row` makes an event."""


def event_of_row(names: Mapping[int, str], row: Sequence[Any]) -> Event:
    """Return the event of a row's ROW_COLUMNS, with inherited values. `names`: the streams by their numbers."""
    number, entry_id, packed, *values, bits = row
    event = event_of_values(names[number], entry_id, packed)
    if not bits:
        return event
    inherited = {name: value for name, value in zip(INHERITED, values, strict=True) if bits & INHERITED_BITS[name]}
    return with_values(event, inherited, tuple(inherited))


def event_of_values(stream: str, entry_id: EntryId, packed: bytes | memoryview) -> Event:
    """Return the event of a row's raw pairs, as if read from the stream: without inherited values."""
    return decode(Entry(stream, entry_id, unpack(bytes(packed))))


def session_of_row(row: AgentSession) -> SessionSummary:
    """Return the session summary in a row."""
    return SessionSummary(
        session_id=row.session_id,
        user=FirstText(row.user_id, row.user_at),
        agent=FirstText(row.agent, row.agent_at),
        model=FirstText(row.model, row.model_at),
        declared=SessionValues(
            FirstText(row.declared_user, row.declared_user_at),
            FirstText(row.declared_agent, row.declared_agent_at),
            FirstText(row.declared_version, row.declared_version_at),
            FirstText(row.declared_model, row.declared_model_at),
        ),
        first_id=row.first_id,
        last_id=row.last_id,
        started_us=row.started_us,
        last_us=row.last_us,
        ended_id=row.ended_id,
        outcome=row.outcome,
        events=row.events,
        errors=row.errors,
        tokens=row.tokens,
        messages=row.messages,
        tool_calls=row.tool_calls,
        calls_inside=row.calls_inside,
        searches=row.searches,
    )


DECLARED = tuple((f"declared_{name}", f"declared_{name}_at") for name in ("user", "agent", "version", "model"))
"""The columns of SessionValues: of each value its text and its entry."""


def declared_values(columns: Sequence[Any]) -> SessionValues:
    """Return the values in the columns of DECLARED, as the database driver reads them."""
    if not any(columns[::2]):
        return NO_VALUES
    return SessionValues(
        *(
            FirstText(text, EntryId.from_bytes(bytes(at))) if text else NO_TEXT
            for text, at in zip(columns[::2], columns[1::2], strict=True)
        )
    )


SESSION_COLUMNS = (
    "session_id", "user_id", "user_at", "agent", "agent_at", "model", "model_at", *chain.from_iterable(DECLARED),
    "first_id", "last_id", "started_us", "last_us", "ended_id", "outcome", "events", "errors", "tokens", "messages",
    "tool_calls", "calls_inside", "searches",
)  # fmt: skip


def session_values(summary: SessionSummary) -> tuple[Any, ...]:
    """Return the SESSION_COLUMNS of a summary."""
    firsts = (summary.user, summary.agent, summary.model, *summary.declared)
    ended_id = summary.ended_id
    return (
        summary.session_id, *chain.from_iterable((first.text, first.at.to_bytes()) for first in firsts),
        summary.first_id.to_bytes(), summary.last_id.to_bytes(), summary.started_us, summary.last_us,
        ended_id.to_bytes() if ended_id else None, summary.outcome, summary.events, summary.errors, summary.tokens,
        summary.messages, summary.tool_calls, summary.calls_inside, summary.searches,
    )  # fmt: skip


def user_of_row(row: AgentUser) -> UserSummary:
    """Return the user summary in a row."""
    return UserSummary(
        user_id=row.user_id,
        first_id=row.first_id,
        last_id=row.last_id,
        first_us=row.first_us,
        last_us=row.last_us,
        events=row.events,
        errors=row.errors,
        tokens=row.tokens,
        sessions=row.sessions,
    )


USER_COLUMNS = ("user_id", "first_id", "last_id", "first_us", "last_us", "events", "errors", "tokens", "sessions")


def user_values(summary: UserSummary) -> tuple[Any, ...]:
    """Return the USER_COLUMNS of a summary."""
    return (
        summary.user_id, summary.first_id.to_bytes(), summary.last_id.to_bytes(), summary.first_us, summary.last_us,
        summary.events, summary.errors, summary.tokens, summary.sessions,
    )  # fmt: skip
