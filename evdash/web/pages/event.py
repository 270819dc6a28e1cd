"""One event: its opened row, its own page, and its single values."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Self

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.records import Neighbours
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import describe_event, turn_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.message_parts import PICTURE_MAX_BYTES, picture_of, picture_type
from evdash.notes.records import Subject
from evdash.web.error_pages import message_page
from evdash.web.event_display.fields import data_links, field_views, hex_dump, inherited_facts, text_kind, whole_value
from evdash.web.event_display.row import row_of, rows_of
from evdash.web.event_list.list_query import ScopedFilter, filter_pairs
from evdash.web.formatting import format_count, format_size
from evdash.web.links import event_address, mounted_prefix, with_query
from evdash.web.note_display import notes_section
from evdash.web.page import page
from evdash.web.pages.streams.sandboxes import is_sandbox
from evdash.web.sandbox_middleware import sandbox_request
from evdash.web.text_display.shown_text import shown_text
from evdash.web.url_prefix import mounted_below


@dataclass(frozen=True, slots=True)
class EventPageQuery:
    """The query of an event's page: a part, one value, or the entry as JSON, and the filter of the list around it."""

    part: str  # "opened": the opened row; "whole": one complete value; "text", "source": the whole text of the turn
    field: str | None  # the number of the field to return, as written
    as_json: bool
    picture: str | None  # the number of the part of the message whose picture to return, as written
    filter: EventFilter  # an invalid one counts as none

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query of a request. Never raises."""
        params = request.GET
        within = ScopedFilter.parse(params).own
        return cls(
            params.get("part", ""), params.get("field"), params.get("as") == "json", params.get("picture"), within
        )

    @property
    def wants_value(self) -> bool:
        """True if the response is a value or JSON instead of a page."""
        is_text = self.part in ("text", "source")
        return self.field is not None or self.as_json or self.picture is not None or is_text

    def url(self, address: str) -> str:
        """Return the URL with the same query at another address."""
        parameters = {"part": self.part, "field": self.field, "as": "json" if self.as_json else ""}
        pairs = [(name, value) for name, value in parameters.items() if value]
        return with_query(address, [*pairs, *filter_pairs(self.filter)])


def event(request: HttpRequest, stream: str, entry_id: EntryId) -> HttpResponse:
    """Render the event of this entry.

    The query selects a part: `part=opened` the opened row only, `part=text` the whole text of its turn in the
    conversation, `part=source` that text as written, `field=N` that value only, `as=json` the entry as JSON.
    """
    query = EventPageQuery.from_request(request)
    mount = sandbox_request(request)
    if mount is None and is_sandbox(stream):
        with mounted_below(mounted_prefix(stream)):
            return redirect(query.url(event_address(stream, entry_id)))
    with open_reader() as reader:
        event = reader.event(stream, entry_id)
        neighbours = reader.neighbours(event) if event and not query.wants_value else Neighbours()
    if event is None:
        sentence = (
            "Entry not found in this sandbox. It was not copied, or it was deleted."
            if mount
            else "Entry not found in the event log or the stream. It may have been trimmed before evdash read it."
        )
        return message_page(
            request,
            "Entry not found",
            sentence,
            status=404,
            coverage=reader.coverage,
            subject=f"{entry_id} of {stream}",
        )
    if query.field is not None:
        return _value(request, event, query)
    if query.picture is not None:
        return _picture(request, event, query.picture)
    if query.part in ("text", "source"):
        return _text(request, event, is_source=query.part == "source")
    if query.as_json:
        return _not_kept(HttpResponse(_as_json(event), content_type="application/json"))
    context = _context(request, event, neighbours, query)
    first = reader.original_of_duplicate(event)
    context["original_of_duplicate"] = first
    context["original_of_duplicate_address"] = event_address(stream, first) if first else ""
    context["original_address"] = mount.original_address(event) if mount else ""
    if query.part == "opened":
        return _not_kept(render(request, "event_display/_opened.html", context))
    title = f"{event.type or 'Event'} {event.entry_id}"
    return page(request, "pages/event.html", title, context, coverage=reader.coverage, events=(event,))


def _context(request: HttpRequest, event: Event, neighbours: Neighbours, query: EventPageQuery) -> dict[str, Any]:
    """Return the context of the opened row and of the page. Links narrow the filter of the list that has the row."""
    within = query.filter
    previous, following = neighbours.previous, neighbours.next
    return {
        "event": event,
        "notes": None if sandbox_request(request) else notes_section(Subject.of(event), request.user),
        "row": row_of(event),
        "one_line": describe_event(event),
        "address": event_address(event.stream, event.entry_id),
        "fields": field_views(event, within),
        "data_links": data_links(event, within),
        "inherited": inherited_facts(event),
        "neighbours": neighbours,
        "previous_address": event_address(previous.stream, previous.entry_id) if previous else "",
        "next_address": event_address(following.stream, following.entry_id) if following else "",
        "previous_rows": rows_of((previous,), neighbours.duplicates) if previous else (),
        "next_rows": rows_of((following,), neighbours.duplicates) if following else (),
        "row_values": json.dumps({"q": within.text()}),
        "events_base": reverse("events"),
    }


def _value(request: HttpRequest, event: Event, query: EventPageQuery) -> HttpResponse:
    """Return one complete value: plain text, bytes to download, or with `part=whole` the text for the folded place."""
    number = query.field or ""
    if not number.isascii() or not number.isdecimal() or len(number) > 6 or int(number) >= len(event.fields):
        sentence = (
            f"The entry has {format_count(len(event.fields), 'field')}, numbered from 0. "
            f"field={number[:20]} is not one of them."
        )
        return message_page(request, "Field not found", sentence, status=404)
    field = event.fields[int(number)]
    if query.part == "whole":
        shown = shown_text(field.value, kind=text_kind(turn_of(event), field)) if field.is_text else None
        context = {"shown": shown, "bytes": "" if shown else hex_dump(field.raw)}
        return _not_kept(render(request, "event_display/_whole.html", context))
    raw, content_type = whole_value(field)
    response = _not_kept(HttpResponse(raw, content_type=content_type))
    kind = "inline" if field.is_text else "attachment"
    response["Content-Disposition"] = (
        f'{kind}; filename="{event.entry_id}-{number}.{"txt" if field.is_text else "bin"}"'
    )
    return response


def _text(request: HttpRequest, event: Event, *, is_source: bool) -> HttpResponse:
    """Return the whole text of the event's turn in the conversation: rendered for its place there, or as written."""
    turn, address = turn_of(event), event_address(event.stream, event.entry_id)
    if is_source:
        return _not_kept(HttpResponse(turn.text, content_type="text/plain; charset=utf-8"))
    context = {
        "shown": shown_text(turn.text, kind=turn.kind),
        "whole_address": "",
        "copy_address": with_query(address, [("part", "source")]),
    }
    return _not_kept(render(request, "text_display/_text.html", context))


def _picture(request: HttpRequest, event: Event, written: str) -> HttpResponse:
    """Return a picture in the message, which browsers show and never run."""
    number = int(written) if written.isascii() and written.isdecimal() and len(written) < 6 else -1
    part = event.parts[number] if 0 <= number < len(event.parts) else None
    raw = picture_of(part) if part else None
    if part is None or raw is None:
        sentence = f"The message has no picture {written[:20]!r} of at most {format_size(PICTURE_MAX_BYTES)}."
        return message_page(request, "Picture not found", sentence, status=404)
    response = _not_kept(HttpResponse(raw, content_type=picture_type(part)))
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _as_json(event: Event) -> str:
    """Return the entry with all its fields in order; a value that is not UTF-8 becomes a marked base64 value."""
    fields = [
        [field.name, field.value] if field.is_text else [field.name, {"base64": b64encode(field.raw).decode("ascii")}]
        for field in event.fields
    ]
    record = {"stream": event.stream, "entry_id": str(event.entry_id), "fields": fields}
    return json.dumps(record, ensure_ascii=False, indent=2)


def _not_kept(response: HttpResponse) -> HttpResponse:
    response["Cache-Control"] = "private, no-store"
    return response
