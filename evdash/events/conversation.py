"""Turns of a conversation: whole texts instead of one-line summaries. A function for each event type or category."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from evdash.events.event import Event
from evdash.events.field_values import empty_text, message_text, present, prose
from evdash.events.one_line import LINE_CHARS, BriefCall, call_arguments, calls_in
from evdash.events.text import one_line

_JSON_CHARS: Final = 20_000
_PROMPT_CHARS: Final = 120
TextKind = Literal["prose", "text", "code"]
"""The form of a text: prose may be Markdown, code has a monospaced font."""


@dataclass(frozen=True, slots=True)
class ConversationTurn:
    """One turn of a conversation: its speaker (a lane), its heading, and its whole text."""

    speaker: str
    head: str
    text: str
    kind: TextKind
    is_inline: bool  # one line between the turns
    brief: str = ""  # the text in one line, which is enough until the reader opens the turn; "": it is not
    calls: tuple[BriefCall, ...] = ()  # the tool calls inside a message


@dataclass(frozen=True, slots=True)
class TurnText:
    """The text of a turn, of any length."""

    text: str
    head: str = ""  # "": the label of the one-line summary
    kind: TextKind = "prose"
    brief: str = ""
    calls: tuple[BriefCall, ...] = ()

    def spoken_by(self, speaker: str, label: str) -> ConversationTurn:
        """Return the turn of this speaker. `label`: that of the one-line summary."""
        return ConversationTurn(
            speaker, self.head or label, self.text, self.kind, is_inline=False, brief=self.brief, calls=self.calls
        )


def error(event: Event, line: str) -> TurnText:
    """Return the text of an event that is an error, whatever its type. `line`: the text of its one-line summary."""
    message = event.error or line
    head = "Error" + (f" {event.code}" if event.code and event.code != message else "")
    return TurnText(message, f"{head} of {event.tool}" if event.tool else head, "text")


def message(event: Event) -> TurnText | None:
    """Return the content and the tool calls inside the message; None without both.

    A system prompt of several lines, or longer than one, is brief.
    """
    content = message_text(event) if event.parts else prose(event, event.profile.content)
    calls = calls_in(event)
    if not content and not calls:
        return None
    is_prompt = present(event, event.profile.role) in ("system", "developer")
    is_long = len(content) > _PROMPT_CHARS or "\n" in content.strip()
    is_result = bool(event.parts) and all(part.kind == "return" for part in event.parts)
    brief = one_line(content, LINE_CHARS) if is_prompt and is_long else ""
    return TurnText(content, kind="code" if is_result else "prose", brief=brief, calls=calls)


def summary(event: Event) -> TurnText | None:
    """Return the summary's text; None without one."""
    content = prose(event, event.profile.summary)
    return TurnText(content) if content else None


def search(event: Event) -> TurnText:
    """Return the query, or the arguments if there is none."""
    head, brief = event.tool or "search", call_arguments(event)
    if query := prose(event, event.profile.query):
        return TurnText(query, head, "text", one_line(query, LINE_CHARS))
    return TurnText(_code(event, event.profile.arguments), head, "code", brief)


def tool_call(event: Event) -> TurnText | None:
    """Return the arguments; None if the event does not name the tool."""
    if not event.tool:
        return None
    return TurnText(_code(event, event.profile.arguments), event.tool, "code", call_arguments(event))


def tool_return(event: Event) -> TurnText | None:
    """Return the result; None if the event does not name the tool."""
    if not event.tool:
        return None
    result = empty_text(present(event, event.profile.result_text, 0)) or _code(event, event.profile.result_text)
    return TurnText(result, f"{event.tool} returned", "code")


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
