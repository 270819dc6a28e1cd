"""Gaps: entries that the log does not have, reported on every page whose range crosses them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from itertools import product
from operator import or_

from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.utils import timezone

from evdash.eventlog.incarnations import FORMER
from evdash.eventlog.models import Gap, GroupPosition
from evdash.eventlog.records import MissingEntries, MissingInAll
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import Condition
from evdash.events.text import without_nul

# Number of gaps reported on one page; a page that crosses more of them reports the first ones of its order.
GAPS_MAX = 50

# This query runs for every batch, nearly always without a result. The ORM took 1 ms to build it.
_ANY_GAP = "SELECT 1 FROM eventlog_gap WHERE position_id = %s AND first_id <= %s AND last_id >= %s LIMIT 1"


def record_gap(
    position: GroupPosition,
    kind: Gap.Kind,
    first_id: EntryId,
    last_id: EntryId,
    entries: int | None,
    reason: str = "",
    known_ids: Collection[EntryId] | None = None,
) -> bool:
    """Record that these entries are missing, and return whether the gap is new; a known gap is not recorded again.

    `known_ids`: the IDs of the entries, if they are known.
    """
    _, is_new = Gap.objects.get_or_create(
        position=position,
        kind=kind,
        first_id=first_id,
        last_id=last_id,
        defaults={
            "entries": entries,
            "noticed_at": timezone.now(),
            "reason": without_nul(reason),
            "known_ids": None if known_ids is None else _packed(known_ids),
        },
    )
    return is_new


def close_gaps(position: GroupPosition, entry_ids: Sequence[EntryId]) -> None:
    """Remove entries from their gaps after they were applied for the first time.

    An empty gap is deleted. If a gap has only a number, each late entry within its range counts as one of it.
    """
    if not entry_ids:
        return
    first_id, last_id = min(entry_ids), max(entry_ids)
    with connection.cursor() as cursor:
        cursor.execute(_ANY_GAP, [position.pk, last_id.to_bytes(), first_id.to_bytes()])
        if cursor.fetchone() is None:
            return
    rows = Gap.objects.filter(position=position, first_id__lte=last_id, last_id__gte=first_id)
    gaps = sorted(rows, key=lambda gap: _ids(gap) is None)  # gaps with known IDs first
    ids_by_gap = {gap.pk: _ids(gap) for gap in gaps}
    for entry_id in entry_ids if gaps else ():
        gap = next((gap for gap in gaps if gap.entries and _is_of(entry_id, gap, ids_by_gap[gap.pk])), None)
        if gap is not None and gap.entries is not None:
            gap.entries -= 1
            if (remaining_ids := ids_by_gap[gap.pk]) is not None:
                remaining_ids.discard(entry_id)
                gap.known_ids = _packed(remaining_ids)
            if gap.entries:
                gap.save(update_fields=["entries", "known_ids"])
            else:
                gap.delete()


def _is_of(entry_id: EntryId, gap: Gap, known_ids: Collection[EntryId] | None) -> bool:
    return gap.first_id <= entry_id <= gap.last_id if known_ids is None else entry_id in known_ids


def _ids(gap: Gap) -> set[EntryId] | None:
    if gap.first_id == gap.last_id:
        return {gap.first_id}
    if gap.known_ids is None:
        return None
    packed = bytes(gap.known_ids)
    return {EntryId.from_bytes(packed[start : start + 16]) for start in range(0, len(packed), 16)}


def _packed(entry_ids: Collection[EntryId]) -> bytes:
    return b"".join(entry_id.to_bytes() for entry_id in sorted(entry_ids))


def known_missing(position: GroupPosition, after: EntryId, through: EntryId) -> int:
    """Return the number of entries in the gaps that are entirely within this range."""
    rows = Gap.objects.filter(position=position, first_id__gt=after, last_id__lte=through)
    return rows.aggregate(total=Sum("entries"))["total"] or 0


def noted_as_removed(position: GroupPosition, entry_ids: Sequence[EntryId]) -> set[EntryId]:
    """Return those of these entries that a gap of removed entries contains, or may contain if it has only a number."""
    if not entry_ids:
        return set()
    rows = Gap.objects.filter(
        position=position, kind=Gap.Kind.REMOVED, first_id__lte=max(entry_ids), last_id__gte=min(entry_ids)
    )
    gaps = [(gap, _ids(gap)) for gap in rows]
    return {entry_id for entry_id in entry_ids if any(_is_of(entry_id, gap, known_ids) for gap, known_ids in gaps)}


def ranges_of_gaps(position: GroupPosition) -> list[tuple[EntryId, EntryId]]:
    """Return the first and the last entry, both included, of each gap of the group."""
    return list(Gap.objects.filter(position=position).values_list("first_id", "last_id"))


def left_out_ids(position: GroupPosition, after: EntryId, through: EntryId) -> set[EntryId]:
    """Return the entries of this range that were left out on purpose: acknowledged by an operator or dead-lettered."""
    kinds = (Gap.Kind.ACKNOWLEDGED, Gap.Kind.PARKED)
    rows = Gap.objects.filter(position=position, kind__in=kinds, first_id__gt=after, last_id__lte=through)
    return set(rows.values_list("first_id", flat=True))


# In a queue, consumers delete entries when they are done: these kinds are expected there, and not a gap.
_DELETIONS = (Gap.Kind.REMOVED, Gap.Kind.BEFORE)


def unexpected(rows: QuerySet[Gap]) -> QuerySet[Gap]:
    """Return the gaps without entries that the consumers of a queue (EVDASH_QUEUES) deleted."""
    queues = settings.EVDASH.queues
    if not queues:
        return rows
    name = "position__stream__name"
    former = [Q(**{f"{name}__startswith": f"{queue}{FORMER}"}) for queue in queues]
    return rows.exclude(reduce(or_, former, Q(**{f"{name}__in": queues})), kind__in=_DELETIONS)


def deleted_by_consumers(group: str, stream: str) -> int | None:
    """Return the number of entries that the consumers of a queue deleted before the group read them.

    None if the stream is not a queue.
    """
    if stream not in settings.EVDASH.queues:
        return None
    rows = Gap.objects.filter(position__group=group, position__stream__name=stream, kind__in=_DELETIONS)
    return rows.aggregate(total=Sum("entries"))["total"] or 0


def fold_deletions(position: GroupPosition) -> None:
    """Keep one row of each kind for the deletions of a queue that reconciliation has counted.

    A queue has some every few seconds. Those of unknown number have a row of their own.
    """
    if position.checked_through is None:
        return
    for kind, is_unknown in product(_DELETIONS, (False, True)):
        rows = Gap.objects.filter(
            position=position, kind=kind, entries__isnull=is_unknown, last_id__lte=position.checked_through
        )
        gaps = list(rows.order_by("first_id"))
        if len(gaps) > 1:
            rows.delete()
            entries = None if is_unknown else sum(gap.entries or 0 for gap in gaps)
            record_gap(position, kind, gaps[0].first_id, max(gap.last_id for gap in gaps), entries)


def missing_entries(group: str, stream: str) -> list[MissingEntries]:
    """Return the newest gaps of a group in a stream, at most GAPS_MAX."""
    rows = unexpected(Gap.objects.filter(position__group=group, position__stream__name=stream))
    return _as_missing_entries(rows.order_by("-last_id")[:GAPS_MAX])


def total_missing(streams: Sequence[str], group: str | None = None) -> MissingInAll:
    """Return the total of the entries of these streams that a group has not applied.

    `group` None: the group that fills the log.
    """
    group = group or settings.EVDASH.audit_group
    rows = unexpected(Gap.objects.filter(position__group=group, position__stream__name__in=streams))
    totals = rows.aggregate(gaps=Count("pk"), known=Sum("entries"), sized=Count("entries"))
    return MissingInAll(totals["gaps"], totals["known"] or 0, is_exact=totals["gaps"] == totals["sized"])


@dataclass(frozen=True, slots=True)
class RemovedEntries:
    """The entries of one stream that were removed before evdash read them."""

    stream: str
    gaps: int
    entries: int  # in the gaps of known size
    is_exact: bool
    first_noticed_at: datetime
    last_noticed_at: datetime


def removed_entries(streams: Collection[str]) -> list[RemovedEntries]:
    """Return the entries that are lost to the event log by stream, without streams that lost none."""
    rows = (
        unexpected(Gap.objects.filter(position__group=settings.EVDASH.audit_group, position__stream__name__in=streams))
        .filter(kind=Gap.Kind.REMOVED)
        .values("position__stream__name")
        .annotate(
            gaps=Count("pk"),
            known=Sum("entries"),
            sized=Count("entries"),
            first=Min("noticed_at"),
            last=Max("noticed_at"),
        )
        .order_by("position__stream__name")
    )
    return [
        RemovedEntries(
            row["position__stream__name"],
            row["gaps"],
            row["known"] or 0,
            row["gaps"] == row["sized"],
            row["first"],
            row["last"],
        )
        for row in rows
    ]


def gaps_between(
    after: EntryId, through: EntryId, filter: EventFilter, now: datetime, *, oldest_first: bool
) -> tuple[MissingEntries, ...]:
    """Return the gaps that overlap this range of entry IDs and may have contained events of the filter.

    Only the stream of missing entries and their approximate time of writing are known. They may therefore match all
    other conditions of the filter.
    """
    if not _has_gaps():
        return ()
    group = settings.EVDASH.audit_group
    rows = unexpected(Gap.objects.filter(position__group=group, last_id__gt=after, first_id__lte=through))
    since_us, until_us = filter.range_us(now)
    if since_us is not None:
        rows = rows.filter(last_id__gte=_first_id_at(since_us))
    if until_us is not None:
        rows = rows.filter(first_id__lt=_first_id_at(until_us))
    groups = [group for group in filter.alternatives() if group[0].key == "stream"]
    if groups:
        # A prefix is compared here: SQLite's LIKE ignores the case.
        names = rows.order_by().values_list("position__stream__name", flat=True).distinct()
        rows = rows.filter(position__stream__name__in=[name for name in names if _is_in(name, groups)])
    return tuple(_as_missing_entries(rows.order_by("last_id" if oldest_first else "-last_id")[:GAPS_MAX]))


def _has_gaps() -> bool:
    """Return whether there is any gap; most logs have none, and every page asks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM eventlog_gap LIMIT 1")
        return cursor.fetchone() is not None


def _first_id_at(unix_us: int) -> EntryId:
    """Return the lowest entry ID written at this time or later."""
    return EntryId(max(-(-unix_us // 1000), 0), 0)


def _is_in(stream: str, groups: Sequence[Sequence[Condition]]) -> bool:
    """Return whether the stream meets one condition of each group."""
    return all(any(condition.accepts(stream) != condition.negated for condition in group) for group in groups)


def gap_before(stream: str, entry_id: EntryId) -> tuple[MissingEntries, ...]:
    """Return the last gap of a stream before one of its entries; empty if there is none."""
    if not _has_gaps():
        return ()
    rows = unexpected(
        Gap.objects.filter(
            position__group=settings.EVDASH.audit_group, position__stream__name=stream, last_id__lt=entry_id
        )
    )
    return tuple(_as_missing_entries(rows.order_by("-last_id")[:1]))


def gaps_that_end(after: EntryId, through: EntryId) -> tuple[int, int]:
    """Return how many gaps of the log end in this range, and how many entries they are known to contain."""
    group = settings.EVDASH.audit_group
    rows = unexpected(Gap.objects.filter(position__group=group, last_id__gt=after, last_id__lte=through))
    totals = rows.aggregate(gaps=Count("pk"), entries=Sum("entries"))
    return totals["gaps"], totals["entries"] or 0


def _as_missing_entries(rows: QuerySet[Gap]) -> list[MissingEntries]:
    return [
        MissingEntries(
            stream=gap.position.stream.name,
            kind=gap.kind,
            first_id=gap.first_id,
            last_id=gap.last_id,
            entries=gap.entries,
            noticed_at=gap.noticed_at,
            reason=gap.reason,
        )
        for gap in rows.select_related("position__stream")
    ]
