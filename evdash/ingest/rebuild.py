"""Rebuild of a projection's tables from the event log and the streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from django.db import transaction

from evdash.eventlog.decoders import decoder_number, note_read_models, read_models_are_of
from evdash.eventlog.group_progress import all_stream_numbers, lock_positions
from evdash.eventlog.models import LoggedEvent
from evdash.eventlog.row_mapping import event_of_values
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.streams.client import open_client
from evdash.streams.reads import read_forward
from evdash.streams.stream_info import existing_streams

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
            count = projection.refill(_events(_logged(streams)))
        else:
            count = projection.refill(_logged_and_unlogged(projection, url, streams))
        note_read_models(projection.group, decoder_number())
        return count


def rebuild_read_models(projection: Projection, url: str, streams: Sequence[str]) -> int | None:
    """Rebuild the read models if another decoder made some of them; return the number of events in them, or None.

    As `rebuild`, except that the audit projection keeps the rows of the event log. This decoder must have written them.
    """
    with transaction.atomic():
        lock_positions(projection.group, streams)
        decoder = decoder_number()
        if read_models_are_of(projection.group, decoder):
            return None
        if isinstance(projection, AuditProjection):
            count = projection.refill_read_models(_logged(streams))
        else:
            count = projection.refill(_logged_and_unlogged(projection, url, streams))
        note_read_models(projection.group, decoder)
        return count


def _logged_and_unlogged(projection: Projection, url: str, streams: Sequence[str]) -> Iterator[list[Event]]:
    """Yield the events of the log, then those of the streams that the projection has not applied until then.

    The audit group may log an entry after this has read the log past it, so the log does not decide.
    """
    yield from _events(_logged(streams))
    with closing(open_client(url or None)) as client:
        for stream, refusal in existing_streams(client, streams).items():
            if refusal is not None:
                if refusal.code != "WRONGTYPE":
                    raise refusal
                continue  # the key is not a stream
            after: EntryId | None = None
            while entries := read_forward(client, stream, after=after, count=BATCH):
                after = entries[-1].entry_id
                applied = projection.applied_among(stream, [entry.entry_id for entry in entries])
                if unapplied := [decode(entry) for entry in entries if entry.entry_id not in applied]:
                    yield unapplied


def _events(batches: Iterator[list[CountChange]]) -> Iterator[list[Event]]:
    return ([change.event for change in changed] for changed in batches)


def _logged(streams: Sequence[str]) -> Iterator[list[CountChange]]:
    """Yield the rows of the log as changes, in batches, ordered by entry ID and stream number."""
    names = {number: name for name, number in all_stream_numbers(streams).items()}
    place: tuple[EntryId, int] | None = None
    while True:
        rows = LoggedEvent.objects.order_by("entry_id", "stream_id")
        if place is not None:
            rows = rows.filter(entry_id__gte=place[0]).exclude(entry_id=place[0], stream_id__lte=place[1])
        batch = list(rows.values_list("stream_id", "entry_id", "pairs", "is_duplicate")[:BATCH])
        if not batch:
            return
        yield [
            CountChange(event_of_values(names[number], entry_id, packed), counts=int(not is_duplicate))
            for number, entry_id, packed, is_duplicate in batch
        ]
        place = (batch[-1][1], batch[-1][0])
