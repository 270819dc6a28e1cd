"""The state as a tree of plain data, and paths into it.

A NamedTuple is a dict by field, a list a dict by the positions of its rows, a map a dict by key. So a path stays where
it is while the session grows: `tool_calls["1700000000000-0@memory:events"].status`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from evdash.events.session.persistent import PersistentList, PersistentMap
from evdash.events.session.state import Hidden, SessionState

Path = tuple[str, ...]
MISSING: Final = object()
"""What `value_at` gives where there is nothing."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\"(?:[^\"\\]|\\.)*\")\]")


class InvalidPath(ValueError):
    """The text is no path; the message says which text and what one looks like."""


def as_data(state: SessionState, newest: int | None = None) -> dict[str, Any]:
    """The state as JSON can hold it; with `newest`, only so many of the newest rows of each list."""
    return {
        name: data_of(value, newest)
        for name, value in zip(state._fields, state, strict=True)
        if not isinstance(value, Hidden)
    }


def data_of(value: Any, newest: int | None = None) -> Any:
    """A part of the state as data."""
    if isinstance(value, PersistentList):
        rows = value if newest is None else (value[number] for number in range(max(0, len(value) - newest), len(value)))
        return {row[0]: flat(row) for row in rows}
    if isinstance(value, PersistentMap):
        return {key: data_of(each, newest) for key, each in value.items()}
    if isinstance(value, tuple):
        return {name: data_of(each, newest) for name, each in zip(fields_of(value), value, strict=True)}
    return value


def flat(row: Any) -> dict[str, Any]:
    """A row of a list as data: its fields are plain values."""
    return dict(zip(row._fields, row, strict=True))


def fields_of(value: Any) -> tuple[str, ...]:
    """The names of a NamedTuple's fields."""
    names: tuple[str, ...] = value._fields
    return names


def value_at(data: Mapping[str, Any], path: Sequence[str]) -> Any:
    """What stands at the path in the data; MISSING where nothing does."""
    value: Any = data
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def value_in(state: SessionState, path: Sequence[str]) -> Any:
    """What `value_at(as_data(state), path)` gives, without making data of the rest: cheap enough for every event."""
    value: Any = state
    for part in path:
        value = inner(value, part)
        if value is MISSING or isinstance(value, Hidden):
            return MISSING
    return as_data(state) if value is state else data_of(value)


def inner(value: Any, part: str) -> Any:
    """The part of a part of the state; MISSING where there is none."""
    if isinstance(value, PersistentMap):
        found = value.get(part)
        return MISSING if found is None else found
    if isinstance(value, PersistentList):
        return next((row for row in reversed(value) if row[0] == part), MISSING)
    if isinstance(value, tuple) and part in fields_of(value):
        return getattr(value, part)
    return MISSING


def path_text(path: Sequence[str]) -> str:
    """The path for a person and for a URL: `memory.context.messages["1700000000000-0@memory:events"].role`."""
    text = "".join(
        f".{part}" if _NAME.fullmatch(part) else f"[{json.dumps(part, ensure_ascii=False)}]" for part in path
    )
    return text.removeprefix(".")


def parse_path(text: str) -> Path:
    """The path that `path_text` wrote. Raises InvalidPath."""
    parts: list[str] = []
    end = 0
    while end < len(text):
        match = _PART.match(text, end)
        if match is None or (match[1] and (text[end] == ".") != bool(parts)):
            raise InvalidPath(f"{text[:80]!r} is no path: expected names between dots, such as tokens.total")
        parts.append(match[1] or json.loads(match[2]))
        end = match.end()
    return tuple(parts)
