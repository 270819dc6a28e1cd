"""Export of all events of a user, in all sessions, as one HTML file that opens without evdash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from evdash.accounts.tokens import refused_by_patterns, token_or_session
from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.records import MissingEntries
from evdash.eventlog.selections import ListPosition
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import sessions_of_user
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.streams.client import StreamsUnavailable
from evdash.web.event_display.calls import Calls
from evdash.web.event_display.gap_row import ListOwner, list_owner
from evdash.web.event_list.completeness import Completeness, completeness
from evdash.web.links import user_address
from evdash.web.pages.exports import download, who_asks
from evdash.web.pages.session_export.export import Chunks, exported_chunks, file_stem
from evdash.web.pages.session_export.html_file import event_pieces, inline_styles, rendered
from evdash.web.sandbox_middleware import sandbox_request

SESSIONS_LISTED: Final = 500
"""Maximum number of sessions in the table of the file. The events are those of all sessions."""


@dataclass(frozen=True, slots=True)
class UserExport:
    """One export. Everything except the events is known when it begins."""

    facts: UserSummary
    exported_at: datetime
    exported_by: str
    address: str  # of the user's page, absolute
    streams: tuple[str, ...]  # those with events of the user
    completeness: Completeness
    gaps: tuple[MissingEntries, ...]
    owner: ListOwner
    sessions: tuple[SessionSummary, ...]  # newest first
    is_demonstration: bool

    @property
    def filter_text(self) -> str:
        """The filter of the exported events."""
        return _events_of(self.facts.user_id).text()


class UserUnknown(Exception):
    """Error for a user without known events. The message is the sentence for the response."""


@token_or_session("export", checks_patterns=True)
def user_export_html(request: HttpRequest, user_id: str) -> HttpResponseBase:
    """Export all events of the user as one HTML file, always as a download."""
    within = _events_of(user_id)
    if refused := refused_by_patterns(request, within, in_sandbox=sandbox_request(request) is not None):
        return refused
    try:
        export = user_export(user_id, who_asks(request), request.build_absolute_uri(user_address(user_id)))
        pieces = html_file(export)
    except UserUnknown as unknown:
        return HttpResponse(f"{unknown}\n", status=404, content_type="text/plain; charset=utf-8")
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    name = f"{file_stem('user', user_id)}.html"
    return download(request, pieces, within, "HTML file", "text/html; charset=utf-8", name)


def user_export(user_id: str, exported_by: str, address: str) -> UserExport:
    """Return the export of this user as of now. Raise UserUnknown or StreamsUnavailable."""
    within = _events_of(user_id)
    with open_reader() as reader:
        facts = reader.user(user_id)
        first = reader.first_page(within, limit=1).events
        # After the user's last event, too: nothing states that it was the last one.
        gaps = reader.gaps(facts.first_id.previous(), EntryId.MAX) if facts else ()
        owner = list_owner(reader, within, first, gaps)
        sessions = reader.sessions(sessions_of_user(user_id), ListPosition(limit=SESSIONS_LISTED)).sessions
        streams = tuple(
            name for name in sorted(reader.streams) if reader.page(within.also("stream", name), limit=1).events
        )
        missing = reader.total_missing()
        coverage = reader.coverage
    if coverage.unreachable:
        raise StreamsUnavailable(f"Export refused: it would be incomplete. {coverage.unreachable}")
    if facts is None:
        raise UserUnknown(
            "User not found. No event in the event log or the streams has this ID."
            if reader.has_read_all
            else "User not found yet: the event log is behind, and only part of the streams was read."
        )
    return UserExport(
        facts=facts,
        exported_at=datetime.now(UTC),
        exported_by=exported_by,
        address=address,
        streams=streams,
        completeness=completeness(facts, coverage, missing),
        gaps=gaps,
        owner=owner,
        sessions=sessions,
        is_demonstration=any(event.simulated for event in first),
    )


def html_file(export: UserExport) -> Callable[[int], Iterator[bytes]]:
    """Return the function that makes the file in pieces, with the number of the export in the audit log.

    The file's last line counts its events. Raise StreamsUnavailable, at once or in the middle, instead of ending like
    a complete file.
    """
    return partial(_pieces, export, exported_chunks(_events_of(export.facts.user_id), export.gaps))


def _pieces(export: UserExport, chunks: Chunks, number: int) -> Iterator[bytes]:
    yield rendered(
        "pages/session_export/_user_head.html",
        export=export,
        audit_log_number=number,
        facts=export.facts,
        title=f"User {export.facts.user_id}",
        is_demonstration=export.is_demonstration,
        inline_styles=inline_styles,
    )
    yield from event_pieces(chunks, export.owner, Calls())


def _events_of(user_id: str) -> EventFilter:
    return EventFilter().also("user", user_id)
