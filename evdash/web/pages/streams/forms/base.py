"""What the forms of all operations have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import redis
from django import forms
from django.contrib.auth.models import User
from django.http import QueryDict
from django.urls import reverse

from evdash.audit_log.run_operation import operate
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.streams.commands import Operation
from evdash.streams.stream_info import GroupInfo, StreamInfo
from evdash.web.links import group_address

# So many parked entries are redelivered at once.
PARKED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class OperationTarget:
    """What an operation is about, as Redis knows it now."""

    stream: str
    info: StreamInfo | None
    group: str  # "" for an operation on the stream
    group_info: GroupInfo | None
    own_groups: frozenset[str]
    parked_ids: tuple[EntryId, ...]  # the first of the parked entries, where all are asked for

    @property
    def consumers(self) -> tuple[str, ...]:
        """The names of the group's consumers, those that asked for entries last first."""
        known = self.group_info.consumers if self.group_info else ()
        return tuple(consumer.name for consumer in sorted(known, key=lambda consumer: consumer.idle_ms))

    def consumer_beside(self, name: str) -> str:
        """The consumer other than that one that asked for entries last; "" when there is none."""
        return next((consumer for consumer in self.consumers if consumer != name), "")


class OperationForm(forms.Form):
    """The arguments of one operation, read from a query."""

    kind: ClassVar[str]  # in the address, and the operation's `action`
    title: ClassVar[str]
    explains: ClassVar[str]  # what it is good for
    verb: ClassVar[str]  # on the button
    is_dangerous: ClassVar[bool] = False
    undoing: ClassVar[str]  # what can be undone, and what cannot
    # When there is more to it than the person has seen, it is shown again instead of done.
    shows_growth: ClassVar[bool] = False
    of_group: ClassVar[bool] = True
    # The operation can be looked at when one field of each of these is in the query.
    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def carry_out(self, operation: Operation, reason: str, client: redis.Redis, user: User) -> None:
        """Do what the form asked for. Raises what `operate` raises."""
        operate(user.get_username(), operation, reason, client, user=user)

    @property
    def success_url(self) -> str:
        """Where to go when it is done or begun; "" for what the audit log has of it."""
        return ""

    def __init__(self, place: OperationTarget, query: QueryDict) -> None:
        self.place = place
        self.is_complete = all(any(name in query for name in names) for names in self.needs)
        given = {name: _all(query, name) for name in self.base_fields if name in query}
        if self.is_complete:
            super().__init__(data=given, label_suffix="")
        else:
            super().__init__(initial={**self.suggested(place, query), **given}, label_suffix="")
        for name, values in self.listed(place).items():
            self.fields[name].widget.attrs["list"] = f"of-{name}"
            self.fields[name].datalist = (f"of-{name}", values)  # type: ignore[attr-defined]

    @classmethod
    def suggested(cls, place: OperationTarget, query: QueryDict) -> dict[str, str]:
        """Values that stand in the fields at the beginning, where the query has none."""
        return {}

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        """Values that are offered for fields; others may be written."""
        return {}

    def operation(self, reason: str) -> Operation:
        """The operation that a valid form asks for."""
        raise NotImplementedError

    def as_previewed(self, operation: Operation, before_id: EntryId) -> Operation:
        """The operation up to where its preview said that it goes."""
        return operation

    def button(self, affected: int | None) -> str:
        """What the button says that does it."""
        return self.verb

    @property
    def cancel_url(self) -> str:
        """Where a person came from."""
        return group_address(self.place.stream, self.place.group) if self.place.group_info else reverse("streams")


class EntryIdField(forms.CharField):
    """One entry ID; `start` and `end` of the stream are understood where it has them."""

    def to_python(self, value: object) -> str:
        return str(value or "").strip()

    @staticmethod
    def read(text: str, info: StreamInfo | None) -> EntryId:
        """Raises ValidationError."""
        if text == "start":
            return EntryId.MIN
        if text == "end" and info is not None:
            return info.last_generated_id
        try:
            return EntryId.parse(text)
        except InvalidEntryId as error:
            raise forms.ValidationError(f"{error}.") from error


def entry_ids_of(text: str) -> tuple[EntryId, ...]:
    """The entry IDs in a text, between spaces, commas or line breaks. Raises ValidationError."""
    try:
        return tuple(dict.fromkeys(EntryId.parse(part) for part in text.replace(",", " ").split()))
    except InvalidEntryId as error:
        raise forms.ValidationError(f"{error}.") from error


def span_of(text: str) -> TimeBound:
    """A span of time such as `90s`, `5m` or `2h`. Raises ValidationError."""
    try:
        bound = TimeBound.parse(text)
    except InvalidTimeBound as error:
        raise forms.ValidationError(f"{error}.") from error
    if bound.ago is None:
        raise forms.ValidationError(f"{text[:60]!r} is no span of time: write 90s, 5m, 2h or 7d.")
    return bound


def _all(query: QueryDict, name: str) -> str:
    """A field as often as it stands, one a line."""
    return "\n".join(value for value in query.getlist(name))
