"""Messages that a page sends to its live WebSocket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.web.event_display.row import ROW_TEMPLATES, ViewMode

MESSAGE_MAX_CHARS = 32 * 1024
STREAMS_MAX = 100


class InvalidMessage(ValueError):
    """A message that evdash's pages do not send. The exception text names the fault."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """A request for the events of a filter after the page's cursor.

    `number` distinguishes the subscriptions of one page. With `rows=False` the page requests only a notice of new
    events.
    """

    number: int
    filter: EventFilter
    cursor: Mapping[str, EntryId]
    rows: bool = True
    view: ViewMode = "events"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """An acknowledgement: the number of messages with rows that the page has shown since it connected."""

    messages: int


@dataclass(frozen=True, slots=True)
class WaitingSeen:
    """A confirmation: the page shows the number of waiting events, or has refreshed itself after a notice."""


@dataclass(frozen=True, slots=True)
class Jump:
    """A request for the newest events of the skipped range."""


def parse(text: str | None) -> Subscribe | Acknowledge | WaitingSeen | Jump:
    """Return the parsed message. Raises InvalidMessage."""
    if text is None:
        raise InvalidMessage("A message must be text, not bytes.")
    if len(text) > MESSAGE_MAX_CHARS:
        raise InvalidMessage(f"The message has {len(text):,} characters; the limit is {MESSAGE_MAX_CHARS:,}.")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidMessage("The message is not JSON.") from None
    match message:
        case {"type": "subscribe", "number": int(number), "query": str(query), "cursor": dict(cursor)} if (
            not isinstance(number, bool)
        ):
            view = view_of(message.get("reading", "events"))
            return Subscribe(number, filter_of(query), cursor_of(cursor), message.get("rows") is not False, view)
        case {"type": "ack", "messages": int(messages)} if messages >= 0 and not isinstance(messages, bool):
            return Acknowledge(messages)
        case {"type": "waiting-seen"}:
            return WaitingSeen()
        case {"type": "jump"}:
            return Jump()
    raise InvalidMessage("Unknown message.")


def filter_of(query: str) -> EventFilter:
    """Return the filter of a page's query string. Raises InvalidMessage."""
    try:
        return EventFilter.from_query(parse_qs(query, keep_blank_values=True, max_num_fields=200))
    except FilterError as error:
        raise InvalidMessage(f"Invalid filter: {error}") from None
    except ValueError:
        raise InvalidMessage("The query string of the filter has too many parameters.") from None


def view_of(word: object) -> ViewMode:
    """Return the view mode of a page's list. Raises InvalidMessage."""
    for view in ROW_TEMPLATES:
        if word == view:
            return view
    raise InvalidMessage("Unknown view mode.")


def cursor_of(cursor: Mapping[str, Any]) -> Mapping[str, EntryId]:
    """Return a page's cursor with parsed entry IDs. Raises InvalidMessage."""
    if len(cursor) > STREAMS_MAX or not all(isinstance(entry_id, str) for entry_id in cursor.values()):
        raise InvalidMessage("The cursor must have one entry ID for each stream.")
    try:
        return {stream: EntryId.parse(entry_id) for stream, entry_id in cursor.items()}
    except InvalidEntryId as error:
        raise InvalidMessage(f"Invalid cursor: {error}.") from None
