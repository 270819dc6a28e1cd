"""Gaps: entries that the log does not have, told wherever a page's range crosses them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from evdash.eventlog.models import Gap, GroupPosition
from evdash.eventlog.records import MissingEntries, MissingInAll
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter

# Told on one page; a page across more of them says the newest.
GAPS_MAX = 50

# Run for every batch, nearly always without a result. The ORM took 1 ms to build the query.
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
    """Write down that these entries are missing; the same gap is recorded once, however often it is noticed.

    `known_ids`: which they are, where that is known. Returns whether it was new.
    """
    _, is_new = Gap.objects.get_or_create(
        position=position,
        kind=kind,
        first_id=first_id,
        last_id=last_id,
        defaults={
            "entries": entries,
            "noticed_at": timezone.now(),
            "reason": reason,
            "known_ids": None if known_ids is None else _packed(known_ids),
        },
    )
    return is_new


def close_gaps(position: GroupPosition, entry_ids: Sequence[EntryId]) -> None:
    """These entries were applied after all, now for the first time: each is missing no longer where it was counted.

    A gap of none any more is gone. Where only a number is known, whatever of its range is applied late was in it.
    """
    if not entry_ids:
        return
    first_id, last_id = min(entry_ids), max(entry_ids)
    with connection.cursor() as cursor:
        cursor.execute(_ANY_GAP, [position.pk, last_id.to_bytes(), first_id.to_bytes()])
        if cursor.fetchone() is None:
            return
    rows = Gap.objects.filter(position=position, first_id__lte=last_id, last_id__gte=first_id)
    gaps = sorted(rows, key=lambda gap: _ids(gap) is None)  # those of known entries first
    known = {gap.pk: _ids(gap) for gap in gaps}
    for entry_id in entry_ids if gaps else ():
        gap = next((gap for gap in gaps if gap.entries and _is_of(entry_id, gap, known[gap.pk])), None)
        if gap is not None and gap.entries is not None:
            gap.entries -= 1
            if (left := known[gap.pk]) is not None:
                left.discard(entry_id)
                gap.known_ids = _packed(left)
            if gap.entries:
                gap.save(update_fields=["entries", "known_ids"])
            else:
                gap.delete()


def _is_of(entry_id: EntryId, gap: Gap, known: Collection[EntryId] | None) -> bool:
    return gap.first_id <= entry_id <= gap.last_id if known is None else entry_id in known


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
    """How many entries the gaps recorded in this range account for."""
    rows = Gap.objects.filter(position=position, first_id__gt=after, last_id__lte=through)
    return rows.aggregate(total=Sum("entries"))["total"] or 0


def noted_as_removed(position: GroupPosition, entry_ids: Sequence[EntryId]) -> set[EntryId]:
    """Those of these entries that a gap of removed ones has, or may have where it only counts."""
    if not entry_ids:
        return set()
    rows = Gap.objects.filter(
        position=position, kind=Gap.Kind.REMOVED, first_id__lte=max(entry_ids), last_id__gte=min(entry_ids)
    )
    gaps = [(gap, _ids(gap)) for gap in rows]
    return {entry_id for entry_id in entry_ids if any(_is_of(entry_id, gap, known) for gap, known in gaps)}


def ranges_of_gaps(position: GroupPosition) -> list[tuple[EntryId, EntryId]]:
    """From which entry to which one, both included, each gap of the group goes."""
    return list(Gap.objects.filter(position=position).values_list("first_id", "last_id"))


def left_out_ids(position: GroupPosition, after: EntryId, through: EntryId) -> set[EntryId]:
    """The entries of this range that are not applied on purpose: acknowledged by an operator, or parked."""
    kinds = (Gap.Kind.ACKNOWLEDGED, Gap.Kind.PARKED)
    rows = Gap.objects.filter(position=position, kind__in=kinds, first_id__gt=after, last_id__lte=through)
    return set(rows.values_list("first_id", flat=True))


def missing_entries(group: str, stream: str) -> list[MissingEntries]:
    """The newest gaps of a group in a stream."""
    rows = Gap.objects.filter(position__group=group, position__stream__name=stream)
    return _told(rows.order_by("-last_id")[:GAPS_MAX])


def total_missing(streams: Sequence[str], group: str | None = None) -> MissingInAll:
    """What a group has not applied of these streams altogether; None: the one that fills the log."""
    rows = Gap.objects.filter(position__group=group or settings.EVDASH.audit_group, position__stream__name__in=streams)
    told = rows.aggregate(gaps=Count("pk"), known=Sum("entries"), sized=Count("entries"))
    return MissingInAll(told["gaps"], told["known"] or 0, is_exact=told["gaps"] == told["sized"])


def gaps_between(
    after: EntryId, through: EntryId, filter: EventFilter, now: datetime, *, oldest_first: bool
) -> tuple[MissingEntries, ...]:
    """The gaps that reach into this range of entry IDs and may have held events of the filter.

    Nothing is known of the entries but their streams and about when they were written: whatever else the filter asks,
    they may have matched it.
    """
    rows = Gap.objects.filter(position__group=settings.EVDASH.audit_group, last_id__gt=after, first_id__lte=through)
    since_us, until_us = filter.range_us(now)
    groups = [group for group in filter.alternatives() if group[0].key == "stream"]
    return tuple(
        gap
        for gap in _told(rows.order_by("last_id" if oldest_first else "-last_id")[:GAPS_MAX])
        if (since_us is None or gap.last_id.ms * 1000 >= since_us)
        and (until_us is None or gap.first_id.ms * 1000 < until_us)
        and all(
            any((gap.stream.startswith(c.value) if c.prefix else gap.stream == c.value) != c.negated for c in group)
            for group in groups
        )
    )


def gap_before(stream: str, entry_id: EntryId) -> tuple[MissingEntries, ...]:
    """The last gap of a stream before one of its entries, if there is any."""
    rows = Gap.objects.filter(
        position__group=settings.EVDASH.audit_group, position__stream__name=stream, last_id__lt=entry_id
    )
    return tuple(_told(rows.order_by("-last_id")[:1]))


def gaps_that_end(after: EntryId, through: EntryId) -> tuple[int, int]:
    """How many gaps of the log end in this range, and how many entries they are known to have."""
    rows = Gap.objects.filter(position__group=settings.EVDASH.audit_group, last_id__gt=after, last_id__lte=through)
    told = rows.aggregate(gaps=Count("pk"), entries=Sum("entries"))
    return told["gaps"], told["entries"] or 0


def _told(rows: QuerySet[Gap]) -> list[MissingEntries]:
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
