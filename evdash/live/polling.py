"""Catch-up over HTTP, for pages without a WebSocket: those of sandboxes, and those behind a network that blocks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Self

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from evdash.eventlog.current_reader import open_reader
from evdash.events.filters.event_filter import EventFilter
from evdash.live.catch_up import missed
from evdash.live.frames import Cursor, written
from evdash.live.protocol import InvalidMessage, cursor_of, filter_of, view_of
from evdash.streams.client import StreamsUnavailable
from evdash.web.event_display.row import ViewMode, render_row


@dataclass(frozen=True, slots=True)
class MissedQuery:
    """The query of a page that catches up: its filter, its cursor and its view mode."""

    filter: EventFilter
    cursor: Cursor
    view: ViewMode

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `query=`, `cursor=` (JSON) and `reading=`. Raise InvalidMessage."""
        params = request.GET
        try:
            cursor = json.loads(params.get("cursor", "{}"))
        except (ValueError, RecursionError):
            raise InvalidMessage("The cursor is not JSON.") from None
        if not isinstance(cursor, dict):
            raise InvalidMessage("The cursor must have one entry ID for each stream.")
        return cls(filter_of(params.get("query", "")), cursor_of(cursor), view_of(params.get("reading", "events")))


@require_GET
def missed_rows(request: HttpRequest) -> HttpResponse:
    """Return the events of the filter `query` after `cursor` (JSON) as a socket message, `rows` or `alive`.

    The message is `state` while Redis is unreachable. For invalid parameters it is `refused`, with status 400.
    """
    try:
        query = MissedQuery.from_request(request)
        with open_reader() as reader:  # for the watched streams, `streams` needs neither Redis nor SQL
            cursor = {stream: query.cursor[stream] for stream in reader.streams if stream in query.cursor}
        catch_up = missed(query.filter, cursor, cursor, render_row, query.view)
    except InvalidMessage as invalid:
        return _answer({"type": "refused", "reason": str(invalid)}, status=400)
    except StreamsUnavailable as unavailable:
        return _answer({"type": "state", "state": "unreachable", "reason": str(unavailable)})
    if message := catch_up.message(catch_up.cursor):
        return _kept_by_none(HttpResponse(message, content_type="application/json"))
    return _answer({"type": "alive", "cursor": written(catch_up.cursor)})


def _answer(message: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return _kept_by_none(JsonResponse(message, status=status))


def _kept_by_none(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "private, no-store"
    return response
