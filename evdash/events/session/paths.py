"""Session state as a tree of plain data, and paths into it.

A NamedTuple becomes a dict by field. A list becomes a dict by the positions of its rows, and a map a dict by key. So a
path stays valid while the session grows: `tool_calls["1700000000000-0@memory:events"].status`.
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
"""Result of `value_at` for a path without a value."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PART = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_]*)|\[(\"(?:[^\"\\]|\\.)*\")\]")


class InvalidPath(ValueError):
    """Invalid path. The message contains the text and an example of a path."""


def as_data(state: SessionState, newest: int | None = None) -> dict[str, Any]:
    """Return the state as data that JSON can hold.

    `newest`: limits each list to this number of its newest rows.
    """
    return {
        name: data_of(value, newest)
        for name, value in zip(state._fields, state, strict=True)
        if not isinstance(value, Hidden)
    }


def data_of(value: Any, newest: int | None = None) -> Any:
    """Return a part of the state as data."""
    if isinstance(value, PersistentList):
        rows = value if newest is None else (value[number] for number in range(max(0, len(value) - newest), len(value)))
        return {row[0]: flat(row) for row in rows}
    if isinstance(value, PersistentMap):
        return {key: data_of(each, newest) for key, each in value.items()}
    if isinstance(value, tuple):
        return {name: data_of(each, newest) for name, each in zip(fields_of(value), value, strict=True)}
    return value


def flat(row: Any) -> dict[str, Any]:
    """Return a row of a list as data. Its fields are plain values."""
    return dict(zip(row._fields, row, strict=True))


def fields_of(value: Any) -> tuple[str, ...]:
    """Return the names of a NamedTuple's fields."""
    names: tuple[str, ...] = value._fields
    return names


def value_at(data: Mapping[str, Any], path: Sequence[str]) -> Any:
    """Return the value at the path in the data; MISSING without one."""
    value: Any = data
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def value_in(state: SessionState, path: Sequence[str]) -> Any:
    """Return the result of `value_at(as_data(state), path)`, without making data of the rest.

    This is cheap enough for every event.
    """
    value: Any = state
    for part in path:
        value = inner(value, part)
        if value is MISSING or isinstance(value, Hidden):
            return MISSING
    return as_data(state) if value is state else data_of(value)


def inner(value: Any, part: str) -> Any:
    """Return the part of a part of the state; MISSING without one."""
    if isinstance(value, PersistentMap):
        entry = value.get(part)
        return MISSING if entry is None else entry
    if isinstance(value, PersistentList):
        return next((row for row in reversed(value) if row[0] == part), MISSING)
    if isinstance(value, tuple) and part in fields_of(value):
        return getattr(value, part)
    return MISSING


def path_text(path: Sequence[str]) -> str:
    """Return the path for a person and for a URL.

    An example is `memory.context.messages["1700000000000-0@memory:events"].role`.
    """
    text = "".join(
        f".{part}" if _NAME.fullmatch(part) else f"[{json.dumps(part, ensure_ascii=False)}]" for part in path
    )
    return text.removeprefix(".")


def parse_path(text: str) -> Path:
    """Return the path that `path_text` wrote. Raise InvalidPath."""
    parts: list[str] = []
    end = 0
    while end < len(text):
        match = _PART.match(text, end)
        if match is None or (match[1] and (text[end] == ".") != bool(parts)):
            raise InvalidPath(f"{text[:80]!r} is not a path. Write names separated by dots, such as tokens.total")
        parts.append(match[1] or json.loads(match[2]))
        end = match.end()
    return tuple(parts)
