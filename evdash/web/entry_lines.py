"""Entries of a stream as one line each, wherever they are listed by their IDs: what the event says, and where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import redis

from evdash.eventlog.reader import Reader
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.profile import decode
from evdash.streams.parked import ParkedEntry
from evdash.streams.pending import PendingEntry
from evdash.streams.reads import read_entries
from evdash.web.addresses import event_address
from evdash.web.kinds import Kind, kind_of
from evdash.web.readings import Reading, reading


@dataclass(frozen=True, slots=True)
class EntryLine:
    """What templates/streams/_entry.html shows of an entry."""

    entry_id: EntryId
    address: str
    event: Event | None  # None: neither the stream nor the log has it
    is_gone: bool  # from the stream

    @property
    def kind(self) -> Kind | None:
        return kind_of(self.event.type) if self.event else None

    @property
    def reading(self) -> Reading | None:
        return reading(self.event) if self.event else None


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A pending entry, or one that is only named, with its event."""

    line: EntryLine
    pending: PendingEntry | None


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked entry with its event."""

    line: EntryLine
    parked: ParkedEntry


def pending_rows(
    client: redis.Redis, reader: Reader, stream: str, entries: Sequence[PendingEntry | EntryId]
) -> tuple[PendingRow, ...]:
    """These entries, each with what it says."""
    ids = [entry.entry_id if isinstance(entry, PendingEntry) else entry for entry in entries]
    found = read_entries(client, stream, ids)
    return tuple(
        PendingRow(_line(reader, stream, entry_id, found), entry if isinstance(entry, PendingEntry) else None)
        for entry_id, entry in zip(ids, entries, strict=True)
    )


def parked_rows(client: redis.Redis, stream: str, entries: Sequence[ParkedEntry]) -> tuple[ParkedRow, ...]:
    """These parked entries, each with what it says; whether it is still in its own stream, too."""
    found = read_entries(client, stream, [parked.entry.entry_id for parked in entries])
    return tuple(
        ParkedRow(
            EntryLine(
                parked.entry.entry_id,
                event_address(stream, parked.entry.entry_id),
                decode(parked.entry),
                parked.entry.entry_id not in found,
            ),
            parked,
        )
        for parked in entries
    )


def _line(reader: Reader, stream: str, entry_id: EntryId, found: Mapping[EntryId, Entry]) -> EntryLine:
    entry = found.get(entry_id)
    event = decode(entry) if entry else reader.event(stream, entry_id)
    return EntryLine(entry_id, event_address(stream, entry_id), event, entry is None)
