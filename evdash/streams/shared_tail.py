"""The newest events of the streams, read once and decoded once for the whole process.

Pages, counts, facets and live push each use a part of the tail. It is read on demand. One round trip reports the ends
of the streams and the positions of the consumer groups. Only entries added since the last read are then read and
decoded.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.keys import ATTRIBUTES, IS, Condition
from evdash.events.filters.search_text import search_text
from evdash.events.inheritance import NO_VALUES, CallKey, CallName, SessionValues, call_names, declared_by
from evdash.streams import replies
from evdash.streams.budget import PAGE_BUDGET_S, redis_budget
from evdash.streams.client import Refused, StreamsUnavailable, call_each, refusal
from evdash.streams.names import name_of
from evdash.streams.reads import read_backward, read_forward
from evdash.streams.stream_info import StreamInfo, stream_info_of, watermark

# The bound of the tail. Decoding this many entries takes some 0.3 s, and they occupy some 40 MB.
TAIL_ENTRIES: Final = 10_000
TAIL_BYTES: Final = 32 * 2**20
# The oldest are dropped only when the bound is exceeded by this factor: each drop rebuilds the index, some 10 ms.
_SLACK: Final = 1.1
_DROP_COMMITTED: Final = 1_000
_FIRST_STEP: Final = 200
_LARGEST_STEP: Final = 2_000
# One read brings about this at most, estimated from the sizes of earlier entries.
_STEP_BYTES: Final = 4 * 2**20
# Events dropped because of the bound are read again only when this share of the bound is free.
_FREE_SHARE: Final = 0.1

INDEXED: Final = ("session", "user", "type")


class Held:
    """An event that the tail holds, with values that are derived from it once.

    They are not `cached_property`: until Python 3.12 it has one lock for all instances, for which page threads waited.
    """

    def __init__(self, event: Event) -> None:
        self.event = event
        self.entry_id = event.entry_id
        self.packed_id = event.entry_id.to_bytes()
        self.number = 0  # unique, in the order in which the tail added its events
        self.size = sum([len(name) + len(value) for name, value in event.entry.pairs])
        self._search_text: str | None = None
        self._values: SessionValues | None = None
        self._names: tuple[tuple[CallKey, CallName], ...] | None = None

    @property
    def search_text(self) -> str:
        if self._search_text is None:
            self._search_text = search_text(self.event)
        return self._search_text

    @property
    def values(self) -> SessionValues:
        """The values that it declares for its session."""
        if self._values is None:
            self._values = declared_by(self.event)
        return self._values

    @property
    def names(self) -> tuple[tuple[CallKey, CallName], ...]:
        if self._names is None:
            self._names = call_names(self.event)
        return self._names


Key = tuple[str, str]
"""The key of an index: a filter key and its value."""


def key_of(condition: Condition) -> Key:
    """Return the key that finds the events of a condition on a session, a user, a type, or errors."""
    return condition.key, condition.value


def _keys(event: Event) -> Iterator[Key]:
    for name in INDEXED:
        yield name, getattr(event, ATTRIBUTES[name])
    if event.is_error:
        yield IS, "error"


@dataclass(frozen=True, slots=True)
class StreamSlice:
    """One stream at one moment: the events that the tail held, and the counters that Redis reported."""

    start: EntryId  # the slice has all entries after this, up to `position`
    position: EntryId
    info: StreamInfo | None  # None: the stream does not exist
    watermarks: Mapping[str, EntryId]  # by group: everything up to here is committed for certain
    _held: Sequence[Held]
    _length: int

    def after(self, entry_id: EntryId) -> Sequence[Held]:
        """Return the events held after this entry ID, oldest first."""
        return self._held[bisect_right(self._held, entry_id, 0, self._length, key=_entry_id) : self._length]

    def is_complete(self, group: str) -> bool:
        """Return True if the slice has everything that the group has not committed."""
        return self.start <= self.watermarks[group]

    def held(self, entry_id: EntryId) -> Held | None:
        """Return the event of this entry, or None if the slice does not have it."""
        index = bisect_right(self._held, entry_id, 0, self._length, key=_entry_id) - 1
        return self._held[index] if index >= 0 and self._held[index].entry_id == entry_id else None

    @property
    def end(self) -> EntryId:
        """The last entry ID that the stream ever generated."""
        return self.info.last_generated_id if self.info else EntryId.MIN


def _entry_id(held: Held) -> EntryId:
    return held.entry_id


@dataclass(frozen=True, slots=True)
class TailReading:
    """The tail at one moment. Later reads of the tail do not change it."""

    slices: Mapping[str, StreamSlice]
    unreachable: str = ""  # the sentence for an outage of Redis; the slices are then empty
    problems: tuple[str, ...] = ()  # the sentences for streams that Redis refuses to read
    upto: int = 0  # the events of this reading have lower numbers
    session_values: Mapping[str, SessionValues] = field(default_factory=dict)  # declared by the held events
    call_names: Mapping[CallKey, tuple[CallName, ...]] = field(default_factory=dict)  # in no particular order
    _index: Mapping[Key, Sequence[Held]] = field(default_factory=dict)
    _uncommitted: dict[str, Mapping[int, Held]] = field(default_factory=dict)  # cached results of `uncommitted`

    def with_key(self, key: Key, group: str) -> list[Held]:
        """Return the events with this key that the group has not committed, in no particular order."""
        indexed = self._index.get(key, ())
        marks = {stream: each.watermarks[group] for stream, each in self.slices.items()}
        return [
            held
            for held in indexed[: len(indexed)]
            if held.number < self.upto and held.entry_id > marks[held.event.stream]
        ]

    def uncommitted(self, group: str) -> Mapping[int, Held]:
        """Return by number all events that the group has not committed, stream by stream, oldest first."""
        by_number = self._uncommitted.get(group)
        if by_number is None:
            parts = (
                slice_of_stream.after(slice_of_stream.watermarks[group]) for slice_of_stream in self.slices.values()
            )
            by_number = self._uncommitted[group] = {held.number: held for part in parts for held in part}
        return by_number

    def reaches(self, group: str) -> bool:
        """Return True if the tail holds everything that the group has not committed.

        Also True if Redis was unreachable.
        """
        return all(slice_of_stream.is_complete(group) for slice_of_stream in self.slices.values())


@dataclass(slots=True)
class _Stream:
    """The held part of one stream, and the counters that Redis reported last."""

    start: EntryId | None = None  # None: not read yet
    position: EntryId = EntryId.MIN
    held: list[Held] = field(default_factory=list)
    info: StreamInfo | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    """The reply of Redis about one stream and its groups."""

    info: StreamInfo | None
    ends: tuple[tuple[bytes, ...], ...]  # the raw first and last entry: ID, then names and values
    acknowledged: Mapping[str, EntryId]  # by group, without groups that do not exist
    problem: str = ""  # the sentence if Redis refuses to read this stream and not all others


@dataclass(frozen=True, slots=True)
class TailFigures:
    """The size of this process's tail."""

    entries: int
    bytes: int


class _Steps:
    """The number of entries to read next, so that one read brings about _STEP_BYTES, regardless of large entries.

    The first step is small. Later steps are larger, and use the largest average entry size of the steps before.
    """

    def __init__(self, answer: _Answer) -> None:
        self._entry_bytes = max((sum(map(len, end)) for end in answer.ends), default=0)
        self._count = _FIRST_STEP

    def next(self, room_bytes: int) -> int:
        """Return the count of the next read, at least 1. `room_bytes` is the space that is left."""
        return max(1, min(self._count, min(_STEP_BYTES, room_bytes) // max(self._entry_bytes, 1)))

    def note(self, held: Sequence[Held]) -> None:
        """Record the entries of a read."""
        if held:
            self._entry_bytes = max(self._entry_bytes, sum(each.size for each in held) // len(held))
        self._count = _LARGEST_STEP


class SharedTail:
    """The tail of some streams, for several threads. One thread reads from Redis at a time.

    The lock on the held events is free while that thread waits for Redis. `take` and `figures` therefore do not
    wait for Redis.
    """

    def __init__(
        self,
        client: redis.Redis,
        streams: Sequence[str],
        groups: Sequence[str],
        *,
        entries_max: int | None = None,
        bytes_max: int | None = None,
    ) -> None:
        self.client = client
        self.streams = tuple(dict.fromkeys(streams))
        self.groups = tuple(dict.fromkeys(groups))
        self._entries_max = entries_max or TAIL_ENTRIES
        self._bytes_max = bytes_max or TAIL_BYTES
        self._reading = threading.Lock()  # always acquired before `_lock`, never while holding it
        self._lock = threading.Lock()
        self._streams = {stream: _Stream() for stream in self.streams}
        self._index: dict[Key, list[Held]] = {}
        self._values: dict[str, SessionValues] = {}
        self._names: dict[CallKey, tuple[CallName, ...]] = {}
        self._bytes = 0
        self._numbers = 0
        self._had_outage = False  # in the last read

    def read(self, committed: Mapping[Key, EntryId]) -> TailReading:
        """Return the tail as it is now, with all events that the groups have not committed, up to its bound.

        `committed` has by group and stream the committed entry ID according to SQL. Query it before this call.

        An outage of Redis never raises: the reading has the sentence in `unreachable`. Waiting for Redis takes
        at most PAGE_BUDGET_S.
        """
        with self._reading:
            try:
                with redis_budget(PAGE_BUDGET_S):
                    answers = self._ask()
                    watermarks = {
                        stream: {
                            group: min(
                                committed.get((group, stream), EntryId.MIN),
                                answer.acknowledged.get(group, EntryId.MIN),
                            )
                            for group in self.groups
                        }
                        for stream, answer in answers.items()
                    }
                    if self._had_outage:  # now another server may answer, or this one restored from an older file
                        self._forget(self.streams)
                    for stream, answer in answers.items():
                        self._bring_up(stream, answer, min(watermarks[stream].values(), default=EntryId.MAX))
            except StreamsUnavailable as outage:
                self._had_outage = True
                return self._without_redis(committed, str(outage))
            self._had_outage = False
            with self._lock:
                reading = self._reading_of(answers, watermarks)
                self._drop(watermarks)
            return reading

    def take(self, entries: Sequence[Entry], after: Mapping[str, EntryId]) -> list[Event]:
        """Return the events of entries that the caller has read, each stream's complete from `after` it on.

        Events that continue the held ones are held as well, so that they are not decoded again.
        """
        events = [held.event if (held := self._held_of(entry)) else decode(entry) for entry in entries]
        with self._lock:
            for event in events:
                state, since = self._streams.get(event.stream), after.get(event.stream)
                if state is None or state.start is None or since is None:
                    continue
                if state.start <= since <= state.position < event.entry_id:
                    self._append(state, Held(event))
        # A running read relies on the held events and drops the oldest at its end. So only drop if none is running.
        if self._reading.acquire(blocking=False):
            try:
                with self._lock:
                    self._drop({})
            finally:
                self._reading.release()
        return events

    def values_of_session(self, session_id: str) -> SessionValues:
        """Return the values that the held events of a session declare."""
        with self._lock:
            return self._values.get(session_id, NO_VALUES)

    def names_of_call(self, call: CallKey) -> tuple[CallName, ...]:
        """Return the held entries of a call, in no particular order."""
        with self._lock:
            return self._names.get(call, ())

    def figures(self) -> TailFigures:
        """Return the present size of the tail."""
        with self._lock:
            entries = sum(len(state.held) for state in self._streams.values())
            return TailFigures(entries, self._bytes)

    def _held_of(self, entry: Entry) -> Held | None:
        state = self._streams.get(entry.stream)
        if state is None:
            return None
        with self._lock:
            index = bisect_right(state.held, entry.entry_id, key=_entry_id) - 1
            held = state.held[index] if index >= 0 else None
        return held if held and held.event.entry == entry else None

    # Calls to Redis. Only for the thread that holds `_reading`.

    def _ask(self) -> dict[str, _Answer]:
        """Return the replies about all streams and groups, from one round trip.

        For each stream the groups are read first and the ends of the stream last. A stream that Redis refuses counts
        as one that does not exist, with its problem. Raises Refused if Redis refuses all of them.
        """
        requests = [
            (
                ("XINFO GROUPS", stream),
                *(("XPENDING", stream, group) for group in self.groups),
                ("XINFO STREAM", stream),
            )
            for stream in self.streams
        ]
        raw_replies = iter(
            call_each(self.client, *(command for commands in requests for command in commands)) if requests else ()
        )
        answers: dict[str, _Answer] = {}
        refusals: list[Refused] = []
        for stream, commands in zip(self.streams, requests, strict=True):
            replies_of_stream = [next(raw_replies) for _ in commands]
            try:
                answers[stream] = self._answer(stream, replies_of_stream)
            except Refused as refused:
                refusals.append(refused)
                answers[stream] = _Answer(None, (), {}, str(refused))
        if refusals and len(refusals) == len(self.streams):
            raise refusals[0]
        return answers

    def _answer(self, stream: str, raw_replies: list[Any]) -> _Answer:
        groups, *pending, info_reply = (self._accepted(stream, reply) for reply in raw_replies)
        if info_reply is None:
            return _Answer(None, (), {})
        delivered = {
            name_of(group["name"]): EntryId.parse(group["last-delivered-id"])
            for group in map(replies.record, groups or ())
        }
        acknowledged = {
            group: watermark(delivered[group], EntryId.parse(reply[1]) if reply[1] else None)
            for group, reply in zip(self.groups, pending, strict=True)
            if reply is not None and group in delivered
        }
        record = replies.record(info_reply)
        ends = tuple(_flat(record[end]) for end in ("first-entry", "last-entry") if record.get(end))
        return _Answer(stream_info_of(info_reply), ends, acknowledged)

    def _accepted(self, stream: str, reply: Any) -> Any:
        """Return the reply, or None for a stream or group that does not exist. Raises Refused."""
        if not isinstance(reply, redis.ResponseError):
            return reply
        if "no such key" in str(reply).lower() or "NOGROUP" in str(reply):
            return None
        raise refusal(self.client, reply, stream) from reply

    def _bring_up(self, stream: str, answer: _Answer, floor: EntryId) -> None:
        """Hold the entries of the stream after `floor`, up to the bound."""
        state, info = self._streams[stream], answer.info
        if info is None or info.first_id is None:
            if state.held:
                self._forget([stream])
            state.start = min(floor, info.last_generated_id if info else EntryId.MIN)
            state.position = info.last_generated_id if info else EntryId.MIN
        else:
            if state.start is not None and self._is_another(state, answer):
                self._forget([stream])
            self._drop_before(state, info.first_id, floor)
            if state.start is not None:
                self._read_on(stream, state, answer)
            if state.start is None:
                state.start = state.position = max(info.last_generated_id, state.position)
            if state.start > floor:
                self._read_back(stream, state, answer, floor)
        state.info = info

    def _is_another(self, state: _Stream, answer: _Answer) -> bool:
        """Return True if the stream does not continue from its last state in the tail.

        It was recreated or restored, or entries were deleted other than from its front. Also True without such
        a state.
        """
        before, now = state.info, answer.info
        if before is None or now is None:
            return True
        if now.last_generated_id < before.last_generated_id or before.max_deleted_id != now.max_deleted_id:
            return True
        added = 0
        if before.entries_added is not None and now.entries_added is not None:
            added = now.entries_added - before.entries_added
        if added < 0 or (now.first_id == before.first_id and now.length < before.length + added):
            return True  # entries were removed other than from the front
        with self._lock:
            return any(
                (held := _at(state.held, EntryId.parse(raw_id))) is not None
                and tuple(part for pair in held.event.entry.pairs for part in pair) != pairs
                for raw_id, *rest in answer.ends
                for pairs in (tuple(rest),)
            )

    def _drop_before(self, state: _Stream, first_id: EntryId, floor: EntryId) -> None:
        """Drop held events that the stream no longer has.

        If the tail starts before the stream's first entry, nothing is missing before it: the start moves back
        to `floor`.
        """
        with self._lock:
            if state.held and state.held[0].entry_id < first_id:
                self._keep(lambda each, held: each is not state or held.entry_id >= first_id)
            if state.start is not None and state.start < first_id:
                state.start = min(state.start, floor)

    def _read_on(self, stream: str, state: _Stream, answer: _Answer) -> None:
        """Read the entries that were added since the last read.

        If they exceed the bound of the tail, the tail drops the stream and stops reading.

        If they exceed the stream's own count of added entries, the tail drops the stream as well. Redis was
        then restored from an older file and written to.
        """
        info = answer.info
        if info is None or state.position >= info.last_generated_id:
            return
        added = None
        if info.entries_added is not None and state.info and state.info.entries_added is not None:
            added = info.entries_added - state.info.entries_added
        steps, count, size = _Steps(answer), 0, 0
        while state.position < info.last_generated_id:
            if max(added or 0, count) > self._entries_max or size > self._bytes_max:
                self._forget([stream])
                return
            step = steps.next(self._bytes_max)
            entries = read_forward(self.client, stream, after=state.position, count=step)
            held = [Held(decode(entry)) for entry in entries]
            steps.note(held)
            count += sum(each.entry_id <= info.last_generated_id for each in held)
            size += sum(each.size for each in held)
            if added is not None and count > added:
                self._forget([stream])
                return
            with self._lock:
                for each in held:
                    if each.entry_id > state.position:
                        self._append(state, each)
                if len(entries) < step:
                    state.position = max(state.position, info.last_generated_id)

    def _read_back(self, stream: str, state: _Stream, answer: _Answer, floor: EntryId) -> None:
        """Read the entries before the held ones, back to `floor` or to the bound."""
        read_back: list[Held] = []
        size = 0
        room = max(self._entries_max - sum(len(each.held) for each in self._streams.values()), 0)
        room_bytes = max(self._bytes_max - self._bytes, 0)
        if state.held:
            if room < self._entries_max * _FREE_SHARE or room_bytes < self._bytes_max * _FREE_SHARE:
                return
        else:
            room = max(room, self._entries_max // len(self.streams))
        start = state.start or EntryId.MIN
        steps = _Steps(answer)
        while len(read_back) < room and size < room_bytes:
            step = min(steps.next(room_bytes - size), room - len(read_back))
            before = None if start == EntryId.MAX else start.next()
            entries = read_backward(self.client, stream, before=before, after=floor, count=step)
            held = [Held(decode(entry)) for entry in entries]
            steps.note(held)
            read_back += held
            if len(entries) < step:
                start = floor
                break
            start = entries[-1].entry_id.previous()
            size += sum(each.size for each in held)
        with self._lock:
            if read_back:
                for each in read_back:
                    self._give_number(each)
                state.held = [*reversed(read_back), *state.held]
                self._rebuild_index()
            state.start = start

    # The held events. Callers of these methods hold `_lock`, except for `_forget`.

    def _append(self, state: _Stream, held: Held) -> None:
        self._give_number(held)
        state.held.append(held)
        state.position = held.entry_id
        self._note(held)

    def _give_number(self, held: Held) -> None:
        held.number = self._numbers
        self._numbers += 1

    def _note(self, held: Held) -> None:
        self._bytes += held.size
        for key in _keys(held.event):
            self._index.setdefault(key, []).append(held)
        if session_id := held.event.session_id:
            known = self._values.get(session_id)
            self._values[session_id] = known.merged(held.values) if known else held.values
            for call, name in held.names:
                self._names[call] = (*self._names.get(call, ()), name)

    def _keep(self, is_kept: Callable[[_Stream, Held], bool]) -> None:
        for state in self._streams.values():
            state.held = [held for held in state.held if is_kept(state, held)]
        self._rebuild_index()

    def _rebuild_index(self) -> None:
        """Build a new index for the new lists of held events.

        Readings keep the lists and the index that they have.
        """
        self._index, self._values, self._names, self._bytes = {}, {}, {}, 0
        for state in self._streams.values():
            for held in state.held:
                self._note(held)

    def _forget(self, streams: Iterable[str]) -> None:
        with self._lock:
            for stream in streams:
                state = self._streams[stream]
                state.start, state.position, state.held, state.info = None, EntryId.MIN, [], None
            self._rebuild_index()

    def _drop(self, watermarks: Mapping[str, Mapping[str, EntryId]]) -> None:
        """Drop events that every group has committed according to `watermarks`, and the oldest beyond the bound."""
        committed = {stream: min(marks.values(), default=EntryId.MIN) for stream, marks in watermarks.items()}
        droppable = {
            stream: bisect_right(state.held, committed.get(stream, EntryId.MIN), key=_entry_id)
            for stream, state in self._streams.items()
        }
        cutoff = self._cutoff()
        if sum(droppable.values()) < _DROP_COMMITTED and cutoff is None:
            return
        for stream, state in self._streams.items():
            dropped = max(droppable[stream], bisect_right(state.held, cutoff, key=_entry_id) if cutoff else 0)
            if dropped:
                state.start = max(state.start or EntryId.MIN, state.held[dropped - 1].entry_id)
                state.held = state.held[dropped:]
        self._rebuild_index()

    def _cutoff(self) -> EntryId | None:
        """Return the newest entry ID beyond the bound, or None if all events fit."""
        entries = sum(len(state.held) for state in self._streams.values())
        if entries <= self._entries_max * _SLACK and self._bytes <= self._bytes_max * _SLACK:
            return None
        every = sorted((held for state in self._streams.values() for held in state.held), key=_entry_id)
        left, size = self._entries_max, self._bytes_max
        for index in range(len(every) - 1, -1, -1):
            left, size = left - 1, size - every[index].size
            if left < 0 or (size < 0 and index < len(every) - 1):
                return every[index].entry_id
        return None

    def _reading_of(
        self, answers: Mapping[str, _Answer], watermarks: Mapping[str, Mapping[str, EntryId]]
    ) -> TailReading:
        slices = {
            stream: StreamSlice(
                state.start or EntryId.MIN,
                state.position,
                answers[stream].info,
                watermarks[stream],
                state.held,
                len(state.held),
            )
            for stream, state in self._streams.items()
        }
        problems = tuple(answer.problem for answer in answers.values() if answer.problem)
        return TailReading(slices, "", problems, self._numbers, dict(self._values), dict(self._names), self._index)

    def _without_redis(self, committed: Mapping[Key, EntryId], sentence: str) -> TailReading:
        slices = {}
        for stream in self.streams:
            marks = {group: committed.get((group, stream), EntryId.MIN) for group in self.groups}
            slices[stream] = StreamSlice(EntryId.MIN, EntryId.MIN, None, marks, (), 0)
        return TailReading(slices, sentence)


def _at(held: Sequence[Held], entry_id: EntryId) -> Held | None:
    index = bisect_right(held, entry_id, key=_entry_id) - 1
    return held[index] if index >= 0 and held[index].entry_id == entry_id else None


def _flat(raw_entry: Any) -> tuple[bytes, ...]:
    """Return the ID, followed by names and values in turn."""
    raw_id, raw_pairs = raw_entry
    return (raw_id, *raw_pairs)
