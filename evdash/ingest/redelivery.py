"""Redelivery of dead-lettered entries: the dead-lettered copy is applied, and then removed from the dead-letter stream.

evdash cannot apply a dead-lettered entry of another program's group. Such an entry becomes pending again for the
consumer that had it, if its stream still contains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import redis
from structlog.stdlib import get_logger

from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.ingest.projections.registry import projection_of_group
from evdash.streams.client import StreamsUnavailable
from evdash.streams.commands import AcknowledgeEntries, Operation, OperationRefused, Outcome, ParkEntries, Preview
from evdash.streams.commands.outcomes import EXAMPLES, State, entries_in_words
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from evdash.streams.dead_letters import ParkedEntry, parked_count, parked_entry, remove_parked
from evdash.streams.reads import read_entry

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedeliverParked:
    """Apply dead-lettered entries to their projections, or return them to groups of other programs.

    An entry that was applied meanwhile is not counted a second time.
    """

    action: ClassVar[str] = "redeliver"
    stream: str
    parked_ids: tuple[EntryId, ...]

    @property
    def title(self) -> str:
        """Title for the user interface."""
        return f"Redeliver parked entries of {self.stream}"

    def receivers(self, client: redis.Redis) -> tuple[tuple[str, str], ...]:
        """Return the groups of other programs, and their consumers, that get the entries back."""
        parked_now = _still_parked(client, self.stream, self.parked_ids)
        if isinstance(parked_now, Preview):
            return ()
        others = ((parked.group, parked.consumer) for parked in parked_now if not projection_of_group(parked.group))
        return tuple(dict.fromkeys(others))

    def preview(self, client: redis.Redis) -> Preview:
        """Describe the effect without changing anything."""
        parked_now = _still_parked(client, self.stream, self.parked_ids)
        if isinstance(parked_now, Preview):
            return parked_now
        own = [parked for parked in parked_now if projection_of_group(parked.group)]
        others = [parked for parked in parked_now if parked not in own]
        sentences = []
        if own:
            sentences.append(f"Applies {entries_in_words(len(own), 'parked')} of {self.stream} to {_groups(own)} now.")
        if others:
            sentences.append(
                f"Returns {entries_in_words(len(others), 'parked')} of {self.stream} to {_groups(others)} as pending "
                "entries of the previous consumer. The group has to apply them."
            )
        sentence = " ".join(sentences)
        gone = len(self.parked_ids) - len(parked_now)
        if gone:
            sentence += f" {entries_in_words(gone, 'selected')} {'is' if gone == 1 else 'are'} no longer parked."
        return Preview(sentence, len(parked_now), tuple(parked.entry.entry_id for parked in parked_now[:EXAMPLES]))

    def execute(self, client: redis.Redis) -> Outcome:
        """Redeliver the entries one by one. Raises OperationRefused if none of them is dead-lettered."""
        preview = self.preview(client)
        if preview.refused:
            raise OperationRefused(preview.refused)
        before = _state(client, self.stream)
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
        sentence = f"{entries_in_words(len(done), 'parked')} of {self.stream} {_was(len(done))} redelivered."
        if failed:
            sentence += f" {entries_in_words(len(failed))} {_was(len(failed))} not."
        return Outcome(
            done=len(done),
            sentence=sentence,
            before=before,
            after=_state(client, self.stream),
            failed=tuple(failed),
            stopped=stopped,
            done_ids=tuple(done),
        )

    def _redeliver(self, client: redis.Redis, parked_id: EntryId) -> tuple[EntryId, str]:
        """Return the entry's original ID and the reason of a failure; the reason is empty after a success."""
        parked = parked_entry(client, self.stream, parked_id)
        if parked is None:
            return parked_id, "No longer parked."
        projection = projection_of_group(parked.group)
        if projection is None:
            return parked.entry.entry_id, self._give_back(client, parked)
        try:
            projection.apply([decode(parked.entry)])
        except Exception as error:  # the cause of the dead-lettering may be any error
            logger.exception(
                "redelivered entry not applied",
                group=parked.group,
                stream=self.stream,
                entry_id=parked.entry.entry_id,
            )
            return parked.entry.entry_id, f"Failed again: {type(error).__name__}: {error}"
        remove_parked(client, self.stream, [parked_id])
        return parked.entry.entry_id, ""

    def _give_back(self, client: redis.Redis, parked: ParkedEntry) -> str:
        entry_id = parked.entry.entry_id
        consumer = GroupConsumer(client, parked.group, parked.consumer)
        try:
            if not consumer.deliveries_of(self.stream, [entry_id]):
                consumer.make_pending(self.stream, [entry_id])
                if read_entry(client, self.stream, entry_id) is None:
                    consumer.acknowledge(self.stream, [entry_id])  # servers before 7 make a missing entry pending, too
                    return f"Deleted from the stream, cannot be returned to {parked.group}. Discard it."
        except GroupMissing as missing:
            return f"{missing} Discard it."
        remove_parked(client, self.stream, [parked.parked_id])
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscardParked:
    """Permanently remove dead-lettered copies that cannot be applied or need not be."""

    action: ClassVar[str] = "discard"
    stream: str
    parked_ids: tuple[EntryId, ...]

    @property
    def title(self) -> str:
        """Title for the user interface."""
        return f"Discard parked entries of {self.stream}"

    def preview(self, client: redis.Redis) -> Preview:
        """Describe the effect without changing anything."""
        parked_now = _still_parked(client, self.stream, self.parked_ids)
        if isinstance(parked_now, Preview):
            return parked_now
        lost = [parked for parked in parked_now if read_entry(client, self.stream, parked.entry.entry_id) is None]
        sentence = f"Deletes {entries_in_words(len(parked_now), 'parked')} of {self.stream} ({_groups(parked_now)})."
        if lost:
            sentence += (
                f" {entries_in_words(len(lost))} of these {'is' if len(lost) == 1 else 'are'} no longer in the stream."
            )
        return Preview(sentence, len(parked_now), tuple(parked.entry.entry_id for parked in parked_now[:EXAMPLES]))

    def execute(self, client: redis.Redis) -> Outcome:
        """Remove all copies at once. Raises OperationRefused if none of the entries is dead-lettered."""
        preview = self.preview(client)
        if preview.refused:
            raise OperationRefused(preview.refused)
        before = _state(client, self.stream)
        parked_now = [
            parked for parked_id in self.parked_ids if (parked := parked_entry(client, self.stream, parked_id))
        ]
        done = remove_parked(client, self.stream, [parked.parked_id for parked in parked_now])
        return Outcome(
            done=done,
            sentence=f"{entries_in_words(done, 'parked')} of {self.stream} {_was(done)} discarded.",
            before=before,
            after=_state(client, self.stream),
            done_ids=tuple(parked.entry.entry_id for parked in parked_now),
        )


def _state(client: redis.Redis, stream: str) -> State:
    try:
        return {"parked": parked_count(client, stream)}
    except StreamsUnavailable:
        return {}


def _still_parked(client: redis.Redis, stream: str, parked_ids: Sequence[EntryId]) -> list[ParkedEntry] | Preview:
    """Return those of these entries that are dead-lettered; a refusing preview if there are none."""
    parked_now = [parked for parked_id in parked_ids if (parked := parked_entry(client, stream, parked_id))]
    refused = f"These entries of {stream} are no longer parked." if parked_ids else "Select parked entries."
    return parked_now or Preview(refused, 0, refused=refused)


def _groups(parked: Sequence[ParkedEntry]) -> str:
    return ", ".join(sorted({each.group for each in parked}))


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def record_operation_gaps(operation: Operation, outcome: Outcome, reason: str) -> int:
    """Record the entries that an operation withheld from a projection; return their number.

    Only operations that acknowledge or dead-letter entries withhold any. Raises a database's error.
    """
    if not isinstance(operation, AcknowledgeEntries | ParkEntries):
        return 0
    projection = projection_of_group(operation.group)
    if projection is None or not outcome.done_ids:
        return 0
    if isinstance(operation, AcknowledgeEntries):
        return projection.record_acknowledged(operation.stream, outcome.done_ids, reason)
    for entry_id in outcome.done_ids:
        projection.record_parked(operation.stream, entry_id, reason)
    return len(outcome.done_ids)
