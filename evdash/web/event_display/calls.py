"""Calls without a return, and returns without a call, as pages tell them: only where nothing that is not known could be
the other half, and up to when that is so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event, datetime_from_us
from evdash.events.session.call_matching import pairs, took_ms
from evdash.web.formatting import format_duration, format_milliseconds
from evdash.web.session_status import Status

UNKNOWN_CALL: Final = "its call is not known"


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls among the events of a picture or a page."""

    ended: tuple[tuple[Event, Event], ...] = ()  # each with its return, which may lie after those events
    open: tuple[Event, ...] = ()  # those that certainly have no return
    alone: tuple[Event, ...] = ()  # returns that certainly have no call
    notes: Mapping[Position, str] = field(default_factory=dict)  # what is to be said of the open and the lone ones

    def note(self, event: Event) -> str:
        """What is to be said of this event; "" for nothing."""
        return self.notes.get(Position.of(event), "")


@dataclass(frozen=True, slots=True)
class KnownEnd:
    """The end of events of which there are no others up to `now`."""

    last: Event
    now: datetime
    status: Status  # of the session

    def without_return(self, call_us: int, call_id: EntryId) -> str:
        """What is to be said of a call (when it occurred, Unix microseconds, and its entry) that nothing has ended.

        While the session runs the return may still come: then up to which time it had not, by the entry ID, since
        producers' clocks may be off.
        """
        if self.status == "running":
            waited = self.now - (call_id.time or datetime_from_us(call_us))
            return f"no return for {format_duration(max(waited, timedelta()))}, by {_clock(self.now, call_id)} UTC"
        if call_id == self.last.entry_id:
            return "no return, and nothing after it"
        until = "the session's end" if self.status == "ended" else "the last event so far"
        return f"no return until {until}, {format_milliseconds(took_ms(call_us, call_id.ms, self.last))} later"


def calls_among(
    shown: Sequence[Event],
    following: Sequence[Event] = (),
    *,
    end: KnownEnd | None,
    no_return_before: EntryId = EntryId.MIN,
    no_call_from: EntryId = EntryId.MIN,
) -> Calls:
    """The calls among `shown`, with their returns among these and the `following` events; duplicates left out of both.

    `end`: None where events after those are not known. Of a call before `no_return_before` the return may be among
    entries that are missing, of a return from `no_call_from` on the call: nothing is said of either.
    """
    here = {Position.of(event) for event in shown}
    paired = pairs([*shown, *following])

    def among_shown(events: Iterable[Event]) -> tuple[Event, ...]:
        return tuple(event for event in events if Position.of(event) in here)

    waiting = [call for call in among_shown(paired.waiting) if end and call.entry_id >= no_return_before]
    alone = [event for event in among_shown(paired.alone) if event.entry_id < no_call_from]
    notes = {Position.of(event): UNKNOWN_CALL for event in alone}
    if end:
        notes |= {Position.of(call): end.without_return(call.occurred_us, call.entry_id) for call in waiting}
    ended = tuple((call, back) for call, back in paired.ended if Position.of(call) in here)
    return Calls(ended, tuple(waiting), tuple(alone), notes)


def _clock(now: datetime, call_id: EntryId) -> str:
    """The time, with its day where that is another one than the call's."""
    now = now.astimezone(UTC)
    is_same_day = call_id.time is not None and call_id.time.date() == now.date()
    return f"{now:%H:%M:%S}" if is_same_day else f"{now:%d %b %H:%M:%S}"
