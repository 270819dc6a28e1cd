"""The forms of operations on sandboxes: replay into one, and delete one."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import redis
from django import forms
from django.conf import settings
from django.contrib.auth.models import User

from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.events.filters.time_range import TimeBound
from evdash.replay.background import BackgroundReplay, begin
from evdash.replay.replay import EXPIRES_S, Replay
from evdash.streams.commands import DeleteSandbox, Operation
from evdash.streams.sandbox import NAME_MAX
from evdash.web.formatting import format_count
from evdash.web.links import filtered_address, list_address, sandbox_address
from evdash.web.pages.streams.forms.base import OperationForm, OperationTarget, span_of

# A request should not take much longer than two seconds. The command copies more.
ENTRIES_MAX: Final = 20_000
SPEEDS: Final = (1, 2, 5, 10, 20, 50, 100)


class SandboxForm(OperationForm):
    """An operation on a sandbox by a person. The sandbox need not be a stream of the settings."""

    of_group = False

    def __init__(self, who: str, query: Mapping[str, str]) -> None:
        self.who = who
        place = OperationTarget(
            stream=query.get(self.names, ""),
            info=None,
            group="",
            group_info=None,
            own_groups=frozenset(),
            parked_ids=(),
        )
        super().__init__(place, query)

    names: ClassVar[str]  # the parameter that names the sandbox


class ReplayForm(SandboxForm):
    kind = "replay"
    names = "to"
    title = "Replay to sandbox"
    explains = (
        "Copy events, byte for byte, from the event log and the streams to a temporary sandbox stream to test "
        "consumers. The watched streams are not changed."
    )
    verb = "Copy"
    undoing = "Undo: delete the sandbox on the page Streams. It is also deleted when it expires."
    needs = (("q",), ("to",))

    q = forms.CharField(label="Events", required=False, help_text="A filter, as on the Events page.")
    to = forms.CharField(label="Sandbox", max_length=NAME_MAX + 1)
    ids = forms.ChoiceField(
        label="Entry IDs",
        choices=(("original", "Original"), ("new", "New")),
        required=False,
        help_text="Original IDs must be after the last entry of the sandbox. The origin of new IDs is recorded.",
    )
    speed = forms.ChoiceField(
        label="Speed",
        choices=(("", "Full speed"), *((str(speed), f"{speed} times the recorded speed") for speed in SPEEDS)),
        required=False,
        help_text="With a speed limit, the web server copies in the background. The sandbox page shows the progress.",
    )
    max_pause = forms.CharField(
        label="Maximum pause", required=False, help_text="With a speed limit: 5s, 1m. Empty: as recorded."
    )
    expires = forms.CharField(label="Expires after", required=False, help_text="Default 24h, at most 30d.")

    @classmethod
    def suggested(cls, place: OperationTarget, query: Mapping[str, str]) -> dict[str, str]:
        name = f"{settings.EVDASH.sandbox_prefix}{datetime.now(UTC):%Y-%m-%d-%H%M%S}"
        return {"to": name, "ids": "original", "max_pause": "5s", "expires": "24h"}

    def clean_q(self) -> str:
        try:
            event_filter = EventFilter.parse(self.cleaned_data["q"])
        except FilterError as error:
            raise forms.ValidationError(str(error)) from error
        if not event_filter:
            raise forms.ValidationError("Select events: a session, a user or a time range.")
        return event_filter.text()

    def clean_max_pause(self) -> float | None:
        bound = span_of(self.cleaned_data["max_pause"]) if self.cleaned_data["max_pause"] else TimeBound()
        return bound.ago.total_seconds() if bound.ago else None

    def clean_expires(self) -> int:
        bound = span_of(self.cleaned_data["expires"]) if self.cleaned_data["expires"] else TimeBound()
        return int(bound.ago.total_seconds()) if bound.ago else EXPIRES_S

    def button(self, affected: int | None) -> str:
        return f"{self.verb} {format_count(affected or 0, 'entry', 'entries')}"

    @property
    def cancel_url(self) -> str:
        filter_text = self.data.get("q", "") if self.is_bound else self.initial.get("q", "")
        try:
            return filtered_address("events", EventFilter.parse(filter_text))
        except FilterError:
            return list_address("events")

    def carry_out(self, operation: Operation, reason: str, client: redis.Redis, user: User) -> None:
        if isinstance(operation, BackgroundReplay):
            begin(user.get_username(), operation, reason, user=user)
        else:
            super().carry_out(operation, reason, client, user)

    @property
    def success_url(self) -> str:
        return sandbox_address(self.cleaned_data["to"]) if self.cleaned_data["speed"] else ""

    @property
    def command(self) -> str:
        """The same operation as a command for a terminal. The form must be valid."""
        values: dict[str, Any] = self.cleaned_data
        arguments = [f"--filter={values['q']}", "--to", values["to"], "--ids", values["ids"] or "original"]
        arguments += ["--expires", self.data["expires"]] if self.data.get("expires") else []
        if values["speed"]:
            arguments += ["--speed", values["speed"]]
            arguments += ["--max-pause", self.data["max_pause"]] if self.data.get("max_pause") else []
        arguments += ["--reason", "REASON"]
        return f".venv/bin/python manage.py replay {shlex.join(arguments)}"

    def operation(self, reason: str) -> Operation:
        cleaned: dict[str, Any] = self.cleaned_data
        speed = float(cleaned["speed"]) if cleaned["speed"] else None
        return (BackgroundReplay if speed else Replay)(
            stream=cleaned["to"],
            query=cleaned["q"],
            who=self.who,
            reason=reason,
            ids=cleaned["ids"] or "original",
            speed=speed,
            max_pause_s=cleaned["max_pause"] if speed else None,
            expires_s=cleaned["expires"],
            entries_max=ENTRIES_MAX,
        )


class DeleteSandboxForm(SandboxForm):
    kind = "delete-sandbox"
    names = "stream"
    title = "Delete sandbox"
    explains = "Delete a sandbox and its metadata before it expires. The original entries stay."
    verb = "Delete sandbox"
    is_dangerous = True
    undoing = "Entries that other programs added to the sandbox are lost. Copied entries can be copied again."
    shows_growth = True
    needs = (("stream",),)

    @property
    def cancel_url(self) -> str:
        return sandbox_address(self.place.stream)

    def operation(self, reason: str) -> Operation:
        configuration = settings.EVDASH
        return DeleteSandbox(
            stream=self.place.stream, prefix=configuration.sandbox_prefix, watched=configuration.streams
        )


SANDBOX_FORMS: Final[dict[str, type[SandboxForm]]] = {form.kind: form for form in (ReplayForm, DeleteSandboxForm)}


class SandboxOperationConverter:
    """URL converter for the kind of an operation on sandboxes."""

    regex = "|".join(SANDBOX_FORMS)

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value
