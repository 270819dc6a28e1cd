"""A session as one HTML file that opens without evdash, without a network and without scripts.

It uses the templates and stylesheets of the pages; the stylesheets are embedded. Its Content-Security-Policy forbids it
to load any resource.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from django.contrib.auth.models import AnonymousUser
from django.contrib.staticfiles import finders
from django.template.loader import get_template
from django.utils.safestring import SafeString

from evdash.eventlog.export import Piece
from evdash.eventlog.records import MissingEntries
from evdash.events.event import Event
from evdash.events.event_types import turn_of
from evdash.notes.records import Subject
from evdash.web.charts.timeline import timeline
from evdash.web.event_display.calls import Calls
from evdash.web.event_display.fields import text_kind
from evdash.web.event_display.gap_row import GapRow, ListOwner, gap_row
from evdash.web.event_display.row import Row, row_of
from evdash.web.formatting import format_size
from evdash.web.links import element_id
from evdash.web.note_display import note_views
from evdash.web.pages.session_export.export import Chunks, ExportedEvent, SessionExport
from evdash.web.text_display.shown_text import ShownText, shown_text


@dataclass(frozen=True, slots=True)
class WholeField:
    """One complete pair of an entry. A name or value that is not UTF-8 is base64."""

    name: str
    name_is_base64: bool
    text: ShownText | None  # None: bytes, or an empty text
    base64: str  # "" for text
    size: str


@dataclass(frozen=True, slots=True)
class WholeEvent:
    """The data of one event in templates/pages/session_export/_events.html."""

    row: Row
    number: int
    fields: tuple[WholeField, ...]


def html_file(export: SessionExport) -> Callable[[int], Iterator[bytes]]:
    """Return the function that makes the file in pieces, with the number of the export in the audit log.

    The file's last line counts its events. Raise StreamsUnavailable, at once or in the middle, instead of ending like
    a complete file.
    """
    return partial(_pieces, export, export.chunks())


def _pieces(export: SessionExport, chunks: Chunks, number: int) -> Iterator[bytes]:
    drawn, all_events = len(export.pictured), export.facts.events
    yield rendered(
        "pages/session_export/_head.html",
        export=export,
        audit_log_number=number,
        facts=export.facts,
        title=f"Session {export.session_id}",
        timeline=timeline(export.pictured, export.calls, agent=export.facts.agent.text),
        timeline_note=f"Timeline: first {drawn:,} of {all_events:,} events." if drawn < all_events else "",
        notes=note_views(export.notes(), AnonymousUser(), among_session=True),
        is_demonstration=any(event.simulated for event in export.pictured),
        inline_styles=inline_styles,
        place_in_file=place_in_file,
    )
    yield from event_pieces(chunks, export.owner, export.calls)


def event_pieces(chunks: Chunks, owner: ListOwner, calls: Calls) -> Iterator[Piece]:
    """Yield the events and gaps of a file, and its last line, which counts the events."""
    events = errors = 0
    for chunk in chunks:
        exported = [item for item in chunk if isinstance(item, ExportedEvent)]
        events, errors = events + len(exported), errors + sum(item.event.is_error for item in exported)
        if chunk:
            items = _items(chunk, owner, calls)
            yield rendered("pages/session_export/_events.html", len(exported), items=items, scope_name=owner.noun)
    yield rendered("pages/session_export/_tail.html", events=events, errors=errors)


def _items(
    chunk: Sequence[ExportedEvent | MissingEntries], owner: ListOwner, calls: Calls
) -> list[WholeEvent | GapRow]:
    return [
        _whole(item, calls) if isinstance(item, ExportedEvent) else replace(gap_row(item, owner), parked_address="")
        for item in chunk
    ]


def _whole(item: ExportedEvent, calls: Calls) -> WholeEvent:
    # Links to pages of evdash do not work in a file.
    row = replace(
        row_of(item.event, is_duplicate=item.is_duplicate),
        address="",
        session_address="",
        user_address="",
        call_note="" if item.is_duplicate else calls.note(item.event),
    )
    return WholeEvent(row, item.number, _fields(item.event))


def _fields(event: Event) -> tuple[WholeField, ...]:
    turn = turn_of(event)
    return tuple(
        WholeField(
            name=field.name if (is_text := _is_text(raw_name)) else base64.b64encode(raw_name).decode(),
            name_is_base64=not is_text,
            text=shown_text(field.value, kind=text_kind(turn, field)) if field.is_text and field.value else None,
            base64="" if field.is_text else base64.b64encode(field.raw).decode(),
            size=format_size(len(field.raw)),
        )
        for field, (raw_name, _) in zip(event.fields, event.entry.pairs, strict=True)
    )


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def rendered(template: str, exported: int = 0, **context: object) -> Piece:
    """Return the template as a piece of a file with this number of events."""
    return Piece.of(get_template(template).render(context), exported)


def inline_styles(*names: str, media: str = "all") -> SafeString:
    """Return the named stylesheets below static/ as one <style> element.

    Raises FileNotFoundError for an unknown name, and ValueError for a stylesheet that contains a tag.
    """
    styles = "\n".join(_stylesheet(name) for name in names)
    # The text is safe: it has only evdash's own stylesheets, and not event data.
    return SafeString(f'<style media="{media}">\n{styles}</style>')


@cache
def _stylesheet(name: str) -> str:
    path = finders.find(name)
    if not isinstance(path, str):
        raise FileNotFoundError(f"There is no stylesheet {name}.")
    text = Path(path).read_text(encoding="utf-8")
    if "</" in text:
        raise ValueError(f"The stylesheet {name} cannot stand within a page: it holds a tag.")
    return text


def place_in_file(subject: Subject) -> str:
    """Return the HTML id of the entry that a note is on; "" for a note on a session."""
    return element_id(subject.stream, subject.entry_id) if subject.entry_id else ""
