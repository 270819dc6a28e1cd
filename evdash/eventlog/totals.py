"""What the groups have done since the tables were made, and what is missing in the log, in sums."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, Sum

from evdash.eventlog.models import Gap, GroupPosition


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """What one group has done in one stream; these figures only grow."""

    group: str
    stream: str
    applied: int
    batches: int
    apply_s: float
    parked: int


@dataclass(frozen=True, slots=True)
class GapTotals:
    """The gaps of one kind in one stream."""

    stream: str
    kind: str  # of Gap.Kind
    gaps: int
    entries: int  # in those of known size


def group_totals() -> list[GroupTotals]:
    """Of every group in every stream that it ever had a position in."""
    rows = GroupPosition.objects.order_by("group", "stream__name").values_list(
        "group", "stream__name", "applied", "batches", "apply_us", "parked"
    )
    return [
        GroupTotals(group, stream, applied, batches, apply_us / 1_000_000, parked)
        for group, stream, applied, batches, apply_us, parked in rows
    ]


def gap_totals() -> list[GapTotals]:
    """Of every stream and kind that there is a gap of."""
    rows = (
        Gap.objects.filter(position__group=settings.EVDASH.audit_group)
        .values_list("position__stream__name", "kind")
        .annotate(gaps=Count("pk"), known=Sum("entries"))
        .order_by("position__stream__name", "kind")
    )
    return [GapTotals(stream, kind, gaps, known or 0) for stream, kind, gaps, known in rows]
