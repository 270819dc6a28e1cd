"""What a worker asks of a projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from evdash.events.entry import EntryId
from evdash.events.event import Event


class Projection(Protocol):
    """What turns events into tables; `apply` commits before it returns and counts no event twice."""

    group: str
    fills_log: ClassVar[bool]

    def apply(self, events: Sequence[Event]) -> int:
        """Commit these events; returns how many were new."""

    def probe(self) -> None:
        """Raises a database's error when nothing at all can be committed."""

    def not_applied(self, stream: str, entry_ids: Sequence[EntryId]) -> list[EntryId]:
        """Those of these entries that were not applied and are not left out on purpose, in their order."""

    def applied_between(self, stream: str, after: EntryId, through: EntryId) -> int:
        """How many entries of this range were applied, or are accounted for by gaps."""

    def record_removed(self, stream: str, entry_ids: Sequence[EntryId]) -> int:
        """These entries, pending in the group, are gone from the stream; returns how many were never applied."""

    def record_missing(self, stream: str, first_id: EntryId | None, last_id: EntryId, entries: int) -> None:
        """So many entries of this range are gone from the stream; None: of all before the first that was applied."""

    def record_parked(self, stream: str, entry_id: EntryId, reason: str) -> None:
        """This entry is about to be parked; told again after a crash in between."""
