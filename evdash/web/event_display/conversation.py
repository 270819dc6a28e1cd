"""Events as turns of a conversation, with longer text than the one-line summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from evdash.events.event import Event
from evdash.web.event_display.event_types import category_of, lane_of
from evdash.web.event_display.one_line import describe_event

# Longer texts are cut here, because a page has a hundred turns. The opened event shows the whole text.
PROSE_CHARS: Final = 1_500
CODE_CHARS: Final = 600
_JSON_CHARS: Final = 20_000

_ARGUMENTS: Final = ("arguments", "args", "input")
_RESULTS: Final = ("result", "output", "content")


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One turn of a conversation: its speaker (a lane), its heading, and its text."""

    speaker: str
    head: str
    text: str
    is_code: bool
    is_cut: bool
    is_inline: bool  # one line between the turns


def turn_of(event: Event) -> ConversationTurn:
    """Return the turn of any event. An event outside the conversation becomes one line between the turns."""
    speaker, category = lane_of(event), category_of(event.type).name
    line = describe_event(event)
    if event.is_error:
        text = event.error or line.text
        head = "Error" + (f" {event.code}" if event.code and event.code != text else "")
        return _prose(speaker, f"{head} of {event.tool}" if event.tool else head, text)
    if category == "message" and (content := _said(event, "content", "text", "message")):
        return _prose(speaker, line.label, content)
    if category == "summary" and (content := _said(event, "summary", "content", "text")):
        return _prose(speaker, line.label, content)
    if category == "search":
        query = _said(event, "query")
        asked = _prose if query else _code
        return asked(speaker, event.tool or "search", query or _code_text(event, _ARGUMENTS))
    if event.type == "tool.called" and event.tool:
        return _code(speaker, event.tool, _code_text(event, _ARGUMENTS))
    if event.type == "tool.returned" and event.tool:
        return _code(speaker, f"{event.tool} returned", _code_text(event, _RESULTS))
    head = f"{line.label}: " if line.label and line.text else line.label
    return ConversationTurn(speaker, "", f"{head}{line.text}", is_code=False, is_cut=False, is_inline=True)


def _prose(speaker: str, head: str, text: str) -> ConversationTurn:
    return ConversationTurn(
        speaker, head, text[:PROSE_CHARS], is_code=False, is_cut=len(text) > PROSE_CHARS, is_inline=False
    )


def _code(speaker: str, head: str, text: str) -> ConversationTurn:
    return ConversationTurn(
        speaker, head, text[:CODE_CHARS], is_code=True, is_cut=len(text) > CODE_CHARS, is_inline=False
    )


def _said(event: Event, *names: str) -> str:
    texts = (event.data.get(name) for name in names)
    return next((text for text in texts if isinstance(text, str) and text.strip()), "")


def _code_text(event: Event, names: tuple[str, ...]) -> str:
    """Return the first of the named fields that the event has, as indented JSON; "" without one.

    A text that is not a JSON object or list, or is longer than _JSON_CHARS, is returned unchanged. An empty object or
    list becomes "".
    """
    value: Any = next((event.data[name] for name in names if name in event.data), "")
    if isinstance(value, str):
        if value.lstrip()[:1] not in ("{", "[") or len(value) > _JSON_CHARS:
            return value
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    if value in ({}, []):
        return ""
    return json.dumps(value, ensure_ascii=False, indent=2)
