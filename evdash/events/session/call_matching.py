"""Which return belongs to which call.

A call with a `call_id` ends with the next event, no call itself, that has the same one. Agents use IDs again: of two
open calls with one ID the later one ends, and the earlier stays open. A call without an ID ends with the next return or
error of its tool that has none either: the oldest open call first. A call that says its result, its number of results
or its own error is complete in itself; if it has an ID, a return may still follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from evdash.events.event import Event
from evdash.events.session.persistent import PersistentMap
from evdash.events.session.reading import count, text

CALLS: Final = frozenset({"tool.called", "search.performed"})
RETURNS: Final = frozenset({"tool.returned"})


class Call(NamedTuple):
    """A call that may yet end: what the caller of `called` knows it by."""

    list_name: str
    number: int


class OpenCalls(NamedTuple):
    """The calls that may yet end, as a value."""

    by_call_id: PersistentMap[Call] = PersistentMap()
    # Calls without an ID by `tool` and their number among those of the tool; how many of it were begun and ended.
    by_order: PersistentMap[Call] = PersistentMap()
    begun: PersistentMap[int] = PersistentMap()
    ended: PersistentMap[int] = PersistentMap()

    def with_call(self, event: Event, call: Call) -> OpenCalls:
        """With this call, which the event tells of, waiting for its end."""
        if call_id := call_id_of(event):
            return self._replace(by_call_id=self.by_call_id.put(call_id, call))
        if is_complete(event):
            return self
        number = self.begun.get(event.tool) or 0
        return self._replace(
            by_order=self.by_order.put(f"{number} {event.tool}", call), begun=self.begun.put(event.tool, number + 1)
        )

    def ended_by(self, event: Event) -> tuple[Call | None, OpenCalls]:
        """The call that this event ends, if any, and what is open then."""
        if event.type in CALLS:
            return None, self
        if call_id := call_id_of(event):
            call = self.by_call_id.get(call_id)
            return call, self._replace(by_call_id=self.by_call_id.without(call_id)) if call else self
        if event.type not in RETURNS and not (event.is_error and event.tool):
            return None, self
        number = self.ended.get(event.tool) or 0
        if (call := self.by_order.get(key := f"{number} {event.tool}")) is None:
            return None, self
        return call, self._replace(by_order=self.by_order.without(key), ended=self.ended.put(event.tool, number + 1))


def call_id_of(event: Event) -> str:
    """The ID that ties a call to its return, "" without one."""
    return text(event, "call_id", "tool_call_id")


def is_complete(call: Event) -> bool:
    """Whether the call says itself how it ended, or, as a mere record of a search, has nothing to wait for."""
    if call.is_error or text(call, "result", "output") or results_of(call) is not None:
        return True
    return call.type == "search.performed" and not call.tool and not call_id_of(call)


def results_of(event: Event) -> int | None:
    """How many results a search found, as far as the event says."""
    return count(event, "results", "results_count", "result_count")


def took_ms(call_us: int, call_written_ms: int, end: Event) -> float:
    """From a call (when it occurred, Unix microseconds, and the time in its entry ID) to the event that ends it.

    Many producers say whole seconds. Where the entry IDs agree with them to less than a second, the IDs are finer.
    0 where the producers' clocks say less.
    """
    said_ms = (end.occurred_us - call_us) / 1000
    written_ms = end.entry_id.ms - call_written_ms
    is_whole_seconds = end.occurred_us % 1_000_000 == 0 and call_us % 1_000_000 == 0
    return float(max(0, written_ms if is_whole_seconds and abs(written_ms - said_ms) < 1000 else said_ms))


class Paired(NamedTuple):
    """The calls among some events."""

    ended: list[tuple[Event, Event]]  # each with its return, in the order of the returns
    waiting: list[Event]  # those that nothing has ended, and that do not say themselves how they ended
    alone: list[Event]  # the returns that end none of them


def pairs(events: Iterable[Event]) -> Paired:
    """The calls among these events with what ended them."""
    calls: list[Event] = []
    alone: list[Event] = []
    found: list[tuple[Event, Event]] = []
    waiting = OpenCalls()
    for event in events:
        call, waiting = waiting.ended_by(event)
        if call is not None:
            found.append((calls[call.number], event))
        elif event.type in CALLS:
            waiting = waiting.with_call(event, Call("", len(calls)))
            calls.append(event)
        elif event.type in RETURNS:
            alone.append(event)
    ended = {id(call) for call, _ in found}
    return Paired(found, [call for call in calls if id(call) not in ended and not is_complete(call)], alone)
