"""Summaries of sessions and users for lists: sums over events, in any order and any batches.

Duplicates (events/deduplication.py) update participants and times, and count nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from evdash.events.clock_skew import bounded_time_us
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event, datetime_from_us
from evdash.events.event_types import EVENT_TYPES
from evdash.events.field_values import text
from evdash.events.inheritance import NO_TEXT, NO_VALUES, CallKey, FirstText, SessionValues, declared_by
from evdash.events.session.call_matching import call_steps
from evdash.events.text import without_nul

_LATEST_US = 2**63
_ENDS = frozenset(event_type.name for event_type in EVENT_TYPES if event_type.ends_session)
_COUNTERS = {event_type.name: event_type.counts_as for event_type in EVENT_TYPES if event_type.counts_as}
CALL_TYPES = tuple(name for name, counter in _COUNTERS.items() if counter == "tool_calls")
"""The types of events that are counted as calls."""


class CallStatements(NamedTuple):
    """The numbers of events and of messages that state a call. An event and a message together are one call."""

    own: int = 0
    inside: int = 0


class Outcome(NamedTuple):
    """The end of a session: the text of its producer, "" without one; or that it has no end."""

    text: str
    has_ended: bool


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """Summary of a session, over the events added so far.

    `merged` is associative and commutative, so order never matters.
    """

    session_id: str
    user: FirstText
    agent: FirstText
    model: FirstText
    declared: SessionValues  # events without values of their own inherit these
    first_id: EntryId
    last_id: EntryId
    started_us: int  # Unix microseconds of the earliest event
    last_us: int
    ended_id: EntryId | None  # entry ID of the last end of the session
    outcome: str  # of that event
    events: int
    errors: int
    tokens: int
    messages: int
    tool_calls: int  # events, and calls inside messages; a call that both state is two until `without_repeats`
    calls_inside: int  # of these, the calls inside messages
    searches: int

    @classmethod
    def of(cls, *changes: CountChange) -> SessionSummary:
        """Return the summary of these events of one session, at least one."""
        first_id, last_id, started_us, last_us = EntryId.MAX, EntryId.MIN, _LATEST_US, -_LATEST_US
        user = agent = model = NO_TEXT
        declared = NO_VALUES
        ended: tuple[EntryId, str] | None = None
        errors = tokens = inside = 0
        types: dict[str, int] = {}
        for change in changes:  # one pass: workers make a summary of every few events
            event, counts = change.event, change.counts
            entry_id = event.entry.entry_id
            unix_us = bounded_time_us(event.occurred_us, entry_id)
            first_id, last_id = min(first_id, entry_id), max(last_id, entry_id)
            started_us, last_us = min(started_us, unix_us), max(last_us, unix_us)
            own, inherited = event.user_id, event.inherited
            if own and "user" not in inherited and (not user.text or (entry_id, own) < (user.at, user.text)):
                user = FirstText(own, entry_id)
            own = event.agent
            if own and "agent" not in inherited and (not agent.text or (entry_id, own) < (agent.at, agent.text)):
                agent = FirstText(own, entry_id)
            own = event.model
            if own and "model" not in inherited and (not model.text or (entry_id, own) < (model.at, model.text)):
                model = FirstText(own, entry_id)
            if (more := declared_by(event)) is not NO_VALUES:
                declared = declared.merged(more)
            if event.type in _ENDS:
                ended = max(ended or (EntryId.MIN, ""), (entry_id, _outcome(event)))
            types[event.type] = types.get(event.type, 0) + counts
            if event.parts:
                inside += counts * sum(step.kind == "call" and step.part is not None for step in call_steps(event))
            errors += counts * event.is_error
            tokens += counts * event.tokens
        counters = {"messages": 0, "tool_calls": inside, "searches": 0, "calls_inside": inside}
        for name, number in types.items():
            if counter := _COUNTERS.get(name):
                counters[counter] += number
        return cls(
            session_id=changes[0].event.session_id,
            user=user,
            agent=agent,
            model=model,
            declared=declared,
            first_id=first_id,
            last_id=last_id,
            started_us=started_us,
            last_us=last_us,
            ended_id=ended[0] if ended else None,
            outcome=ended[1] if ended else "",
            events=sum(types.values()),
            errors=errors,
            tokens=tokens,
            **counters,
        )

    def merged(self, other: SessionSummary) -> SessionSummary:
        """Return the sum of both. They must be of the same session and of different events."""
        later_end = max(self, other, key=lambda part: (part.ended_id or EntryId.MIN, part.outcome))
        return SessionSummary(
            session_id=self.session_id,
            user=self.user.merged(other.user),
            agent=self.agent.merged(other.agent),
            model=self.model.merged(other.model),
            declared=self.declared.merged(other.declared),
            first_id=min(self.first_id, other.first_id),
            last_id=max(self.last_id, other.last_id),
            started_us=min(self.started_us, other.started_us),
            last_us=max(self.last_us, other.last_us),
            ended_id=later_end.ended_id,
            outcome=later_end.outcome,
            events=self.events + other.events,
            errors=self.errors + other.errors,
            tokens=self.tokens + other.tokens,
            messages=self.messages + other.messages,
            tool_calls=self.tool_calls + other.tool_calls,
            calls_inside=self.calls_inside + other.calls_inside,
            searches=self.searches + other.searches,
        )

    @property
    def may_repeat_calls(self) -> bool:
        """True if events of their own state calls, and messages do."""
        return 0 < self.calls_inside < self.tool_calls

    def without_repeats(self, calls: Iterable[CallStatements]) -> SessionSummary:
        """Return the final summary. `calls` are all calls of the session with an ID."""
        return replace(self, tool_calls=self.tool_calls - sum(max(0, min(each)) for each in calls))

    @property
    def user_id(self) -> str:
        return self.user.text

    @property
    def ended(self) -> bool:
        return self.ended_id is not None

    @property
    def end(self) -> Outcome:
        return Outcome(self.outcome, True) if self.ended else Outcome("", False)

    @property
    def has_ended(self) -> str:
        """The end as the filter key `ended` names it."""
        return "yes" if self.ended else "no"

    @property
    def started_at(self) -> datetime:
        return datetime_from_us(self.started_us)

    @property
    def last_at(self) -> datetime:
        return datetime_from_us(self.last_us)

    @property
    def duration(self) -> timedelta:
        """Time from the earliest to the latest event."""
        return timedelta(microseconds=self.last_us - self.started_us)

    @property
    def duration_s(self) -> float:
        """The duration in seconds."""
        return (self.last_us - self.started_us) / 1_000_000


@dataclass(frozen=True, slots=True)
class UserSummary:
    """Summary of a user, over the events added so far.

    `merged` is associative and commutative. `sessions` is set separately, because two parts may contain the same
    session.
    """

    user_id: str
    first_id: EntryId
    last_id: EntryId
    first_us: int
    last_us: int
    events: int
    errors: int
    tokens: int
    sessions: int = 0

    @classmethod
    def of(cls, *changes: CountChange) -> UserSummary:
        """Return the summary of these events of one user, at least one."""
        ids = [change.event.entry.entry_id for change in changes]
        times_us = [
            bounded_time_us(change.event.occurred_us, entry_id) for change, entry_id in zip(changes, ids, strict=True)
        ]
        return cls(
            user_id=changes[0].event.user_id,
            first_id=min(ids),
            last_id=max(ids),
            first_us=min(times_us),
            last_us=max(times_us),
            events=sum(change.counts for change in changes),
            errors=sum(change.counts for change in changes if change.event.is_error),
            tokens=sum(change.counts * change.event.tokens for change in changes),
        )

    def merged(self, other: UserSummary) -> UserSummary:
        """Return the sum of both. They must be of the same user and of different events."""
        return UserSummary(
            user_id=self.user_id,
            first_id=min(self.first_id, other.first_id),
            last_id=max(self.last_id, other.last_id),
            first_us=min(self.first_us, other.first_us),
            last_us=max(self.last_us, other.last_us),
            events=self.events + other.events,
            errors=self.errors + other.errors,
            tokens=self.tokens + other.tokens,
            sessions=max(self.sessions, other.sessions),
        )

    @property
    def first_at(self) -> datetime:
        return datetime_from_us(self.first_us)

    @property
    def last_at(self) -> datetime:
        return datetime_from_us(self.last_us)


def _outcome(event: Event) -> str:
    return without_nul(text(event, event.profile.outcome))[:100]


def _grouped(changes: Iterable[CountChange], name: Callable[[Event], str]) -> Mapping[str, list[CountChange]]:
    """Return the changes by name, without those that have none."""
    groups: dict[str, list[CountChange]] = defaultdict(list)
    for change in changes:
        groups[name(change.event)].append(change)
    groups.pop("", None)
    return groups


def states_call(event_type: str) -> bool:
    """Return whether events of this type are counted as calls."""
    return event_type in CALL_TYPES


def call_statements(
    changes: Iterable[CountChange], counted: Mapping[CallKey, CallStatements] | None = None
) -> dict[CallKey, CallStatements]:
    """Return the statements of calls with an ID in these changes, added to those counted."""
    found = dict(counted or {})
    for change in changes:
        event = change.event
        if not change.counts or not event.session_id or not event.call_id:
            continue
        for step in call_steps(event):
            if step.kind == "call" and step.call_id and (step.tool if step.part else states_call(event.type)):
                own, inside = found.get(key := (event.session_id, step.call_id), CallStatements())
                is_inside = step.part is not None
                found[key] = CallStatements(own + change.counts * (not is_inside), inside + change.counts * is_inside)
    return found


def final_summaries(
    summaries: Mapping[str, SessionSummary], statements: Callable[[Collection[str]], Mapping[CallKey, CallStatements]]
) -> dict[str, SessionSummary]:
    """Return these complete summaries, in which a call that an event and a message state is one.

    `statements` returns those of the calls of some sessions at least.
    """
    session_ids = {session_id for session_id, summary in summaries.items() if summary.may_repeat_calls}
    calls: dict[str, list[CallStatements]] = defaultdict(list)
    for (session_id, _), counted in (statements(session_ids) if session_ids else {}).items():
        calls[session_id].append(counted)
    return {
        session_id: summary.without_repeats(calls[session_id]) if session_id in session_ids else summary
        for session_id, summary in summaries.items()
    }


def sessions_of(changes: Iterable[CountChange]) -> Mapping[str, SessionSummary]:
    """Return the summaries of these changes by session ID. Events without a session are left out."""
    by_session = _grouped(changes, lambda event: event.session_id)
    return {session_id: SessionSummary.of(*its_changes) for session_id, its_changes in by_session.items()}


def users_of(changes: Iterable[CountChange]) -> Mapping[str, UserSummary]:
    """Return the summaries of these changes by user ID, `sessions` left at 0.

    Events without a user are left out.
    """
    by_user = _grouped(changes, lambda event: event.user_id)
    return {user_id: UserSummary.of(*its_changes) for user_id, its_changes in by_user.items()}
