"""What is known of a session after some of its events.

Everything here is a NamedTuple of plain values, persistent lists and persistent maps: made by the hundred thousand, and
JSON as it stands. Rows of lists say in `at` where their event stands: `ms-seq@stream`. Times are Unix microseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from evdash.events.session.call_matching import OpenCalls
from evdash.events.session.identities import Identities
from evdash.events.session.persistent import PersistentList, PersistentMap


class Lifecycle(NamedTuple):
    """Whether the session runs, and what it is run by."""

    status: str = "not started"  # or running, or ended
    started_us: int | None = None  # session.started says it, else the first event
    start_is_said: bool = False  # by an event session.started
    ended_us: int | None = None
    outcome: str = ""
    agent: str = ""  # the first that was said, as for the model
    model: str = ""
    last_us: int | None = None  # of the last event
    events_after_end: int = 0


class Participants(NamedTuple):
    """Who was named, and by how many events."""

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
    """A message or a summary that the agent has before it; what it says is with its position in the other lists."""

    at: str
    role: str  # "" for a summary
    message_id: str


class Summary(NamedTuple):
    """A `summary.created`, and what it took out of the context."""

    at: str
    beginning: str
    characters: int
    tokens: int
    replaced: int  # messages that left the context
    replaced_said: int | None  # how many the event says it replaces
    replaced_by: str  # how these were chosen: IDs, count or all
    first_replaced: str  # position of the first message that left, "" when none did
    last_replaced: str


class Clearing(NamedTuple):
    """A `memory.cleared`, and what it took out of the context."""

    at: str
    reason: str
    removed: int  # messages and summaries that left the context
    removed_said: int | None
    removed_by: str  # IDs, count, all; or summary: what it clears had left with the summary before it


class Context(NamedTuple):
    """What the agent has before it, oldest first, as far as events say."""

    system: PersistentList[InContext] = PersistentList()
    summaries: PersistentList[InContext] = PersistentList()
    messages: PersistentList[InContext] = PersistentList()


class Memory(NamedTuple):
    context: Context = Context()
    summaries: PersistentList[Summary] = PersistentList()
    clearings: PersistentList[Clearing] = PersistentList()


class Search(NamedTuple):
    """A `search.performed`, with its return when there is one."""

    at: str
    call_id: str
    tool: str
    query: str  # or the arguments, as one line
    status: str  # open, returned or failed
    asked_us: int
    results: int | None
    latency_ms: float | None  # of the return if it says one, else of the search
    took_ms: float | None  # from call to return
    returned_at: str  # position of the return or error
    error: str


class ToolCall(NamedTuple):
    """A `tool.called` with its return or error; or a return whose call is not there."""

    at: str
    call_id: str
    tool: str
    arguments: str  # as one line
    status: str  # open, returned, failed; or no call: a return alone
    asked_us: int
    result: str  # its beginning
    latency_ms: float | None  # of the return if it says one, else of the call
    took_ms: float | None  # from call to return
    returned_at: str  # position of the return or error
    error: str


class OperationLatency(NamedTuple):
    events: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0


class Latency(NamedTuple):
    """The latencies that events say."""

    events: int = 0
    total_ms: float = 0.0
    max_ms: float = 0.0
    max_at: str = ""
    by_operation: PersistentMap[OperationLatency] = PersistentMap()  # by tool, else by event type


class Tokens(NamedTuple):
    total: int = 0
    by_role: PersistentMap[int] = PersistentMap()  # of what says a role
    by_model: PersistentMap[int] = PersistentMap()  # of what says a model


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
    """An event whose producer's time is before that of the event that stands before it in the stream."""

    at: str
    behind_us: int


class OtherType(NamedTuple):
    """Events of a type that the fold does not know."""

    events: int
    last_at: str
    last_fields: PersistentMap[str]  # the beginnings of at most 20 values of the last one
    more_fields: int  # that it has beside those


class GapSeen(NamedTuple):
    """Entries missing before the event that stands next."""

    at: str  # of the event after the gap
    entries: int | None  # None: nobody knows how many
    why: str


class FoldFailure(NamedTuple):
    """An event that the fold could not take in wholly; the state goes on without what failed."""

    at: str
    sentence: str


class Totals(NamedTuple):
    """How many there are so far."""

    events: int = 0  # duplicates left out
    errors: int = 0
    messages: int = 0
    tool_calls: int = 0
    searches: int = 0
    open_calls: int = 0  # tool calls and searches that nothing has ended
    returns_without_call: int = 0
    duplicates: int = 0
    summaries: int = 0
    out_of_order: int = 0


class Hidden(NamedTuple):
    """What the fold needs to go on, and nobody needs to see."""

    open_calls: OpenCalls = OpenCalls()
    seen: Identities = Identities()
    last_stamp_us: int = 0  # the last timestamp of a producer
    just_summed_up: int = 0  # messages replaced by the summary that no message has followed yet


class SessionState(NamedTuple):
    """A session after the events up to `at`. Begin with NOT_STARTED and go on by `fold`."""

    folded: int = 0  # events, duplicates included
    at: str = ""  # position of the last event
    session_id: str = ""
    missing_before: int | None = 0  # events that are gone from the beginning; None: maybe some, nobody knows how many
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
        """A sentence that says what is missing of this session; "" when nothing is known to be."""
        parts = []
        if self.missing_before is None:
            parts.append("events before the first one here may be gone, nobody knows how many")
        elif self.missing_before:
            number = self.missing_before
            parts.append(f"the first {number:,} events are gone" if number > 1 else "the first event is gone")
        if self.gaps:
            places = "one place" if len(self.gaps) == 1 else f"{len(self.gaps):,} places"
            parts.append(
                f"entries of the streams are missing at {places}, whether any were this session's nobody knows"
            )
        known = "Incomplete" if self.missing_before else "Maybe incomplete"
        return f"{known}: {'; '.join(parts)}." if parts else ""


NOT_STARTED = SessionState()
