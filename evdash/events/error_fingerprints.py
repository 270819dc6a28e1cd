"""Groups of errors that differ only in numbers and names, and a summary of each group."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event

MASKED_MAX_CHARS = 300
# Longer texts are cut before they are masked, because the beginning distinguishes errors.
_READ_MAX_CHARS = 2_000

_MASKS = (
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b"), "<time>"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+\b"), "<email>"),
    (re.compile(r"\b\w+://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"\"[^\"\n]{1,200}\""), "<text>"),
    (re.compile(r"(?<!\w)'[^'\n]{1,200}'(?!\w)"), "<text>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<number>"),
    # A name with a digit in it: HAT290, user_17, airline-25-t1.
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[^\W\d])\w[\w-]*"), "<name>"),
    (re.compile(r"(?<![\w<])[-+]?\d(?:[\d,]*\d)?(?:\.\d+)?%?"), "<number>"),
)
_SPACE = re.compile(r"\s+")


def masked(event: Event) -> str:
    """Return the error's text with masks for its variable parts: numbers, times, names, quoted text."""
    text = event.error[:_READ_MAX_CHARS].replace("\x00", "\\x00")  # PostgreSQL's text type rejects NUL
    for own, mask in ((event.user_id, "<user>"), (event.session_id, "<session>")):
        if len(own) >= 3:
            text = text.replace(own, mask)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return _SPACE.sub(" ", text).strip()[:MASKED_MAX_CHARS]


@dataclass(frozen=True, slots=True)
class ErrorGroupSummary:
    """Summary of a group of errors, over the errors added so far.

    `merged` is associative and commutative, so order never matters.
    """

    type: str
    code: str
    tool: str
    masked: str
    first: tuple[EntryId, str]  # the earliest error: entry ID and stream
    last_id: EntryId
    first_us: int  # Unix microseconds
    last_us: int
    events: int
    sessions: frozenset[str]
    users: frozenset[str]

    @classmethod
    def of(cls, change: CountChange) -> ErrorGroupSummary:
        """Return the group of this one error."""
        event = change.event
        return cls(
            type=event.type,
            code=event.code,
            tool=event.tool,
            masked=masked(event),
            first=(event.entry_id, event.stream),
            last_id=event.entry_id,
            first_us=event.credible_us,
            last_us=event.credible_us,
            events=change.counts,
            sessions=frozenset({event.session_id} - {""}),
            users=frozenset({event.user_id} - {""}),
        )

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal digits, equal for errors of the same type, code, tool and masked text."""
        parts = "\x1f".join((self.type, self.code, self.tool, self.masked))
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()

    def merged(self, other: ErrorGroupSummary) -> ErrorGroupSummary:
        """Return the sum of both. They must be of the same group and of different events."""
        return ErrorGroupSummary(
            type=self.type,
            code=self.code,
            tool=self.tool,
            masked=self.masked,
            first=min(self.first, other.first),
            last_id=max(self.last_id, other.last_id),
            first_us=min(self.first_us, other.first_us),
            last_us=max(self.last_us, other.last_us),
            events=self.events + other.events,
            sessions=self.sessions | other.sessions,
            users=self.users | other.users,
        )


def error_groups_of(changes: Iterable[CountChange]) -> Mapping[str, ErrorGroupSummary]:
    """Return the groups of the errors among these changes, by fingerprint."""
    groups: dict[str, ErrorGroupSummary] = {}
    for change in changes:
        if change.event.is_error:
            group = ErrorGroupSummary.of(change)
            earlier = groups.get(group.fingerprint)
            groups[group.fingerprint] = earlier.merged(group) if earlier else group
    return groups
