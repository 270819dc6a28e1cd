"""Conversion between rows of the event log and values of the `events` package."""

from __future__ import annotations

from typing import Any

import msgpack

from evdash.eventlog.models import AgentSession, AgentUser
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange, identity
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.events.summaries import FirstText, SessionSummary, UserSummary


def pack(pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the pairs as bytes for the log."""
    packed: bytes = msgpack.packb([part for pair in pairs for part in pair], use_bin_type=True)
    return packed


def unpack(packed: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the pairs that `pack` has packed."""
    parts = iter(msgpack.unpackb(packed, raw=True, max_bin_len=2**31))
    return tuple(zip(parts, parts, strict=True))


EVENT_COLUMNS = (
    "stream_id", "entry_id", "occurred_us", "is_error", "type", "session_id", "user_id", "severity", "tool", "model",
    "agent", "code", "event_id", "pairs", "search_text", "identity", "is_duplicate", "decoder_id",
)  # fmt: skip


def event_values(change: CountChange, stream_id: int, decoder_id: int) -> tuple[Any, ...]:
    """Return the EVENT_COLUMNS of this change's event."""
    event = change.event
    return (
        stream_id, event.entry_id.to_bytes(), event.occurred_us, event.is_error, event.type, event.session_id,
        event.user_id, event.severity, event.tool, event.model, event.agent, event.code, event.event_id,
        pack(event.entry.pairs), search_text(event), change.identity, change.is_duplicate, decoder_id,
    )  # fmt: skip


DECODED_COLUMNS = (
    "occurred_us", "is_error", "type", "session_id", "user_id", "severity", "tool", "model", "agent", "code",
    "event_id", "search_text", "identity",
)  # fmt: skip
"""The columns that depend on the decoder, without `is_duplicate`, which depends on other rows, too."""


def decoded_values(event: Event) -> tuple[Any, ...]:
    """Return the DECODED_COLUMNS of an event."""
    return (
        event.occurred_us, event.is_error, event.type, event.session_id, event.user_id, event.severity, event.tool,
        event.model, event.agent, event.code, event.event_id, search_text(event), identity(event),
    )  # fmt: skip


def event_of_values(stream: str, entry_id: EntryId, packed: bytes | memoryview) -> Event:
    """Return the event of a row, decoded from its raw pairs as if read from the stream."""
    return decode(Entry(stream, entry_id, unpack(bytes(packed))))


def session_of_row(row: AgentSession) -> SessionSummary:
    """Return the session summary in a row."""
    return SessionSummary(
        session_id=row.session_id,
        user=FirstText(row.user_id, row.user_at),
        agent=FirstText(row.agent, row.agent_at),
        model=FirstText(row.model, row.model_at),
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
        searches=row.searches,
    )


SESSION_COLUMNS = (
    "session_id", "user_id", "user_at", "agent", "agent_at", "model", "model_at", "first_id", "last_id", "started_us",
    "last_us", "ended_id", "outcome", "events", "errors", "tokens", "messages", "tool_calls", "searches",
)  # fmt: skip


def session_values(summary: SessionSummary) -> tuple[Any, ...]:
    """Return the SESSION_COLUMNS of a summary."""
    user, agent, model, ended_id = summary.user, summary.agent, summary.model, summary.ended_id
    return (
        summary.session_id, user.text, user.at.to_bytes(), agent.text, agent.at.to_bytes(), model.text,
        model.at.to_bytes(), summary.first_id.to_bytes(), summary.last_id.to_bytes(), summary.started_us,
        summary.last_us, ended_id.to_bytes() if ended_id else None, summary.outcome, summary.events, summary.errors,
        summary.tokens, summary.messages, summary.tool_calls, summary.searches,
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
