"""Wire profiles: the meaning of each entry field. Every layer reads an event by the names in the event's profile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

Names = tuple[str, ...]


@dataclass(frozen=True)
class WireProfile:
    """Field names for each property of an event. The first name present counts.

    The first name is also the canonical one, which upcasters write. `token_parts` differs: the values of all its names
    are added up.
    """

    event_id: Names = ("id", "event_id")
    type: Names = ("type", "event_type", "event")
    session_id: Names = ("session_id", "sessionId")
    user_id: Names = ("user_id", "userId")
    timestamp: Names = ("timestamp", "ts", "occurred_at", "created_at")
    severity: Names = ("severity", "level")
    error: Names = ("error", "error_message")
    error_text: Names = ("error", "error_message", "message", "reason", "content")  # of an event that is an error
    code: Names = ("error_code", "code", "error_type")
    tool: Names = ("tool", "tool_name")
    model: Names = ("model", "model_name")
    agent: Names = ("agent", "agent_name", "agent_id")
    latency_ms: Names = ("latency_ms",)
    tokens: Names = ("tokens", "total_tokens")
    token_parts: Names = ("input_tokens", "output_tokens", "prompt_tokens", "completion_tokens")
    json_object: str = "data"
    simulated: str = "simulated"
    version: Names = ("schema_version",)
    # In the event's data these are often versions of something else, so only flat fields count.
    flat_version: Names = ("version", "v")

    # Messages, summaries, and the removal of messages from the context.
    role: Names = ("role",)
    content: Names = ("content", "text", "message")
    content_length: Names = ("content_length", "length")  # characters, of an event without its content
    message_id: Names = ("message_id",)
    summary: Names = ("summary", "content", "text")
    removed_ids: Names = ("message_ids", "replaced_ids", "replaced_message_ids", "replaces", "cleared_ids")
    removed_count: Names = ("message_count", "replaced_messages", "messages", "count")
    reason: Names = ("reason",)
    clearing_reason: Names = ("reason", "content", "message")

    # Tool calls, searches and returns.
    call_id: Names = ("call_id", "tool_call_id")
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
    def shown_apart(self) -> frozenset[str]:
        """Names that lists of an event's other fields leave out, because each view has a place for them.

        Of token counts, call IDs and flat versions only the canonical name: the lists show an alias.
        """
        return frozenset(
            {*self.event_id, *self.type, *self.session_id, *self.user_id, *self.timestamp, *self.severity}
            | {*self.version, *self.flat_version[:1], *self.latency_ms, *self.tokens[:1], *self.call_id[:1]}
            | {self.json_object, self.simulated}
        )

    @cached_property
    def differs_by_run(self) -> frozenset[str]:
        """Names of fields that differ between two runs of the same actions."""
        return frozenset(
            {*self.event_id, *self.session_id, *self.user_id, *self.message_id, *self.call_id, *self.timestamp}
            | {*self.latency_ms, *self.duration_ms, *self.duration_s, self.json_object}
        )

    @cached_property
    def raw_timestamps(self) -> frozenset[bytes]:
        """The raw names of timestamps."""
        return frozenset(name.encode() for name in self.timestamp)


DEFAULT_PROFILE = WireProfile()
