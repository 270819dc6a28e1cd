"""Operations on pending entries: claim, acknowledge, park."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable, call, call_all
from evdash.streams.commands.outcomes import (
    EXAMPLES,
    OperationRefused,
    Outcome,
    PendingChange,
    Preview,
    entries_in_words,
    group_state,
    pending_after,
    pending_changes,
)
from evdash.streams.consumer_group import GroupMissing, PendingEntry, claim, pending_entries, pending_of
from evdash.streams.dead_letters import park, parked_stream
from evdash.streams.reads import read_entry
from evdash.streams.stream_info import consumer_infos

# The most entries of one operation. The preview states if there are more.
ENTRIES_MAX = 10_000
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Selected:
    """Pending entries in stream order, requested IDs that are not among them, and a flag for further entries."""

    entries: tuple[PendingEntry, ...]
    missing: tuple[EntryId, ...]
    more: bool

    @property
    def by_consumer(self) -> Counter[str]:
        """The number of entries of each consumer."""
        return Counter(entry.consumer for entry in self.entries)

    def in_words(self) -> str:
        """Return a count by consumer: "12 pending entries (a: 8, b: 4)"."""
        of = ", ".join(f"{name}: {number:,}" for name, number in sorted(self.by_consumer.items()))
        first = "the first " if self.more else ""
        return f"{first}{entries_in_words(len(self.entries), 'pending')}{f' ({of})' if of else ''}"


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice of pending entries: by ID, by consumer, by idle time. All given criteria must match."""

    entry_ids: tuple[EntryId, ...] = ()
    from_consumer: str | None = None
    idle_over_ms: int | None = None
    not_of: str | None = None  # entries of this consumer are left out

    def find(self, client: redis.Redis, stream: str, group: str) -> Selected:
        """Return the matching entries in their present state.

        Raises OperationRefused for an empty selection, for more than ENTRIES_MAX IDs, without a matching entry,
        and for a missing group.
        """
        if not self.entry_ids and self.from_consumer is None and self.idle_over_ms is None:
            raise OperationRefused("Select entries by ID, consumer or idle time.")
        if len(self.entry_ids) > ENTRIES_MAX:
            raise OperationRefused(
                f"{len(self.entry_ids):,} entries selected; the limit is {ENTRIES_MAX:,} per operation."
            )
        try:
            selected = self._by_id(client, stream, group) if self.entry_ids else self._listed(client, stream, group)
        except GroupMissing as missing:
            raise OperationRefused(str(missing)) from missing
        if not selected.entries:
            raise OperationRefused(f"No pending entry of {group} on {stream} matches: {self._in_words()}.")
        return selected

    def _by_id(self, client: redis.Redis, stream: str, group: str) -> Selected:
        requested = sorted(set(self.entry_ids))
        pending = pending_of(client, stream, group, requested)
        entries = tuple(
            pending[entry_id] for entry_id in requested if entry_id in pending and self._holds(pending[entry_id])
        )
        selected = {entry.entry_id for entry in entries}
        return Selected(entries, tuple(entry_id for entry_id in requested if entry_id not in selected), more=False)

    def _listed(self, client: redis.Redis, stream: str, group: str) -> Selected:
        entries: list[PendingEntry] = []
        after: EntryId | None = None
        while len(entries) <= ENTRIES_MAX:
            page = pending_entries(
                client,
                stream,
                group,
                after=after,
                idle_over_ms=self.idle_over_ms or 0,
                consumer=self.from_consumer,
                count=PAGE,
            )
            entries += [entry for entry in page if self._holds(entry)]
            if len(page) < PAGE:
                break
            after = page[-1].entry_id
        return Selected(tuple(entries[:ENTRIES_MAX]), (), more=len(entries) > ENTRIES_MAX)

    def _holds(self, entry: PendingEntry) -> bool:
        return (
            (self.from_consumer is None or entry.consumer == self.from_consumer)
            and entry.consumer != self.not_of
            and entry.idle_ms >= (self.idle_over_ms or 0)
        )

    def _in_words(self) -> str:
        words = []
        if self.entry_ids:
            words.append("selected by ID")
        if self.from_consumer is not None:
            words.append(f"of consumer {self.from_consumer}")
        if self.idle_over_ms is not None:
            words.append(f"idle for {self.idle_over_ms:,} ms or longer")
        if self.not_of is not None:
            words.append(f"not of consumer {self.not_of}")
        return ", ".join(words)


STEP = 100


@dataclass(slots=True)
class _Tally:
    done: list[EntryId] = field(default_factory=list)
    failed: list[tuple[EntryId, str]] = field(default_factory=list)

    def fail(self, entry_id: EntryId, sentence: str) -> None:
        self.failed.append((entry_id, sentence))

    def unreported(self, entries: Sequence[PendingEntry]) -> list[EntryId]:
        reported = {*self.done, *(entry_id for entry_id, _ in self.failed)}
        return [entry.entry_id for entry in entries if entry.entry_id not in reported]


@dataclass(frozen=True, slots=True, kw_only=True)
class _EntriesOperation(ABC):
    """An operation on entries chosen by ID, by consumer, or by idle time. One of the three is required."""

    stream: str
    group: str
    entry_ids: tuple[EntryId, ...] = ()
    from_consumer: str | None = None
    idle_over_ms: int | None = None

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            selected = self._selection().find(client, self.stream, self.group)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=0, refused=str(refused))
        sentence = self._would(client, selected)
        if selected.missing:
            sentence += (
                f" {entries_in_words(len(selected.missing), 'selected')} {_is_or_are(selected.missing)} not pending, "
                "or excluded by the other conditions."
            )
        if selected.more:
            sentence += " More entries match: repeat the operation for the rest."
        return Preview(
            sentence=sentence,
            affected=len(selected.entries),
            examples=selected.entries[:EXAMPLES],
            pending=self._pending(client, selected),
        )

    def _pending(self, client: redis.Redis, selected: Selected) -> tuple[PendingChange, ...]:
        infos = consumer_infos(client, self.stream, self.group)
        if infos is None:
            return ()
        before = {info.name: info.pending for info in infos}
        return pending_changes(before, pending_after(before, selected.by_consumer, self._receiver))

    @property
    def _receiver(self) -> str:
        """The consumer that gets the entries; "" if none does."""
        return ""

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation in steps of STEP entries. Raises OperationRefused.

        The outcome lists each entry that succeeded, and each that failed with its reason.
        """
        selected = self._selection().find(client, self.stream, self.group)
        before = group_state(client, self.stream, self.group)
        tally = _Tally()
        for entry_id in selected.missing:
            tally.fail(entry_id, "Not pending in the group, or excluded by the other conditions.")
        stopped = ""
        for start in range(0, len(selected.entries), STEP):
            chunk = selected.entries[start : start + STEP]
            try:
                self._do(client, chunk, tally)
            except (StreamsUnavailable, GroupMissing) as error:
                stopped = str(error)
                for entry_id in tally.unreported(chunk):
                    tally.fail(entry_id, f"Result unknown: {error}")
                for entry_id in tally.unreported(selected.entries):
                    tally.fail(entry_id, f"Not reached: {error}")
                break
        return Outcome(
            done=len(tally.done),
            done_ids=tuple(tally.done),
            failed=tuple(sorted(tally.failed)),
            stopped=stopped,
            sentence=self._did(len(tally.done), len(tally.failed)),
            before=before,
            after=group_state(client, self.stream, self.group),
        )

    def _did(self, done: int, failed: int) -> str:
        were = "was" if done == 1 else "were"
        rest = f" {entries_in_words(failed)} {'was' if failed == 1 else 'were'} not." if failed else ""
        return f"{entries_in_words(done)} of {self.group} on {self.stream} {were} {self._done()}.{rest}"

    def _selection(self) -> Selection:
        return Selection(self.entry_ids, self.from_consumer, self.idle_over_ms)

    @abstractmethod
    def _would(self, client: redis.Redis, selected: Selected) -> str:
        """Return the preview's sentence."""

    @abstractmethod
    def _done(self) -> str:
        """Return the past participle for the outcome, used after "were"."""

    @abstractmethod
    def _do(self, client: redis.Redis, entries: Sequence[PendingEntry], tally: _Tally) -> None:
        """Apply the operation to these entries, and record the results in `tally`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEntries(_EntriesOperation):
    """A transfer of pending entries to another consumer.

    The consumer gets them at its next read of its pending entries.
    """

    action: ClassVar[str] = "claim"
    to_consumer: str

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Claim pending entries of {self.group} on {self.stream} for {self.to_consumer}"

    def _selection(self) -> Selection:
        if not self.to_consumer:
            raise OperationRefused("Select the consumer that claims the entries.")
        if self.from_consumer == self.to_consumer:
            raise OperationRefused(
                f"The entries are already pending for {self.from_consumer}. Choose another consumer."
            )
        # Entries chosen by ID may be claimed for their present consumer: the claim makes them its newest deliveries.
        not_of = None if self.entry_ids else self.to_consumer
        return Selection(self.entry_ids, self.from_consumer, self.idle_over_ms, not_of)

    @property
    def _receiver(self) -> str:
        return self.to_consumer

    def receivers(self, client: redis.Redis) -> tuple[tuple[str, str], ...]:
        """Return the group and the consumer that gets the entries."""
        return ((self.group, self.to_consumer),)

    def _would(self, client: redis.Redis, selected: Selected) -> str:
        infos = consumer_infos(client, self.stream, self.group)
        is_new = infos is not None and all(info.name != self.to_consumer for info in infos)
        new = f" {self.to_consumer} does not exist yet and is created." if is_new else ""
        return (
            f"Claims {selected.in_words()} of {self.group} on {self.stream} for {self.to_consumer} and raises their "
            f"delivery counts.{new}"
        )

    def _done(self) -> str:
        return f"claimed for {self.to_consumer}"

    def _do(self, client: redis.Redis, entries: Sequence[PendingEntry], tally: _Tally) -> None:
        ids = [entry.entry_id for entry in entries]
        claimed = claim(client, self.stream, self.group, self.to_consumer, ids, idle_over_ms=self.idle_over_ms or 0)
        tally.done += [delivery.entry_id for delivery in claimed.deliveries if delivery.entry is not None]
        gone = [delivery.entry_id for delivery in claimed.deliveries if delivery.entry is None]
        now = pending_of(client, self.stream, self.group, [*gone, *claimed.not_claimed])
        for entry_id in gone:
            stays = f"it stays pending for {now[entry_id].consumer} until acknowledged" if entry_id in now else ""
            tally.fail(entry_id, f"Deleted from the stream, cannot be claimed; {stays or 'Redis has dropped it'}.")
        for entry_id in claimed.not_claimed:
            tally.fail(entry_id, _unavailable_reason(now.get(entry_id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeEntries(_EntriesOperation):
    """Acknowledgement of pending entries, applied or not: the group does not get them again."""

    action: ClassVar[str] = "acknowledge"

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Acknowledge pending entries of {self.group} on {self.stream}"

    def _would(self, client: redis.Redis, selected: Selected) -> str:
        return (
            f"Acknowledges {selected.in_words()} of {self.group} on {self.stream}: "
            "they are not delivered again, whether or not they were applied."
        )

    def _done(self) -> str:
        return "acknowledged"

    def _do(self, client: redis.Redis, entries: Sequence[PendingEntry], tally: _Tally) -> None:
        xacks = [("XACK", self.stream, self.group, str(entry.entry_id)) for entry in entries]
        for entry, was_pending in zip(entries, call_all(client, *xacks, stream=self.stream), strict=True):
            if was_pending:
                tally.done.append(entry.entry_id)
            else:
                tally.fail(entry.entry_id, _unavailable_reason(None))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkEntries(_EntriesOperation):
    """A move of pending entries to the dead-letter stream, so that the group can continue.

    They can be redelivered later.
    """

    action: ClassVar[str] = "park"
    reason: str = "An operator parked it."

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Park pending entries of {self.group} on {self.stream}"

    def _would(self, client: redis.Redis, selected: Selected) -> str:
        return (
            f"Copies {selected.in_words()} of {self.group} on {self.stream} to {parked_stream(self.stream)} and "
            "acknowledges them. They are not applied until redelivered."
        )

    def _done(self) -> str:
        return "parked"

    def _do(self, client: redis.Redis, entries: Sequence[PendingEntry], tally: _Tally) -> None:
        for pending in entries:
            entry = read_entry(client, self.stream, pending.entry_id)
            if entry is None:
                tally.fail(pending.entry_id, "Deleted from the stream, cannot be parked. Acknowledge it.")
                continue
            parked_id = park(
                client,
                entry,
                group=self.group,
                consumer=pending.consumer,
                deliveries=pending.deliveries,
                reason=self.reason,
            )
            if call(client, "XACK", self.stream, self.group, str(pending.entry_id), stream=self.stream):
                tally.done.append(pending.entry_id)
            else:
                tally.fail(
                    pending.entry_id,
                    f"{_unavailable_reason(None)} Its copy {parked_id} stays parked. Redelivering it is safe.",
                )


def _unavailable_reason(now: PendingEntry | None) -> str:
    """Return the reason why an entry was not available, from its present state."""
    if now is None:
        return "Already acknowledged."
    return f"Pending for {now.consumer}, delivered {now.idle_ms:,} ms ago."


def _is_or_are(ids: Sequence[EntryId]) -> str:
    return "is" if len(ids) == 1 else "are"
