"""The forms of operations on groups and their consumers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django import forms

from evdash.events.entry import EntryId
from evdash.streams.commands import CreateGroup, DeleteConsumer, DeleteGroup, Operation, SetPosition
from evdash.web.pages.streams.forms.base import EntryIdFormField, OperationForm, OperationTarget

GROUP_NAME_MAX_CHARS: Final = 200
"""Longest name of a new group. Groups that exist may have longer names."""
_WHERE = "An entry ID such as 1700000000000-0, or start, or end."


class DeleteConsumerForm(OperationForm):
    kind = "delete-consumer"
    title = "Delete consumer"
    explains = "Delete an inactive consumer. Another consumer claims its pending entries first."
    verb = "Delete consumer"
    undoing = "A running consumer reappears at its next read. No pending entry is lost."
    previews_suggestions = True
    needs = (("consumer",), ("claim_first_to",))

    consumer = forms.CharField(label="Consumer", strip=False)
    claim_first_to = forms.CharField(
        label="Claim pending entries for",
        required=False,
        strip=False,
        help_text="Another consumer of the group. Empty: nothing is pending.",
    )

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        return {"claim_first_to": place.active_beside(query.get("consumer", ""))}

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        return {"consumer": place.consumers, "claim_first_to": place.active}

    @property
    def warning(self) -> str:
        if self.is_complete and self.is_valid():
            return self.place.receiver_warning(self.cleaned_data["claim_first_to"])
        return ""

    def operation(self, reason: str) -> Operation:
        return DeleteConsumer(
            stream=self.place.stream,
            group=self.place.group,
            consumer=self.cleaned_data["consumer"],
            claim_first_to=self.cleaned_data["claim_first_to"] or None,
        )


class SetPositionForm(OperationForm):
    kind = "set-position"
    title = "Set group position"
    explains = "Move the group back (deliver again) or forward (skip)."
    verb = "Set position"
    is_dangerous = True
    undoing = (
        "You can set the position again. Entries already delivered stay delivered. evdash cannot repair what an "
        "external group skips or repeats. evdash groups skip no entry and apply none twice."
    )
    needs = (("position",),)

    position = EntryIdFormField(label="Last delivered entry", help_text=_WHERE)

    def clean_position(self) -> EntryId:
        return EntryIdFormField.read(self.cleaned_data["position"], self.place.info)

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        return {"position": str(place.group_info.last_delivered) if place.group_info else ""}

    def operation(self, reason: str) -> Operation:
        return SetPosition(
            stream=self.place.stream,
            group=self.place.group,
            position=self.cleaned_data["position"],
            own_groups=self.place.own_groups,
        )


class CreateGroupForm(OperationForm):
    kind = "create-group"
    title = "Create group"
    explains = "Create a consumer group. Its consumers are created when they first read."
    verb = "Create group"
    undoing = "Undo: delete the group."
    of_group = False
    needs = (("name",), ("at",))

    name = forms.CharField(
        label="Name",
        strip=False,
        max_length=GROUP_NAME_MAX_CHARS,
        help_text=f"At most {GROUP_NAME_MAX_CHARS} characters.",
    )
    at = EntryIdFormField(
        label="Deliver entries after",
        help_text=f"{_WHERE} start delivers all entries, end only new ones.",
    )

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        return {"at": "start"}

    def clean_at(self) -> EntryId:
        return EntryIdFormField.read(self.cleaned_data["at"], self.place.info)

    def operation(self, reason: str) -> Operation:
        return CreateGroup(
            stream=self.place.stream,
            group=self.cleaned_data["name"],
            at=self.cleaned_data["at"],
            own_groups=self.place.own_groups,
        )


class DeleteGroupForm(OperationForm):
    kind = "delete-group"
    title = "Delete group"
    explains = "Delete a group that is no longer used. An unused group can block trimming."
    verb = "Delete group"
    is_dangerous = True
    shows_growth = True
    undoing = "Its position, pending entries and delivery counts are lost. The entries stay in the stream."

    def operation(self, reason: str) -> Operation:
        return DeleteGroup(stream=self.place.stream, group=self.place.group, own_groups=self.place.own_groups)
