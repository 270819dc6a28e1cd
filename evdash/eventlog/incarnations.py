"""Incarnations of a stream: one that was deleted and created again may use the same entry IDs for other entries.

An entry of a stream never changes. Other content under an ID that the log has therefore proves another incarnation. The
log then gives the name of the stream to a new `Stream` row. The former row keeps its events, counts, gaps and positions
under a name with the time of the discovery, so that the present stream starts without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction

from evdash.eventlog.models import GroupPosition, LoggedEvent, Stream
from evdash.eventlog.row_mapping import pack
from evdash.events.entry import Entry, EntryId

FORMER: Final = " (until "
"""The text between the name of a stream and a time in the name of a former incarnation."""


def begin_incarnation(stream: str, entries: Sequence[Entry], now: datetime) -> int:
    """Begin another incarnation if the log has other content under the ID of one of these entries of the stream.

    Returns the number of events of the former incarnation, 0 if none began. Several workers may call it at once.
    """
    with transaction.atomic():
        former = Stream.objects.select_for_update().filter(name=stream).first()
        if former is None or not _has_other_content(former, entries):
            return 0
        former.name = _former_name(stream, now)
        former.save(update_fields=["name"])
        number = LoggedEvent.objects.filter(stream=former).count()
        GroupPosition.objects.create(
            group=settings.EVDASH.audit_group,
            stream=Stream.objects.create(name=stream),
            watermark=EntryId.MIN,
            recreated_at=now,
            former_entries=number,
        )
        return number


def _has_other_content(stream: Stream, entries: Sequence[Entry]) -> bool:
    pairs = {entry.entry_id: pack(entry.pairs) for entry in entries}
    rows = LoggedEvent.objects.filter(stream=stream, entry_id__in=list(pairs)).values_list("entry_id", "pairs")
    return any(bytes(logged) != pairs[entry_id] for entry_id, logged in rows)


def _former_name(stream: str, now: datetime) -> str:
    name = f"{stream}{FORMER}{now:%Y-%m-%d %H:%M:%S})"
    return name if not Stream.objects.filter(name=name).exists() else f"{name[:-1]}.{now:%f})"
