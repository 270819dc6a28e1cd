"""Notes on calls without a return and returns without a call.

A note is given only if no unknown entry can be the other half. The note on a call states up to when that holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event, datetime_from_us
from evdash.events.event_types import type_of
from evdash.events.session.call_matching import is_complete, pairs, took_ms
from evdash.web.formatting import format_duration, format_milliseconds
from evdash.web.session_status import Status

UNKNOWN_CALL: Final = "call not found"
CallStatus = Literal["", "open", "succeeded", "failed"]
"""The status of a call; "" if its end is not known."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls among the events of a timeline or a page."""

    ended: tuple[tuple[Event, Event], ...] = ()  # each with its return, which may be after those events
    open: tuple[Event, ...] = ()  # calls that certainly lack a return
    alone: tuple[Event, ...] = ()  # returns that certainly lack a call
    notes: Mapping[Position, str] = field(default_factory=dict)  # on the `open` and `alone` events

    def note(self, event: Event) -> str:
        """Return the note on this event; "" if there is none."""
        return self.notes.get(Position.of(event), "")

    def ends(self) -> Mapping[Position, tuple[Event, ...]]:
        """Return the events that ended each call, by its position. A message may have several calls."""
        found: dict[Position, dict[Position, Event]] = {}
        for call, end in self.ended:
            found.setdefault(Position.of(call), {})[Position.of(end)] = end
        return {position: tuple(ends.values()) for position, ends in found.items()}


def status_of(call: Event, end: Event | None, note: str = "") -> CallStatus:
    """Return the status of a call with its end, if that is known, and with its note."""
    if call.is_error or (end is not None and end.is_error) or (end and any(part.is_error for part in end.parts)):
        return "failed"
    return "succeeded" if end or is_complete(call) else "open" if note else ""


def duration_of(call: Event, end: Event) -> str:
    """Return how long a call took: as its end states it, else as the call does, else the time between the two."""
    # The latency of a message is not that of the calls in it.
    stated = (end.latency_ms, call.latency_ms if type_of(call.type).is_call else None)
    known = next((latency_ms for latency_ms in stated if latency_ms is not None), None)
    return format_milliseconds(took_ms(call.occurred_us, call.entry_id.ms, end) if known is None else known)


@dataclass(frozen=True, slots=True)
class KnownEnd:
    """The known end of a session: no event after `last` exists up to `now`."""

    last: Event
    now: datetime
    status: Status  # of the session

    def without_return(self, call_us: int, call_id: EntryId) -> str:
        """Return the note on a call without a return, from its time (Unix microseconds) and its entry ID.

        While the session runs, the return may still arrive. The note then states the wait up to `now`. It counts from
        the entry ID's time, because producers' clocks may be wrong.
        """
        if self.status == "running":
            waited = self.now - (call_id.time or datetime_from_us(call_us))
            return f"waiting for {format_duration(max(waited, timedelta()))} ({_clock(self.now, call_id)} UTC)"
        if call_id == self.last.entry_id:
            return "no return (last event)"
        until = "before session end" if self.status == "ended" else "up to the last event"
        return f"no return {until} (+{format_milliseconds(took_ms(call_us, call_id.ms, self.last))})"


def calls_among(
    shown: Sequence[Event],
    following: Sequence[Event] = (),
    *,
    end: KnownEnd | None,
    no_return_before: EntryId = EntryId.MIN,
    no_call_from: EntryId = EntryId.MIN,
) -> Calls:
    """Return the calls among `shown`, with their returns among these and the `following` events.

    The caller leaves duplicates out of both. `end` is None if the events after those are not known. Missing entries
    may contain the other half of a call or return before `no_return_before`, and the call of a return from
    `no_call_from` on. None of these gets a note.
    """
    here = {Position.of(event) for event in shown}
    paired = pairs([*shown, *following], no_call_from)

    def among_shown(events: Iterable[Event]) -> tuple[Event, ...]:
        return tuple(event for event in events if Position.of(event) in here)

    waiting = [call for call in among_shown(paired.waiting) if end and call.entry_id >= no_return_before]
    alone = [
        event
        for event in among_shown(paired.alone)
        if event.entry_id < no_call_from
        # The call of a return with an ID may also follow.
        and (not event.call_id or (end and event.entry_id >= no_return_before))
    ]
    notes = {Position.of(event): UNKNOWN_CALL for event in alone}
    if end:
        notes |= {Position.of(call): end.without_return(call.occurred_us, call.entry_id) for call in waiting}
    ended = tuple((call, back) for call, back in paired.ended if Position.of(call) in here)
    return Calls(ended, tuple(waiting), tuple(alone), notes)


def _clock(now: datetime, call_id: EntryId) -> str:
    """Return the time `now` (UTC), with the day if it differs from the call's."""
    now = now.astimezone(UTC)
    is_same_day = call_id.time is not None and call_id.time.date() == now.date()
    return f"{now:%H:%M:%S}" if is_same_day else f"{now:%d %b %H:%M:%S}"
