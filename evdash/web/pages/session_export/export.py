"""Data of a session export: facts, author, time, completeness, events and notes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.export import all_pages
from evdash.eventlog.records import EventPage, MissingEntries, Position
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.summaries import SessionSummary
from evdash.notes.reading import all_notes_of_session
from evdash.notes.records import NoteRecord
from evdash.streams.client import StreamsUnavailable
from evdash.web.event_display.calls import Calls
from evdash.web.event_display.gap_row import ListOwner, list_owner
from evdash.web.event_list.completeness import Completeness, gaps_of_session, session_completeness
from evdash.web.pages.session.timeline import match_calls_in_view, without_duplicates

# Events per chunk. One chunk with all its complete values is in memory at a time.
CHUNK_EVENTS: Final = 100
# More marks than these would only cover each other.
PICTURE_EVENTS: Final = 1_000

_UNSAFE_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class SessionUnknown(Exception):
    """Error for a session without known events. The message is the sentence for the response."""


@dataclass(frozen=True, slots=True)
class ExportedEvent:
    """An event, its number in the export, from 1, and whether it is a duplicate."""

    event: Event
    number: int
    is_duplicate: bool


Chunks = Iterator[list[ExportedEvent | MissingEntries]]


@dataclass(frozen=True, slots=True)
class SessionExport:
    """One export. Everything except the events and notes is known when it begins."""

    facts: SessionSummary
    exported_at: datetime
    exported_by: str
    address: str  # of the session's page, absolute; "" if it is not known
    streams: tuple[str, ...]  # those with events of the session
    completeness: Completeness
    gaps: tuple[MissingEntries, ...]
    owner: ListOwner
    pictured: tuple[Event, ...]  # the first events, for the timeline, without duplicates
    calls: Calls  # those among the pictured events
    has_notes: bool  # False: a sandbox

    @property
    def session_id(self) -> str:
        return self.facts.session_id

    @property
    def filter_text(self) -> str:
        """The filter of the exported events."""
        return EventFilter().also("session", self.session_id).text()

    @property
    def file_stem(self) -> str:
        """The file name without its extension, valid on every file system."""
        return file_stem("session", self.session_id)

    def chunks(self) -> Chunks:
        """Return an iterator over the events and gaps, as `exported_chunks` does."""
        return exported_chunks(EventFilter().also("session", self.session_id), self.gaps)

    def notes(self) -> Iterator[NoteRecord]:
        """Return an iterator over all notes on the session and its events, oldest first; empty for a sandbox."""
        return all_notes_of_session(self.session_id) if self.has_notes else iter(())


def exported_chunks(event_filter: EventFilter, gaps: Sequence[MissingEntries]) -> Chunks:
    """Return an iterator over all events of the filter in chunks, oldest first, each gap at the place of its entries.

    It ends at the event that is the newest one now. Raise StreamsUnavailable, at once or in the middle.
    """
    return _chunks(all_pages(event_filter, "An export", limit=CHUNK_EVENTS), list(gaps))


def _chunks(pages: Iterator[EventPage], gaps: list[MissingEntries]) -> Chunks:
    number = 0
    for page in pages:
        chunk: list[ExportedEvent | MissingEntries] = []
        for event in page.events:
            while gaps and gaps[0].first_id <= event.entry_id:
                chunk.append(gaps.pop(0))
            number += 1
            chunk.append(ExportedEvent(event, number, Position.of(event) in page.duplicates))
        yield chunk
    yield [*gaps]


def file_stem(noun: str, name: str) -> str:
    """Return a file name without its extension, valid on every file system."""
    return f"{noun}-{_UNSAFE_IN_A_NAME.sub('_', name)[:80].strip('.')}"


def session_export(
    session_id: str, exported_by: str, *, address: str = "", with_picture: bool = False
) -> SessionExport:
    """Return the export of this session as of now. Raise SessionUnknown or StreamsUnavailable."""
    with open_reader() as reader:
        facts = reader.session(session_id)
        within = EventFilter().also("session", session_id)
        page = reader.first_page(within, limit=PICTURE_EVENTS if with_picture else 1)
        first = without_duplicates(page)
        calls = match_calls_in_view(reader, facts, page) if facts and with_picture else Calls()
        gaps = gaps_of_session(reader, facts) if facts else ()
        owner = list_owner(reader, within, page.events, gaps)
        streams = reader.session_streams(session_id)
        coverage = reader.coverage
    if coverage.unreachable:
        raise StreamsUnavailable(f"Export refused: it would be incomplete. {coverage.unreachable}")
    if facts is None:
        raise SessionUnknown(
            "Session not found. No event in the event log or the streams has this ID."
            if reader.has_read_all
            else "Session not found yet: the event log is behind, and only part of the streams was read."
        )
    return SessionExport(
        facts=facts,
        exported_at=datetime.now(UTC),
        exported_by=exported_by,
        address=address,
        streams=streams,
        completeness=session_completeness(facts, first[0] if first else None, coverage, gaps),
        gaps=gaps,
        owner=owner,
        has_notes=not coverage.is_of_copies,
        pictured=tuple(first) if with_picture else (),
        calls=calls,
    )
