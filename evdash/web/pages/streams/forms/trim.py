"""The form of the operation that trims a stream."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from django import forms

from evdash.events.entry import EntryId
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.streams.commands import Operation, Trim
from evdash.web.formatting import format_count
from evdash.web.pages.streams.forms.base import EntryIdFormField, OperationForm


class TrimForm(OperationForm):
    kind = "trim"
    title = "Trim stream"
    explains = "Delete the oldest entries from Redis. Entries that a group still needs are kept."
    verb = "Trim"
    is_dangerous = True
    shows_growth = True
    undoing = (
        "The entries are deleted from Redis for all readers of this stream. Copies in the event log stay there and on "
        "these pages."
    )
    of_group = False
    needs = (("max_length", "older_than", "min_id"),)

    max_length = forms.IntegerField(label="Maximum length", required=False, min_value=0)
    older_than = forms.CharField(
        label="Older than", required=False, help_text="For example 24h or 7d, or a date: 2026-11-23T14:00Z."
    )
    min_id = EntryIdFormField(
        label="Before entry ID", required=False, help_text="The limit that removes the most entries applies."
    )
    approximate = forms.BooleanField(label="Approximate (faster; some hundred entries more may stay)", required=False)

    def clean_older_than(self) -> datetime | None:
        text = self.cleaned_data["older_than"]
        try:
            return TimeBound.parse(text).at(datetime.now(UTC)) if text else None
        except InvalidTimeBound as error:
            raise forms.ValidationError(f"{error}.") from error

    def clean_min_id(self) -> EntryId | None:
        text = self.cleaned_data["min_id"]
        return EntryIdFormField.read(text, self.place.info) if text else None

    def as_previewed(self, operation: Operation, before_id: EntryId) -> Operation:
        if not isinstance(operation, Trim):
            return operation
        return replace(operation, max_length=None, older_than=None, min_id=before_id)

    def button(self, affected: int | None) -> str:
        return f"Trim {'the entries' if affected is None else format_count(affected, 'entry', 'entries')}"

    def operation(self, reason: str) -> Operation:
        cleaned: dict[str, Any] = self.cleaned_data
        return Trim(
            stream=self.place.stream,
            max_length=cleaned["max_length"],
            older_than=cleaned["older_than"],
            min_id=cleaned["min_id"],
            approximate=cleaned["approximate"],
            own_groups=self.place.own_groups,
        )
