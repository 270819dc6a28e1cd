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
from evdash.events.identifiers import identifier_of
from evdash.events.inheritance import CallKey, own_text
from evdash.events.latency_sketch import bucket_of
from evdash.events.message_parts import MessagePart
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
    if not event.session_id or not event.call_id:
        return ()
    inside = calls_inside(event)
    if not inside:
        part = CallPart(
            event.entry_id, event.stream, type_of(event.type).is_call, event.occurred_us, event.latency_ms,
            own_text(event, "tool"), event.type,
        )  # fmt: skip
        return (((event.session_id, identifier_of(event.call_id)), part),)
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


def calls_inside(event: Event) -> list[MessagePart]:
    """Return the calls and returns inside a message."""
    return [part for part in event.parts if part.kind in ("call", "return") and part.call_id] if event.parts else []


def latencies_of_parts(parts: Iterable[CallPart]) -> list[Latency]:
    """Return the latencies of the entries with one call ID."""
    pairs: list[tuple[CallPart | None, CallPart | None]] = []
    opened: CallPart | None = None
    for part in sorted(parts):
        if not part.is_call:
            pairs.append((opened, part))
        elif opened:
            pairs.append((opened, None))
        opened = part if part.is_call else None
    if opened:
        pairs.append((opened, None))
    return [latency for call, end in pairs if (latency := _latency(call, end))]


def _latency(call: CallPart | None, end: CallPart | None) -> Latency | None:
    """Return the latency of a call and its end, of which one may be missing; None without one."""
    first, last = call or end, end or call
    if first is None or last is None:
        return None
    latency_ms = last.latency_ms
    if latency_ms is None and first is not last:
        latency_ms = first.latency_ms
        if latency_ms is None:
            latency_ms = elapsed_ms(first.occurred_us, first.entry_id.ms, last.occurred_us, last.entry_id.ms)
    if latency_ms is None:
        return None
    return Latency(last.stream, last.occurred_us, first.tool or last.tool or first.type, bucket_of(latency_ms))


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
        if event.latency_ms is not None and (not parts or calls_inside(event)):
            name = own_text(event, "tool") or event.type
            found[Latency(event.stream, event.occurred_us, name, bucket_of(event.latency_ms))] += change.counts
    for key in added.keys() | removed.keys():
        before, after = stored.get(key, ()), added.get(key, set())
        if before:
            gone = {(part.stream, part.entry_id) for part in removed.get(key, ())}
            after |= {part for part in before if (part.stream, part.entry_id) not in gone}
            found.subtract(latencies_of_parts(before))
        found.update(latencies_of_parts(after))
    return Counter({latency: count for latency, count in found.items() if count})
