"""Turns of a conversation: longer texts than one-line summaries. A function for each event type or category."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from evdash.events.event import Event
from evdash.events.field_values import calls_in_message, empty_text, message_text, present, prose

# Longer texts are cut here, because a page has a hundred turns. The opened event shows the whole text.
PROSE_CHARS: Final = 1_500
CODE_CHARS: Final = 600
_JSON_CHARS: Final = 20_000


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One turn of a conversation: its speaker (a lane), its heading, and its text."""

    speaker: str
    head: str
    text: str
    is_code: bool
    is_cut: bool
    is_inline: bool  # one line between the turns


@dataclass(frozen=True, slots=True)
class TurnText:
    """The text of a turn, of any length."""

    text: str
    head: str = ""  # "": the label of the one-line summary
    is_code: bool = False

    def spoken_by(self, speaker: str, label: str) -> ConversationTurn:
        """Return the turn of this speaker. `label`: that of the one-line summary."""
        most = CODE_CHARS if self.is_code else PROSE_CHARS
        is_cut = len(self.text) > most
        return ConversationTurn(speaker, self.head or label, self.text[:most], self.is_code, is_cut, is_inline=False)


def error(event: Event, line: str) -> TurnText:
    """Return the text of an event that is an error, whatever its type. `line`: the text of its one-line summary."""
    message = event.error or line
    head = "Error" + (f" {event.code}" if event.code and event.code != message else "")
    return TurnText(message, f"{head} of {event.tool}" if event.tool else head)


def message(event: Event) -> TurnText | None:
    """Return the content, then the tool calls inside the message; None without both."""
    content = message_text(event) if event.parts else prose(event, event.profile.content)
    text = "\n".join(filter(None, [content, calls_in_message(event)]))
    return TurnText(text) if text else None


def summary(event: Event) -> TurnText | None:
    """Return the summary's text; None without one."""
    content = prose(event, event.profile.summary)
    return TurnText(content) if content else None


def search(event: Event) -> TurnText:
    """Return the query, or the arguments if there is none."""
    head = event.tool or "search"
    if query := prose(event, event.profile.query):
        return TurnText(query, head)
    return TurnText(_code(event, event.profile.arguments), head, is_code=True)


def tool_call(event: Event) -> TurnText | None:
    """Return the arguments; None if the event does not name the tool."""
    return TurnText(_code(event, event.profile.arguments), event.tool, is_code=True) if event.tool else None


def tool_return(event: Event) -> TurnText | None:
    """Return the result; None if the event does not name the tool."""
    if not event.tool:
        return None
    result = empty_text(present(event, event.profile.result_text, 0)) or _code(event, event.profile.result_text)
    return TurnText(result, f"{event.tool} returned", is_code=True)


def _code(event: Event, names: tuple[str, ...]) -> str:
    """Return the first of these fields that the event has, as indented JSON; "" without one.

    A text that is not a JSON object or list, or is longer than _JSON_CHARS, is returned unchanged. An empty object or
    list becomes "".
    """
    value: Any = present(event, names, "")
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
