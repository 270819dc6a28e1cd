"""The operation that deletes a consumer after another one has claimed its pending entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable, call
from evdash.streams.commands.entries import ClaimEntries
from evdash.streams.commands.outcomes import (
    EXAMPLES,
    OperationRefused,
    Outcome,
    Preview,
    entries_in_words,
    found_group,
    group_state,
    pending_after,
    pending_changes,
)
from evdash.streams.consumer_group import GroupMissing, expecting_group, pending_entries
from evdash.streams.stream_info import CONSUMERS_UNKNOWN, ConsumerInfo

# A consumer that still gets entries after this many rounds of claims is at work, and is kept.
ROUNDS = 3
ACTIVE_MS = 10_000

# XGROUP DELCONSUMER discards pending entries. The consumer may get some between a check and the deletion, and WATCH
# does not detect that. Only a script does both atomically.
_DELETE_UNLESS_PENDING = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return -1 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteConsumer:
    """Deletion of a consumer without pending entries.

    With `claim_first_to`, that consumer first claims the pending entries.
    """

    action: ClassVar[str] = "delete-consumer"
    stream: str
    group: str
    consumer: str
    claim_first_to: str | None = None

    @property
    def title(self) -> str:
        """The operation in plain language."""
        first = f" after {self.claim_first_to} claimed its pending entries" if self.claim_first_to else ""
        return f"Delete consumer {self.consumer} of {self.group} on {self.stream}{first}"

    def receivers(self, client: redis.Redis) -> tuple[tuple[str, str], ...]:
        """Return the group and the consumer that first claims the entries."""
        return ((self.group, self.claim_first_to),) if self.claim_first_to else ()

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            info = self._checked(client)
            before = {each.name: each.pending for each in found_group(client, self.stream, self.group).consumers}
            listed = pending_entries(client, self.stream, self.group, consumer=self.consumer, count=EXAMPLES)
        except (OperationRefused, GroupMissing) as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))
        words = [f"Deletes consumer {self.consumer} of {self.group} on {self.stream}."]
        if info.pending:
            words.insert(0, f"Claims {entries_in_words(info.pending, 'pending')} for {self.claim_first_to}.")
        if info.idle_ms < ACTIVE_MS:
            # Redis has one idle time for both. A consumer that a claim created may never have read anything.
            words.append(f"Active {info.idle_ms:,} ms ago. A running consumer reappears.")
        after = pending_after(before, {self.consumer: info.pending}, self.claim_first_to or "")
        return Preview(
            sentence=" ".join(words),
            affected=info.pending,
            examples=tuple(listed),
            pending=pending_changes(before, after),
        )

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused.

        If entries cannot be claimed, the consumer is kept.
        """
        self._checked(client)
        before = group_state(client, self.stream, self.group)
        moved: list[EntryId] = []
        failed: tuple[tuple[EntryId, str], ...] = ()
        try:
            deleted = self._delete(client)
            for _ in range(ROUNDS):
                if deleted or self.claim_first_to is None:
                    break
                claimed_ids, failed = self._claim(client)
                moved += claimed_ids
                deleted = self._delete(client)
            stopped = "" if deleted else self._why_it_stays(client)
        except (StreamsUnavailable, GroupMissing) as error:
            if not moved and isinstance(error, GroupMissing):
                raise OperationRefused(str(error)) from error
            if not moved:
                raise
            deleted, stopped = False, str(error)
        if not deleted and not moved and not failed:
            raise OperationRefused(stopped)
        return Outcome(
            done=int(deleted),
            done_ids=tuple(moved),
            failed=() if deleted else failed,
            stopped=stopped,
            sentence=self._did(len(moved), deleted),
            before=before,
            after=group_state(client, self.stream, self.group),
        )

    def _did(self, moved: int, deleted: bool) -> str:
        were = "was" if moved == 1 else "were"
        claimed = f"{entries_in_words(moved, 'pending')} {were} claimed for {self.claim_first_to}. " if moved else ""
        outcome = "was deleted" if deleted else "was not deleted"
        return f"{claimed}Consumer {self.consumer} of {self.group} on {self.stream} {outcome}."

    def _checked(self, client: redis.Redis) -> ConsumerInfo:
        if self.claim_first_to == self.consumer:
            raise OperationRefused(f"{self.consumer} cannot claim its own pending entries. Choose another consumer.")
        group = found_group(client, self.stream, self.group)
        for info in group.consumers:
            if info.name == self.consumer:
                if info.pending and not self.claim_first_to:
                    raise OperationRefused(
                        f"Deleting {self.consumer} would lose {entries_in_words(info.pending, 'pending')}. Claim them "
                        "first for another consumer."
                    )
                return info
        if not group.has_known_consumers:
            raise OperationRefused(f"Not deleted: {CONSUMERS_UNKNOWN}")
        raise OperationRefused(f"Consumer {self.consumer} does not exist in {self.group} on {self.stream}.")

    def _why_it_stays(self, client: redis.Redis) -> str:
        pending = len(pending_entries(client, self.stream, self.group, consumer=self.consumer, count=1_000))
        some = "1,000+ pending entries" if pending == 1_000 else entries_in_words(pending, "pending")
        return f"{self.consumer} not deleted: it now has {some}, which would be lost."

    def _claim(self, client: redis.Redis) -> tuple[tuple[EntryId, ...], tuple[tuple[EntryId, str], ...]]:
        """Return the entries that were claimed, and the others with reasons."""
        claiming = ClaimEntries(
            stream=self.stream, group=self.group, from_consumer=self.consumer, to_consumer=self.claim_first_to or ""
        )
        try:
            outcome = claiming.execute(client)
        except OperationRefused:  # the consumer has no pending entries any more
            return (), ()
        return outcome.done_ids, outcome.failed

    def _delete(self, client: redis.Redis) -> bool:
        script = ("EVAL", _DELETE_UNLESS_PENDING, 1, self.stream, self.group, self.consumer)
        with expecting_group(self.stream, self.group):
            return int(call(client, *script, stream=self.stream)) >= 0
