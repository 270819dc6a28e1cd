"""How far a consumer group has certainly committed in each stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evdash.eventlog.models import GroupPosition, Stream
from evdash.events.entry_id import EntryId


def stream_numbers(names: Iterable[str]) -> Mapping[str, int]:
    """The log's number of each of these streams; a stream new to the log gets one."""
    wanted = list(names)
    known = dict(Stream.objects.filter(name__in=wanted).values_list("name", "id"))
    return {name: known.get(name) or Stream.objects.get_or_create(name=name)[0].pk for name in wanted}


def all_stream_numbers(shown: Iterable[str]) -> Mapping[str, int]:
    """The log's number of every stream that it knows, those shown among them."""
    return {**dict(Stream.objects.values_list("name", "id")), **stream_numbers(shown)}


def watermark(group: str, stream: str) -> EntryId:
    """The group's watermark in the stream; EntryId.MIN where it never committed anything."""
    row = GroupPosition.objects.filter(group=group, stream__name=stream).only("watermark").first()
    return row.watermark if row else EntryId.MIN


def set_watermark(group: str, stream: str, entry_id: EntryId) -> None:
    """Record the watermark. It may go back, when Redis came back from an older file: reading more of the stream is
    always right, reading less never."""
    GroupPosition.objects.update_or_create(
        group=group, stream_id=stream_numbers([stream])[stream], defaults={"watermark": entry_id}
    )


def lock_group(group: str) -> None:
    """Let no other worker of this group commit until the current transaction ends.

    On SQLite every transaction that evdash opens is the only writer already (`transaction_mode: IMMEDIATE`).
    """
    list(GroupPosition.objects.select_for_update().filter(group=group).order_by("pk").values_list("pk"))
