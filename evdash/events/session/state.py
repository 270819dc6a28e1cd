"""Session state: the result of folding some of a session's events.

Every class here is a NamedTuple of plain values, persistent lists, persistent maps and other such tuples. `Hidden` also
holds Identities. A session makes them by the hundred thousand. List rows are JSON as they are. Their field `at` is the
position of their event: `ms-seq@stream`. Times are Unix microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from evdash.events.session.identities import Identities
from evdash.events.session.persistent import PersistentList, PersistentMap


class Lifecycle(NamedTuple):
    """Status, times and outcome of the session, and its agent and model."""

    status: str = "not started"  # or running, or ended
    started_us: int | None = None  # of session.started, else of the first event
    start_is_said: bool = False  # a session.started event set it
    ended_us: int | None = None
    outcome: str = ""
    agent: str = ""  # the first in the events, as for the model
    model: str = ""
    last_us: int | None = None  # of the last event
    events_after_end: int = 0


class Participants(NamedTuple):
    """Users, agents and models in the events, each with its number of events."""

    users: PersistentMap[int] = PersistentMap()
    agents: PersistentMap[int] = PersistentMap()
    models: PersistentMap[int] = PersistentMap()


class Message(NamedTuple):
    """One item of the conversation: a `message.added`."""

    at: str
    role: str
    characters: int  # of the whole content
    tokens: int
    beginning: str  # of the content, as one line
    message_id: str


class InContext(NamedTuple):
    """A message or summary in the agent's context. Its text is in the other lists, at the same position."""

    at: str
    role: str  # "" for a summary
    message_id: str


class Summary(NamedTuple):
    """A `summary.created`, and the items that it removed from the context."""

    at: str
    beginning: str
    characters: int
    tokens: int
    replaced: int  # items that left the context
    replaced_said: int | None  # the number in the event
    replaced_by: str  # the way of choosing them: IDs, count or all
    first_replaced: str  # position of the first item that left, "" if none did
    last_replaced: str


class Clearing(NamedTuple):
    """A `memory.cleared`, and the items that it removed from the context."""

    at: str
    reason: str
    removed: int  # items that left the context
    removed_said: int | None
    removed_by: str  # IDs, count, all; or summary: the summary before it had already removed them


class Context(NamedTuple):
    """The agent's context, oldest first, according to the events."""

    system: PersistentList[InContext] = PersistentList()
    summaries: PersistentList[InContext] = PersistentList()
    messages: PersistentList[InContext] = PersistentList()


class Memory(NamedTuple):
    context: Context = Context()
    summaries: PersistentList[Summary] = PersistentList()
    clearings: PersistentList[Clearing] = PersistentList()


class Search(NamedTuple):
    """A `search.performed`, with its return if there is one."""

    at: str
    call_id: str
    tool: str
    query: str  # or the arguments, as one line
    status: str  # open, returned or failed
    asked_us: int
    results: int | None
    latency_ms: float | None  # of the return if it has one, else of the search
    took_ms: float | None  # from call to return
    returned_at: str  # position of the return or error
    error: str


class ToolCall(NamedTuple):
    """A call with its return or error, or a return that no call before it has.

    A further call of one message has its number at the end of its position: `ms-seq@stream#2`.
    """

    at: str
    call_id: str
    tool: str
    arguments: str  # as one line
    status: str  # open, returned, failed; of the row of a return: no call, or before call
    asked_us: int
    result: str  # its beginning
    latency_ms: float | None  # of the return if it has one, else of the call
    took_ms: float | None  # from call to return
    returned_at: str  # position of the return or error
    error: str


class CallLatency(NamedTuple):
    events: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0  # a call's own latency counts, too, if its return has another one


class Latency(NamedTuple):
    """Latencies of calls and of other events, as in tables (events/call_latencies.py)."""

    events: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0
    max_at: str = ""
    by_operation: PersistentMap[CallLatency] = PersistentMap()  # by tool, else by event type


class Tokens(NamedTuple):
    total: int = 0
    by_role: PersistentMap[int] = PersistentMap()  # of events with a role
    by_model: PersistentMap[int] = PersistentMap()  # of events with a model


class ErrorSeen(NamedTuple):
    at: str
    type: str
    code: str
    tool: str
    text: str  # its beginning


class Duplicate(NamedTuple):
    """An event that a retry wrote again. It counts nothing."""

    at: str
    type: str


class ClockStep(NamedTuple):
    """An event with a producer's timestamp before the previous producer's timestamp of the session."""

    at: str
    behind_us: int


class OtherType(NamedTuple):
    """Events of a type that the fold does not handle."""

    events: int
    last_at: str
    last_fields: PersistentMap[str]  # beginnings of at most 20 values of the last event
    more_fields: int  # the number of its other fields


class GapSeen(NamedTuple):
    """Missing entries before the next event."""

    at: str  # of the event after the gap
    entries: int | None  # None: unknown number
    why: str


class FoldFailure(NamedTuple):
    """An event that the fold could not apply completely. The state omits the failed part."""

    at: str
    sentence: str


class Totals(NamedTuple):
    """Counts so far."""

    events: int = 0  # without duplicates
    errors: int = 0
    messages: int = 0
    tool_calls: int = 0
    searches: int = 0
    open_calls: int = 0  # tool calls and searches without an end
    returns_without_call: int = 0
    duplicates: int = 0
    summaries: int = 0
    out_of_order: int = 0


class Call(NamedTuple):
    """A call that may still end, or a return that waits for its call: a list, and its number in the list."""

    list_name: str
    number: int
    stated_by: str = ""  # event or message; "" for a call that both state, and for a return
    # For its latency (call_matching.latency_of):
    tool: str = ""  # "": the entry does not name it
    type: str = ""
    latency_ms: float | None = None
    occurred_us: int = 0
    written_ms: int = 0  # the time in the entry ID


class Waiting(NamedTuple):
    """The calls with one ID, or of one tool, that may still end (call_matching.py)."""

    latest: PersistentList[Call] = PersistentList()  # the latest round
    older: PersistentList[Call] = PersistentList()  # calls of earlier rounds
    is_answered: bool = False  # a return has ended a call of the latest round
    early: PersistentList[Call] = PersistentList()  # returns that wait for their call


class OpenCalls(NamedTuple):
    """The calls that may still end (call_matching.py)."""

    waiting: PersistentMap[Waiting] = PersistentMap()
    called: Identities = Identities()  # digests of the IDs of all calls so far


class Hidden(NamedTuple):
    """Internal state that the fold needs and pages do not display."""

    open_calls: OpenCalls = OpenCalls()
    seen: Identities = Identities()
    last_stamp_us: int = 0  # the last timestamp of a producer
    just_summed_up: int = 0  # messages that the last summary replaced, if no message or clearing followed it


class SessionState(NamedTuple):
    """Session state after the events up to `at`. Start with NOT_STARTED and apply `fold`."""

    folded: int = 0  # events, duplicates included
    at: str = ""  # position of the last event
    session_id: str = ""
    missing_before: int | None = 0  # events missing at the beginning; None: possibly some, unknown number
    lifecycle: Lifecycle = Lifecycle()
    totals: Totals = Totals()
    participants: Participants = Participants()
    conversation: PersistentList[Message] = PersistentList()
    memory: Memory = Memory()
    searches: PersistentList[Search] = PersistentList()
    tool_calls: PersistentList[ToolCall] = PersistentList()
    latency: Latency = Latency()
    tokens: Tokens = Tokens()
    errors: PersistentList[ErrorSeen] = PersistentList()
    duplicates: PersistentList[Duplicate] = PersistentList()
    out_of_order: PersistentList[ClockStep] = PersistentList()
    other_types: PersistentMap[OtherType] = PersistentMap()
    gaps: PersistentList[GapSeen] = PersistentList()
    failures: PersistentList[FoldFailure] = PersistentList()
    hidden: Hidden = Hidden()

    @property
    def incompleteness(self) -> str:
        """Sentence about the missing parts of this session; "" if the state records none."""
        parts = []
        if self.missing_before is None:
            parts.append("earlier events may be missing (number unknown)")
        elif self.missing_before:
            number = self.missing_before
            parts.append(f"the first {number:,} events are missing" if number > 1 else "the first event is missing")
        if self.gaps:
            number = len(self.gaps)
            gaps = f"{number:,} gaps" if number > 1 else "1 gap"
            parts.append(f"{gaps} in these streams during this session")
        completeness = "Incomplete" if self.missing_before else "Possibly incomplete"
        return f"{completeness}: {'; '.join(parts)}." if parts else ""


NOT_STARTED = SessionState()
