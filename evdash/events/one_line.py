"""One-line summaries of events: a function for each event type or category (event_types.py selects it)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from evdash.events.event import Event, name_of
from evdash.events.field_values import calls_in_message, count, message_text, text
from evdash.events.formatting import format_count, format_milliseconds
from evdash.events.text import one_line

LINE_CHARS: Final = 240
_PART_CHARS: Final = 80
_PARTS: Final = 5
# The one-line summary does not parse JSON longer than this.
_JSON_CHARS: Final = 20_000

_JSON_SCALAR = re.compile(r'-?\d+(\.\d+)?([eE][+-]?\d+)?|true|false|null|NaN|-?Infinity|".*"', re.DOTALL)

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


def error(event: Event) -> OneLineText:
    """Return the summary of an event that is an error, whatever its type."""
    message = event.error
    for prefix in ("Error: ", "error: ", "ERROR: "):
        message = message.removeprefix(prefix)
    message = message or _prose(event) or event.code or "(no message)"
    where = _joined("" if event.code == message else event.code, event.tool)
    line = one_line(message, LINE_CHARS - len(where) if len(where) < _PART_CHARS else LINE_CHARS)
    return OneLineText("Error", f"{line} ({one_line(where, _PART_CHARS)})" if where else line, _latency(event))


def message(event: Event) -> OneLineText:
    """Return the role and the content."""
    content = " ".join(filter(None, [message_text(event), calls_in_message(event)]))
    if not content:
        length = text(event, event.profile.content_length)
        content = f"({length} characters, not in the event)" if length else "(empty)"
    role = _short(text(event, event.profile.role)) or "message"
    return OneLineText(role, one_line(content, LINE_CHARS), _joined(_tokens(event), _latency(event)))


def session_start(event: Event) -> OneLineText:
    """Return agent, model and channel."""
    agent = f"{event.agent} on {event.model}" if event.agent and event.model else event.agent or event.model
    return OneLineText("started", _joined(agent, _short(text(event, event.profile.channel))))


def session_end(event: Event) -> OneLineText:
    """Return the outcome, and how long the session took."""
    profile = event.profile
    duration_ms = _duration_ms(event)
    return OneLineText(
        "ended",
        _joined(_short(text(event, profile.outcome_text)), _counted(text(event, profile.total_messages), "message")),
        format_milliseconds(duration_ms) if duration_ms is not None else "",
    )


def summary(event: Event) -> OneLineText:
    """Return the summary's text, and the number of messages that it replaces."""
    replaced = _counted(text(event, event.profile.removed_count), "message")
    line = labelled(event, "summary", event.profile.summary)
    return replace(line, metrics=_joined(f"of {replaced}" if replaced else "", _tokens(event)))


def memory_clearing(event: Event) -> OneLineText:
    """Return the reason."""
    return labelled(event, "memory cleared", event.profile.reason)


def labelled(event: Event, label: str, names: tuple[str, ...]) -> OneLineText:
    """Return a label and the first of these fields with a text. Without one, the line shows all fields."""
    return OneLineText(label, one_line(text(event, names) or _listed(event), LINE_CHARS))


def tool_call(event: Event) -> OneLineText:
    """Return the tool and its arguments."""
    return _call(event, "tool")


def search(event: Event) -> OneLineText:
    """Return the tool, its arguments or the query, and the number of results."""
    return _call(event, "search")


@dataclass(frozen=True, slots=True)
class BriefCall:
    """A tool call inside a message, with its arguments in short form."""

    tool: str
    arguments: str


def call_arguments(event: Event) -> str:
    """Return the arguments of a call, or its query, in short form on one line; "" without any."""
    profile = event.profile
    return one_line(_arguments(*_present(event, profile.arguments)) or text(event, profile.query), LINE_CHARS)


def calls_in(event: Event) -> tuple[BriefCall, ...]:
    """Return the tool calls inside a message."""
    calls = (part for part in event.parts if part.kind == "call")
    return tuple(BriefCall(part.tool, one_line(_arguments(part.arguments, True), LINE_CHARS)) for part in calls)


def _call(event: Event, default_name: str) -> OneLineText:
    profile = event.profile
    arguments = call_arguments(event)
    if not arguments and not event.tool:
        arguments = _listed(event)
    results = count(event, profile.results_count)
    results = count(event, profile.results) if results is None else results
    result_count = "" if results is None else "no results" if results == 0 else format_count(results, "result")
    return OneLineText(
        "",
        one_line(f"{event.tool or default_name} {arguments}", LINE_CHARS).strip(),
        _joined(result_count, _latency(event)),
    )


def tool_return(event: Event) -> OneLineText:
    """Return the tool and its result."""
    result, is_flat = _present(event, event.profile.result_text)
    if result is None:  # null, or no such field
        shown_result = "null" if any(name in event.data for name in event.profile.result_text) else _listed(event)
    else:
        shown_result = _arguments(result, is_flat)
    return OneLineText(
        "",
        one_line(f"{event.tool or 'tool'} → {shown_result or ('(empty)' if result == '' else '{}')}", LINE_CHARS),
        _joined(_tokens(event), _latency(event)),
    )


def any_event(event: Event) -> OneLineText:
    """Return the summary of an event of any type: its most telling text, else its fields."""
    label = _short(text(event, event.profile.role)) or event.tool or ("" if "agent" in event.inherited else event.agent)
    return OneLineText(
        one_line(label, _PART_CHARS),
        one_line(_prose(event) or _listed(event), LINE_CHARS),
        _joined(_tokens(event), _latency(event)),
    )


def _short(content: str) -> str:
    """Return the beginning of a value that is normally one word."""
    return one_line(content, _PART_CHARS)


def _counted(number: str, noun: str) -> str:
    """Return a whole number of at most nine digits with its noun; "" for any other text."""
    return format_count(int(number), noun) if number.isdecimal() and len(number) < 10 else ""


def _duration_ms(event: Event) -> float | None:
    try:
        duration_ms = float(text(event, event.profile.duration_ms))
    except ValueError:
        return None
    return duration_ms if 0 <= duration_ms < 1e15 else None


def _prose(event: Event) -> str:
    texts = (text(event, (name,)).strip() for name in event.profile.prose)
    return next(filter(None, texts), "")


def _listed(event: Event) -> str:
    """Return the fields other than those shown apart, name by name."""
    shown_apart = {*event.shown_apart, event.json_field}
    other_fields = {name: value for name, value in event.data.items() if name not in shown_apart}
    return _pairs(other_fields, _flat_names(event)) or ("(no other fields)" if event.fields else "(no fields)")


def _present(event: Event, names: tuple[str, ...]) -> tuple[Any, bool]:
    """Return the value of the first of these fields that the event has, and whether a flat field has it."""
    name = next((name for name in names if name in event.data), "")
    return event.data.get(name), name in _flat_names(event)


def _flat_names(event: Event) -> frozenset[str]:
    """Return the names of the fields outside JSON. Their values are texts, whatever they look like."""
    return frozenset(name_of(name) for name, value in event.entry.pairs if value)


def _arguments(value: Any, is_flat: bool) -> str:
    """Return arguments or a result in short form: `JFK→SEA, date 2024-05-20`, `[12 items]`, or the text itself."""
    if isinstance(value, str) and not is_flat and _reads_as_json(value):
        return json.dumps(value, ensure_ascii=False)
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


def _pairs(values: Mapping[str, Any], flat: Collection[str] = ()) -> str:
    """Return values with their names. A text in JSON that reads as another JSON value is quoted: `"5"` is not `5`."""
    remaining = dict(values)
    parts: list[str] = []
    for origin, destination in _ORIGIN:
        if isinstance(remaining.get(origin), str) and isinstance(remaining.get(destination), str):
            start, end = remaining.pop(origin), remaining.pop(destination)
            parts.append(f"{one_line(start, _PART_CHARS)}→{one_line(end, _PART_CHARS)}")
    if len(remaining) == 1 and not parts:
        name = next(iter(remaining))
        return _brief(remaining[name], name in flat)
    for name in list(remaining)[:_PARTS]:
        parts.append(f"{one_line(name, _PART_CHARS)} {_brief(remaining[name], name in flat)}")
    if len(remaining) > _PARTS:
        parts.append(f"and {len(remaining) - _PARTS} more")
    return ", ".join(parts)


def _brief(value: Any, is_flat: bool = False) -> str:
    if isinstance(value, Mapping):
        return "{}" if not value else f"{{{format_count(len(value), 'key')}}}"
    if isinstance(value, list):
        return "[]" if not value else f"[{format_count(len(value), 'item')}]"
    is_plain = isinstance(value, str) and (is_flat or not _reads_as_json(value))
    return one_line(value if is_plain else json.dumps(value, ensure_ascii=False), _PART_CHARS)


def _reads_as_json(value: str) -> bool:
    """Return whether a text looks like a number, a constant or a quoted text of JSON, or is empty."""
    return not value or _JSON_SCALAR.fullmatch(value) is not None


def _tokens(event: Event) -> str:
    return f"{event.tokens:,} tok" if event.tokens else ""


def _latency(event: Event) -> str:
    return format_milliseconds(event.latency_ms) if event.latency_ms is not None else ""


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
