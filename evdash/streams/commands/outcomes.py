"""The parts that all operations share: preview, outcome, and the state before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.consumer_group import PendingEntry
from evdash.streams.stream_info import GroupInfo, group_infos, stream_info

# The most examples that a preview lists.
EXAMPLES = 10
# The most consumers in a recorded state: those with the most pending entries. A group may have thousands.
CONSUMERS_MAX = 100

State = Mapping[str, str | int | Mapping[str, int] | None]


class OperationRefused(Exception):
    """An operation that was refused before it changed anything. The message is the sentence to show."""


@dataclass(frozen=True, slots=True)
class PendingChange:
    """The number of a consumer's pending entries before and after an operation."""

    consumer: str
    before: int
    after: int


def pending_changes(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[PendingChange, ...]:
    """Return the consumers whose numbers differ, the largest number before first. A consumer without a number has 0."""
    changes = (PendingChange(name, before.get(name, 0), after.get(name, 0)) for name in {**before, **after})
    return tuple(
        sorted((one for one in changes if one.before != one.after), key=lambda one: (-one.before, one.consumer))
    )


def pending_after(before: Mapping[str, int], taken: Mapping[str, int], receiver: str = "") -> dict[str, int]:
    """Return the numbers of pending entries by consumer after these were taken from them, and given to the receiver."""
    after = {name: before.get(name, 0) - taken.get(name, 0) for name in {**before, **taken}}
    return after | {receiver: after.get(receiver, 0) + sum(taken.values())} if receiver else after


@dataclass(frozen=True, slots=True)
class Preview:
    """The effect that an operation would have now."""

    sentence: str
    affected: int | None  # number of entries; None: not exact
    examples: tuple[PendingEntry | EntryId, ...] = ()
    refused: str = ""  # the sentence with the reason for a refusal, or empty
    before_id: EntryId | None = None  # the excluded upper bound, if entries below it may still be added
    pending: tuple[PendingChange, ...] = ()  # empty if unknown


@dataclass(frozen=True, slots=True)
class Outcome:
    """The effect of an operation, with the reason for each entry that failed."""

    done: int
    sentence: str
    before: State
    after: State
    failed: tuple[tuple[EntryId, str], ...] = ()
    stopped: str = ""  # the sentence with the reason for an early end
    done_ids: tuple[EntryId, ...] = ()

    @property
    def succeeded(self) -> bool:
        """True if everything was done."""
        return not self.failed and not self.stopped


class Operation(Protocol):
    """One operation with its arguments.

    Both methods raise StreamsUnavailable if Redis is unreachable before the operation begins.
    """

    action: ClassVar[str]  # one word for the audit log

    @property
    def stream(self) -> str:
        """The stream that the operation concerns."""

    @property
    def title(self) -> str:
        """The operation in plain language, without counts."""

    def preview(self, client: redis.Redis) -> Preview:
        """Return the preview, without changing anything."""

    def execute(self, client: redis.Redis) -> Outcome:
        """Execute the operation. Raises OperationRefused if it is not allowed, or no longer possible."""


def receivers(operation: Operation, client: redis.Redis) -> tuple[tuple[str, str], ...]:
    """Return each group and consumer that gets pending entries by the operation. Redis resets their idle time."""
    found = getattr(operation, "receivers", None)
    return tuple(found(client)) if found else ()


def found_group(client: redis.Redis, stream: str, group: str) -> GroupInfo:
    """Return the group in its present state. Raises OperationRefused if it does not exist."""
    for info in group_infos(client, stream):
        if info.name == group:
            return info
    raise OperationRefused(f"Group {group} does not exist on {stream}.")


def group_state(client: redis.Redis, stream: str, group: str) -> State:
    """Return the group in plain values for the audit log.

    Empty if the group does not exist or Redis does not answer.
    """
    try:
        info = found_group(client, stream, group)
    except (OperationRefused, StreamsUnavailable):
        return {}
    busiest = sorted(info.consumers, key=lambda consumer: (-consumer.pending, consumer.name))[:CONSUMERS_MAX]
    return {
        "last_delivered": str(info.last_delivered),
        "lag": str(info.lag),
        "pending": info.pending,
        "oldest_pending": str(info.oldest_pending) if info.oldest_pending else None,
        "consumers": {consumer.name: consumer.pending for consumer in sorted(busiest, key=lambda each: each.name)},
    }


def stream_state(client: redis.Redis, stream: str) -> State:
    """Return the stream in plain values for the audit log.

    Empty if the stream does not exist or Redis does not answer.
    """
    try:
        info = stream_info(client, stream)
    except StreamsUnavailable:
        return {}
    if info is None:
        return {}
    return {
        "length": info.length,
        "first_id": str(info.first_id) if info.first_id else None,
        "last_id": str(info.last_id) if info.last_id else None,
        "entries_added": info.entries_added,
    }


def entries_in_words(number: int, kind: str = "") -> str:
    """Return a count with its noun: "1 pending entry", "12,000 entries"."""
    return f"{number:,} {kind + ' ' if kind else ''}{'entry' if number == 1 else 'entries'}"
