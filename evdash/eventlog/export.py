"""Export of all events of a filter, oldest first, as NDJSON or CSV."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.decoded import decoded
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.streams.budget import PAGE_BUDGET_S, redis_budget
from evdash.streams.client import StreamsUnavailable


class Piece(bytes):
    """A part of an exported file, with the number of events in it."""

    events: int = 0

    @classmethod
    def of(cls, text: str, events: int) -> Self:
        """Return the text as a part with this number of events."""
        piece = cls(text.encode())
        piece.events = events
        return piece


def all_pages(filter: EventFilter, what: str, *, limit: int) -> Iterator[EventPage]:
    """Return the pages of the filter's events, at most `limit` on each.

    The last event is the one that is newest at the start. Raises StreamsUnavailable at once or in the middle: an
    incomplete result never ends like a complete one. `what` names the incomplete result in the error message.
    """
    with open_reader() as reader:
        # The end is fixed at the start, so that an export of a busy stream ends.
        newest = reader.page(EventFilter(), limit=1).events
    if reader.unreachable:
        raise StreamsUnavailable(f"{what} would be incomplete. {reader.unreachable}")
    return _read_on(reader, filter, Position.of(newest[0]) if newest else None, what, limit)


def _read_on(reader: Reader, filter: EventFilter, end: Position | None, what: str, limit: int) -> Iterator[EventPage]:
    position: Position | None = None
    while end is not None:
        with redis_budget(PAGE_BUDGET_S):
            page = reader.page(filter, after=position, oldest_first=True, limit=limit)
        if reader.unreachable:
            raise StreamsUnavailable(f"{what} was interrupted. {reader.unreachable}")
        events = tuple(event for event in page.events if event.entry_id <= end.entry_id)
        yield replace(page, events=events)
        if page.newer is None or len(events) < len(page.events):
            return
        position = page.newer


# Events per chunk: about 10 ms of work, and the memory of this number of the longest entries.
CHUNK_EVENTS = 500

CSV_COLUMNS = (
    "stream", "entry_id", "type", "session_id", "user_id", "occurred_at",
    "is_error", "is_duplicate", "severity", "error",
)  # fmt: skip
# Spreadsheets run a cell as a formula if it begins like this, also after white space. A plain number is safe.
_FORMULA = re.compile(r"(?!-?\d+(\.\d+)?([eE][+-]?\d+)?\Z)\s*[=+\-@\t\r\n]", re.ASCII)


# Pairs of an event and whether it is a duplicate, rendered as text.
Render = Callable[[Sequence[tuple[Event, bool]]], str]


def ndjson_lines(filter: EventFilter) -> Iterator[bytes]:
    """Return the events as NDJSON, one JSON object per line, in chunks of whole lines.

    A value or name that is not UTF-8 is written as {"base64": "…"}. `is_duplicate` is present only if it is true. The
    export is complete up to the newest event at the start. Raises StreamsUnavailable at once or in the middle: an
    incomplete export never ends like a complete one.
    """
    return _chunks(filter, lambda events: "".join(_json_line(event, is_duplicate) for event, is_duplicate in events))


def csv_lines(filter: EventFilter) -> Iterator[bytes]:
    """Return the events as CSV (RFC 4180) with a header line, in chunks of whole lines; otherwise as ndjson_lines.

    The last column contains all fields as JSON. A cell that a spreadsheet would run as a formula gets a leading
    apostrophe.
    """
    chunks = _chunks(filter, lambda events: csv_text(_csv_row(event, is_duplicate) for event, is_duplicate in events))
    headings = csv_text([[*CSV_COLUMNS, "fields"]]).encode()
    return with_first(headings, chunks)


def with_first(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield a part before the others."""
    yield first
    yield from rest


def _chunks(filter: EventFilter, render: Render) -> Iterator[bytes]:
    pages = all_pages(filter, "An export", limit=CHUNK_EVENTS)
    return (
        Piece.of(render([(event, Position.of(event) in page.duplicates) for event in page.events]), len(page.events))
        for page in pages
        if page.events
    )


def _json_line(event: Event, is_duplicate: bool) -> str:
    record: dict[str, Any] = {
        "stream": event.stream,
        "entry_id": str(event.entry_id),
        "type": event.type,
        "session_id": event.session_id,
        "user_id": event.user_id,
        "occurred_at": _iso(event),
        "is_error": event.is_error,
        "fields": _json_fields(event),
        "decoded": decoded(event),
    }
    if is_duplicate:
        record["is_duplicate"] = True
    return json.dumps(record, ensure_ascii=False) + "\n"


def _json_fields(event: Event) -> list[list[Any]]:
    return [[_text_or_base64(name), _text_or_base64(value)] for name, value in event.entry.pairs]


def _text_or_base64(raw: bytes) -> str | dict[str, str]:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _csv_row(event: Event, is_duplicate: bool) -> list[str]:
    return [
        event.stream,
        str(event.entry_id),
        event.type,
        event.session_id,
        event.user_id,
        _iso(event),
        "1" if event.is_error else "0",
        "1" if is_duplicate else "0",
        event.severity,
        event.error,
        json.dumps(_json_fields(event), ensure_ascii=False),
    ]


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as CSV (RFC 4180). A cell that a spreadsheet would run as a formula gets a leading apostrophe."""
    text = io.StringIO()
    csv.writer(text).writerows([f"'{cell}" if _FORMULA.match(cell) else cell for cell in row] for row in rows)
    return text.getvalue()


def _iso(event: Event) -> str:
    return event.occurred_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
