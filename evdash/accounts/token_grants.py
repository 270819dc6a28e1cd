"""Grants of API tokens: scopes, patterns of streams and users, and expiry."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, Condition
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound

SCOPES: Final = {
    "read": "metrics, and events as NDJSON",
    "export": "files: NDJSON, CSV, sessions as Markdown and HTML",
    "ingest": "reserved: no URL accepts it yet",
}
"""The scopes, each with what it allows."""
DEFAULT_SCOPES: Final = ("read", "export")
PATTERN_MAX_CHARS: Final = 200
PATTERNS_MAX: Final = 50


class InvalidGrant(ValueError):
    """An invalid scope, pattern or expiry. The message names the value and what is allowed."""


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """The rights of a token. Without patterns it is for all streams and users, without `lifetime` it does not expire.

    A pattern is a name, or the start of names with a star at its end, as in filters.
    """

    scopes: tuple[str, ...] = DEFAULT_SCOPES
    streams: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    lifetime: timedelta | None = None

    @classmethod
    def from_text(
        cls, scopes: Iterable[str] = (), streams: Iterable[str] = (), users: Iterable[str] = (), expires: str = ""
    ) -> Self:
        """Return the grant of the options of `create_token`. Raise InvalidGrant.

        A scope may be a list with commas. Without scopes, the grant has DEFAULT_SCOPES. `expires` is a span such as
        `30d`.
        """
        named = tuple(dict.fromkeys(name.strip() for text in scopes for name in text.split(",") if name.strip()))
        for name in named:
            if name not in SCOPES:
                raise InvalidGrant(f"Unknown scope {name[:40]!r}. Scopes: {', '.join(SCOPES)}.")
        return cls(named or DEFAULT_SCOPES, _patterns(streams, "stream"), _patterns(users, "user"), _lifetime(expires))


def _patterns(texts: Iterable[str], key: str) -> tuple[str, ...]:
    patterns = tuple(dict.fromkeys(texts))
    if len(patterns) > PATTERNS_MAX:
        raise InvalidGrant(f"{len(patterns)} patterns of {key}s; the limit is {PATTERNS_MAX}.")
    for pattern in patterns:
        start = pattern.removesuffix("*")
        if not pattern.strip() or "*" in start or len(pattern) > PATTERN_MAX_CHARS or "\x00" in pattern:
            raise InvalidGrant(
                f"Invalid {key} pattern {pattern[:40]!r}. Write a name or prefix* with at most {PATTERN_MAX_CHARS} "
                "characters."
            )
    return patterns


def _lifetime(text: str) -> timedelta | None:
    if not text:
        return None
    try:
        lifetime = TimeBound.parse(text).ago
    except InvalidTimeBound:
        lifetime = None
    if not lifetime:
        raise InvalidGrant(f"Invalid expiry {text[:40]!r}. Write a span such as 12h, 30d or 8w.")
    return lifetime


def outside_patterns(event_filter: EventFilter, streams: Sequence[str], users: Sequence[str]) -> str:
    """Return why a filter may match events outside the patterns, as a sentence; "" if it cannot.

    The rule: for each kind of pattern, the filter names at least one stream (or user), and each one that it names
    matches a pattern. Such conditions are alternatives to each other only, so no other event passes the filter.
    """
    for key, patterns in (("stream", streams), ("user", users)):
        if not patterns:
            continue
        named = [condition for condition in event_filter.conditions if condition.key == key and not condition.negated]
        if named and all(any(_is_within(condition, pattern, key) for pattern in patterns) for condition in named):
            continue
        allowed = ", ".join(patterns)
        return f"This token reads only events of {key} {allowed}. Add {key}=NAME, with allowed names only."
    return ""


def _is_within(condition: Condition, pattern: str, key: str) -> bool:
    """Return whether every value that the condition accepts matches the pattern."""
    start = pattern.removesuffix("*")
    if start == pattern:
        return not condition.prefix and condition.value == BY_NAME[key].normalized(pattern)
    if not start:  # any name, but not the events without one
        return condition.prefix or bool(condition.value)
    return condition.value.startswith(start)
