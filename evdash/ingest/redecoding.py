"""Re-decoding after a change of the decoder: first the rows of the event log, a few at a time, then the read models.

A row has the values that the decoder of its time gave it, and filters query these values. Pages decode the raw entry
with the present code. Both agree again when every row was written by the present decoder.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.db import DatabaseError, InterfaceError, transaction

from evdash.eventlog.bulk import update
from evdash.eventlog.decoders import (
    decoder_number,
    doubt_read_models,
    move_rows,
    note_use,
    other_decoders,
    read_models_are_of,
)
from evdash.eventlog.group_progress import all_stream_numbers, lock_positions
from evdash.eventlog.inheritance import inherit_from_log
from evdash.eventlog.models import Decoder, LoggedEvent
from evdash.eventlog.row_mapping import DECODED_COLUMNS, decoded_values, event_of_values
from evdash.events.entry import EntryId
from evdash.ingest.batch import is_sql_outage, one_writer
from evdash.ingest.projections.base import Projection
from evdash.ingest.rebuild import rebuild_read_models
from evdash.streams.client import StreamsUnavailable

logger = structlog.stdlib.get_logger(__name__)

BUDGET_S: Final = 0.25
"""The time limit of one step while it re-decodes rows, in seconds: it delays new entries by at most that."""
BATCH: Final = 250
"""Rows of one transaction. Others wait for it on SQLite: about 25 ms."""
_READ_PER_ROW: Final = 8
"""Rows that are read for each row of a batch: most of them may be those of the present decoder."""
CONTINUE_AFTER_S: Final = 10.0
"""Time until rows are looked for again while workers of another version run, in seconds."""
RETRY_AFTER_S: Final = 600.0
"""Time until rows or read models that could not be written are tried again, in seconds."""

_IDENTITY: Final = DECODED_COLUMNS.index("identity")


@dataclass(frozen=True, slots=True)
class RedecodedBatch:
    """The result of one batch."""

    rows: int  # rows that were decoded again
    changed: int  # those of them whose values are different now
    is_last: bool  # the log has no further rows to look at


class Redecoding:
    """Re-decodes rows and rebuilds the read models of one projection, a step at a time.

    Any interruption costs at most the present transaction. Several workers take turns, because each transaction holds
    the lock of the group. A worker leaves the rows of a newer decoder alone while that is in use, and rebuilds read
    models only when no other decoder is. Workers of two versions would undo each other's work otherwise.
    """

    def __init__(
        self, projection: Projection, url: str, streams: Sequence[str], on_rebuilt: Callable[[], None] | None = None
    ) -> None:
        """Set up the work of this projection. `on_rebuilt` is called after read models were rebuilt."""
        self.has_more = False
        """True if another step has work to do at once."""
        self._projection, self._url, self._streams = projection, url, tuple(streams)
        self._on_rebuilt = on_rebuilt
        self._has_begun = False
        self._rows = self._changed = 0  # re-decoded by this worker since it began
        self._limit = BATCH
        self._first: int | None = None  # primary key of the first row of the batch in progress
        self._rows_at_s = self._read_models_at_s = 0.0  # on the monotonic clock; not before then

    def step(self) -> int:
        """Do a part of the work that is left; return 0, since no entry is applied. Raises one of OUTAGES."""
        self.has_more = False
        number = decoder_number()
        with one_writer():
            note_use(number)
        if self._projection.fills_log and not self._rows_are_done(number):
            return 0
        if not read_models_are_of(self._projection.group, number) and not other_decoders(number).is_any_in_use:
            self._rebuild()
        return 0

    def _rows_are_done(self, number: int) -> bool:
        """Re-decode rows for BUDGET_S; return whether there is nothing left that can be done now."""
        now_s = time.monotonic()
        remaining = other_decoders(number)
        if not remaining.rows and self._has_begun:
            self._finish_rows(number)
        if not remaining.rows or now_s < self._rows_at_s:
            return True
        if remaining.is_newer_in_use:
            return False
        if not self._has_begun:
            self._has_begun = True
            logger.info(
                "re-decoding started",
                entries=remaining.rows,
                reason="Another decoder wrote these rows of the event log.",
            )
        while True:
            batch = self._batch(number)
            self._rows += batch.rows
            self._changed += batch.changed
            if batch.is_last:
                self._finish_rows(number)
                return True
            if time.monotonic() >= now_s + BUDGET_S:
                self.has_more = True
                return False

    def _finish_rows(self, number: int) -> None:
        logger.info("re-decoding finished", entries=self._rows, changed_entries=self._changed)
        self._has_begun, self._rows, self._changed = False, 0, 0
        remaining = other_decoders(number)
        if not remaining.rows:
            return
        if remaining.is_any_in_use:  # a worker of another version still adds rows, after those looked at
            self._rows_at_s = time.monotonic() + CONTINUE_AFTER_S
            return
        logger.warning("rows not re-decoded", entries=remaining.rows, retry_in_s=RETRY_AFTER_S)
        self._rows_at_s = time.monotonic() + RETRY_AFTER_S
        Decoder.objects.filter(pk=number).update(redecoded_through=0)

    def _batch(self, number: int) -> RedecodedBatch:
        """Re-decode a batch. After a failure, rows are taken one by one, and the failing one is left as it is."""
        self._first = None
        try:
            with one_writer(), transaction.atomic():
                batch = self._redecode(number)
        except Exception as error:
            if not _is_caused_by_data(error) or self._first is None:
                raise
            if self._limit > 1:
                self._limit = 1
                return RedecodedBatch(0, 0, is_last=False)
            logger.exception("row not re-decoded", row=self._first)
            Decoder.objects.filter(pk=number).update(redecoded_through=self._first)
            self._limit = BATCH
            return RedecodedBatch(0, 0, is_last=False)
        return batch

    def _redecode(self, number: int) -> RedecodedBatch:
        lock_positions(self._projection.group, ())
        decoder = Decoder.objects.select_for_update().get(pk=number)
        if other_decoders(number).is_newer_in_use:
            return RedecodedBatch(0, 0, is_last=False)
        ahead = LoggedEvent.objects.filter(pk__gt=decoder.redecoded_through).order_by("pk")
        seen = list(ahead.values_list("pk", "decoder_id")[: self._limit * _READ_PER_ROW])
        if not seen:
            return RedecodedBatch(0, 0, is_last=True)
        keys = [key for key, by in seen if by != number][: self._limit]
        self._first = keys[0] if keys else None
        changed = _redecode_rows(keys, number) if keys else 0
        if changed:  # events were counted as duplicates, or not, by the former identities of these rows
            doubt_read_models(self._projection.group, number)
        through = keys[-1] if len(keys) == self._limit else seen[-1][0]
        written_by = dict(seen)
        move_rows(Counter(written_by[key] for key in keys).items(), number, through)
        return RedecodedBatch(len(keys), changed, is_last=False)

    def _rebuild(self) -> None:
        if time.monotonic() < self._read_models_at_s:
            return
        group = self._projection.group
        logger.info("rebuild started", group=group, reason="Another decoder wrote some of the read models.")
        try:
            with one_writer():
                events = rebuild_read_models(self._projection, self._url, self._streams)
        except Exception as error:
            if not _is_caused_by_data(error):
                raise
            logger.exception("rebuild failed", group=group, retry_in_s=RETRY_AFTER_S)
            self._read_models_at_s = time.monotonic() + RETRY_AFTER_S
            return
        if events is not None:
            logger.info("rebuild finished", group=group, entries=events)
            if self._on_rebuilt is not None:
                self._on_rebuilt()


def _is_caused_by_data(error: Exception) -> bool:
    """Return whether an entry causes the error, rather than an outage or a lack of memory."""
    if isinstance(error, DatabaseError | InterfaceError):
        return not is_sql_outage(error)
    return not isinstance(error, MemoryError | StreamsUnavailable)


def _redecode_rows(keys: Sequence[int], number: int) -> int:
    """Decode these rows again, with the duplicates among all rows; return how many have other values now."""
    names = {stream: name for name, stream in all_stream_numbers(()).items()}
    columns = ("pk", "stream_id", "entry_id", "pairs", *DECODED_COLUMNS)
    changed: dict[int, tuple[Any, ...]] = {}
    identities: set[bytes | None] = set()
    rows = list(LoggedEvent.objects.filter(pk__in=keys).values_list(*columns))
    events = inherit_from_log(
        [event_of_values(names[stream], entry_id, packed) for _, stream, entry_id, packed, *_ in rows]
    )
    for (key, _, _, _, *before), event in zip(rows, events, strict=True):
        now = decoded_values(event)
        old = before[_IDENTITY]
        if isinstance(old, memoryview):  # on PostgreSQL
            before[_IDENTITY] = old = bytes(old)
        if tuple(before) != now:
            changed[key] = now
            if old != now[_IDENTITY]:
                identities |= {old, now[_IDENTITY]}
    # An update of a column also changes its indexes, even if its value stays.
    LoggedEvent.objects.filter(pk__in=[key for key in keys if key not in changed]).update(decoder_id=number)
    update(LoggedEvent, (*DECODED_COLUMNS, "decoder_id"), [(*now, number, key) for key, now in changed.items()])
    if None in identities:
        LoggedEvent.objects.filter(pk__in=keys, identity=None, is_duplicate=True).update(is_duplicate=False)
    if identities_to_mark := {identity for identity in identities if identity is not None}:
        _mark_duplicates(identities_to_mark)
    return len(changed)


def _mark_duplicates(identities: Collection[bytes]) -> None:
    """Mark all rows of these identities as duplicates, except the one with the lowest entry ID of each."""
    first: dict[bytes, tuple[EntryId, int]] = {}
    rows = list(
        LoggedEvent.objects.filter(identity__in=identities).values_list("pk", "identity", "entry_id", "is_duplicate")
    )
    for key, identity, entry_id, _ in rows:
        packed, place = bytes(identity or b""), (entry_id, key)
        first[packed] = min(place, first.get(packed, place))
    originals = {key for _, key in first.values()}
    update(
        LoggedEvent,
        ("is_duplicate",),
        [(key not in originals, key) for key, _, _, is_duplicate in rows if is_duplicate != (key not in originals)],
    )
