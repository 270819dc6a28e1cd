"""The forms of operations on entries: claim, acknowledge, park, redeliver, discard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, TypedDict

from django import forms
from django.conf import settings
from django.http import QueryDict

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
        label="Of the consumer", required=False, strip=False, help_text="Empty: of all of them."
    )
    idle_over = forms.CharField(
        label="Idle for at least", required=False, help_text="Such as 90s, 5m or 2h. Empty: however long."
    )
    entry = forms.CharField(
        label="Entry IDs",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Only these; empty: all that the fields above leave.",
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
    explains = "Gives entries that lie with one consumer to another one, which gets them when it next reads its own."
    verb = "Claim"
    undoing = "Can be undone by claiming them back; the deliveries that it counts stay counted."
    needs = (*SelectionForm.needs, ("to_consumer",))

    to_consumer = forms.CharField(
        label="For the consumer", strip=False, help_text="The one that asked for entries last is suggested."
    )
    field_order = ["to_consumer"]

    @classmethod
    def suggested(cls, place: OperationTarget, query: QueryDict) -> dict[str, str]:
        is_chosen = any(name in query for name in ("entry", "from_consumer", "idle_over"))
        idle_over = TimeBound(ago=timedelta(milliseconds=settings.EVDASH.claim_idle_ms))
        return {
            "to_consumer": place.consumer_beside(query.get("from_consumer", "")),
            "idle_over": "" if is_chosen else str(idle_over),
        }

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        return {**super().listed(place), "to_consumer": place.consumers}

    def operation(self, reason: str) -> Operation:
        return ClaimEntries(**self.selection(), to_consumer=self.cleaned_data["to_consumer"])


class AcknowledgeForm(SelectionForm):
    kind = "acknowledge"
    title = "Acknowledge pending entries"
    explains = "Counts entries as done without anybody applying them: for what is gone, or must not be applied."
    verb = "Acknowledge"
    is_dangerous = True
    shows_growth = True
    undoing = (
        "The group is not given these entries again. What one of evdash's own groups has not applied "
        "is missing from its tables from then on, and is recorded as a gap with your reason."
    )

    def operation(self, reason: str) -> Operation:
        return AcknowledgeEntries(**self.selection())


class ParkForm(SelectionForm):
    kind = "park"
    title = "Park pending entries"
    explains = "Puts entries that stop the group aside, whole, beside the stream, so that the group can move on."
    verb = "Park"
    undoing = (
        "Can be undone: parked entries are redelivered from the page of the parked ones. To a group that is not "
        "evdash's only as long as the stream still has them."
    )

    def operation(self, reason: str) -> Operation:
        why = {"reason": f"Parked by an operator: {reason}"} if reason else {}
        return ParkEntries(**self.selection(), **why)


class RedeliverForm(OperationForm):
    kind = "redeliver"
    title = "Redeliver parked entries"
    explains = (
        "Applies parked entries now, in the projection of the group that gave them up. One that fails again stays "
        "parked. A group that is not evdash's gets its entries back as pending ones."
    )
    verb = "Redeliver"
    undoing = "What is applied stays applied, once, and closes the gap that parking had left."
    of_group = False
    needs = (("parked", "all"),)

    parked = forms.CharField(
        label="Parked IDs",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="The IDs that the entries have among the parked ones.",
    )
    all = forms.BooleanField(label=f"All that are parked; of more than {PARKED_MAX:,} the first", required=False)

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
    explains = "Removes parked copies for good: of what can never be applied, or was taken care of in another way."
    verb = "Discard"
    is_dangerous = True
    shows_growth = True
    undoing = (
        "The copies are gone. What one of evdash's own groups has not applied stays missing from its tables, and the "
        "gap that parking had left stays on the pages."
    )

    def operation(self, reason: str) -> Operation:
        chosen = self.place.parked_ids if self.cleaned_data["all"] else self.cleaned_data["parked"]
        return DiscardParked(stream=self.place.stream, parked_ids=chosen)
