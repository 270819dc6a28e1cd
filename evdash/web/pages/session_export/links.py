"""Addresses of a session's exports."""

from __future__ import annotations

from dataclasses import dataclass

from evdash.events.filters.event_filter import EventFilter
from evdash.web.links import filtered_address, session_address


@dataclass(frozen=True, slots=True)
class ExportLinks:
    """The addresses in templates/pages/session/_menu.html."""

    file: str
    transcript: str
    ndjson: str


def export_links(session_id: str) -> ExportLinks:
    """Return the addresses of this session's exports."""
    here = session_address(session_id)
    ndjson = filtered_address("events-ndjson", EventFilter().also("session", session_id))
    return ExportLinks(f"{here}export.html", f"{here}transcript.md", ndjson)
