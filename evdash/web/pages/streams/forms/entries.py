"""The forms of operations on entries: claim, acknowledge, park, redeliver, discard."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, TypedDict

from django import forms
from django.conf import settings

from evdash.events.entry import EntryId
from evdash.events.filters.time_range import TimeBound
from evdash.ingest.redelivery import DiscardParked, RedeliverParked
from evdash.streams.commands import AcknowledgeEntries, ClaimEntries, Operation, ParkEntries
from evdash.web.formatting import format_count
from evdash.web.links import parked_address
from evdash.web.pages.streams.forms.base import PARKED_MAX, OperationForm, OperationTarget, entry_ids_of, span_of


class SelectionFields(TypedDict):
    """Selection of pending entries, as arguments of the operations."""

    stream: str
    group: str
    entry_ids: tuple[EntryId, ...]
    from_consumer: str | None
    idle_over_ms: int | None


class SelectionForm(OperationForm):
    """Selection of pending entries by ID, consumer and idle time. All given conditions must hold."""

    needs: ClassVar[tuple[tuple[str, ...], ...]] = (("entry", "from_consumer", "idle_over"),)

    from_consumer = forms.CharField(
        label="From consumer", required=False, strip=False, help_text="Empty: all consumers."
    )
    idle_over = forms.CharField(
        label="Minimum idle time", required=False, help_text="For example 90s, 5m or 2h. Empty: any."
    )
    entry = forms.CharField(
        label="Entry IDs",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Empty: all that match the other fields.",
    )

    def clean_entry(self) -> tuple[EntryId, ...]:
        return entry_ids_of(self.cleaned_data["entry"])

    def clean_idle_over(self) -> int | None:
        text = self.cleaned_data["idle_over"]
        span = span_of(text).ago if text else None
        return None if span is None else int(span.total_seconds() * 1000)

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        return {"from_consumer": place.consumers}

    def button(self, affected: int | None) -> str:
        return f"{self.verb} {format_count(affected or 0, 'entry', 'entries')}"

    def selection(self) -> SelectionFields:
        """Return the selection."""
        cleaned: dict[str, Any] = self.cleaned_data
        return {
            "stream": self.place.stream,
            "group": self.place.group,
            "entry_ids": cleaned["entry"],
            "from_consumer": cleaned["from_consumer"] or None,
            "idle_over_ms": cleaned["idle_over"],
        }


class ClaimForm(SelectionForm):
    kind = "claim"
    title = "Claim pending entries"
    explains = "Move pending entries to another consumer. It receives them when it next reads its pending entries."
    verb = "Claim"
    undoing = "Undo: claim them back. Delivery counts stay raised."
    previews_suggestions = True
    needs = (*SelectionForm.needs, ("to_consumer",))

    to_consumer = forms.CharField(
        label="To consumer",
        strip=False,
        help_text="Offered: the consumers that read, the last reader first.",
    )
    field_order = ["to_consumer"]

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        is_chosen = any(name in query for name in ("entry", "from_consumer", "idle_over"))
        idle_over = TimeBound(ago=timedelta(milliseconds=settings.EVDASH.claim_idle_ms))
        return {
            "to_consumer": place.active_beside(query.get("from_consumer", "")),
            "idle_over": "" if is_chosen else str(idle_over),
        }

    @classmethod
    def with_suggestions(cls, place: OperationTarget, query: Mapping[str, str]) -> Mapping[str, str]:
        # The suggested consumer may be the one whose entries were selected by ID.
        return query if "entry" in query else super().with_suggestions(place, query)

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        return {**super().listed(place), "to_consumer": place.active}

    @property
    def warning(self) -> str:
        if self.is_complete and self.is_valid():
            return self.place.receiver_warning(self.cleaned_data["to_consumer"])
        return self.place.no_reader()

    def operation(self, reason: str) -> Operation:
        return ClaimEntries(**self.selection(), to_consumer=self.cleaned_data["to_consumer"])


class AcknowledgeForm(SelectionForm):
    kind = "acknowledge"
    title = "Acknowledge pending entries"
    explains = "Mark entries as done without applying them, if they were deleted or must not be applied."
    verb = "Acknowledge"
    is_dangerous = True
    shows_growth = True
    undoing = (
        "The group does not receive these entries again. In a group of evdash, entries that were not applied "
        "become a gap with your reason."
    )

    def operation(self, reason: str) -> Operation:
        return AcknowledgeEntries(**self.selection())


class ParkForm(SelectionForm):
    kind = "park"
    title = "Park pending entries"
    explains = "Move entries that block the group to the dead-letter stream, so that the group can continue."
    verb = "Park"
    undoing = (
        "Undo: redeliver them on the page Parked entries. For an external group, this works only while the stream "
        "still has them."
    )

    def operation(self, reason: str) -> Operation:
        why = {"reason": f"Parked by an operator: {reason}"} if reason else {}
        return ParkEntries(**self.selection(), **why)


class RedeliverForm(OperationForm):
    kind = "redeliver"
    title = "Redeliver parked entries"
    explains = (
        "Apply parked entries now, in the projection of their group. Entries that fail again stay parked. External "
        "groups get them back as pending entries."
    )
    verb = "Redeliver"
    undoing = "Applied entries stay applied and close their gap."
    of_group = False
    needs = (("parked", "all"),)

    parked = forms.CharField(
        label="Parked IDs",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="IDs in the dead-letter stream, not in the original stream.",
    )
    all = forms.BooleanField(label=f"All parked entries (at most the first {PARKED_MAX:,})", required=False)

    def clean_parked(self) -> tuple[EntryId, ...]:
        return entry_ids_of(self.cleaned_data["parked"])

    def button(self, affected: int | None) -> str:
        return f"{self.verb} {format_count(affected or 0, 'entry', 'entries')}"

    @property
    def cancel_url(self) -> str:
        return parked_address(self.place.stream)

    def operation(self, reason: str) -> Operation:
        chosen = self.place.parked_ids if self.cleaned_data["all"] else self.cleaned_data["parked"]
        return RedeliverParked(stream=self.place.stream, parked_ids=chosen)


class DiscardForm(RedeliverForm):
    kind = "discard"
    title = "Discard parked entries"
    explains = "Delete parked entries permanently, if they can never be applied or were handled in another way."
    verb = "Discard"
    is_dangerous = True
    shows_growth = True
    undoing = "The parked copies are deleted. The gap of entries that were not applied stays."

    def operation(self, reason: str) -> Operation:
        chosen = self.place.parked_ids if self.cleaned_data["all"] else self.cleaned_data["parked"]
        return DiscardParked(stream=self.place.stream, parked_ids=chosen)
