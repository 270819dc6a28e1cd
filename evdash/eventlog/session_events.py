"""All events of a session, for what is about the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import MissingEntries, Position
from evdash.events.event import Event
from evdash.events.filter import EventFilter

_CHUNK_EVENTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class SessionEvents:
    """A session's events, oldest first, duplicates included."""

    events: tuple[Event, ...]
    duplicates: frozenset[Position]
    gaps: tuple[MissingEntries, ...]  # between them, and before a first one that is no start
    has_earlier: bool  # entries before the first one were not read, because the log is far behind
    has_later: bool  # there may be events after the last one: the limit was met, or the log is far behind


def session_events(reader: Reader, session_id: str, *, limit: int) -> SessionEvents:
    """The session's oldest events that are known, at most `limit` of them."""
    within = EventFilter().also("session", session_id)
    page = reader.first_page(within, limit=min(limit, _CHUNK_EVENTS))
    has_earlier = page.older is not None
    events, duplicates, gaps = list(page.events), set(page.duplicates), list(page.gaps)
    while page.newer is not None and page.searched_to is None and len(events) < limit:
        page = reader.page(within, after=page.newer, oldest_first=True, limit=min(limit - len(events), _CHUNK_EVENTS))
        events += page.events
        duplicates |= page.duplicates
        gaps += [gap for gap in page.gaps if gap not in gaps]
    return SessionEvents(tuple(events), frozenset(duplicates), tuple(gaps), has_earlier, page.newer is not None)
