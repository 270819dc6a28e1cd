"""Gaps: entries that the log does not have, told wherever a page's range crosses them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from evdash.eventlog.models import Gap, LoggedEvent
from evdash.eventlog.positions import stream_numbers
from evdash.eventlog.records import MissingEntries
from evdash.events.entry_id import EntryId
from evdash.events.filter import EventFilter

# Told on one page; a page across more of them says the newest.
GAPS_MAX = 50


def record_gap(
    stream: str, kind: Gap.Kind, first_id: EntryId, last_id: EntryId, entries: int | None, reason: str = ""
) -> None:
    """Write down that these entries are missing; the same gap is recorded once, however often it is noticed."""
    Gap.objects.get_or_create(
        stream_id=stream_numbers([stream])[stream],
        kind=kind,
        first_id=first_id,
        last_id=last_id,
        defaults={"entries": entries, "noticed_at": timezone.now(), "reason": reason},
    )


def record_missing(stream: str, kind: Gap.Kind, entry_ids: Sequence[EntryId], reason: str = "") -> int:
    """Record those of these entries, in order, that the log does not have, neighbours as one gap; returns how many."""
    number = stream_numbers([stream])[stream]
    rows = LoggedEvent.objects.filter(stream_id=number, entry_id__in=entry_ids)
    logged = set(rows.values_list("entry_id", flat=True))
    missing = 0
    for is_logged, run in _runs(entry_ids, logged):
        if not is_logged:
            record_gap(stream, kind, run[0], run[-1], len(run), reason)
            missing += len(run)
    return missing


def _runs(entry_ids: Iterable[EntryId], logged: set[EntryId]) -> Iterable[tuple[bool, list[EntryId]]]:
    run: list[EntryId] = []
    for entry_id in entry_ids:
        if run and (run[-1] in logged) != (entry_id in logged):
            yield run[-1] in logged, run
            run = []
        run.append(entry_id)
    if run:
        yield run[-1] in logged, run


def close_gap(stream: str, kind: Gap.Kind, entry_id: EntryId) -> None:
    """The entry is in the log after all: the gap that it alone was is gone, a larger one is one smaller."""
    for gap in Gap.objects.filter(
        stream__name=stream, kind=kind, first_id__lte=entry_id, last_id__gte=entry_id
    ).order_by("first_id")[:1]:
        if gap.entries is not None and gap.entries <= 1:
            gap.delete()
        elif gap.entries is not None:
            gap.entries -= 1
            gap.save(update_fields=["entries"])


def missing_entries(stream: str | None = None) -> list[MissingEntries]:
    """The newest gaps, of one stream or of all."""
    rows = Gap.objects.all() if stream is None else Gap.objects.filter(stream__name=stream)
    return _told(rows.order_by("-last_id")[:GAPS_MAX])


def recorded_ids(stream: str, after: EntryId, through: EntryId) -> set[EntryId]:
    """The entries of this range that are left out of the log on purpose: acknowledged by an operator, or parked."""
    kinds = (Gap.Kind.ACKNOWLEDGED, Gap.Kind.PARKED)
    rows = Gap.objects.filter(stream__name=stream, kind__in=kinds, first_id__gt=after, last_id__lte=through)
    return set(rows.values_list("first_id", flat=True))


def known_missing(stream: str, after: EntryId, through: EntryId) -> int:
    """How many entries the gaps recorded in this range account for."""
    rows = Gap.objects.filter(stream__name=stream, first_id__gt=after, last_id__lte=through)
    return rows.aggregate(total=Sum("entries"))["total"] or 0


def gaps_between(
    after: EntryId, through: EntryId, filter: EventFilter, now: datetime, *, oldest_first: bool
) -> tuple[MissingEntries, ...]:
    """The gaps that end in this range of entry IDs and may have held events of the filter.

    Nothing is known of the entries but their streams and about when they were written: whatever else the filter asks,
    they may have matched it.
    """
    rows = Gap.objects.filter(last_id__gt=after, last_id__lte=through).exclude(Q(entries=0))
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


def _told(rows: QuerySet[Gap]) -> list[MissingEntries]:
    return [
        MissingEntries(
            stream=gap.stream.name,
            kind=gap.kind,
            first_id=gap.first_id,
            last_id=gap.last_id,
            entries=gap.entries,
            noticed_at=gap.noticed_at,
            reason=gap.reason,
        )
        for gap in rows.select_related("stream")
    ]
