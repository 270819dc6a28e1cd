"""Addresses of a session's exports."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse

from evdash.events.filters.event_filter import EventFilter
from evdash.web.links import session_address


@dataclass(frozen=True, slots=True)
class ExportLinks:
    """The addresses in templates/pages/session/_export.html."""

    file: str
    transcript: str
    ndjson: str


def export_links(session_id: str) -> ExportLinks:
    """Return the addresses of this session's exports."""
    here = session_address(session_id)
    query = EventFilter().also("session", session_id).query_string()
    return ExportLinks(f"{here}export.html", f"{here}transcript.md", f"{reverse('events-ndjson')}?{query}")
