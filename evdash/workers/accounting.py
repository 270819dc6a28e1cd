"""Whether a projection has everything that was ever added to a stream: what was missed is read again.

Redis counts what was ever added to a stream (since 7.0). Whenever a group has caught up, that number is compared with
what its projection has applied. Entries that are missing may still be in the stream, as when another program
acknowledged them or moved the group: those become pending again. The others were trimmed or deleted before they were
read: a gap.
"""

from __future__ import annotations

import logging

from django.db import transaction

from evdash.eventlog.models import GroupPosition
from evdash.eventlog.positions import lock_positions
from evdash.events.entry_id import EntryId
from evdash.streams.groups import GroupConsumer
from evdash.streams.info import StreamInfo, stream_info
from evdash.streams.reads import read_forward
from evdash.workers.projection import Projection

logger = logging.getLogger("evdash.workers")

READ_COUNT = 1_000

# From the first to the last entry ID, both included.
Hole = tuple[EntryId, EntryId]


def hole_before(consumer: GroupConsumer, stream: str, after: EntryId) -> Hole | None:
    """Where entries may be missing: between what was committed and what the stream begins with; None: nowhere."""
    info = stream_info(consumer.client, stream)
    if info is None or info.first_id is None or info.first_id <= after.next():
        return None
    return after.next(), info.first_id.previous()


def account(consumer: GroupConsumer, projection: Projection, stream: str, hole: Hole | None = None) -> int:
    """Compare tables and stream up to the newest entry, if all of it is acknowledged.

    Returns how many entries were missed and are pending for this consumer now. What is gone is noted as a gap; `hole`:
    where that must have been, as far as it is known. Raises StreamsUnavailable, GroupMissing or a database's error. A
    server that does not count what was added is not asked.
    """
    info = stream_info(consumer.client, stream)
    if info is None or info.entries_added is None:
        return 0
    acknowledged = consumer.watermark(stream)
    if acknowledged is None or acknowledged < info.last_generated_id:
        return 0
    after, missing = _missing(projection, stream, info)
    if missing > 0:
        missed = _make_pending(consumer, projection, stream, after, info.last_generated_id)
        if missed:
            return missed  # compared again when these are done
    with transaction.atomic():
        position = lock_positions(projection.group, [stream])[stream]
        after_now, missing = _missing_of(position, projection, stream, info)
        if after_now != after:
            return 0  # another worker was quicker
        if missing > 0:
            is_first = position.checked_through is None
            first_id, last_id = hole if hole and hole[0] > after else (after.next(), info.last_generated_id)
            projection.note_missing(stream, None if is_first else first_id, last_id, missing)
            logger.warning(
                "%d entries of %s were removed before %s read them.%s", missing, stream, projection.group,
                "" if projection.fills_log
                else f" `manage.py rebuild {projection.group}` adds what the event log has of them.",
            )  # fmt: skip
        position.checked_through = info.last_generated_id
        position.checked_added = info.entries_added
        position.save(update_fields=["checked_through", "checked_added"])
    return 0


def _missing(projection: Projection, stream: str, info: StreamInfo) -> tuple[EntryId, int]:
    with transaction.atomic():
        return _missing_of(lock_positions(projection.group, [stream])[stream], projection, stream, info)


def _missing_of(position: GroupPosition, projection: Projection, stream: str, info: StreamInfo) -> tuple[EntryId, int]:
    """After which entry they were never compared, and how many of the entries added since are unaccounted for."""
    through, added = info.last_generated_id, info.entries_added or 0
    if position.checked_through is None:
        after, added_before = EntryId.MIN, 0
    elif through < position.checked_through or added < position.checked_added:
        # Emptied, replaced, or back from an older file: what was applied of it stays, and is no measure any more.
        # What it has now was delivered anew, to a group that was made anew.
        return through, 0
    else:
        after, added_before = position.checked_through, position.checked_added
    return after, added - added_before - projection.applied_between(stream, after, through)


def _make_pending(
    consumer: GroupConsumer, projection: Projection, stream: str, after: EntryId, through: EntryId
) -> int:
    """Make what the stream still has of this range, and was not applied, pending again; returns how many."""
    missed = 0
    while entries := read_forward(consumer.client, stream, after=after, through=through, count=READ_COUNT):
        after = entries[-1].entry_id
        with transaction.atomic():
            left = projection.not_applied(stream, [entry.entry_id for entry in entries])
        if left:
            consumer.make_pending(stream, left)
            missed += len(left)
    if missed:
        logger.warning(
            "%d entries of %s were acknowledged in %s before they were applied; they are pending again.",
            missed, stream, projection.group,
        )  # fmt: skip
    return missed
