"""The base class of the forms of all operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import redis
from django import forms
from django.contrib.auth.models import User
from django.urls import reverse

from evdash.audit_log.run_operation import operate
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.health.conditions import stuck_remedy, unread_words
from evdash.streams.commands import Operation
from evdash.streams.group_health import GroupHealth
from evdash.streams.stream_info import CONSUMERS_UNKNOWN, GroupInfo, StreamInfo
from evdash.web.input_limits import PARAMETER_MAX_CHARS
from evdash.web.links import group_address

# Maximum number of names that a field offers. A group may have thousands of consumers.
LISTED: Final = 100
# Maximum number of dead-lettered entries that one operation redelivers or discards as "all".
PARKED_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class OperationTarget:
    """The target of an operation as it is in Redis now."""

    stream: str
    info: StreamInfo | None
    group: str  # "" for an operation on the stream
    group_info: GroupInfo | None
    own_groups: frozenset[str]
    parked_ids: tuple[EntryId, ...]  # IDs of the first dead-lettered entries, if all are requested
    health: GroupHealth | None = None  # None without `group_info`

    @property
    def consumers(self) -> tuple[str, ...]:
        """The names of the group's consumers to offer, at most LISTED: those with the most pending entries first."""
        infos = self.group_info.consumers if self.group_info else ()
        return tuple(consumer.name for consumer in sorted(infos, key=lambda consumer: -consumer.pending)[:LISTED])

    @property
    def active(self) -> tuple[str, ...]:
        """The names of the consumers that read, the last reader first, at most LISTED."""
        return self.health.active[:LISTED] if self.health else ()

    def active_beside(self, name: str) -> str:
        """Return an active consumer other than this one; "" if there is none."""
        return next((consumer for consumer in self.active if consumer != name), "")

    def no_reader(self) -> str:
        """Return the sentences if no consumer of the group reads; else "", also if that is unknown."""
        if self.health is None or self.health.active or not self.health.has_known_consumers:
            return ""
        return f"{unread_words(self.health)} {stuck_remedy(self.health)}"

    def receiver_warning(self, consumer: str) -> str:
        """Return the sentences if this consumer would not process what it claims; else ""."""
        if self.health is None or not consumer or consumer in self.health.active:
            return ""
        if not self.health.has_known_consumers:
            return f"The last read of {consumer} is unknown. {CONSUMERS_UNKNOWN}"
        if (read_at := self.health.reads.get(consumer)) is not None:
            has_read = f"{consumer} is inactive: it last read at {read_at:%Y-%m-%d %H:%M:%S} UTC."
        else:
            has_read = f"{consumer} has never read."
        return f"{has_read} The entries stay pending until it reads. {self.no_reader() or self._offer()}".strip()

    def _offer(self) -> str:
        return f"Active: {', '.join(self.active[:3])}."


class OperationForm(forms.Form):
    """The arguments of one operation, from the parameters of a request."""

    kind: ClassVar[str]  # in the address, and the operation's `action`
    title: ClassVar[str]
    explains: ClassVar[str]  # its purpose
    verb: ClassVar[str]  # on the button
    is_dangerous: ClassVar[bool] = False
    undoing: ClassVar[str]  # effects that can be undone, and effects that cannot
    # If the operation affects more entries than the person saw, the page shows it again instead of running it.
    shows_growth: ClassVar[bool] = False
    of_group: ClassVar[bool] = True
    # Suggestions that complete the form open its preview at once.
    previews_suggestions: ClassVar[bool] = False
    # The preview needs one field of each of these groups in the query.
    needs: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def carry_out(self, operation: Operation, reason: str, client: redis.Redis, user: User) -> None:
        """Run the operation of the form. Raise the errors of `operate`."""
        operate(user.get_username(), operation, reason, client, user=user)

    @property
    def success_url(self) -> str:
        """The page to open after the operation has run or started; "" for its audit log entry."""
        return ""

    def __init__(self, place: OperationTarget, query: Mapping[str, str]) -> None:
        self.place = place
        self.is_complete = all(any(name in query for name in names) for names in self.needs)
        parameters = {name: query[name] for name in self.base_fields if name in query}
        if self.is_complete:
            super().__init__(data=parameters, label_suffix="")
        else:
            super().__init__(initial={**self.suggested(place, query), **parameters}, label_suffix="")
        for each in self.fields.values():
            if isinstance(each, forms.CharField) and each.max_length is None:  # as any parameter
                each.widget.attrs["maxlength"] = PARAMETER_MAX_CHARS
        for name, values in self.listed(place).items():
            self.fields[name].widget.attrs["list"] = f"of-{name}"
            self.fields[name].datalist = (f"of-{name}", values)  # type: ignore[attr-defined]

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        """Return initial values for fields that the query does not set."""
        return {}

    @classmethod
    def with_suggestions(cls, place: OperationTarget, query: Mapping[str, str]) -> Mapping[str, str]:
        """Return the query with the suggestions, if a preview may show them and lacks nothing else; else the query."""
        suggested = {name: value for name, value in cls.suggested(place, query).items() if value}
        filled = {**suggested, **query}
        is_enough = all(any(name in filled for name in names) for names in cls.needs)
        return filled if cls.previews_suggestions and is_enough else query

    @classmethod
    def listed(cls, place: OperationTarget) -> dict[str, tuple[str, ...]]:
        """Return values that fields offer. Other values are allowed, too."""
        return {}

    def operation(self, reason: str) -> Operation:
        """Return the operation of a valid form."""
        raise NotImplementedError

    @property
    def warning(self) -> str:
        """The reason why the operation would not finish the repair; "" if there is none. With or without a preview."""
        return ""

    def as_previewed(self, operation: Operation, before_id: EntryId) -> Operation:
        """Return the operation, limited to entries before `before_id` as in its preview. The default has no limit."""
        return operation

    def button(self, affected: int | None) -> str:
        """Return the label of the button that runs the operation."""
        return self.verb

    @property
    def cancel_url(self) -> str:
        """The page to return to."""
        return group_address(self.place.stream, self.place.group) if self.place.group_info else reverse("streams")


class EntryIdFormField(forms.CharField):
    """Field for one entry ID. `start` and `end` are the stream's ends, `end` only if the stream exists."""

    def to_python(self, value: object) -> str:
        return str(value or "").strip()

    @staticmethod
    def read(text: str, info: StreamInfo | None) -> EntryId:
        """Return the entry ID in a text. Raise ValidationError."""
        if text == "start":
            return EntryId.MIN
        if text == "end" and info is not None:
            return info.last_generated_id
        try:
            return EntryId.parse(text)
        except InvalidEntryId as error:
            raise forms.ValidationError(f"{error}.") from error


def entry_ids_of(text: str) -> tuple[EntryId, ...]:
    """Return the distinct entry IDs in a text, separated by spaces, commas or line breaks. Raise ValidationError."""
    try:
        return tuple(dict.fromkeys(EntryId.parse(part) for part in text.replace(",", " ").split()))
    except InvalidEntryId as error:
        raise forms.ValidationError(f"{error}.") from error


def span_of(text: str) -> TimeBound:
    """Return a span of time such as `90s`, `5m` or `2h`. Raise ValidationError."""
    try:
        bound = TimeBound.parse(text)
    except InvalidTimeBound as error:
        raise forms.ValidationError(f"{error}.") from error
    if bound.ago is None:
        raise forms.ValidationError(f"{text[:60]!r} is not a duration. Write 90s, 5m, 2h or 7d.")
    return bound
