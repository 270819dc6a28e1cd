"""The values that evdash understood of an event, for exports."""

from __future__ import annotations

from typing import Any, Final

from evdash.events.event import Event
from evdash.events.event_types import category_of
from evdash.events.field_values import message_text, text
from evdash.events.message_parts import MessagePart

_PART_TYPES: Final = {"text": "text", "image": "image", "call": "tool_call", "return": "tool_result"}


def decoded(event: Event) -> dict[str, Any]:
    """Return the decoded values of an event by name, only those that it has.

    Numbers are `input_tokens`, `output_tokens`, `total_tokens` and `latency_ms`; the other values are texts. An event
    with several calls or results has `parts`: a list of objects with a `type` (text, image, tool_call, tool_result).
    `inherited` names the values that are from the session or the call. It may name `user`, a value beside these.
    """
    category = category_of(event.type).name
    has_tokens = event.tokens or event.input_tokens is not None or event.output_tokens is not None
    values: dict[str, Any] = {
        "category": "other" if category.startswith(("other", "none")) else category,
        "role": text(event, event.profile.role),
        "content": message_text(event),
        "tool": event.tool,
        "model": event.model,
        "agent": event.agent,
        "agent_version": event.agent_version,
        "call_id": event.call_id,
        "input_tokens": event.input_tokens,
        "output_tokens": event.output_tokens,
        "total_tokens": event.tokens if has_tokens else None,
        "latency_ms": event.latency_ms,
        "error_code": event.code,
        "error_message": event.error,
        "trace_id": text(event, event.profile.trace_id),
        "span_id": text(event, event.profile.span_id),
        "parent_id": text(event, event.profile.parent_id),
    }
    calls = [part for part in event.parts if part.kind in ("call", "return")]
    if len(calls) > 1:
        values["parts"] = [_part(part) for part in event.parts if part.kind != "other"]
    if event.inherited:
        values["inherited"] = list(event.inherited)
    return {name: value for name, value in values.items() if value not in (None, "")}


def _part(part: MessagePart) -> dict[str, str]:
    values = {
        "type": _PART_TYPES[part.kind],
        "content": part.text,
        "tool": part.tool,
        "call_id": part.call_id,
        "arguments": part.arguments,
    }
    return {name: value for name, value in values.items() if value}
