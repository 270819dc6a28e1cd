"""The forms of operations on groups and their consumers."""

from __future__ import annotations

from django import forms
from django.http import QueryDict

from evdash.events.entry import EntryId
from evdash.streams.commands import CreateGroup, DeleteConsumer, DeleteGroup, Operation, SetPosition
from evdash.web.pages.streams.forms.base import EntryIdFormField, OperationForm, OperationTarget

_WHERE = "An entry ID such as 1700000000000-0, or start, or end."


class DeleteConsumerForm(OperationForm):
    kind = "delete-consumer"
    title = "Delete a consumer"
    explains = (
        "Takes a consumer that will not come back off the list. What is pending for it goes to another one first."
    )
    verb = "Delete the consumer"
    undoing = "A consumer that is only asleep comes back by itself with its next read. No pending entry is lost."
    needs = (("consumer",), ("claim_first_to",))

    consumer = forms.CharField(label="Consumer", strip=False)
    claim_first_to = forms.CharField(
        label="Its pending entries go to",
        required=False,
        strip=False,
        help_text="Another consumer of the group. Empty: it has none.",
    )

    @classmethod
    def suggested(cls, place: OperationTarget, query: QueryDict) -> dict[str, str]:
        return {"claim_first_to": place.consumer_beside(query.get("consumer", ""))}

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        return {"consumer": place.consumers, "claim_first_to": place.consumers}

    def operation(self, reason: str) -> Operation:
        return DeleteConsumer(
            stream=self.place.stream,
            group=self.place.group,
            consumer=self.cleaned_data["consumer"],
            claim_first_to=self.cleaned_data["claim_first_to"] or None,
        )


class SetPositionForm(OperationForm):
    kind = "set-position"
    title = "Set a group's position"
    explains = "Moves a group back, to be given entries again, or forward, to leave some out."
    verb = "Set the position"
    is_dangerous = True
    undoing = (
        "The position can be set again, but what was delivered meanwhile stays "
        "delivered, and what a group of somebody else skips or does twice evdash cannot mend. evdash's own groups are "
        "never moved forward past entries, and apply none twice."
    )
    needs = (("position",),)

    position = EntryIdFormField(label="Last delivered entry", help_text=_WHERE)

    def clean_position(self) -> EntryId:
        return EntryIdFormField.read(self.cleaned_data["position"], self.place.info)

    @classmethod
    def suggested(cls, place: OperationTarget, query: QueryDict) -> dict[str, str]:
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
    title = "Create a group"
    explains = "Makes a consumer group; its consumers come into being when they first read."
    verb = "Create the group"
    undoing = "Can be undone: delete the group."
    of_group = False
    needs = (("name",), ("at",))

    name = forms.CharField(label="Name", strip=False)
    at = EntryIdFormField(
        label="It is given what comes after",
        help_text=f"{_WHERE} From start it is given everything, from end what is new.",
    )

    @classmethod
    def suggested(cls, place: OperationTarget, query: QueryDict) -> dict[str, str]:
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
    title = "Delete a group"
    explains = "Removes a group that nobody needs any more, and that may hold back trimming."
    verb = "Delete the group"
    is_dangerous = True
    shows_growth = True
    undoing = (
        "How far the group had read, which entries were pending and how often they were delivered is "
        "forgotten. The entries themselves stay in the stream."
    )

    def operation(self, reason: str) -> Operation:
        return DeleteGroup(stream=self.place.stream, group=self.place.group, own_groups=self.place.own_groups)
