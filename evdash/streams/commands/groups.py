"""Operations on a consumer group: create it, delete it, set its position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import Refused, call
from evdash.streams.commands.outcomes import (
    EXAMPLES,
    OperationRefused,
    Outcome,
    Preview,
    entries_in_words,
    found_group,
    group_state,
)
from evdash.streams.consumer_group import GroupMissing, expecting_group
from evdash.streams.stream_info import EntryCount, StreamInfo, group_infos, scan, stream_info

_ANEW = "evdash recreates it and reads the stream from the start, without counting entries twice."


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateGroup:
    """Creation of a consumer group that gets the entries after an ID."""

    action: ClassVar[str] = "create-group"
    stream: str
    group: str
    at: EntryId
    own_groups: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Create group {self.group} on {self.stream} at {self.at}"

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            return self._checked(client)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused."""
        self._checked(client)
        try:
            with expecting_group(self.stream, self.group):
                call(client, "XGROUP CREATE", self.stream, self.group, str(self.at), stream=self.stream)
        except GroupMissing as missing:
            raise OperationRefused(f"Stream {self.stream} no longer exists.") from missing
        except Refused as refusal:
            if "BUSYGROUP" in refusal.answer:
                raise OperationRefused(
                    f"Group {self.group} was created on {self.stream} by another client."
                ) from refusal
            raise
        return Outcome(
            done=1,
            sentence=f"Group {self.group} was created on {self.stream} at {self.at}.",
            before={},
            after=group_state(client, self.stream, self.group),
        )

    def _checked(self, client: redis.Redis) -> Preview:
        if not self.group:
            raise OperationRefused("Enter a group name.")
        info = _existing_stream(client, self.stream)
        for other in group_infos(client, self.stream):
            if other.name == self.group:
                raise OperationRefused(
                    f"Group {self.group} already exists on {self.stream}, at {other.last_delivered}."
                )
        _refuse_the_future(info, self.at)
        if self.group in self.own_groups and self.at > EntryId.MIN:
            missed = scan(client, self.stream, through=self.at).count
            if missed.number:
                raise OperationRefused(
                    f"{self.group} is a group of evdash. At {self.at} it would skip the "
                    f"{missed.entries()} up to there. Create it at 0-0; logged entries are not counted twice."
                )
        delivered = scan(client, self.stream, since=self.at.next())
        return Preview(
            sentence=f"Creates group {self.group} on {self.stream} at {self.at}. Its consumers receive "
            f"{delivered.count.entries()} and all later ones.",
            affected=_exact_number(delivered.count),
            examples=delivered.ids[:EXAMPLES],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteGroup:
    """Deletion of a consumer group with its position and its pending list. The entries stay in the stream."""

    action: ClassVar[str] = "delete-group"
    stream: str
    group: str
    own_groups: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Delete group {self.group} of {self.stream}"

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            info = found_group(client, self.stream, self.group)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))
        own = f" It is a group of evdash: {_ANEW}" if self.group in self.own_groups else ""
        return Preview(
            sentence=f"Deletes group {self.group} of {self.stream} (read up to {info.last_delivered}, "
            f"{entries_in_words(info.pending, 'pending')}, lag {info.lag}).{own}",
            affected=info.pending,
            examples=(info.oldest_pending,) if info.oldest_pending else (),
        )

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused."""
        info = found_group(client, self.stream, self.group)
        before = group_state(client, self.stream, self.group)
        if not call(client, "XGROUP DESTROY", self.stream, self.group, stream=self.stream):
            raise OperationRefused(f"Group {self.group} of {self.stream} was deleted by another client.")
        return Outcome(
            done=1,
            sentence=f"Group {self.group} of {self.stream} was deleted with "
            f"{entries_in_words(info.pending, 'pending')}.",
            before=before,
            after=group_state(client, self.stream, self.group),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPosition:
    """A change of a group's last delivered ID.

    A move back delivers entries again, a move forward leaves some out.
    """

    action: ClassVar[str] = "set-position"
    stream: str
    group: str
    position: EntryId
    own_groups: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The operation in plain language."""
        return f"Set the position of {self.group} on {self.stream} to {self.position}"

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""
        try:
            return self._checked(client)
        except OperationRefused as refused:
            return Preview(sentence=str(refused), affected=None, refused=str(refused))

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused."""
        self._checked(client)
        before = group_state(client, self.stream, self.group)
        try:
            with expecting_group(self.stream, self.group):
                call(client, "XGROUP SETID", self.stream, self.group, str(self.position), stream=self.stream)
        except GroupMissing as missing:
            raise OperationRefused(str(missing)) from missing
        after = group_state(client, self.stream, self.group)
        moved = f"from {before.get('last_delivered', 'unknown')} to {self.position}"
        return Outcome(
            done=1,
            sentence=f"Group {self.group} on {self.stream} was moved {moved}. "
            f"Its lag is {after.get('lag', 'unknown')}.",
            before=before,
            after=after,
        )

    def _checked(self, client: redis.Redis) -> Preview:
        info = _existing_stream(client, self.stream)
        group = found_group(client, self.stream, self.group)
        at = group.last_delivered
        if self.position == at:
            raise OperationRefused(f"The position of group {self.group} is already {at}.")
        forward = self.position > at
        if forward:
            _refuse_the_future(info, self.position)
        first, last = (at, self.position) if forward else (self.position, at)
        between = scan(client, self.stream, since=first.next(), through=last)
        if forward and between.ids and self.group in self.own_groups:
            raise OperationRefused(
                f"{self.group} is a group of evdash. Moved from {at} to {self.position}, it would skip "
                f"{between.count.entries()}, which would be missing from the log."
            )
        pending = f" Its {entries_in_words(group.pending, 'pending')} stay pending." if group.pending else ""
        what = "skipped" if forward else "delivered again"
        moves = "forward" if forward else "back"
        return Preview(
            sentence=f"Moves {self.group} on {self.stream} from {at} {moves} to {self.position}: "
            f"{between.count.entries()} {what}.{pending}",
            affected=_exact_number(between.count),
            examples=between.ids[:EXAMPLES],
        )


def _existing_stream(client: redis.Redis, stream: str) -> StreamInfo:
    info = stream_info(client, stream)
    if info is None:
        raise OperationRefused(f"Stream {stream} does not exist.")
    return info


def _refuse_the_future(info: StreamInfo, position: EntryId) -> None:
    if position > info.last_generated_id:
        raise OperationRefused(
            f"{position} is after the last entry ID of the stream ({info.last_generated_id}): later entries up to it "
            f"would never be delivered. Use {info.last_generated_id} or an earlier ID."
        )


def _exact_number(count: EntryCount) -> int | None:
    return count.number if count.exact else None
