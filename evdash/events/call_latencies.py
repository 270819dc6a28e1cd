"""One latency of each call: that of its return, else that of the call itself, else the time between the two.

The entries of a call have its ID, within one session. They are matched as session/call_matching.py does it: a return
ends the last call before it that is open. An event without a call has its own latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import call_id_of
from evdash.events.identifiers import identifier_of
from evdash.events.inheritance import CallKey, own
from evdash.events.latency_sketch import bucket_of, operation
from evdash.events.session.call_matching import elapsed_ms


class CallPart(NamedTuple):
    """An entry of a call. Parts are ordered by entry ID and, for equal IDs, by stream."""

    entry_id: EntryId
    stream: str
    is_call: bool  # False: it ends a call
    occurred_us: int
    latency_ms: float | None
    tool: str  # "": the entry does not name it
    type: str


class Latency(NamedTuple):
    """A latency, in the bucket of the sketch, at the time (Unix microseconds) at which the operation ended."""

    stream: str
    occurred_us: int
    operation: str
    bucket: int


def call_parts(event: Event) -> tuple[tuple[CallKey, CallPart], ...]:
    """Return the event as part of its call, or of several calls of a message; empty without a call."""
    if not event.session_id:
        return ()
    itself = own(event)
    inside = [part for part in event.parts if part.kind in ("call", "return") and part.call_id]
    if not inside:
        if not (call_id := call_id_of(event)):
            return ()
        part = CallPart(
            event.entry_id, event.stream, type_of(event.type).is_call, event.occurred_us, event.latency_ms, itself.tool,
            event.type,
        )  # fmt: skip
        return (((event.session_id, identifier_of(call_id)), part),)
    # The latency of a message is not that of the calls in it.
    return tuple(
        {
            (event.session_id, identifier_of(part.call_id)): CallPart(
                event.entry_id, event.stream, part.kind == "call", event.occurred_us, None, identifier_of(part.tool),
                event.type,
            )
            for part in reversed(inside)
        }.items()
    )  # fmt: skip


def latencies_of_parts(parts: Iterable[CallPart]) -> Counter[Latency]:
    """Return the latencies of the entries with one call ID."""
    found: Counter[Latency] = Counter()
    opened: CallPart | None = None
    for part in sorted(parts):
        if part.is_call:
            _add(found, opened, None)
            opened = part
        else:
            _add(found, opened, part)
            opened = None
    _add(found, opened, None)
    return found


def _add(found: Counter[Latency], call: CallPart | None, end: CallPart | None) -> None:
    last = end or call
    if last is None:
        return
    latency_ms = last.latency_ms
    if latency_ms is None and call is not None and end is not None:
        latency_ms = call.latency_ms
        if latency_ms is None:
            latency_ms = elapsed_ms(call.occurred_us, call.entry_id.ms, end.occurred_us, end.entry_id.ms)
    if latency_ms is not None:
        names = [part for part in (call, end) if part is not None]
        name = next((part.tool for part in names if part.tool), names[0].type)
        found[Latency(last.stream, last.occurred_us, name, bucket_of(latency_ms))] += 1


Parts = tuple[tuple[CallKey, CallPart], ...]


def with_parts(changes: Iterable[CountChange]) -> list[tuple[CountChange, Parts]]:
    """Return the changes that count anything, with the parts of calls that their events are."""
    return [(change, call_parts(change.event)) for change in changes if change.counts]


def changed_latencies(
    changes: Iterable[tuple[CountChange, Parts]], stored: Mapping[CallKey, Collection[CallPart]]
) -> Counter[Latency]:
    """Return how often each latency is added (or removed, if negative) by these changes.

    `stored` are the parts of their calls that were counted before, without duplicates.
    """
    found: Counter[Latency] = Counter()
    added: dict[CallKey, set[CallPart]] = {}
    removed: dict[CallKey, set[CallPart]] = {}
    for change, parts in changes:
        event = change.event
        for key, part in parts:
            (added if change.counts > 0 else removed).setdefault(key, set()).add(part)
        is_of_message = any(part.kind in ("call", "return") and part.call_id for part in event.parts)
        if event.latency_ms is not None and (not parts or is_of_message):
            name = operation(own(event))
            found[Latency(event.stream, event.occurred_us, name, bucket_of(event.latency_ms))] += change.counts
    for key in added.keys() | removed.keys():
        before = set(stored.get(key, ()))
        gone = {(part.stream, part.entry_id) for part in removed.get(key, ())}
        after = {part for part in before if (part.stream, part.entry_id) not in gone} | added.get(key, set())
        found.update(latencies_of_parts(after))
        found.subtract(latencies_of_parts(before))
    return Counter({latency: count for latency, count in found.items() if count})
