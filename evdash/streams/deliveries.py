"""What a consumer group gives its consumers, and what is said when the group is gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.streams.client import Refused

# Redis's words for a group or a stream that is not there, command by command.
_GONE = ("NOGROUP", "no such key", "requires the key to exist", "no longer exists")


class GroupMissing(Exception):
    """The consumer group, or the stream with it, is gone; the message says which."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry pending for this consumer; `entry` is None when it was deleted or trimmed meanwhile."""

    stream: str
    entry_id: EntryId
    entry: Entry | None


@contextmanager
def expecting_group(stream: str, group: str) -> Iterator[None]:
    """Turns Redis's refusals for want of the group or its stream into GroupMissing."""
    try:
        yield
    except Refused as refusal:
        if any(words in refusal.answer for words in _GONE):
            raise group_missing(stream, group) from refusal
        raise


def group_missing(stream: str, group: str) -> GroupMissing:
    """The exception with its sentence."""
    return GroupMissing(f"The consumer group {group} is missing on {stream}.")
