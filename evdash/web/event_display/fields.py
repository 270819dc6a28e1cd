"""The fields of an event, for its opened row and its page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.urls import reverse

from evdash.events.conversation import ConversationTurn, TextKind
from evdash.events.event import Event, Field
from evdash.events.event_types import turn_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME
from evdash.events.inheritance import INHERITED
from evdash.web.formatting import format_size
from evdash.web.links import event_address, filtered_address, query_string, user_address, with_query
from evdash.web.text_display.shown_text import ShownText, shown_text

JSON_CHARS: Final = 200_000
NODES: Final = 400
DEPTH: Final = 12
# The largest number of children of an unfolded list or object, at the root and one level below. Deeper ones are folded.
OPEN_CHILDREN: Final = (40, 12)


@dataclass(frozen=True, slots=True)
class Node:
    """One value: a leaf with its text, or a list or object with its children."""

    name: str
    kind: Literal["object", "list", "text", "number", "literal", "rest"]
    text: str
    children: tuple[Node, ...] = ()
    is_open: bool = False


def tree_of(text: str) -> Node | None:
    """Return the tree of a text that is a JSON object or list.

    Returns None for any other text, and for one longer than JSON_CHARS.
    """
    if text.lstrip()[:1] not in ("{", "[") or len(text) > JSON_CHARS:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return tree_of_value(value)


def tree_of_value(value: Any) -> Node:
    """Return the tree of a parsed JSON value, with at most NODES values below the root and DEPTH levels."""
    return _node("", value, 0, iter(range(NODES)))


def _node(name: str, value: Any, depth: int, allowance: Iterator[int]) -> Node:
    if isinstance(value, dict):
        return _branch(name, "object", [(str(key), item) for key, item in value.items()], depth, allowance)
    if isinstance(value, list):
        return _branch(name, "list", [(str(index), item) for index, item in enumerate(value)], depth, allowance)
    if isinstance(value, str):
        return Node(name, "text", value)
    if value is None or isinstance(value, bool):
        return Node(name, "literal", json.dumps(value))
    return Node(name, "number", json.dumps(value))


def _branch(
    name: str, kind: Literal["object", "list"], items: list[tuple[str, Any]], depth: int, allowance: Iterator[int]
) -> Node:
    children: list[Node] = []
    for shown, (key, item) in enumerate(items):
        if depth >= DEPTH or next(allowance, None) is None:
            children.append(Node("", "rest", f"{len(items) - shown:,} more; open the value as text"))
            break
        children.append(_node(key, item, depth + 1, allowance))
    noun = ("key" if kind == "object" else "item") + ("" if len(items) == 1 else "s")
    is_open = depth < len(OPEN_CHILDREN) and len(items) <= OPEN_CHILDREN[depth]
    return Node(name, kind, f"{len(items):,} {noun}", tuple(children), is_open)


# Longer texts are folded here. A click unfolds the whole text, and the value's own address has it as well.
SHOWN_CHARS: Final = 2_000
SHOWN_BYTES: Final = 512
# A filter on a value or name longer than this is unreadable, so it is not offered.
FILTER_CHARS: Final = 200

_BYTES_A_LINE: Final = 16


@dataclass(frozen=True, slots=True)
class ValueQueries:
    """Query strings of lists that a value leads to: events with it, without it, and a breakdown by its field."""

    traced: str  # the value whose occurrences the session page can show; "" for ID, type, time and session
    include: str
    exclude: str
    by: str  # "" for a field of numbers


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field for display."""

    index: int
    name: str
    kind: Literal["text", "json", "bytes"]
    shown: str
    size: str
    is_folded: bool  # True: `shown` is only the beginning of the value
    tree: Node | None
    text: ShownText | None  # of a text without a tree
    address: str  # of the whole value, as plain text or bytes
    queries: ValueQueries | None  # None: the value cannot be filtered by


@dataclass(frozen=True, slots=True)
class DataLink:
    """A key of the JSON object in `data`, with filters on its value."""

    name: str
    value: str
    queries: ValueQueries


def field_views(event: Event, event_filter: EventFilter) -> tuple[FieldView, ...]:
    """Return all fields in the entry's order, each with the filters that add it to `event_filter`."""
    turn = turn_of(event)
    return tuple(_field_view(event, turn, field, index, event_filter) for index, field in enumerate(event.fields))


def text_kind(turn: ConversationTurn, field: Field) -> TextKind:
    """Return what the text of a field is, if it is that of the event's turn in the conversation; else "text"."""
    return turn.kind if field.value == turn.text else "text"


@dataclass(frozen=True, slots=True)
class InheritedFact:
    """A value that an event has from its session or its call."""

    label: str
    value: str
    address: str  # of the user, or of the events with the same value
    source: str  # "session" or "call"


def inherited_facts(event: Event) -> tuple[InheritedFact, ...]:
    """Return what the event inherited, in the order of INHERITED."""
    return tuple(
        InheritedFact(
            BY_NAME[name].facet,
            value := getattr(event, INHERITED[name]),
            user_address(value) if name == "user" else filtered_address("events", EventFilter().also(name, value)),
            "call" if name == "tool" else "session",
        )
        for name in event.inherited
    )


def data_links(event: Event, event_filter: EventFilter) -> tuple[DataLink, ...]:
    """Return the scalar keys of the JSON object in a field. They are fields of the event, as the flat ones are."""
    nested = event.data.get(event.json_field) if event.json_field is not None else None
    if not isinstance(nested, dict):
        return ()
    links = []
    for name, value in nested.items():
        if isinstance(value, (str, int, float, bool)):
            text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
            if queries := _queries(event, name, text, event_filter):
                links.append(DataLink(name, text, queries))
    return tuple(links)


def value_queries(event: Event, field: Field, event_filter: EventFilter) -> ValueQueries | None:
    """Return the lists that a field's value leads to, within a filter; None if it cannot be filtered by."""
    return _queries(event, field.name, field.value, event_filter) if field.is_text else None


def field_address(event: Event, index: int) -> str:
    """Return the address of a field's whole value, as plain text or bytes. Fields are counted from 0."""
    return with_query(event_address(event.stream, event.entry_id), [("field", str(index))])


def whole_value(field: Field) -> tuple[bytes, str]:
    """Return a field's raw value and its content type: plain text (UTF-8) for text, else bytes."""
    return field.raw, "text/plain; charset=utf-8" if field.is_text else "application/octet-stream"


def hex_dump(raw: bytes) -> str:
    """Return bytes as lines of offset, hexadecimal and printable ASCII, sixteen bytes a line."""
    lines = []
    for offset in range(0, len(raw), _BYTES_A_LINE):
        part = raw[offset : offset + _BYTES_A_LINE]
        printable = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in part)
        lines.append(f"{offset:06x}  {part.hex(' '):<{_BYTES_A_LINE * 3 - 1}}  {printable}")
    return "\n".join(lines)


def _field_view(event: Event, turn: ConversationTurn, field: Field, index: int, event_filter: EventFilter) -> FieldView:
    tree, text = None, None
    if not field.is_text:
        kind: Literal["text", "json", "bytes"] = "bytes"
        shown, is_folded = hex_dump(field.raw[:SHOWN_BYTES]), len(field.raw) > SHOWN_BYTES
    else:
        nested = event.data.get(field.name) if field.name == event.json_field else None
        tree = tree_of_value(nested) if isinstance(nested, dict) else tree_of(field.value)
        kind = "json" if tree else "text"
        shown, is_folded = field.value[:SHOWN_CHARS], len(field.value) > SHOWN_CHARS
        text = shown_text(field.value, kind=text_kind(turn, field), end=SHOWN_CHARS) if tree is None else None
    queries = None if tree else value_queries(event, field, event_filter)
    address = field_address(event, index)
    return FieldView(
        index, field.name, kind, shown, format_size(len(field.raw)), is_folded, tree, text, address, queries
    )


def _queries(event: Event, name: str, value: str, event_filter: EventFilter) -> ValueQueries | None:
    if len(value) > FILTER_CHARS or not name or len(name) > FILTER_CHARS:
        return None
    key = _key_of(event, name, value)
    is_number = key in BY_NAME and BY_NAME[key].is_number
    return ValueQueries(
        "" if name in event.profile.envelope and name not in event.profile.user_id else value,
        event_filter.also(key, value).query_string(),
        event_filter.also(key, value, negated=True).query_string(),
        "" if is_number else "&".join(filter(None, (event_filter.query_string(), query_string([("by", key)])))),
    )


def _key_of(event: Event, name: str, value: str) -> str:
    """Return the filter grammar's own key if this field is its source, else `field.NAME`."""
    for key in BY_NAME.values():
        if key.field == name:
            return key.name
        if name in getattr(event.profile, key.attribute, ()) and getattr(event, key.attribute) == value:
            return key.name
    return f"field.{name}"


def events_address(query: str) -> str:
    """Return the address of the events page with this query string."""
    return f"{reverse('events')}?{query}" if query else reverse("events")
