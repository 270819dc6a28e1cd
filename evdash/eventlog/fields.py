"""Model fields for the values of the event language."""

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

    SQL's integers are signed 64-bit and an ID's halves unsigned; bytes hold both and sort as the IDs do, in one
    column, so that keyset paging and indexes need one comparison.
    """

    def from_db_value(self, value: Any, *_: object) -> EntryId | None:
        return None if value is None else EntryId.from_bytes(bytes(value))

    def to_python(self, value: Any) -> EntryId | None:
        return value if value is None or isinstance(value, EntryId) else EntryId.from_bytes(bytes(value))

    def get_prep_value(self, value: Any) -> bytes | None:
        return value.to_bytes() if isinstance(value, EntryId) else value
