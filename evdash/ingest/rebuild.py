"""Rebuild of a projection's tables from the event log and the streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from django.db import transaction

from evdash.eventlog.group_progress import all_stream_numbers, lock_positions
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.row_mapping import event_of_values
from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.streams.client import open_client
from evdash.streams.reads import read_forward

BATCH = 2_000


def rebuild(projection: Projection, url: str, streams: Sequence[str]) -> int:
    """Rebuild the projection's tables and return the number of events in them.

    The rebuild is one transaction. Pages read the old tables until it commits. Workers of the group wait; on SQLite,
    which has one writer, workers of every group wait.
    Entries that a stream still has and the event log lacks are read from the stream. Only the audit projection is
    rebuilt from the log alone. Raises StreamsUnavailable or a database's error; the tables are then unchanged.
    """
    with transaction.atomic():
        lock_positions(projection.group, streams)
        if isinstance(projection, AuditProjection):
            return projection.refill(_logged(streams))
        return projection.refill(_logged_and_unlogged(url, streams))


def _logged_and_unlogged(url: str, streams: Sequence[str]) -> Iterator[list[Event]]:
    yield from _logged(streams)
    numbers = all_stream_numbers(streams)
    with closing(open_client(url or None)) as client:
        for stream in streams:
            after: EntryId | None = None
            while entries := read_forward(client, stream, after=after, count=BATCH):
                after = entries[-1].entry_id
                rows = LoggedEvent.objects.filter(
                    stream_id=numbers[stream], entry_id__in=[entry.entry_id for entry in entries]
                )
                logged = set(rows.values_list("entry_id", flat=True))
                if unlogged := [decode(entry) for entry in entries if entry.entry_id not in logged]:
                    yield unlogged


def _logged(streams: Sequence[str]) -> Iterator[list[Event]]:
    """Yield the events of the log in batches, ordered by entry ID and stream number."""
    names = {number: name for name, number in all_stream_numbers(streams).items()}
    place: tuple[EntryId, int] | None = None
    while True:
        rows = LoggedEvent.objects.order_by("entry_id", "stream_id")
        if place is not None:
            rows = rows.filter(entry_id__gte=place[0]).exclude(entry_id=place[0], stream_id__lte=place[1])
        batch = list(rows.values_list("stream_id", "entry_id", "pairs")[:BATCH])
        if not batch:
            return
        yield [event_of_values(names[number], entry_id, packed) for number, entry_id, packed in batch]
        place = (batch[-1][1], batch[-1][0])
