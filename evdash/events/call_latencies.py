"""One latency of each call: that of its return, else that of the call itself, else the time between the two.

The entries of a call have its ID, within one session; session/call_matching.py matches them. An event without a call
has its own latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final, NamedTuple

from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.identifiers import identifier_of
from evdash.events.inheritance import CallKey, own_text
from evdash.events.latency_sketch import bucket_of
from evdash.events.message_parts import MessagePart
from evdash.events.session.call_matching import CallStep, call_steps, latency_of, matched


class CallPart(NamedTuple):
    """An entry of a call. Parts are ordered by entry ID and, for equal IDs, by stream."""

    entry_id: EntryId
    stream: str
    is_call: bool  # False: it ends a call
    occurred_us: int
    latency_ms: float | None
    tool: str  # "": the entry does not name it
    type: str

    @property
    def written_ms(self) -> int:
        return self.entry_id.ms


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
    parts = []
    for step in call_steps(event):
        if step.call_id:
            # The latency of a message is not that of the calls in it.
            latency_ms, tool = (None, step.tool) if step.part else (event.latency_ms, own_text(event, "tool"))
            part = CallPart(
                event.entry_id, event.stream, step.kind == "call", event.occurred_us, latency_ms, tool, event.type
            )
            parts.append(((event.session_id, step.call_id), part))
    return tuple(parts)


def own_latency(event: Event) -> tuple[str, float] | None:
    """Return operation and latency (ms) of an event that is not a part of a call; None without one."""
    if event.latency_ms is None:
        return None
    if event.parts and any(step.part for step in call_steps(event)):
        return event.type, event.latency_ms  # the tool is that of a call in the message
    if event.call_id and event.session_id and identifier_of(event.call_id):
        return None
    return own_text(event, "tool") or event.type, event.latency_ms


def latencies_of_parts(parts: Iterable[CallPart]) -> list[Latency]:
    """Return the latencies of the entries with one call ID."""
    ordered = sorted(parts)
    pairs: list[tuple[CallPart | None, CallPart | None]]
    match ordered:  # the first two take a tenth of the time, and are nearly all
        case [part]:
            pairs = [(part, None) if part.is_call else (None, part)]
        case [call, end] if call.is_call and not end.is_call:
            pairs = [(call, end)]
        case _:
            found = matched([(part, _step(part)) for part in ordered])
            pairs = [*found.ended, *((call, None) for call in found.open), *((None, end) for end in found.alone)]
    return [latency for call, end in pairs if (latency := _latency(call, end))]


def _step(part: CallPart) -> CallStep:
    by_type = type_of(part.type)
    if part.is_call:
        return CallStep("call", "id", part.tool, part=None if by_type.is_call else _INSIDE)
    return CallStep("return" if by_type.call == "return" else "end", "id", part.tool)


_INSIDE: Final = MessagePart("call")


def _latency(call: CallPart | None, end: CallPart | None) -> Latency | None:
    found, last = latency_of(call, end), end or call
    return Latency(last.stream, last.occurred_us, found[0], bucket_of(found[1])) if found and last else None


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
        if own := own_latency(event):
            found[Latency(event.stream, event.occurred_us, own[0], bucket_of(own[1]))] += change.counts
    for key in added.keys() | removed.keys():
        before, after = stored.get(key, ()), added.get(key, set())
        if before:
            gone = {(part.stream, part.entry_id) for part in removed.get(key, ())}
            after |= {part for part in before if (part.stream, part.entry_id) not in gone}
            found.subtract(latencies_of_parts(before))
        found.update(latencies_of_parts(after))
    return Counter({latency: count for latency, count in found.items() if count})
