"""Cached contents of sandboxes: decoded once, and kept in memory until the sandbox changes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock
from typing import Final

import redis
from django.utils.functional import cached_property

from evdash.eventlog.session_snapshots import Step
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange, changes
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.inheritance import inherit_among
from evdash.events.session.reducer import fold, without_beginning
from evdash.events.session.state import NOT_STARTED, SessionState
from evdash.events.summaries import (
    SessionSummary,
    UserSummary,
    call_statements,
    final_summaries,
    sessions_of,
    users_of,
)
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import Sandbox

# A replay copies at most ENTRIES_MAX entries. BYTES_MAX counts raw bytes; a decoded entry needs about three times that.
ENTRIES_MAX: Final = 100_000
BYTES_MAX: Final = 64 * 2**20
_STEP: Final = 1_000
_STATE_EVERY: Final = 500


class Contents:
    """The entries of a sandbox at one moment, and their summaries. Immutable."""

    def __init__(self, events: Sequence[Event], size_bytes: int, *, is_all: bool) -> None:
        self.events = tuple(inherit_among(events))
        """Oldest first."""
        self.size_bytes = size_bytes
        self.is_all = is_all
        """False: the sandbox holds more, after these."""
        self._states: dict[str, dict[int, SessionState]] = defaultdict(dict)

    @cached_property
    def changes(self) -> Sequence[CountChange]:
        """The effect of each event on the counters, oldest first."""
        return sorted(changes(self.events, {}), key=lambda change: change.event.entry_id)

    @cached_property
    def duplicates(self) -> Mapping[EntryId, EntryId]:
        """The entry IDs of duplicates, each mapped to the entry ID that counts."""
        first: dict[bytes, EntryId] = {}
        originals: dict[EntryId, EntryId] = {}
        for change in self.changes:
            if change.identity is not None:
                counted = first.setdefault(change.identity, change.event.entry_id)
                if change.is_duplicate:
                    originals[change.event.entry_id] = counted
        return originals

    @cached_property
    def sessions(self) -> Mapping[str, SessionSummary]:
        """The summaries of sessions by session ID."""
        summaries = sessions_of(self.changes)
        return final_summaries(summaries, lambda session_ids: call_statements(self.changes))

    @cached_property
    def users(self) -> Mapping[str, UserSummary]:
        """The summaries of users by user ID."""
        sessions_by_user: dict[str, set[str]] = defaultdict(set)
        for event in self.events:
            if event.session_id:
                sessions_by_user[event.user_id].add(event.session_id)
        users = users_of(self.changes)
        return {key: replace(user, sessions=len(sessions_by_user[key])) for key, user in users.items()}

    @cached_property
    def by_session(self) -> Mapping[str, Sequence[Event]]:
        """The events of each session, oldest first."""
        events_by_session: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.session_id:
                events_by_session[event.session_id].append(event)
        return events_by_session

    @property
    def last_id(self) -> EntryId:
        """The ID of the last event; EntryId.MIN without any."""
        return self.events[-1].entry_id if self.events else EntryId.MIN

    def event(self, entry_id: EntryId) -> Event | None:
        """Return the event of this entry, or None."""
        index = bisect_left(self.events, entry_id, key=_entry_id)
        return (
            self.events[index] if self.events[index : index + 1] and self.events[index].entry_id == entry_id else None
        )

    def steps(self, session_id: str, through: EntryId, history: int) -> Iterator[Step]:
        """Yield the last steps of a session up to an entry ID: each event with the states before and after it.

        There are at least `history` steps, if the session has that many events.
        """
        events = self.by_session.get(session_id, ())
        end = bisect_right(events, through, key=_entry_id)
        kept_states = self._states[session_id]
        begin = max((number for number in kept_states if number <= max(0, end - history)), default=0)
        state = kept_states.get(begin) or _beginning(events)
        for number in range(begin, end):
            if number % _STATE_EVERY == 0:
                kept_states[number] = state
            before, state = state, fold(state, events[number])
            yield Step(before, events[number], state)


def _entry_id(event: Event) -> EntryId:
    return event.entry_id


NOTHING: Final = Contents((), 0, is_all=True)


def _beginning(events: Sequence[Event]) -> SessionState:
    """Return the state before the first of these events.

    A session without session.started as its first event was copied in part. Its beginning is unknown.
    """
    return NOT_STARTED if not events or type_of(events[0].type).starts_session else without_beginning(None)


@dataclass(frozen=True, slots=True)
class _Mark:
    """Version of a sandbox's contents: its replays, and the stream's first ID, last ID and length."""

    begun: tuple[datetime, ...]
    first_id: EntryId | None
    last_id: EntryId
    length: int

    @classmethod
    def of(cls, sandbox: Sandbox) -> _Mark:
        begun, info = tuple(replay.begun_at for replay in sandbox.replays), sandbox.info
        return (
            cls(begun, info.first_id, info.last_generated_id, info.length) if info else cls(begun, None, EntryId.MIN, 0)
        )

    def may_grow_to(self, other: _Mark) -> bool:
        return (self.begun, self.first_id) == (other.begun, other.first_id) and self.length < other.length


class SandboxCache:
    """Thread-safe cache of the most recently read sandboxes, up to BYTES_MAX in total. The newest is always kept."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[_Mark, Contents]] = OrderedDict()

    def contents(self, sandbox: Sandbox) -> Contents:
        """Return the contents of this sandbox, at most about its first ENTRIES_MAX entries or BYTES_MAX.

        The last batch of 1,000 entries may exceed a limit. Raise StreamsUnavailable.
        """
        mark = _Mark.of(sandbox)
        with self._lock:
            cached = self._kept.get(sandbox.name)
        if cached and cached[0] == mark:
            contents = cached[1]
        elif cached and cached[1].is_all and cached[0].may_grow_to(mark):
            contents = self._read(sandbox.name, cached[1])
            if len(contents.events) != mark.length and contents.is_all:  # entries were removed in between
                contents = self._read(sandbox.name, NOTHING)
        else:
            contents = self._read(sandbox.name, NOTHING)
        with self._lock:
            self._kept[sandbox.name] = (mark, contents)
            self._kept.move_to_end(sandbox.name)
            while len(self._kept) > 1 and sum(each.size_bytes for _, each in self._kept.values()) > BYTES_MAX:
                self._kept.popitem(last=False)
        return contents

    def _read(self, stream: str, before: Contents) -> Contents:
        """Return these contents, extended by the later entries of the stream."""
        events, size = list(before.events), before.size_bytes
        while len(events) < ENTRIES_MAX and size < BYTES_MAX:
            after = events[-1].entry_id if events else None
            entries = read_forward(self._client, stream, after=after, count=_STEP)
            events += map(decode, entries)
            size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
            if len(entries) < _STEP:
                return Contents(events, size, is_all=True)
        more = read_forward(self._client, stream, after=events[-1].entry_id, count=1)
        return Contents(events, size, is_all=not more)
