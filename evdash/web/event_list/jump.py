"""Addresses of the session, the user or the event that a search names by its ID."""

from __future__ import annotations

from dataclasses import dataclass

from evdash.eventlog.reader import Reader
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import TEXT
from evdash.events.filters.parser import FilterError
from evdash.events.identifiers import identifier_of
from evdash.web.links import event_address, session_address, user_address


@dataclass(frozen=True, slots=True)
class Jump:
    """A page that a search names by its ID."""

    kind: str  # session, user, entry or event
    name: str
    address: str


def jumps(reader: Reader, text: str) -> tuple[Jump, ...]:
    """Return the pages of the session, the user and the entries with this ID, in this order. Each read has an index."""
    found: list[Jump] = []
    name = identifier_of(text)
    if reader.session(name) is not None:
        found.append(Jump("session", name, session_address(name)))
    if reader.user(name) is not None:
        found.append(Jump("user", name, user_address(name)))
    if (entry_id := _entry_id(text)) is not None:
        entries = (reader.event(stream, entry_id) for stream in reader.streams)
        found += [
            Jump("entry", f"{text} in {entry.stream}", event_address(entry.stream, entry_id))
            for entry in entries
            if entry is not None
        ]
    return tuple(found)


def event_jumps(reader: Reader, text: str) -> tuple[Jump, ...]:
    """Return the pages of the newest two events with this ID of their producer that a search of the log reaches.

    Such IDs have no index, which would cost a worker 14 % more processor time. One search reads at most SCAN_ROWS rows
    (event_query.py), so no list repeats it with each refresh: the event is one of its rows.
    """
    name = identifier_of(text)
    events = reader.page(EventFilter().also("id", name), limit=2).events
    return tuple(Jump("event", name, event_address(event.stream, event.entry_id)) for event in events)


def searched_id(own: EventFilter) -> str:
    """Return the only text of a filter that has no other condition, which may be an ID; else ""."""
    conditions = own.conditions
    is_alone = len(conditions) == 1 and conditions[0].key == TEXT and not conditions[0].negated
    return conditions[0].value if is_alone else ""


def id_in(query: str) -> str:
    """Return the ID that a person may have typed into a search: its only text; "" for any other filter.

    An ID with a colon or a space in it need not be quoted.
    """
    try:
        return searched_id(EventFilter.parse(query)) or query.strip()
    except FilterError:
        return query.strip()


def _entry_id(text: str) -> EntryId | None:
    if "-" not in text:
        return None
    try:
        return EntryId.parse(text)
    except InvalidEntryId:
        return None
