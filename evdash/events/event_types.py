"""Event types: each one declared once, with its category, its texts, its effect on states and its counter."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from zlib import crc32

from evdash.events import conversation as turns
from evdash.events import one_line as lines
from evdash.events.conversation import ConversationTurn, TurnText
from evdash.events.event import Event
from evdash.events.field_values import present
from evdash.events.one_line import OneLineText
from evdash.events.session.aspects import (
    Aspect,
    with_clearing,
    with_end,
    with_message,
    with_other_type,
    with_summary,
)

OneLine = Callable[[Event], OneLineText]
Turn = Callable[[Event], TurnText | None]
"""The text of a turn; None for an event that is one line between the turns."""

LANES: Final = ("user", "assistant", "tools", "memory", "system")
# The number of colours for unknown types. A type's name selects its colour, so the colour is the same everywhere.
HUES: Final = 6


@dataclass(frozen=True, slots=True)
class EventCategory:
    """The display category of event types: colour (`category-NAME`), icon (`icon-ICON`) and lane.

    Types that are not declared belong to a category by their words, and have its texts.
    """

    name: str
    icon: str
    lane: str = "system"  # one of LANES
    words: frozenset[str] = frozenset()  # a type with one of these words belongs to the category
    lane_by: Literal["role", "tool", "category"] = "tool"  # lane_of
    one_line: OneLine = lines.any_event
    turn: Turn | None = None


ERROR: Final = EventCategory("error", "error")
SESSION: Final = EventCategory(
    "session", "session", "system", frozenset({"session", "conversation", "trace"}), lane_by="category"
)
MESSAGE: Final = EventCategory(
    "message",
    "message",
    "assistant",
    frozenset({"message", "messages", "chat", "prompt", "completion"}),
    lane_by="role",
    turn=turns.message,
)
SUMMARY: Final = EventCategory(
    "summary",
    "summary",
    "memory",
    frozenset({"summary", "summaries"}),
    lane_by="category",
    turn=turns.summary,
)
SEARCH: Final = EventCategory(
    "search",
    "search",
    "tools",
    frozenset({"search", "retrieval", "query", "lookup"}),
    one_line=lines.search,
    turn=turns.search,
)
MEMORY: Final = EventCategory(
    "memory", "memory", "memory", frozenset({"memory", "context", "cache"}), lane_by="category"
)
TOOL: Final = EventCategory("tool", "tool", "tools", frozenset({"tool", "tools", "function", "api", "http"}))
MODEL: Final = EventCategory(
    "model", "model", "assistant", frozenset({"model", "llm", "generation", "inference", "embedding", "gen"})
)

CATEGORIES: Final = (ERROR, SESSION, MESSAGE, SUMMARY, SEARCH, MEMORY, TOOL, MODEL)
"""All categories of known words. The first word of a type that one of them has decides, unless the type is an error."""
_ERROR_WORDS: Final = frozenset({"error", "errors", "errored", "exception", "failure", "failed"})
_ERROR_HAPPENED: Final = frozenset({"occurred", "raised", "thrown"})


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of events, and everything that depends on it.

    An event that is an error has the summary and the turn of errors instead of those here.
    """

    name: str  # as entries have it
    category: EventCategory
    one_line: OneLine
    turn: Turn | None = None  # None: one line between the turns
    aspects: tuple[Aspect, ...] = (with_other_type,)  # of the fold, after those of every event
    call: Literal["", "tool", "search", "return"] = ""  # a call of a tool, a search, or a return
    starts_session: bool = False
    ends_session: bool = False
    means_error: bool = False  # each event of the type is an error
    counts_as: Literal["", "messages", "tool_calls", "searches"] = ""  # the counter in summaries of sessions

    @property
    def is_call(self) -> bool:
        """True if a return may follow."""
        return self.call in ("tool", "search")


EVENT_TYPES: Final = (
    EventType("session.started", SESSION, lines.session_start, aspects=(), starts_session=True),
    EventType("session.ended", SESSION, lines.session_end, aspects=(with_end,), ends_session=True),
    EventType(
        "message.added",
        MESSAGE,
        lines.message,
        turns.message,
        aspects=(with_message,),
        counts_as="messages",
    ),
    EventType("summary.created", SUMMARY, lines.summary, turns.summary, aspects=(with_summary,)),
    EventType("memory.cleared", MEMORY, lines.memory_clearing, aspects=(with_clearing,)),
    EventType(
        "search.performed",
        SEARCH,
        lines.search,
        turns.search,
        aspects=(),
        call="search",
        counts_as="searches",
    ),
    EventType(
        "tool.called",
        TOOL,
        lines.tool_call,
        turns.tool_call,
        aspects=(),
        call="tool",
        counts_as="tool_calls",
    ),
    EventType("tool.returned", TOOL, lines.tool_return, turns.tool_return, aspects=(), call="return"),
    EventType("error.occurred", ERROR, lines.any_event, aspects=(), means_error=True),
)
"""All declared types. Any other type has the texts of its category, and states list it among other types."""
_BY_NAME: Final = {each.name: each for each in EVENT_TYPES}
_BY_WORD: Final = {word: category for category in reversed(CATEGORIES) for word in category.words}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+")
_ROLES: Final = {
    "user": "user",
    "human": "user",
    "customer": "user",
    "assistant": "assistant",
    "agent": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tools",
    "function": "tools",
}


def type_of(event_type: str) -> EventType:
    """Return the declared type of this name, or one with the texts of its category."""
    return _BY_NAME.get(event_type) or _undeclared(event_type)


@lru_cache(maxsize=4096)
def _undeclared(event_type: str) -> EventType:
    words = [word.lower() for word in _WORD.findall(event_type)]
    if _is_error(words):
        return EventType(event_type, ERROR, lines.any_event, means_error=True)
    category = _category_by_words(event_type, words)
    return EventType(event_type, category, category.one_line, category.turn)


def _is_error(words: list[str]) -> bool:
    """Return whether the last word says so: `job.failed` is an error, `error.resolved` is none."""
    if words and words[-1] in _ERROR_HAPPENED:
        words = words[:-1]
    return bool(words) and words[-1] in _ERROR_WORDS


def _category_by_words(event_type: str, words: list[str]) -> EventCategory:
    """Return the category of the type's first known word. Words may be in snake_case or camelCase.

    A type without a known word gets one of HUES colours.
    """
    for word in words:
        if word in _BY_WORD:
            return _BY_WORD[word]
    if not event_type:
        return EventCategory("none", "other")
    return EventCategory(f"other-{crc32(event_type.encode('utf-8')) % HUES}", "other")


def category_of(event_type: str) -> EventCategory:
    """Return the category of the type of this name."""
    return type_of(event_type).category


def lane_of(event: Event) -> str:
    """Return the lane of the event's actor, one of LANES.

    A message's role decides. Without one, and for other events, an event with a tool has the lane of tools, any other
    that of its category. Session, summary and memory events always have the lane of their category.
    """
    category = category_of(event.type)
    if category.lane_by == "category":
        return category.lane
    role = present(event, event.profile.role) if category.lane_by == "role" else None
    if isinstance(role, str):
        return _ROLES.get(role.lower(), "system")
    return "tools" if event.tool else category.lane


def describe_event(event: Event) -> OneLineText:
    """Return the one-line summary of any event, including one of an unknown type."""
    return lines.error(event) if event.is_error else type_of(event.type).one_line(event)


def turn_of(event: Event) -> ConversationTurn:
    """Return the turn of any event. An event outside the conversation becomes one line between the turns."""
    speaker, line, turn = lane_of(event), describe_event(event), type_of(event.type).turn
    turn_text = turns.error(event, line.text) if event.is_error else turn(event) if turn else None
    if turn_text is not None:
        return turn_text.spoken_by(speaker, line.label)
    head = f"{line.label}: " if line.label and line.text else line.label
    return ConversationTurn(speaker, "", f"{head}{line.text}", "text", is_inline=True)
