"""Values of an event's fields. Each function takes the names of a property, from the event's wire profile."""

from __future__ import annotations

import json
from typing import Any, Final

from evdash.events.event import Event
from evdash.events.json_values import InvalidJson, parse
from evdash.events.message_parts import text_of_parts
from evdash.events.text import one_line

BEGINNING_CHARS: Final = 200
# Longer texts are not parsed only for a list or its length.
_COUNTED_CHARS: Final = 100_000


def text(event: Event, names: tuple[str, ...]) -> str:
    """Return the text of the first of these fields with a value, or its JSON; "" without one."""
    for name in names:
        value = event.data.get(name)
        if value is None or value == "":
            continue
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return ""


def message_text(event: Event) -> str:
    """Return the text of a message as people read it: that of its parts, if its content is a list of parts."""
    if not any(part.kind in ("text", "image", "return", "other") for part in event.parts):
        content = text(event, event.profile.content)
        return "" if event.parts and content.lstrip().startswith("[{") else content
    return text_of_parts(event.parts)


def calls_in_message(event: Event) -> str:
    """Return the tool calls inside a message, each as tool and arguments on its own line; "" without any."""
    return "\n".join(f"{part.tool} {part.arguments}".strip() for part in event.parts if part.kind == "call")


def present(event: Event, names: tuple[str, ...], default: Any = None) -> Any:
    """Return the value of the first of these fields that the event has, also an empty one; without any the default."""
    for name in names:
        if name in event.data:
            return event.data[name]
    return default


def empty_text(value: Any) -> str:
    """Return words for an empty value or null, from JSON or its text; "" for any other value."""
    if isinstance(value, str):
        return {"[]": "(empty list)", "{}": "(empty object)", "": "(empty)"}.get(value.strip(), "")
    if value is None:
        return "null"
    return "" if value or not isinstance(value, list | dict) else "(empty list)" if value == [] else "(empty object)"


def prose(event: Event, names: tuple[str, ...]) -> str:
    """Return the first of these fields that is a text and not blank; "" without one."""
    values = (event.data.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value.strip()), "")


def beginning(whole: str) -> str:
    """Return the first BEGINNING_CHARS characters of a text, as one line."""
    return one_line(whole, BEGINNING_CHARS)


def count(event: Event, names: tuple[str, ...]) -> int | None:
    """Return the number in the first of these fields that has one; None without one.

    A field has a number if it is a whole number, or a list, which counts as its length.
    """
    for name in names:
        number = _counted(event.data.get(name))
        if number is not None:
            return number
    return None


def _counted(value: Any) -> int | None:
    """Return a whole number of at most nine digits, or the length of a list, from JSON or text; else None."""
    if isinstance(value, str):
        written = value.strip()
        if written.isascii() and written.isdecimal() and len(written) < 10:
            return int(written)
        value = _parsed_list(written)
    if isinstance(value, list):
        return len(value)
    return value if type(value) is int and 0 <= value < 10**9 else None


def texts(event: Event, names: tuple[str, ...]) -> frozenset[str]:
    """Return the texts in the first of these fields that is a list."""
    for name in names:
        value = event.data.get(name)
        if isinstance(value, str):
            value = _parsed_list(value)
        if isinstance(value, list):
            return frozenset(each for each in value if isinstance(each, str))
    return frozenset()


def _parsed_list(written: str) -> Any:
    if not written.lstrip().startswith("[") or len(written) > _COUNTED_CHARS:
        return None
    try:
        return parse(written)
    except InvalidJson:
        return None
