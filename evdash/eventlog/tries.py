"""How often each group tried an entry that it could not apply (models/delivery.py)."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from evdash.eventlog.models import EntryTries
from evdash.eventlog.positions import lock_positions
from evdash.events.entry_id import EntryId


def tries_of(group: str, stream: str, entry_ids: Iterable[EntryId]) -> dict[EntryId, int]:
    """How often these entries were tried; without those that never were."""
    rows = EntryTries.objects.filter(position__group=group, position__stream__name=stream, entry_id__in=list(entry_ids))
    return dict(rows.values_list("entry_id", "tries"))


def set_tries(group: str, stream: str, entry_id: EntryId, tries: int) -> None:
    """Write down how often an entry was tried; 0 forgets it."""
    if not tries:
        forget_tries(group, stream, [entry_id])
        return
    with transaction.atomic():
        position = lock_positions(group, [stream])[stream]
        EntryTries.objects.update_or_create(position=position, entry_id=entry_id, defaults={"tries": tries})


def forget_tries(group: str, stream: str, entry_ids: Iterable[EntryId]) -> None:
    """These entries are done with, or were not tried after all."""
    rows = EntryTries.objects.filter(position__group=group, position__stream__name=stream, entry_id__in=list(entry_ids))
    rows.delete()
