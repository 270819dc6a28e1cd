"""Matching of returns to calls.

A call with a `call_id` ends with the next event that has the same ID and is not a call. Agents reuse IDs. If two open
calls share an ID, a return closes the later one, and the earlier one stays open. A call without an ID ends with the
next return or error of its tool that has no ID either. The oldest open call ends first. A call is complete in itself if
it contains its result, its number of results or its own error. If it has an ID, a return may still follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import count, text
from evdash.events.session.state import Call, OpenCalls


def with_open_call(calls: OpenCalls, event: Event, call: Call) -> OpenCalls:
    """Return the open calls with this call, which the event starts.

    A complete call without an ID is not added, because it cannot end.
    """
    if call_id := event.call_id:
        return calls._replace(by_call_id=calls.by_call_id.put(call_id, call))
    if is_complete(event):
        return calls
    number = calls.begun.get(event.tool) or 0
    return calls._replace(
        by_order=calls.by_order.put(f"{number} {event.tool}", call), begun=calls.begun.put(event.tool, number + 1)
    )


def call_ended_by(calls: OpenCalls, event: Event) -> tuple[Call | None, OpenCalls]:
    """Return the call that this event ends, if any, and the calls that stay open."""
    event_type = type_of(event.type)
    if event_type.is_call:
        return None, calls
    if call_id := event.call_id:
        call = calls.by_call_id.get(call_id)
        return call, calls._replace(by_call_id=calls.by_call_id.without(call_id)) if call else calls
    if event_type.call != "return" and not (event.is_error and event.tool):
        return None, calls
    number = calls.ended.get(event.tool) or 0
    if (call := calls.by_order.get(key := f"{number} {event.tool}")) is None:
        return None, calls
    return call, calls._replace(by_order=calls.by_order.without(key), ended=calls.ended.put(event.tool, number + 1))


def is_complete(call: Event) -> bool:
    """Return whether the call contains its own end, or is a record of a search that cannot have a return."""
    if call.is_error or text(call, call.profile.result) or results_of(call) is not None:
        return True
    return type_of(call.type).call == "search" and not call.tool and not call.call_id


def results_of(event: Event) -> int | None:
    """Return the number of results of a search, or None if the event does not contain it."""
    results = count(event, event.profile.results)
    return count(event, event.profile.results_count) if results is None else results


def took_ms(call_us: int, call_written_ms: int, end: Event) -> float:
    """Return the milliseconds from a call to the event that ends it.

    The call is given by its time (Unix microseconds) and by the time in its entry ID (milliseconds). Many producers
    write whole seconds. If the entry IDs differ from those by less than a second, they are more exact and are used. A
    negative result becomes 0.
    """
    return elapsed_ms(call_us, call_written_ms, end.occurred_us, end.entry_id.ms)


def elapsed_ms(call_us: int, call_written_ms: int, end_us: int, end_written_ms: int) -> float:
    """Return the milliseconds between two events; see `took_ms`."""
    producer_ms = (end_us - call_us) / 1000
    redis_ms = end_written_ms - call_written_ms
    is_whole_seconds = end_us % 1_000_000 == 0 and call_us % 1_000_000 == 0
    return float(max(0, redis_ms if is_whole_seconds and abs(redis_ms - producer_ms) < 1000 else producer_ms))


class Paired(NamedTuple):
    """The calls among some events."""

    ended: list[tuple[Event, Event]]  # each with its return, in the order of the returns
    waiting: list[Event]  # calls that no event ended and that are not complete in themselves
    alone: list[Event]  # returns that do not end any of them


def pairs(events: Iterable[Event]) -> Paired:
    """Return the calls among these events, with the events that ended them."""
    calls: list[Event] = []
    alone: list[Event] = []
    paired: list[tuple[Event, Event]] = []
    waiting = OpenCalls()
    for event in events:
        call, waiting = call_ended_by(waiting, event)
        if call is not None:
            paired.append((calls[call.number], event))
        elif type_of(event.type).is_call:
            waiting = with_open_call(waiting, event, Call("", len(calls)))
            calls.append(event)
        elif type_of(event.type).call == "return":
            alone.append(event)
    ended = {id(call) for call, _ in paired}
    return Paired(paired, [call for call in calls if id(call) not in ended and not is_complete(call)], alone)
