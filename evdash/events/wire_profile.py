"""Wire profiles: the meaning of each entry field. Every layer reads an event by the names in the event's profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final

Names = tuple[str, ...]

# Producers write a few shapes of entries. Longer shapes are not worth the memory.
_SHAPES_MAX: Final = 1_024
_SHAPE_NAMES_MAX: Final = 100


@dataclass(frozen=True)
class WireProfile:
    """Field names for each property of an event. The first name with a value counts.

    A flat field counts before a key of a JSON object, whatever their names. Names in `weak_…` count after both. The
    first name is also the canonical one, which upcasters write.
    """

    event_id: Names = ("id", "event_id", "eventId")
    type: Names = ("type", "event_type", "eventType", "event", "message_type")
    weak_type: Names = ("kind", "name", "action", "op")  # flat only: in JSON these name other things
    session_id: Names = (
        "session_id", "sessionId", "SessionID", "session", "session.id", "gen_ai.conversation.id", "conversation_id",
        "conversationId", "conv_id", "thread_id", "threadId", "thread", "chat_id", "chatId",
    )  # fmt: skip
    # Of one run, job or trace. An envelope often has it beside the session in the JSON object.
    weak_session_id: Names = (
        "run_id", "runId", "job_id", "jobId", "trace_id", "traceId", "correlation_id", "correlationId",
    )  # fmt: skip
    user_id: Names = (
        "user_id", "userId", "UserID", "user", "user.id", "enduser.id", "end_user", "uid", "username", "userName",
        "account_id", "customer_id", "actor",
    )  # fmt: skip
    timestamp: Names = (
        "timestamp", "ts", "time", "occurred_at", "created_at", "createdAt", "created", "event_time", "eventTime",
        "@timestamp", "when",
    )  # fmt: skip
    severity: Names = ("severity", "level", "log_level")
    error: Names = (
        "error", "err", "exception", "error_message", "errorMessage", "failedReason", "failed_reason",
    )  # fmt: skip
    error_text: Names = ("message", "reason", "content")  # of an event that is an error without an error's text
    # An object in a field of `error` has the text and the code in these members.
    error_members: Names = ("message", "msg", "detail", "description", "reason", "error")
    code_members: Names = ("code", "type", "name", "status", "statusCode")
    # One of the words in ERROR_STATES makes the event an error. The end of a session has the result of a task here.
    status: Names = ("status", "state", "outcome")
    error_flag: Names = ("is_error", "isError")
    success_flag: Names = ("success", "succeeded")
    code: Names = ("error_code", "errorCode", "code", "error_type")
    tool: Names = ("tool", "tool_name", "toolName", "tool.name", "gen_ai.tool.name", "function_name", "function")
    weak_tool: Names = ("name",)  # of an event about a tool
    model: Names = ("model", "model_name", "modelName", "gen_ai.response.model", "gen_ai.request.model")
    agent: Names = ("agent", "agent_name", "agentName", "gen_ai.agent.name", "agent_id", "agentId")
    agent_version: Names = ("agent_version", "agentVersion", "gen_ai.agent.version", "agent.version")
    latency_ms: Names = ("latency_ms", "latencyMs", "duration_ms", "durationMs", "elapsed_ms", "elapsedMs")
    tokens: Names = ("tokens", "total_tokens", "totalTokens", "token_count")
    input_tokens: Names = (
        "input_tokens", "prompt_tokens", "inputTokens", "promptTokens", "gen_ai.usage.input_tokens",
    )  # fmt: skip
    output_tokens: Names = (
        "output_tokens", "completion_tokens", "outputTokens", "completionTokens", "gen_ai.usage.output_tokens",
    )  # fmt: skip
    usage: Names = ("usage", "usage_metadata", "token_usage", "tokenUsage")  # an object with token counts
    trace_id: Names = ("trace_id", "traceId")
    span_id: Names = ("span_id", "spanId")
    parent_id: Names = ("parent_span_id", "parentSpanId", "parent_id", "parentId")
    json_object: str = "data"
    # Of an entry that names no session in a flat field, the first of these with a JSON object is read like `data`.
    json_envelopes: Names = ("payload", "event_data", "event", "value", "json")
    # These may have a text that a person wrote. They are read only if no flat field names the type either.
    json_messages: Names = ("message", "body", "msg")
    simulated: str = "simulated"
    version: Names = ("schema_version",)
    # In the event's data these are often versions of something else, so only flat fields count.
    flat_version: Names = ("version", "v")

    # Messages, summaries, and the removal of messages from the context.
    role: Names = ("role",)
    content: Names = ("content", "text", "message", "body", "msg", "output")
    content_length: Names = ("content_length", "length")  # characters, of an event without its content
    message_id: Names = ("message_id",)
    summary: Names = ("summary", "content", "text")
    removed_ids: Names = ("message_ids", "replaced_ids", "replaced_message_ids", "replaces", "cleared_ids")
    removed_count: Names = ("message_count", "replaced_messages", "messages", "count")
    reason: Names = ("reason",)
    clearing_reason: Names = ("reason", "content", "message")

    # Tool calls, searches and returns.
    call_id: Names = (
        "call_id", "tool_call_id", "callId", "toolCallId", "tool_use_id", "toolUseId", "gen_ai.tool.call.id",
    )  # fmt: skip
    tool_calls: Names = ("tool_calls", "toolCalls")  # of a message, as OpenAI writes them
    arguments: Names = ("arguments", "args", "input")
    query: Names = ("query",)
    result: Names = ("result", "output")  # in a call, it makes the call complete
    result_text: Names = ("result", "output", "content")  # of a return
    results: Names = ("results",)  # of a search: a list or a number
    results_count: Names = ("results_count", "result_count")

    # Sessions.
    channel: Names = ("channel",)
    outcome: Names = ("outcome", "reason")
    outcome_text: Names = ("outcome", "status", "reason")  # for the one-line summary
    duration_ms: Names = ("duration_ms",)
    duration_s: Names = ("duration_s",)
    total_messages: Names = ("total_messages",)

    # Texts that describe an event of any type, the most specific first.
    prose: Names = (
        "content", "message", "text", "summary", "query", "reason", "title", "name", "description", "status",
    )  # fmt: skip

    @cached_property
    def shape(self) -> Callable[[tuple[bytes, ...]], Shape]:
        """Return the shape of entries with these raw names, in this order. Shapes are cached."""
        cached = lru_cache(maxsize=_SHAPES_MAX)(self._shape)
        return lambda raw_names: (cached if len(raw_names) <= _SHAPE_NAMES_MAX else self._shape)(raw_names)

    @cached_property
    def plan(self) -> Callable[[Names, Names], Plan]:
        """Return the plan for entries with these flat fields and these keys of JSON objects. Plans are cached."""
        cached = lru_cache(maxsize=_SHAPES_MAX)(self._plan)
        return lambda flat, nested: (cached if len(flat) + len(nested) <= _SHAPE_NAMES_MAX else self._plan)(
            flat, nested
        )

    def _shape(self, raw_names: tuple[bytes, ...]) -> Shape:
        names = tuple([name.decode(errors="backslashreplace") for name in raw_names])
        timestamps = {name.encode() for name in self.timestamp}
        by_name = sorted(range(len(names)), key=raw_names.__getitem__)
        return Shape(
            names=names,
            has_each_once=len(set(names)) == len(names),
            session_id=_among(self.session_id, names),
            type=_among((name for name in self.type if name not in self.json_envelopes), names),
            json_object=_among((self.json_object,), names),
            json_envelopes=_among(self.json_envelopes, names),
            json_messages=_among(self.json_messages, names),
            identity=tuple(
                (len(name).to_bytes(8, "big") + name, index)
                for index in by_name
                if (name := raw_names[index]) not in timestamps
            ),
            plan=self.plan(tuple(dict.fromkeys(names)), ()),
        )

    def _plan(self, flat: Names, nested: Names) -> Plan:
        in_flat, in_nested = frozenset(flat), frozenset(nested)

        def present(names: Names) -> Names:
            first = [name for name in names if name in in_flat]
            return (*first, *(name for name in names if name in in_nested and name not in in_flat))

        event_id, user_id, timestamp = present(self.event_id), present(self.user_id), present(self.timestamp)
        event_type = (*present(self.type), *(name for name in self.weak_type if name in in_flat))
        session_id = present(self.session_id) + present(self.weak_session_id)
        used = [*event_id[:1], *event_type[:1], *session_id[:1], *user_id[:1], *timestamp[:1]]
        # Of token counts, call IDs and flat versions only the canonical name: lists show an alias.
        apart = [*self.severity, *self.version, *self.flat_version[:1], *self.latency_ms, *self.tokens[:1]]
        return Plan(
            version=tuple(name for name in (*self.version, *self.flat_version) if name in in_flat or name in in_nested),
            event_id=event_id,
            type=event_type,
            session_id=session_id,
            user_id=user_id,
            timestamp=timestamp,
            severity=present(self.severity),
            error=present(self.error),
            error_text=present(self.error_text),
            status=present(self.status),
            error_flag=present(self.error_flag),
            success_flag=present(self.success_flag),
            code=present(self.code),
            tool=present(self.tool),
            weak_tool=present(self.weak_tool),
            model=present(self.model),
            agent=present(self.agent),
            agent_version=present(self.agent_version),
            call_id=present(self.call_id),
            latency_ms=present(self.latency_ms),
            tokens=present(self.tokens),
            input_tokens=present(self.input_tokens),
            output_tokens=present(self.output_tokens),
            usage=present(self.usage),
            content=present(self.content),
            tool_calls=present(self.tool_calls),
            shown_apart=frozenset({*used, *apart, *self.call_id[:1], self.simulated}),
        )

    @cached_property
    def identity(self) -> frozenset[str]:
        """The names of what an event is, whose it is, and when it was."""
        return frozenset(
            {*self.event_id, *self.type, *self.weak_type, *self.timestamp}
            | {*self.session_id, *self.weak_session_id, *self.user_id}
        )

    @cached_property
    def envelope(self) -> frozenset[str]:
        """The names of the event, its type and time, its session and its user."""
        return frozenset({*self.event_id, *self.type, *self.timestamp, *self.session_id, *self.user_id})

    @cached_property
    def differs_by_run(self) -> frozenset[str]:
        """Names of fields that differ between two runs of the same actions."""
        return frozenset(
            {*self.event_id, *self.session_id, *self.user_id, *self.message_id, *self.call_id, *self.timestamp}
            | {*self.latency_ms, *self.duration_ms, *self.duration_s, *self.trace_id, *self.span_id, *self.parent_id}
            | {*self.tokens, *self.input_tokens, *self.output_tokens, *self.usage}
        )


@dataclass(frozen=True, slots=True)
class Shape:
    """The part of decoding that depends on the names of an entry alone. Producers write few different ones."""

    names: Names  # the texts of the names
    has_each_once: bool
    session_id: Names  # of the profile's names, those that the entry has
    type: Names  # without those that may have a JSON object
    json_object: Names
    json_envelopes: Names
    json_messages: Names
    identity: tuple[tuple[bytes, int], ...]  # sorted names with their lengths, and the numbers of their pairs
    plan: Plan  # of an entry without a JSON object


def _among(names: Iterable[str], present: Names) -> Names:
    return tuple([name for name in names if name in present])


@dataclass(frozen=True, slots=True)
class Plan:
    """For entries of one shape, the names that they have of each property, in the order in which they count."""

    version: Names
    event_id: Names
    type: Names
    session_id: Names
    user_id: Names
    timestamp: Names
    severity: Names
    error: Names
    error_text: Names
    status: Names
    error_flag: Names
    success_flag: Names
    code: Names
    tool: Names
    weak_tool: Names
    model: Names
    agent: Names
    agent_version: Names
    call_id: Names
    latency_ms: Names
    tokens: Names
    input_tokens: Names
    output_tokens: Names
    usage: Names
    content: Names
    tool_calls: Names
    # Names that lists of an event's other fields leave out, because each view has a place for them.
    shown_apart: frozenset[str]


DEFAULT_PROFILE = WireProfile()
