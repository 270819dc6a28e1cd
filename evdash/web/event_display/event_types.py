"""The style of event types: colour, symbol, and lane in a timeline."""

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
class TypeStyle:
    """The style of a type: CSS class `kind-<name>` and symbol `glyph-<glyph>`."""

    name: str
    glyph: str


_FAMILIES: Final[tuple[tuple[TypeStyle, frozenset[str]], ...]] = (
    (TypeStyle("error", "error"), frozenset({"error", "errors", "exception", "failure", "failed"})),
    (TypeStyle("session", "session"), frozenset({"session", "conversation", "run", "trace"})),
    (TypeStyle("message", "message"), frozenset({"message", "messages", "chat", "prompt", "completion"})),
    (TypeStyle("summary", "summary"), frozenset({"summary", "summaries"})),
    (TypeStyle("search", "search"), frozenset({"search", "retrieval", "query", "lookup"})),
    (TypeStyle("memory", "memory"), frozenset({"memory", "context", "cache"})),
    (TypeStyle("tool", "tool"), frozenset({"tool", "tools", "function", "api", "http"})),
    (TypeStyle("model", "model"), frozenset({"model", "llm", "generation", "inference", "embedding", "gen_ai"})),
)
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
_LANE_OF_KIND: Final = {
    "message": "assistant",
    "model": "assistant",
    "tool": "tools",
    "search": "tools",
    "summary": "memory",
    "memory": "memory",
}


def style_of(event_type: str) -> TypeStyle:
    """Return the style of a type, by its first known word. The words of a type are runs of letters and underscores."""
    for word in _WORD.findall(event_type.lower()):
        for kind, words in _FAMILIES:
            if word in words:
                return kind
    if not event_type:
        return TypeStyle("none", "other")
    return TypeStyle(f"other-{crc32(event_type.encode('utf-8')) % HUES}", "other")


def lane_of(event: Event) -> str:
    """Return the lane of the event's actor, one of LANES.

    Session, summary and memory events have the lane of their type. Otherwise a message's role decides, else a tool,
    else the type.
    """
    kind = style_of(event.type).name
    if kind in ("session", "summary", "memory"):
        return _LANE_OF_KIND.get(kind, "system")
    role = event.data.get("role")
    if isinstance(role, str) and kind == "message":
        return _ROLES.get(role.lower(), "system")
    if event.tool:
        return "tools"
    return _LANE_OF_KIND.get(kind, "system")
