"""What every operation has in common: what it would do, what it did, and what stood before and after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable
from evdash.streams.consumer_group import PendingEntry
from evdash.streams.stream_info import GroupInfo, group_infos, stream_info

# So many examples stand beside a preview's sentence.
EXAMPLES = 10

State = Mapping[str, str | int | Mapping[str, int] | None]


class OperationRefused(Exception):
    """The operation was not begun and nothing is changed; the message is the sentence to show."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What an operation would do now."""

    sentence: str
    affected: int | None  # entries; None: not known exactly
    examples: tuple[PendingEntry | EntryId, ...] = ()
    refused: str = ""  # the sentence that says why it would not be carried out
    before_id: EntryId | None = None  # what it goes up to, this ID excluded, where more may come under it meanwhile


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation did, told entry by entry where it did not succeed."""

    done: int
    sentence: str
    before: State
    after: State
    failed: tuple[tuple[EntryId, str], ...] = ()
    stopped: str = ""  # the sentence that says why it ended before its end
    done_ids: tuple[EntryId, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether everything was done."""
        return not self.failed and not self.stopped


class Operation(Protocol):
    """One operation with its arguments. Both methods raise StreamsUnavailable when nothing could be begun."""

    action: ClassVar[str]  # one word for the audit log

    @property
    def stream(self) -> str:
        """The stream it is about."""

    @property
    def title(self) -> str:
        """In words, without the counts."""

    def preview(self, client: redis.Redis) -> Preview:
        """What it would do; changes nothing."""

    def execute(self, client: redis.Redis) -> Outcome:
        """Do it. Raises OperationRefused when nothing may be done, or no longer."""


def found_group(client: redis.Redis, stream: str, group: str) -> GroupInfo:
    """The group as it is now. Raises OperationRefused when it is not there."""
    for info in group_infos(client, stream):
        if info.name == group:
            return info
    raise OperationRefused(f"There is no group {group} on {stream}.")


def group_state(client: redis.Redis, stream: str, group: str) -> State:
    """The group in plain values, for the record; empty when it is not there or Redis does not answer."""
    try:
        info = found_group(client, stream, group)
    except (OperationRefused, StreamsUnavailable):
        return {}
    return {
        "last_delivered": str(info.last_delivered),
        "lag": str(info.lag),
        "pending": info.pending,
        "oldest_pending": str(info.oldest_pending) if info.oldest_pending else None,
        "consumers": {consumer.name: consumer.pending for consumer in info.consumers},
    }


def stream_state(client: redis.Redis, stream: str) -> State:
    """The stream in plain values, for the record; empty when it is not there or Redis does not answer."""
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
    """As words: "1 pending entry", "12,000 entries"."""
    return f"{number:,} {kind + ' ' if kind else ''}{'entry' if number == 1 else 'entries'}"
