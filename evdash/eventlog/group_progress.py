"""Progress of consumer groups: watermarks, locks, attempt counters, throughput and totals per stream."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Count, Sum

from evdash.eventlog.gaps import unexpected
from evdash.eventlog.models import EntryTries, Gap, GroupMinute, GroupPosition, Stream
from evdash.eventlog.time_buckets import DAY_S, MINUTE_S
from evdash.events.entry import EntryId

# Statements of every batch, as SQL text: the ORM took ten times as long to build them as SQLite took to run them.
_POSITIONS = 'SELECT * FROM eventlog_groupposition WHERE "group" = %s ORDER BY id'
_POSITIONS_LOCKED = f"{_POSITIONS} FOR UPDATE"
_STREAM_NAMES = """
    SELECT id, name FROM eventlog_stream
    WHERE id IN (SELECT stream_id FROM eventlog_groupposition WHERE "group" = %s)
"""
_SET_WATERMARK = """
    UPDATE eventlog_groupposition SET watermark = %s
    WHERE "group" = %s AND stream_id = (SELECT id FROM eventlog_stream WHERE name = %s)
"""
_ADD_TO_POSITION = """
    UPDATE eventlog_groupposition SET applied = applied + %s, batches = batches + 1, apply_us = apply_us + %s
    WHERE id = %s
"""
_ADD_TO_MINUTE = """
    UPDATE eventlog_groupminute SET events = events + %s, batches = batches + 1, apply_us = apply_us + %s
    WHERE position_id = %s AND start_s = %s
"""


def stream_numbers(names: Iterable[str]) -> Mapping[str, int]:
    """Return the log's number of each of these streams; a stream new to the log gets one."""
    stream_names = list(names)
    if not stream_names:
        return {}
    numbers = dict(Stream.objects.filter(name__in=stream_names).values_list("name", "id"))
    return {name: numbers.get(name) or Stream.objects.get_or_create(name=name)[0].pk for name in stream_names}


def all_stream_numbers(shown: Iterable[str]) -> Mapping[str, int]:
    """Return the log's number of every stream that it contains, including the streams shown."""
    numbers = dict(Stream.objects.values_list("name", "id"))
    return {**numbers, **stream_numbers(set(shown) - numbers.keys())}


def watermark(group: str, stream: str) -> EntryId:
    """Return the group's watermark in the stream; EntryId.MIN if it never committed anything."""
    row = GroupPosition.objects.filter(group=group, stream__name=stream).only("watermark").first()
    return row.watermark if row else EntryId.MIN


def committed(groups: Iterable[str], streams: Iterable[str]) -> Mapping[tuple[str, str], EntryId]:
    """Return the watermarks of these groups by group and stream, without groups that never committed anything."""
    rows = GroupPosition.objects.filter(group__in=set(groups), stream__name__in=set(streams))
    return {(group, name): mark for group, name, mark in rows.values_list("group", "stream__name", "watermark")}


@dataclass(frozen=True, slots=True)
class StreamRecreated:
    """The discovery that a stream was recreated: emptied, replaced, or restored from an older file."""

    noticed_at: datetime
    former_entries: int  # entries in the event log that this stream never contained


def last_recreated(group: str, stream: str) -> StreamRecreated | None:
    """Return the last time that the group which fills the log found the stream recreated; None: never."""
    row = GroupPosition.objects.filter(group=group, stream__name=stream).first()
    return StreamRecreated(row.recreated_at, row.former_entries) if row and row.recreated_at else None


def compared_through(groups: Iterable[str], stream: str) -> EntryId:
    """Return the entry ID up to which all of these groups were reconciled with the stream (ingest/reconciliation.py).

    EntryId.MIN if one of them was never reconciled.
    """
    group_names = set(groups)
    rows = GroupPosition.objects.filter(group__in=group_names, stream__name=stream).values_list(
        "group", "checked_through"
    )
    compared = {group: entry_id for group, entry_id in rows if entry_id is not None}
    return min((compared.get(group, EntryId.MIN) for group in group_names), default=EntryId.MIN)


def set_watermark(group: str, stream: str, entry_id: EntryId) -> None:
    """Store the watermark.

    It may go back, if Redis was restored from an older file. To read more of the stream than necessary is always
    correct; to read less never is.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SET_WATERMARK, [entry_id.to_bytes(), group, stream])
        if cursor.rowcount:
            return
    GroupPosition.objects.update_or_create(
        group=group, stream_id=stream_numbers([stream])[stream], defaults={"watermark": entry_id}
    )


def lock_positions(group: str, streams: Iterable[str]) -> Mapping[str, GroupPosition]:
    """Lock the group's positions and return those in these streams; a stream new to the group gets one.

    Call inside a transaction: until it ends, no other worker of this group commits. On SQLite every transaction that
    evdash opens is already the only writer (`transaction_mode: IMMEDIATE`).
    """
    stream_names = set(streams)
    by_name = _locked_positions(group)
    if new := stream_names - by_name.keys():
        for number in stream_numbers(new).values():
            GroupPosition.objects.get_or_create(group=group, stream_id=number, defaults={"watermark": EntryId.MIN})
        by_name = _locked_positions(group)
    return {name: by_name[name] for name in stream_names}


def _locked_positions(group: str) -> dict[str, GroupPosition]:
    """Lock all positions of the group, always in one order: a session may have events in several streams."""
    locking = _POSITIONS_LOCKED if connection.features.has_select_for_update else _POSITIONS
    positions = list(GroupPosition.objects.raw(locking, [group]))
    with connection.cursor() as cursor:
        cursor.execute(_STREAM_NAMES, [group])
        names = dict(cursor.fetchall())
    return {names[position.stream_id]: position for position in positions}


def note_batch(position: GroupPosition, events: int, apply_us: int, now_s: float) -> None:
    """Add a batch to the group's totals and to the current minute; delete minutes that are older than a day."""
    start_s = int(now_s) // MINUTE_S * MINUTE_S
    with connection.cursor() as cursor:
        cursor.execute(_ADD_TO_POSITION, [events, apply_us, position.pk])
        cursor.execute(_ADD_TO_MINUTE, [events, apply_us, position.pk, start_s])
        is_new = not cursor.rowcount
    if is_new:
        GroupMinute.objects.create(position=position, start_s=start_s, events=events, batches=1, apply_us=apply_us)
        GroupMinute.objects.filter(position=position, start_s__lt=start_s - DAY_S).delete()


def attempts_of(group: str, stream: str, entry_ids: Iterable[EntryId]) -> dict[EntryId, int]:
    """Return the number of attempts per entry, without entries that were never attempted."""
    rows = EntryTries.objects.filter(position__group=group, position__stream__name=stream, entry_id__in=list(entry_ids))
    return dict(rows.values_list("entry_id", "tries"))


def set_attempts(group: str, stream: str, entry_id: EntryId, attempts: int) -> None:
    """Store the number of attempts of an entry; 0 deletes its counter."""
    if not attempts:
        forget_attempts(group, stream, [entry_id])
        return
    with transaction.atomic():
        position = lock_positions(group, [stream])[stream]
        EntryTries.objects.update_or_create(position=position, entry_id=entry_id, defaults={"tries": attempts})


def forget_attempts(group: str, stream: str, entry_ids: Iterable[EntryId]) -> None:
    """Delete the counters of entries that need no further attempt, or were not attempted after all."""
    rows = EntryTries.objects.filter(position__group=group, position__stream__name=stream, entry_id__in=list(entry_ids))
    rows.delete()


MINUTES = 30
# The rate covers this number of minutes, including the current one: the rate of one minute alone varies too much.
RATE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Throughput:
    """The recent work of one group in one stream."""

    minutes: tuple[int, ...]  # events in each of the last MINUTES, oldest first, the current one last
    per_second: float  # events, over the last RATE_MINUTES
    ms_per_batch: float | None  # over the same time; None: there was no batch

    @property
    def in_words(self) -> str:
        """The number of events applied in the last RATE_MINUTES, with the rate if it is at least 1/s."""
        lately = sum(self.minutes[-RATE_MINUTES:])
        speed = f" ({self.per_second:,.0f}/s)" if self.per_second >= 1 else ""
        return f"{lately:,} in {RATE_MINUTES} min{speed}"

    @property
    def most(self) -> int:
        """The number of events in the busiest of the minutes."""
        return max(self.minutes)


def throughput(stream: str, now: datetime) -> Mapping[str, Throughput]:
    """Return the throughput by group, without groups that were idle for the last MINUTES."""
    now_s = now.timestamp()
    last_s = int(now_s) // MINUTE_S * MINUTE_S
    first_s = last_s - (MINUTES - 1) * MINUTE_S
    rows = GroupMinute.objects.filter(position__stream__name=stream, start_s__gte=first_s, start_s__lte=last_s)
    by_group: dict[str, dict[int, tuple[int, int, int]]] = defaultdict(dict)
    for group, start_s, events, batches, apply_us in rows.values_list(
        "position__group", "start_s", "events", "batches", "apply_us"
    ):
        by_group[group][(start_s - first_s) // MINUTE_S] = (events, batches, apply_us)
    rate_s = now_s - last_s + (RATE_MINUTES - 1) * MINUTE_S
    return {group: _throughput(minutes, rate_s) for group, minutes in by_group.items()}


def _throughput(by_minute: Mapping[int, tuple[int, int, int]], rate_s: float) -> Throughput:
    lately = [done for minute, done in by_minute.items() if minute >= MINUTES - RATE_MINUTES]
    batches = sum(done[1] for done in lately)
    return Throughput(
        minutes=tuple(by_minute.get(minute, (0,))[0] for minute in range(MINUTES)),
        per_second=sum(done[0] for done in lately) / rate_s,
        ms_per_batch=sum(done[2] for done in lately) / 1000 / batches if batches else None,
    )


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """The lifetime totals of one group in one stream; they only grow."""

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
    entries: int  # in the gaps of known size


def group_totals() -> list[GroupTotals]:
    """Return the totals of every group in every stream in which it ever had a position."""
    rows = GroupPosition.objects.order_by("group", "stream__name").values_list(
        "group", "stream__name", "applied", "batches", "apply_us", "parked"
    )
    return [
        GroupTotals(group, stream, applied, batches, apply_us / 1_000_000, parked)
        for group, stream, applied, batches, apply_us, parked in rows
    ]


def gap_totals() -> list[GapTotals]:
    """Return the gaps of the log by stream and kind, without streams and kinds that have none."""
    rows = (
        unexpected(Gap.objects.filter(position__group=settings.EVDASH.audit_group))
        .values_list("position__stream__name", "kind")
        .annotate(gaps=Count("pk"), known=Sum("entries"))
        .order_by("position__stream__name", "kind")
    )
    return [GapTotals(stream, kind, gaps, entries or 0) for stream, kind, gaps, entries in rows]
