"""Matching of returns to calls.

A return ends a call of its session that has the same call ID, or of the same tool if neither has an ID. Calls without a
return between them form a round, because agents use IDs again. A return ends the first open call of the latest round,
else that of an earlier round. A return whose ID no call had before ends the first call that has it later.

A message and an event of its own may both state a call. They are one call if no return is between them.

A call is complete in itself if it contains its result, its number of results or its own error. If it has an ID, a
return may still follow. Any other event with a call ID, or an error of a tool, ends a call like a return. But it never
waits for a call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import count, text
from evdash.events.identifiers import identifier_of
from evdash.events.inheritance import own_text
from evdash.events.message_parts import MessagePart
from evdash.events.session.state import Call, OpenCalls, Waiting


class CallStep(NamedTuple):
    """A call, or the end of one, that an event states."""

    kind: Literal["call", "return", "end"]  # an end is not a return, and ends a call like one
    call_id: str
    tool: str
    is_complete: bool = False  # a call that contains its own end
    part: MessagePart | None = None  # the part of a message that states it; None: the event itself


def call_steps(event: Event) -> tuple[CallStep, ...]:
    """Return the calls and the ends of calls that the event states: those inside a message, else at most one.

    If several parts of a message have one call ID, the first counts. With a result beside it, a call is complete.
    """
    event_type = type_of(event.type)
    if event.parts and not event_type.call and (steps := _steps_inside(event.parts)):
        return steps
    call_id = identifier_of(event.call_id) if event.call_id else ""
    if event_type.is_call:
        return (CallStep("call", call_id, event.tool, is_complete(event)),)
    if event_type.call == "return":
        return (CallStep("return", call_id, event.tool),)
    return (CallStep("end", call_id, event.tool),) if call_id or (event.is_error and event.tool) else ()


def _steps_inside(parts: Iterable[MessagePart]) -> tuple[CallStep, ...]:
    steps: dict[str | int, CallStep] = {}
    for number, part in enumerate(parts):
        if part.kind not in ("call", "return"):
            continue
        step = CallStep(
            "call" if part.kind == "call" else "end", identifier_of(part.call_id), identifier_of(part.tool), part=part
        )
        first = steps.setdefault(step.call_id or number, step)
        if first.kind == "call" and step.kind == "end":
            steps[step.call_id] = first._replace(is_complete=True)
    return tuple(steps.values())


def call_of(event: Event, step: CallStep, list_name: str, number: int) -> Call:
    """Return the call or end of this step, under its number in a list."""
    # The latency of a message is not that of the calls in it.
    tool, latency_ms = (own_text(event, "tool"), event.latency_ms) if step.part is None else (step.tool, None)
    times = (latency_ms, event.occurred_us, event.entry_id.ms)
    return Call(list_name, number, _stated_by(step), tool, event.type, *times)


def _stated_by(step: CallStep) -> str:
    return "" if step.kind != "call" else "event" if step.part is None else "message"


class Begun(NamedTuple):
    """The effect of a call on the open calls."""

    calls: OpenCalls
    repeated: Call | None = None  # the open call that it states again
    ended_by: Call | None = None  # the return before it that ends it


def with_open_call(calls: OpenCalls, step: CallStep, call: Call) -> Begun:
    """Return the open calls with this call. A complete call without an ID is not added, because it cannot end."""
    if step.is_complete and not step.call_id:
        return Begun(calls)
    key = _key(step)
    waiting = calls.waiting.get(key) or Waiting()
    if step.call_id and (digest := _digest(key)) not in calls.called:
        calls = calls._replace(called=calls.called.added(digest))
    if waiting.early:
        later = waiting._replace(early=waiting.early.without_first(1))
        return Begun(_with(calls, key, later), ended_by=waiting.early[0])
    last = waiting.latest[len(waiting.latest) - 1] if waiting.latest else None
    if last and not waiting.is_answered and {last.stated_by, call.stated_by} == {"event", "message"}:
        stated = call if call.stated_by == "event" else last  # the event has the time and the latency of the call
        both = stated._replace(list_name=last.list_name, number=last.number, stated_by="")
        latest = waiting.latest.replaced(len(waiting.latest) - 1, both)
        return Begun(_with(calls, key, waiting._replace(latest=latest)), repeated=last)
    if waiting.is_answered:
        older = waiting.older
        for earlier in waiting.latest:
            older = older.appended(earlier)
        waiting = Waiting(older=older)
    return Begun(_with(calls, key, waiting._replace(latest=waiting.latest.appended(call))))


def with_end(calls: OpenCalls, step: CallStep, end: Call | None) -> tuple[Call | None, OpenCalls]:
    """Return the call that this step ends, if any, and the open calls after it.

    A return that ends no call waits for one as `end`, if no call had its ID before. With None it does not wait.
    """
    key = _key(step)
    waiting = calls.waiting.get(key) or Waiting()
    if waiting.latest:
        left = waiting._replace(latest=waiting.latest.without_first(1), is_answered=True)
        return waiting.latest[0], _with(calls, key, left)
    if waiting.older:
        return waiting.older[0], _with(calls, key, waiting._replace(older=waiting.older.without_first(1)))
    if end is not None and step.kind == "return" and step.call_id and _digest(key) not in calls.called:
        calls = _with(calls, key, waiting._replace(early=waiting.early.appended(end)))
    return None, calls


def _key(step: CallStep) -> str:
    return f"id {step.call_id}" if step.call_id else f"tool {step.tool}"


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def _with(calls: OpenCalls, key: str, waiting: Waiting) -> OpenCalls:
    is_any = waiting.latest or waiting.older or waiting.early
    return calls._replace(waiting=calls.waiting.put(key, waiting) if is_any else calls.waiting.without(key))


class Timed(Protocol):
    """A call or its end, with what its latency needs."""

    @property
    def tool(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def latency_ms(self) -> float | None: ...
    @property
    def occurred_us(self) -> int: ...
    @property
    def written_ms(self) -> int: ...


def latency_of(call: Timed | None, end: Timed | None) -> tuple[str, float] | None:
    """Return operation and latency (ms) of a call and its end, of which one may be missing; None without a latency.

    It is the latency of the end, else that of the call, else the time between them.
    """
    first, last = call or end, end or call
    if first is None or last is None:
        return None
    latency_ms = last.latency_ms
    if latency_ms is None and first is not last:
        latency_ms = first.latency_ms
        if latency_ms is None:
            latency_ms = elapsed_ms(first.occurred_us, first.written_ms, last.occurred_us, last.written_ms)
    return None if latency_ms is None else (first.tool or last.tool or first.type, latency_ms)


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


T = TypeVar("T")


class Matched(NamedTuple, Generic[T]):
    """The calls among some items, and the other items."""

    ended: list[tuple[T, T]]  # each with its end
    open: list[T]
    alone: list[T]  # ends without a call


def matched(items: Iterable[tuple[T, CallStep]], can_wait: Callable[[T], bool] = lambda _: True) -> Matched[T]:
    """Return these items, in their order, as calls and ends. `can_wait`: the call of a return may be after it."""
    all_items: list[T] = []
    open_items, alone, ended = dict[int, T](), dict[int, T](), list[tuple[T, T]]()
    calls = OpenCalls()
    for number, (item, step) in enumerate(items):
        all_items.append(item)
        reference = Call("", number, _stated_by(step))
        if step.kind != "call":
            call, calls = with_end(calls, step, reference if can_wait(item) else None)
            if call is None:
                alone[number] = item
            else:
                ended.append((open_items.pop(call.number), item))
            continue
        calls, repeated, end = with_open_call(calls, step, reference)
        if end is not None:
            ended.append((item, alone.pop(end.number)))
        elif repeated is None:
            open_items[number] = item
        elif step.part is None:
            open_items[repeated.number] = item
    return Matched(ended, list(open_items.values()), list(alone.values()))


class Paired(NamedTuple):
    """The calls among some events. A call inside a message is the message, with the tool of this call."""

    ended: list[tuple[Event, Event]]  # each with its return
    waiting: list[Event]  # calls that no event ended and that are not complete in themselves
    alone: list[Event]  # returns that do not end any of them


def pairs(events: Iterable[Event], no_call_from: EntryId = EntryId.MIN) -> Paired:
    """Return the calls among these events, with the events that ended them.

    The call of a return from `no_call_from` on may be before these events, so it does not wait for a later one.
    """
    steps = [((event, step), step) for event in events for step in call_steps(event)]
    found = matched(steps, lambda item: item[0].entry_id < no_call_from)
    return Paired(
        [(_with_tool(*call), end) for call, (end, _) in found.ended],
        [_with_tool(event, step) for event, step in found.open if not step.is_complete],
        [event for event, step in found.alone if step.kind == "return"],
    )


def _with_tool(event: Event, step: CallStep) -> Event:
    return event if step.part is None else event._replace(tool=step.tool)
