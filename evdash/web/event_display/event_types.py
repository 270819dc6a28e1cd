"""Categories of event types: colour, icon, and lane in a timeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from evdash.events.event import Event

LANES: Final = ("user", "assistant", "tools", "memory", "system")
# The number of colours for unknown types. A type's name selects its colour, so the colour is the same everywhere.
HUES: Final = 6


@dataclass(frozen=True, slots=True)
class EventCategory:
    """The display category of event types: colour (`category-NAME`), icon (`icon-ICON`) and lane."""

    name: str
    icon: str
    lane: str = "system"  # one of LANES
    words: frozenset[str] = frozenset()  # a type with one of these words belongs to the category


CATEGORIES: Final = (
    EventCategory("error", "error", "system", frozenset({"error", "errors", "exception", "failure", "failed"})),
    EventCategory("session", "session", "system", frozenset({"session", "conversation", "run", "trace"})),
    EventCategory(
        "message", "message", "assistant", frozenset({"message", "messages", "chat", "prompt", "completion"})
    ),
    EventCategory("summary", "summary", "memory", frozenset({"summary", "summaries"})),
    EventCategory("search", "search", "tools", frozenset({"search", "retrieval", "query", "lookup"})),
    EventCategory("memory", "memory", "memory", frozenset({"memory", "context", "cache"})),
    EventCategory("tool", "tool", "tools", frozenset({"tool", "tools", "function", "api", "http"})),
    EventCategory(
        "model", "model", "assistant", frozenset({"model", "llm", "generation", "inference", "embedding", "gen_ai"})
    ),
)
"""All categories of known words. The first word of a type that one of them has decides."""
_BY_WORD: Final = {word: category for category in reversed(CATEGORIES) for word in category.words}
_WORD = re.compile(r"[A-Za-z_]+")
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


def category_of(event_type: str) -> EventCategory:
    """Return the category of a type, by its first known word. The words of a type are runs of letters and underscores.

    A type without a known word gets one of HUES colours.
    """
    for word in _WORD.findall(event_type.lower()):
        if word in _BY_WORD:
            return _BY_WORD[word]
    if not event_type:
        return EventCategory("none", "other")
    return EventCategory(f"other-{crc32(event_type.encode('utf-8')) % HUES}", "other")


def lane_of(event: Event) -> str:
    """Return the lane of the event's actor, one of LANES.

    Session, summary and memory events have the lane of their category. Otherwise a message's role decides, else a
    tool, else the category.
    """
    category = category_of(event.type)
    if category.name in ("session", "summary", "memory"):
        return category.lane
    role = event.data.get("role")
    if isinstance(role, str) and category.name == "message":
        return _ROLES.get(role.lower(), "system")
    return "tools" if event.tool else category.lane
