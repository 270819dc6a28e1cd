"""Sessions that one may want to compare a session with."""

from __future__ import annotations

from typing import Final

from evdash.eventlog.reader import Reader
from evdash.events.summaries import SessionSummary

_SUGGESTED: Final = 20
_LOOKED_AT: Final = 50


def comparable(reader: Reader, of: SessionSummary | None = None) -> tuple[SessionSummary, ...]:
    """Recent sessions of the same user, then of the same agent; without a session, the most recent ones."""
    recent = reader.sessions(limit=_LOOKED_AT).sessions
    if of is None:
        return recent[:_SUGGESTED]
    found = reader.sessions(user_id=of.user_id, limit=_SUGGESTED + 1).sessions if of.user_id else ()
    agent = of.agent.text
    found += tuple(each for each in recent if agent and each.agent.text == agent and each not in found)
    return tuple(each for each in found if each.session_id != of.session_id)[:_SUGGESTED]
