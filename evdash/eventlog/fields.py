"""Model fields for values of the `events` package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

from evdash.events.entry import EntryId

if TYPE_CHECKING:
    _BinaryField = models.BinaryField[EntryId, EntryId]
else:
    _BinaryField = models.BinaryField


class EntryIdField(_BinaryField):
    """An entry ID as 16 bytes, big-endian.

    SQL integers are signed 64-bit numbers, but both halves of an entry ID are unsigned. Bytes hold both halves in one
    column and sort like the IDs. Keyset paging and indexes therefore need one comparison.
    """

    def from_db_value(self, value: Any, *_: object) -> EntryId | None:
        return None if value is None else EntryId.from_bytes(bytes(value))

    def to_python(self, value: Any) -> EntryId | None:
        return value if value is None or isinstance(value, EntryId) else EntryId.from_bytes(bytes(value))

    def get_prep_value(self, value: Any) -> bytes | None:
        return value.to_bytes() if isinstance(value, EntryId) else value
