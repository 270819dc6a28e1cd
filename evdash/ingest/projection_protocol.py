"""The interface between a worker and a projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from evdash.events.entry import EntryId
from evdash.events.event import Event


class Projection(Protocol):
    """Code that derives tables from events. `apply` commits before it returns and counts no event twice."""

    group: str
    fills_log: ClassVar[bool]

    def apply(self, events: Sequence[Event]) -> int:
        """Commit the events and return how many of them were new."""

    def probe(self) -> None:
        """Raise the database's error if nothing at all can be committed."""

    def not_applied(self, stream: str, entry_ids: Sequence[EntryId]) -> list[EntryId]:
        """Return the entries that were neither applied nor left out on purpose, in the given order."""

    def applied_between(self, stream: str, after: EntryId, through: EntryId) -> int:
        """Return how many entries of this range were applied or are accounted for by gaps."""

    def record_removed(self, stream: str, entry_ids: Sequence[EntryId]) -> int:
        """Record that these pending entries are gone from the stream; return how many were never applied."""

    def record_missing(self, stream: str, first_id: EntryId | None, last_id: EntryId, entries: int) -> None:
        """Record that this number of entries of the range is gone from the stream.

        `first_id` None: the range is everything before the first applied entry.
        """

    def record_parked(self, stream: str, entry_id: EntryId, reason: str) -> None:
        """Record that this entry is about to be dead-lettered; called again after a crash in between."""
