"""The state of a session for a reader: paths in words, values with their units, and what only the fold needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from evdash.events.event import datetime_from_us
from evdash.events.session.paths import Path
from evdash.events.text import one_line
from evdash.web.formatting import format_milliseconds

VALUE_CHARS: Final = 160
_JSON_CHARS: Final = 2_000

ValueType = Literal["text", "number", "boolean", "none", "time", "duration", "entry", "json"]


@dataclass(frozen=True, slots=True)
class ShownValue:
    """The context of templates/pages/session/_state_value.html. `type` selects the colour."""

    text: str
    type: ValueType


NONE: Final = ShownValue("none", "none")

# The parts of these are named by events, not by the fold.
_MAPS: Final = frozenset(
    {"users", "agents", "models", "by_role", "by_model", "by_operation", "other_types", "last_fields"}
)
_WORDS: Final = {
    "asked_us": "called",
    "behind_us": "behind",
    "beginning": "text",
    "call_id": "call ID",
    "ended_us": "ended",
    "events_after_end": "events after the end",
    "failures": "fold failures",
    "lifecycle": "session",
    "last_us": "last event",
    "latency_ms": "latency",
    "max_at": "longest at",
    "max_ms": "longest",
    "message_id": "message ID",
    "missing_before": "events missing before",
    "out_of_order": "clock steps back",
    "other_types": "other event types",
    "removed_said": "removed, as stated",
    "replaced_said": "replaced, as stated",
    "started_us": "started",
    "took_ms": "duration",
    "total_ms": "total",
}
_ENTRIES: Final = frozenset({"at", "first_replaced", "last_at", "last_replaced", "max_at", "returned_at"})


def is_bookkeeping(path: Path, value: Any = None) -> bool:
    """Return whether the fold needs the value and readers do not."""
    return (
        path in (("folded",), ("at",), ("session_id",), ("lifecycle", "last_us"), ("lifecycle", "start_is_said"))
        or (path == ("missing_before",) and value == 0)
        or (len(path) > 1 and path[-1] == "at" and "@" in path[-2])  # a row's position, which is its name
    )


def label_of(path: Path) -> str:
    """Return the last name of a path in words. A name from an event stays as it is; a row has its entry ID."""
    name = path[-1]
    if _is_from_event(path):
        return name
    words = name.partition("@")[0] if "@" in name else _WORDS.get(name, name.replace("_", " "))
    return words[:1].upper() + words[1:]


def path_in_words(path: Path, *, start: int = 0) -> str:
    """Return a path, or its part from `start` on, in words: `Memory › Context › Messages`."""
    return " › ".join(label_of(path[: end + 1]) for end in range(start, len(path)))


def shown_value(path: Path, value: Any) -> ShownValue:
    """Return the value at a path of the state in one line, at most VALUE_CHARS long; JSON in several lines.

    Times are in UTC. The last name of the path has the unit: `_us` for times, `_ms` for durations.
    """
    name = "" if _is_from_event(path) else path[-1]
    if isinstance(value, Mapping):
        inner = ((key, each) for key, each in value.items() if each not in ("", None, {}))
        words = (
            f"{label_of((*path, key))} {shown_value((*path, key), each).text}"
            for key, each in inner
            if not is_bookkeeping((*path, key), each)
        )
        return ShownValue(one_line(", ".join(words), VALUE_CHARS) or "none", "text")
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return ShownValue("yes" if value else "no", "boolean")
    if isinstance(value, int | float):
        return _shown_number(name, value)
    if name in _ENTRIES:
        return ShownValue(str(value).partition("@")[0], "entry")
    return pretty_json(value) or ShownValue(one_line(str(value), VALUE_CHARS), "text")


def pretty_json(text: str) -> ShownValue | None:
    """Return a JSON object or array with indentation, at most _JSON_CHARS long; None for another text."""
    if not text.startswith(("{", "[")):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    indented = json.dumps(value, ensure_ascii=False, indent=2)
    return ShownValue(indented if len(indented) <= _JSON_CHARS else f"{indented[:_JSON_CHARS]}…", "json")


def _shown_number(name: str, value: float) -> ShownValue:
    if name == "behind_us":
        return ShownValue(format_milliseconds(value / 1000), "duration")
    if name.endswith("_us"):
        moment = datetime_from_us(round(value))
        return ShownValue(f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} UTC", "time")
    if name.endswith("_ms"):
        return ShownValue(format_milliseconds(value), "duration")
    return ShownValue(f"{value:,}", "number")


def _is_from_event(path: Path) -> bool:
    return len(path) > 1 and path[-2] in _MAPS
