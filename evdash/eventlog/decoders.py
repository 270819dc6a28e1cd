"""The decoders that wrote the log and the read models, and the number of events that are to be decoded again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db import connection
from django.db.models import F, Max
from django.utils import timezone

from evdash.eventlog.models import Decoder, GroupPosition, LoggedEvent
from evdash.eventlog.records import RedecodingProgress
from evdash.events.decoder import fingerprint

SEVERAL: Final = 0
"""The number that stands for several decoders, or for those before decoders were recorded."""
IN_USE_FOR: Final = timedelta(seconds=60)
NOTE_USE_EVERY: Final = timedelta(seconds=10)

# Statements of every batch, as SQL text: the ORM would take longer to build them than the database to run them.
_NUMBER: Final = "SELECT id FROM eventlog_decoder WHERE fingerprint = %s"
_ADD_ROWS: Final = 'UPDATE eventlog_decoder SET "rows" = "rows" + %s WHERE id = %s'

# Every page runs this one.
_ANYTHING_LEFT: Final = """
    SELECT EXISTS (SELECT 1 FROM eventlog_decoder WHERE fingerprint <> %s AND "rows" > 0)
    OR EXISTS (
        SELECT 1 FROM eventlog_groupposition WHERE decoder_id IS NOT NULL
        AND decoder_id NOT IN (SELECT id FROM eventlog_decoder WHERE fingerprint = %s)
    )
"""


def decoder_number() -> int:
    """Return the log's number of this process's decoder. The first call registers it."""
    present = fingerprint()
    with connection.cursor() as cursor:
        cursor.execute(_NUMBER, [present])
        row = cursor.fetchone()
    if row:
        return int(row[0])
    now = timezone.now()
    times = {"first_used_at": now, "last_used_at": now}
    return Decoder.objects.get_or_create(fingerprint=present, defaults=times)[0].pk


def add_rows(number: int, rows: int) -> None:
    """Count rows of the log that this decoder has written; a negative number for rows that another one writes now."""
    with connection.cursor() as cursor:
        cursor.execute(_ADD_ROWS, [rows, number])


def note_use(number: int) -> None:
    """Record that a worker of this decoder runs, at most once in NOTE_USE_EVERY."""
    now = timezone.now()
    rows = Decoder.objects.filter(pk=number, last_used_at__lt=now - NOTE_USE_EVERY)
    if rows.exists():  # an update would be a transaction, even without a row to change
        rows.update(last_used_at=now)


def note_all_rows(number: int) -> None:
    """Record that this decoder has written every row of the log. Call inside the transaction that wrote them."""
    Decoder.objects.exclude(pk=number).update(rows=0, redecoded_through=0)
    last = LoggedEvent.objects.aggregate(last=Max("pk"))["last"] or 0
    Decoder.objects.filter(pk=number).update(
        rows=LoggedEvent.objects.count(), redecoded_through=last, last_used_at=timezone.now()
    )


def note_read_models(group: str, number: int) -> None:
    """Record that all events in the group's read models are those of this decoder."""
    GroupPosition.objects.filter(group=group).update(decoder_id=number)
    Decoder.objects.filter(pk=number).update(last_used_at=timezone.now())


def note_applied(position: GroupPosition, number: int) -> None:
    """Record that this decoder's events were added to the read models of the position's group."""
    if position.decoder_id not in (number, SEVERAL):
        position.decoder_id = number if position.decoder_id is None else SEVERAL
        GroupPosition.objects.filter(pk=position.pk).update(decoder_id=position.decoder_id)


def doubt_read_models(group: str, number: int) -> None:
    """Record that the group's read models may have counted duplicates by rows that another decoder wrote."""
    GroupPosition.objects.filter(group=group, decoder_id=number).update(decoder_id=SEVERAL)


def read_models_are_of(group: str, number: int) -> bool:
    """Return whether all events in the group's read models are those of this decoder."""
    return not GroupPosition.objects.filter(group=group).exclude(decoder_id=number).exclude(decoder_id=None).exists()


@dataclass(frozen=True, slots=True)
class OtherDecoders:
    """The decoders other than the present one."""

    rows: int  # of the log
    is_newer_in_use: bool  # a worker of one that was first used later has run within IN_USE_FOR
    is_any_in_use: bool


def other_decoders(number: int) -> OtherDecoders:
    """Return what is recorded about all decoders but this one."""
    now = timezone.now()
    rows = Decoder.objects.exclude(pk=number).values_list("pk", "rows", "last_used_at")
    decoders = [(pk, count, now - last_used_at < IN_USE_FOR) for pk, count, last_used_at in rows]
    return OtherDecoders(
        rows=sum(max(count, 0) for _, count, _ in decoders),
        is_newer_in_use=any(in_use and pk > number for pk, _, in_use in decoders),
        is_any_in_use=any(in_use for _, _, in_use in decoders),
    )


def move_rows(counts: Iterable[tuple[int, int]], number: int, redecoded_through: int) -> None:
    """Record that rows of other decoders, (number, rows), were decoded again, and the primary key reached."""
    total = 0
    for other, rows in counts:
        add_rows(other, -rows)
        total += rows
    Decoder.objects.filter(pk=number).update(rows=F("rows") + total, redecoded_through=redecoded_through)
    if total:
        Decoder.objects.exclude(pk=number).update(redecoded_through=0)


def redecoding_progress(groups: Iterable[str]) -> RedecodingProgress | None:
    """Return what is to be decoded again by this process's decoder; None if rows and read models are its own.

    `groups` are those whose read models pages show.
    """
    present = fingerprint()
    with connection.cursor() as cursor:
        cursor.execute(_ANYTHING_LEFT, [present, present])
        if not cursor.fetchone()[0]:
            return None
    decoders = list(Decoder.objects.values_list("pk", "fingerprint", "rows", "last_used_at"))
    number, last_used_at = next(((pk, used) for pk, key, _, used in decoders if key == present), (None, None))
    rows_left = sum(max(rows, 0) for pk, _, rows, _ in decoders if pk != number)
    made_by = GroupPosition.objects.filter(group__in=set(groups)).exclude(decoder_id=None)
    read_models_left = any(each != number for each in made_by.values_list("decoder_id", flat=True))
    if not rows_left and not read_models_left:
        return None
    return RedecodingProgress(
        rows_left=rows_left,
        rows=sum(max(rows, 0) for _, _, rows, _ in decoders),
        read_models_left=read_models_left,
        is_running=last_used_at is not None and timezone.now() - last_used_at < IN_USE_FOR,
    )
