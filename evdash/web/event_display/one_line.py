"""The one-line summary of an event."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from evdash.events.event import Event
from evdash.events.text import one_line
from evdash.web.event_display.event_types import category_of
from evdash.web.formatting import format_count, format_milliseconds

LINE_CHARS: Final = 240
_PART_CHARS: Final = 80
_PARTS: Final = 5
# The one-line summary does not parse JSON longer than this.
_JSON_CHARS: Final = 20_000

_PROSE: Final = ("content", "message", "text", "summary", "query", "reason", "title", "name", "description", "status")
IDENTITY: Final = frozenset(
    {"id", "event_id", "type", "event_type", "event", "session_id", "sessionId", "user_id", "userId"}
    | {"timestamp", "ts", "occurred_at", "created_at", "data", "simulated", "latency_ms", "tokens", "call_id"}
    | {"schema_version", "version", "severity", "level"}
)
_ORIGIN: Final = (("origin", "destination"), ("from", "to"), ("source", "target"))


@dataclass(frozen=True, slots=True)
class OneLineText:
    """One line in three parts: the actor or subject (`assistant`), the text, and figures at its end (`412 ms`)."""

    label: str
    text: str
    metrics: str = ""

    def __str__(self) -> str:
        line = f"{self.label}: {self.text}" if self.label and self.text else self.label or self.text
        return f"{line}, {self.metrics}" if self.metrics else line


def describe_event(event: Event) -> OneLineText:
    """Return the one-line summary of any event, including one of an unknown type."""
    if event.is_error:
        return _error(event)
    return _BY_TYPE.get(event.type, _BY_CATEGORY.get(category_of(event.type).name, _anything))(event)


def _error(event: Event) -> OneLineText:
    text = event.error
    for prefix in ("Error: ", "error: ", "ERROR: "):
        text = text.removeprefix(prefix)
    text = text or _prose(event) or event.code or "(no message)"
    where = _joined("" if event.code == text else event.code, event.tool)
    line = one_line(text, LINE_CHARS - len(where) if len(where) < _PART_CHARS else LINE_CHARS)
    return OneLineText("Error", f"{line} ({one_line(where, _PART_CHARS)})" if where else line, _latency(event))


def _message(event: Event) -> OneLineText:
    role = _text(event, "role") or "message"
    content = _text(event, "content") or _text(event, "text") or _text(event, "message")
    if not content:
        length = _text(event, "content_length") or _text(event, "length")
        content = f"({length} characters, not in the event)" if length else "(empty)"
    return OneLineText(role, one_line(content, LINE_CHARS), _joined(_tokens(event), _latency(event)))


def _session_started(event: Event) -> OneLineText:
    parts = [f"{event.agent} on {event.model}" if event.agent and event.model else event.agent or event.model]
    parts.append(_text(event, "channel"))
    return OneLineText("started", ", ".join(part for part in parts if part))


def _session_ended(event: Event) -> OneLineText:
    parts = [_text(event, "outcome") or _text(event, "status") or _text(event, "reason")]
    if (messages := _text(event, "total_messages")).isdecimal() and len(messages) < 10:
        parts.append(format_count(int(messages), "message"))
    duration = _number(event, "duration_ms")
    return OneLineText(
        "ended",
        ", ".join(part for part in parts if part),
        format_milliseconds(duration) if duration is not None else "",
    )


def _summary(event: Event) -> OneLineText:
    text = _text(event, "summary") or _text(event, "content") or _text(event, "text") or _listed(event)
    replaced = _text(event, "message_count") or _text(event, "replaced_messages") or _text(event, "messages")
    tail = f"of {format_count(int(replaced), 'message')}" if replaced.isdecimal() and len(replaced) < 10 else ""
    return OneLineText("summary", one_line(text, LINE_CHARS), _joined(tail, _tokens(event)))


def _memory_cleared(event: Event) -> OneLineText:
    return OneLineText("memory cleared", one_line(_text(event, "reason") or _listed(event), LINE_CHARS))


def _call(event: Event) -> OneLineText:
    arguments = event.data.get("arguments", event.data.get("args", event.data.get("input")))
    asked = _arguments(arguments) or _text(event, "query")
    if not asked and not event.tool:
        asked = _listed(event)
    results = _text(event, "results_count") or _text(event, "result_count") or _text(event, "results")
    found = format_count(int(results), "result") if results.isdecimal() and len(results) < 10 else ""
    name = event.tool or category_of(event.type).name
    return OneLineText("", one_line(f"{name} {asked}", LINE_CHARS).strip(), _joined(found, _latency(event)))


def _return(event: Event) -> OneLineText:
    result = event.data.get("result", event.data.get("output", event.data.get("content")))
    text = _arguments(result) if result is not None else _listed(event)
    return OneLineText(
        "",
        one_line(f"{event.tool or 'tool'} → {text or '(empty)'}", LINE_CHARS),
        _joined(_tokens(event), _latency(event)),
    )


def _anything(event: Event) -> OneLineText:
    label = _text(event, "role") or event.tool or event.agent
    text = _prose(event) or _listed(event)
    return OneLineText(
        one_line(label, _PART_CHARS), one_line(text, LINE_CHARS), _joined(_tokens(event), _latency(event))
    )


_BY_TYPE: Final[dict[str, Callable[[Event], OneLineText]]] = {
    "session.started": _session_started,
    "session.ended": _session_ended,
    "message.added": _message,
    "summary.created": _summary,
    "memory.cleared": _memory_cleared,
    "tool.called": _call,
    "tool.returned": _return,
    "search.performed": _call,
}
_BY_CATEGORY: Final[dict[str, Callable[[Event], OneLineText]]] = {"search": _call, "tool": _anything}


def _text(event: Event, name: str) -> str:
    value: Any = event.data.get(name)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[: LINE_CHARS * 4]


def _number(event: Event, name: str) -> float | None:
    try:
        number = float(_text(event, name))
    except ValueError:
        return None
    return number if 0 <= number < 1e15 else None


def _prose(event: Event) -> str:
    return next((text for name in _PROSE if (text := _text(event, name).strip())), "")


def _listed(event: Event) -> str:
    """Return the fields other than those in IDENTITY, name by name.

    If `data` is a text and the event has no other such fields, the result is the beginning of `data`.
    """
    rest = {name: value for name, value in event.data.items() if name not in IDENTITY}
    nested = event.data.get("data")
    if not rest and isinstance(nested, str):
        return nested[: LINE_CHARS * 4]
    return _pairs(rest) or ("(no other fields)" if event.fields else "(no fields)")


def _arguments(value: Any) -> str:
    """Return arguments or a result in short form: `JFK→SEA, date 2024-05-20`, `[12 items]`, or the text itself."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and len(value) <= _JSON_CHARS:
        value = _parsed(value)
    if isinstance(value, Mapping):
        return _pairs(value)
    if isinstance(value, list):
        return _brief(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """Return the JSON value of a text, or the text itself if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _pairs(values: Mapping[str, Any]) -> str:
    rest = dict(values)
    parts: list[str] = []
    for origin, destination in _ORIGIN:
        if isinstance(rest.get(origin), str) and isinstance(rest.get(destination), str):
            start, end = rest.pop(origin), rest.pop(destination)
            parts.append(f"{one_line(start, _PART_CHARS)}→{one_line(end, _PART_CHARS)}")
    if len(rest) == 1 and not parts:
        return _brief(next(iter(rest.values())))
    for name in list(rest)[:_PARTS]:
        parts.append(f"{one_line(name, _PART_CHARS)} {_brief(rest[name])}")
    if len(rest) > _PARTS:
        parts.append(f"and {len(rest) - _PARTS} more")
    return ", ".join(parts)


def _brief(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{}" if not value else f"{{{format_count(len(value), 'key')}}}"
    if isinstance(value, list):
        return "[]" if not value else f"[{format_count(len(value), 'item')}]"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _PART_CHARS)


def _tokens(event: Event) -> str:
    return f"{event.tokens:,} tok" if event.tokens else ""


def _latency(event: Event) -> str:
    return format_milliseconds(event.latency_ms) if event.latency_ms is not None else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
