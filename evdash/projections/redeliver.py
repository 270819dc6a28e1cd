"""Redelivering parked entries: each is applied from its parked copy, and leaves the parked ones when it was."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import redis

from evdash.events.entry_id import EntryId
from evdash.events.profile import decode
from evdash.projections.all import projection_of_group
from evdash.streams.client import StreamsUnavailable
from evdash.streams.operations import OperationRefused, Outcome, Preview
from evdash.streams.operations.outcomes import EXAMPLES, State, entries_in_words
from evdash.streams.parked import parked_count, parked_entry, remove_parked

logger = logging.getLogger("evdash.workers")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeliverParked:
    """Apply parked entries to the projections that gave them up; an entry applied meanwhile counts no second time."""

    action: ClassVar[str] = "redeliver"
    stream: str
    parked_ids: tuple[EntryId, ...]

    @property
    def title(self) -> str:
        """In words."""
        return f"Redeliver parked entries of {self.stream}"

    def preview(self, client: redis.Redis) -> Preview:
        """What it would do; changes nothing."""
        if not self.parked_ids:
            return Preview("", 0, refused="Say which parked entries.")
        found = [parked for each in self.parked_ids if (parked := parked_entry(client, self.stream, each))]
        if not found:
            refused = f"None of these entries of {self.stream} is parked any more."
            return Preview(refused, 0, refused=refused)
        groups = sorted({parked.group for parked in found})
        foreign = [group for group in groups if projection_of_group(group) is None]
        sentence = f"Applies {entries_in_words(len(found), 'parked')} of {self.stream} to {', '.join(groups)} now."
        if foreign:
            sentence += f" Those of {', '.join(foreign)} cannot be: evdash does not work for that group."
        gone = len(self.parked_ids) - len(found)
        if gone:
            sentence += f" {entries_in_words(gone)} of those named are parked no longer."
        return Preview(sentence, len(found), tuple(parked.entry.entry_id for parked in found[:EXAMPLES]))

    def execute(self, client: redis.Redis) -> Outcome:
        """Do it, one by one. Raises OperationRefused when there is none to do it with."""
        preview = self.preview(client)
        if preview.refused:
            raise OperationRefused(preview.refused)
        before = self._state(client)
        done: list[EntryId] = []
        failed: list[tuple[EntryId, str]] = []
        stopped = ""
        for parked_id in self.parked_ids:
            try:
                entry_id, problem = self._redeliver(client, parked_id)
            except StreamsUnavailable as outage:
                stopped = str(outage)
                break
            if problem:
                failed.append((entry_id, problem))
            else:
                done.append(entry_id)
        sentence = f"{entries_in_words(len(done), 'parked')} of {self.stream} {_was(len(done))} applied."
        if failed:
            sentence += f" {entries_in_words(len(failed))} {_was(len(failed))} not."
        return Outcome(
            done=len(done),
            sentence=sentence,
            before=before,
            after=self._state(client),
            failed=tuple(failed),
            stopped=stopped,
            done_ids=tuple(done),
        )

    def _redeliver(self, client: redis.Redis, parked_id: EntryId) -> tuple[EntryId, str]:
        """The entry's own ID, and why it could not be done."""
        parked = parked_entry(client, self.stream, parked_id)
        if parked is None:
            return parked_id, "It is parked no longer."
        projection = projection_of_group(parked.group)
        if projection is None:
            return parked.entry.entry_id, f"evdash does not work for the group {parked.group}."
        try:
            projection.apply([decode(parked.entry)])
        except Exception as error:  # whatever made it be parked
            logger.exception("%s still cannot apply %s of %s.", parked.group, parked.entry.entry_id, self.stream)
            return parked.entry.entry_id, f"It failed again: {type(error).__name__}: {error}"
        remove_parked(client, self.stream, [parked_id])
        return parked.entry.entry_id, ""

    def _state(self, client: redis.Redis) -> State:
        try:
            return {"parked": parked_count(client, self.stream)}
        except StreamsUnavailable:
            return {}


def _was(number: int) -> str:
    return "was" if number == 1 else "were"
