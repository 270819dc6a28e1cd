"""Reconciliation: compare a projection with the number of entries ever added to a stream, and recover missed entries.

Redis counts the entries ever added to a stream (since 7.0). Whenever a group has caught up, that counter is compared
with the number of entries that its projection has applied. Missing entries may still be in the stream, for example if
another program acknowledged them or moved the group. These entries become pending again. All other missing entries were
trimmed or deleted before they were read: they are recorded as a gap.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from structlog.stdlib import get_logger

from evdash.eventlog.gaps import fold_deletions
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import GroupPosition, LoggedEvent
from evdash.events.entry import EntryId
from evdash.ingest.projections.base import Projection
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.reads import read_forward
from evdash.streams.stream_info import StreamInfo, scan, stream_info

logger = get_logger(__name__)

READ_COUNT = 1_000

# The first and the last entry ID of a range, both included.
IdRange = tuple[EntryId, EntryId]


def range_before(consumer: GroupConsumer, stream: str, after: EntryId) -> IdRange | None:
    """Return the range between the last committed and the oldest existing entry; None if nothing can be missing."""
    info = stream_info(consumer.client, stream)
    if info is None or info.first_id is None or info.first_id <= after.next():
        return None
    return after.next(), info.first_id.previous()


def reconcile(
    consumer: GroupConsumer, projection: Projection, stream: str, missing_range: IdRange | None = None
) -> int:
    """Compare tables and stream up to the newest entry, if all of it is acknowledged.

    Returns the number of missed entries that are now pending for this consumer. Entries that are gone from the stream
    are recorded as a gap. `missing_range` is the range of that gap, if it is known. Returns 0 without a comparison if
    the server does not count added entries. Raises StreamsUnavailable, GroupMissing or a database's error.
    """
    info = stream_info(consumer.client, stream)
    if info is None or info.entries_added is None:
        return 0
    acknowledged = consumer.watermark(stream)
    if acknowledged is None or acknowledged < info.last_generated_id:
        return 0
    with transaction.atomic():
        position = lock_positions(projection.group, [stream])[stream]
        compared = _compare(consumer, position, projection, stream, info)
    if compared.missing > 0:
        missed = _make_pending(consumer, projection, stream, compared.after, info.last_generated_id)
        if missed:
            return missed  # the next call compares again, after these entries are applied
    with transaction.atomic():
        position = lock_positions(projection.group, [stream])[stream]
        checked_before = position.checked_through
        compared_now = _compare(consumer, position, projection, stream, info)
        if compared_now.after != compared.after:
            return 0  # another worker has compared meanwhile
        if compared_now.missing > 0:
            range_ = _missing_range(info, compared.after, missing_range)
            projection.record_missing(stream, range_[0] if range_ else None, _last(info, range_), compared_now.missing)
            rebuild = f"`manage.py rebuild {projection.group}` adds the ones that are in the event log."
            logger.log(
                _level(stream),
                "gap recorded",
                group=projection.group,
                stream=stream,
                entries=compared_now.missing,
                reason="The entries were removed from the stream before the group read them.",
                **({} if projection.fills_log else {"hint": rebuild}),
            )
        if compared_now.is_recreated and projection.fills_log and checked_before is not None:
            position.recreated_at = timezone.now()
            rows = LoggedEvent.objects.filter(stream_id=position.stream_id, entry_id__lte=checked_before)
            position.former_entries = max(0, rows.count() - compared_now.restored)
            logger.warning(
                "stream recreated",
                group=projection.group,
                stream=stream,
                kept_entries=position.former_entries,
                reason="The stream was deleted or restored. The event log keeps the entries of the previous stream.",
            )
        position.checked_through = info.last_generated_id
        position.checked_added = info.entries_added
        position.save(update_fields=["checked_through", "checked_added", "recreated_at", "former_entries"])
        if stream in settings.EVDASH.queues:
            fold_deletions(position)
    return 0


def _level(stream: str) -> int:
    """Return the level at which missing entries are logged: in a queue they are expected."""
    return logging.DEBUG if stream in settings.EVDASH.queues else logging.WARNING


@dataclass(frozen=True, slots=True)
class _Compared:
    """The result of a comparison."""

    after: EntryId  # the entries after this one were not compared before
    missing: int  # entries added since then that are not accounted for
    is_recreated: bool = False  # the stream was recreated since the last comparison
    restored: int = 0  # entries of the former stream that the recreated one contains


def _compare(
    consumer: GroupConsumer, position: GroupPosition, projection: Projection, stream: str, info: StreamInfo
) -> _Compared:
    through, added, before = info.last_generated_id, info.entries_added or 0, position.checked_through
    if before is None:
        return _Compared(EntryId.MIN, added - projection.applied_between(stream, EntryId.MIN, through))
    applied = projection.applied_between(stream, before, through)
    if through >= before and added - position.checked_added >= applied:
        return _Compared(before, added - position.checked_added - applied)
    # The stream was emptied, replaced or restored from an older file: its counter restarted or went back.
    restored = scan(consumer.client, stream, through=before).count
    if through > before and restored.exact:
        return _Compared(before, added - restored.number - applied, is_recreated=True, restored=restored.number)
    # The IDs of both streams overlap. Applied entries of the two cannot be distinguished, so this is a lower bound.
    missing = added - projection.applied_between(stream, EntryId.MIN, through)
    return _Compared(EntryId.MIN, missing, is_recreated=True, restored=restored.number)


def _missing_range(info: StreamInfo, after: EntryId, missing_range: IdRange | None) -> IdRange | None:
    """Return the ID range of the entries missing after `after`; None if it is before the first entry ever read.

    Removed entries were before the oldest existing entry, or not past the last deleted one. Redis keeps the highest ID
    passed to XDEL, and XTRIM removes entries only from the beginning.
    """
    first_existing = info.first_id or info.last_generated_id.next()
    last = min(info.last_generated_id, max(first_existing.previous(), info.max_deleted_id or EntryId.MIN))
    if missing_range is not None and missing_range[0] > max(after, EntryId.MIN.next()):
        return missing_range[0], max(missing_range[1], last) if last > first_existing else missing_range[1]
    return None if after == EntryId.MIN else (after.next(), last)


def _last(info: StreamInfo, range_: IdRange | None) -> EntryId:
    return range_[1] if range_ else info.last_generated_id


def _make_pending(
    consumer: GroupConsumer, projection: Projection, stream: str, after: EntryId, through: EntryId
) -> int:
    """Make existing, unapplied entries of this range pending again; return their number."""
    missed = 0
    while entries := read_forward(consumer.client, stream, after=after, through=through, count=READ_COUNT):
        after = entries[-1].entry_id
        with transaction.atomic():
            unapplied = projection.not_applied(stream, [entry.entry_id for entry in entries])
        if unapplied:
            consumer.make_pending(stream, unapplied)
            missed += len(unapplied)
    if missed:
        logger.warning(
            "entries pending again",
            group=projection.group,
            stream=stream,
            entries=missed,
            reason="The entries were acknowledged before they were applied.",
        )
    return missed
