"""Groups of errors that differ only in numbers and names, and a summary of each group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.error_fingerprints import masked
from evdash.events.inheritance import own_text
from evdash.events.namespaces import without_namespace


@dataclass(frozen=True, slots=True)
class ErrorGroupSummary:
    """Summary of a group of errors, over the errors added so far.

    `merged` is associative and commutative, so order never matters.
    """

    fingerprint: str
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
    users: frozenset[str]  # also inherited ones, if the changes have them
    unnamed: frozenset[str]  # sessions with an error that names no user

    @classmethod
    def of(cls, change: CountChange) -> ErrorGroupSummary:
        """Return the group of this one error."""
        event, user_id = change.event, own_text(change.event, "user")
        return cls(
            fingerprint=event.error_group,
            type=event.type,
            code=event.code,
            tool=own_text(event, "tool"),
            masked=masked(event.error, user_id, without_namespace(event.stream, event.session_id)),
            first=(event.entry_id, event.stream),
            last_id=event.entry_id,
            first_us=event.credible_us,
            last_us=event.credible_us,
            events=change.counts,
            sessions=frozenset({event.session_id} - {""}),
            users=frozenset({event.user_id} - {""}),
            unnamed=frozenset({event.session_id} - {""}) if not user_id else frozenset(),
        )

    def merged(self, other: ErrorGroupSummary) -> ErrorGroupSummary:
        """Return the sum of both. They must be of the same group and of different events."""
        return ErrorGroupSummary(
            fingerprint=self.fingerprint,
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
            unnamed=self.unnamed | other.unnamed,
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
