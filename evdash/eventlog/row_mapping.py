"""Conversion between rows of the event log and values of the `events` package."""

from __future__ import annotations

from typing import Any

import msgpack

from evdash.eventlog.models import AgentSession, AgentUser, LoggedEvent
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.search_text import search_text
from evdash.events.summaries import FirstSaid, SessionSummary, UserSummary


def pack(pairs: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the pairs as bytes for the log."""
    packed: bytes = msgpack.packb([part for pair in pairs for part in pair], use_bin_type=True)
    return packed


def unpack(packed: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the pairs that `pack` has packed."""
    parts = iter(msgpack.unpackb(packed, raw=True, max_bin_len=2**31))
    return tuple(zip(parts, parts, strict=True))


def row_of_change(change: CountChange, stream_id: int) -> LoggedEvent:
    """Return the row of this change's event, not saved."""
    event = change.event
    return LoggedEvent(
        stream_id=stream_id,
        entry_id=event.entry_id,
        occurred_us=event.occurred_us,
        is_error=event.is_error,
        type=event.type,
        session_id=event.session_id,
        user_id=event.user_id,
        severity=event.severity,
        tool=event.tool,
        model=event.model,
        agent=event.agent,
        code=event.code,
        event_id=event.event_id,
        pairs=pack(event.entry.pairs),
        search_text=search_text(event),
        identity=change.identity,
        is_duplicate=change.is_duplicate,
    )


def event_of_values(stream: str, entry_id: EntryId, packed: bytes | memoryview) -> Event:
    """Return the event of a row, decoded from its raw pairs as if read from the stream."""
    return decode(Entry(stream, entry_id, unpack(bytes(packed))))


def session_of_row(row: AgentSession) -> SessionSummary:
    """Return the session summary in a row."""
    return SessionSummary(
        session_id=row.session_id,
        user=FirstSaid(row.user_id, row.user_at),
        agent=FirstSaid(row.agent, row.agent_at),
        model=FirstSaid(row.model, row.model_at),
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


def session_values(summary: SessionSummary) -> dict[str, Any]:
    """Return the columns of a session's row, without its key."""
    return {
        "user_id": summary.user.text,
        "user_at": summary.user.at,
        "agent": summary.agent.text,
        "agent_at": summary.agent.at,
        "model": summary.model.text,
        "model_at": summary.model.at,
        "first_id": summary.first_id,
        "last_id": summary.last_id,
        "started_us": summary.started_us,
        "last_us": summary.last_us,
        "ended_id": summary.ended_id,
        "outcome": summary.outcome,
        "events": summary.events,
        "errors": summary.errors,
        "tokens": summary.tokens,
        "messages": summary.messages,
        "tool_calls": summary.tool_calls,
        "searches": summary.searches,
    }


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


def user_values(summary: UserSummary) -> dict[str, Any]:
    """Return the columns of a user's row, without its key."""
    return {
        "first_id": summary.first_id,
        "last_id": summary.last_id,
        "first_us": summary.first_us,
        "last_us": summary.last_us,
        "events": summary.events,
        "errors": summary.errors,
        "tokens": summary.tokens,
        "sessions": summary.sessions,
    }
