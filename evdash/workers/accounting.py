"""Whether the log has everything that was ever added to a stream: what was missed is read again, what is gone is told.

Redis counts what was ever added to a stream (since 7.0). Whenever the log's group has caught up, that number is
compared with the log's rows. Entries that are missing may still be in the stream, as when another program acknowledged
them or moved the group: those are applied now. The others were trimmed or deleted before they were read: a gap.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.db import transaction

from evdash.eventlog.gaps import known_missing, record_gap, recorded_ids
from evdash.eventlog.models import Gap, GroupPosition, LoggedEvent
from evdash.eventlog.positions import lock_positions
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.profile import decode
from evdash.streams.groups import GroupConsumer
from evdash.streams.info import StreamInfo, stream_info
from evdash.streams.reads import read_forward
from evdash.workers.projection import Projection

logger = logging.getLogger("evdash.workers")

READ_COUNT = 1_000


Hole = tuple[EntryId, EntryId]


def hole_before(consumer: GroupConsumer, stream: str, after: EntryId) -> Hole | None:
    """Where entries may be missing: between what was committed and what the stream begins with; None: nowhere."""
    info = stream_info(consumer.client, stream)
    if info is None or info.first_id is None or info.first_id <= after.next():
        return None
    return after.next(), info.first_id.previous()


def account(consumer: GroupConsumer, projection: Projection, stream: str, hole: Hole | None = None) -> int:
    """Compare log and stream up to the newest entry, if all of it is acknowledged; returns how many are missing.

    `hole`: where they must have been, as far as that is known. Raises StreamsUnavailable or a database's error. A
    server that does not count what was added is not asked.
    """
    info = stream_info(consumer.client, stream)
    if info is None or info.entries_added is None:
        return 0
    acknowledged = consumer.watermark(stream)
    if acknowledged is None or acknowledged < info.last_generated_id:
        return 0
    with transaction.atomic():
        position = lock_positions(projection.group, [stream])[stream]
        after, missing = _missing(position, stream, info)
    if missing > 0 and _apply_what_is_there(consumer, projection, stream, after, info.last_generated_id):
        with transaction.atomic():
            position = lock_positions(projection.group, [stream])[stream]
            after, missing = _missing(position, stream, info)
    with transaction.atomic():
        position = lock_positions(projection.group, [stream])[stream]
        if position.checked_through is not None and position.checked_through > after:
            return 0  # another worker was quicker
        if missing > 0:
            _record(stream, position, info, after, missing, hole)
        position.checked_through = info.last_generated_id
        position.checked_added = info.entries_added
        position.save(update_fields=["checked_through", "checked_added"])
    return max(0, missing)


def _missing(position: GroupPosition, stream: str, info: StreamInfo) -> tuple[EntryId, int]:
    """After which entry log and stream were never compared, and how many of the entries added since are not logged."""
    through, added = info.last_generated_id, info.entries_added or 0
    if position.checked_through is None:
        after, added_before = EntryId.MIN, 0
    elif through < position.checked_through or added < position.checked_added:
        # Emptied, replaced, or back from an older file: what the log has of it stays, and is no measure any more.
        return through, 0
    else:
        after, added_before = position.checked_through, position.checked_added
    rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__gt=after, entry_id__lte=through)
    return after, added - added_before - rows.count() - known_missing(stream, after, through)


def _apply_what_is_there(
    consumer: GroupConsumer, projection: Projection, stream: str, after: EntryId, through: EntryId
) -> int:
    """Apply what the stream still has of this range and the log lacks; returns how many entries that were."""
    left_out = recorded_ids(stream, after, through)
    applied = 0
    for batch in _batches(consumer, stream, after, through):
        applied += projection.apply([decode(entry) for entry in batch if entry.entry_id not in left_out])
    if applied:
        logger.warning(
            "%d entries of %s were acknowledged in %s by others before they were applied; they are now.",
            applied, stream, projection.group,
        )  # fmt: skip
    return applied


def _batches(consumer: GroupConsumer, stream: str, after: EntryId, through: EntryId) -> Iterator[list[Entry]]:
    while batch := read_forward(consumer.client, stream, after=after, through=through, count=READ_COUNT):
        yield batch
        after = batch[-1].entry_id


def _record(
    stream: str, position: GroupPosition, info: StreamInfo, after: EntryId, missing: int, hole: Hole | None
) -> None:
    """Record the gap, as narrow as is known."""
    rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__gt=after)
    first_logged = rows.order_by("entry_id").values_list("entry_id", flat=True).first()
    if position.checked_through is None:
        before = first_logged.previous() if first_logged else info.last_generated_id
        record_gap(stream, Gap.Kind.BEFORE, EntryId(0, 1), before, missing)
    else:
        first_id, last_id = hole if hole and hole[0] > after else (after.next(), info.last_generated_id)
        record_gap(stream, Gap.Kind.REMOVED, first_id, last_id, missing)
    logger.warning("%d entries of %s were removed from it before %s read them.", missing, stream, position.group)
