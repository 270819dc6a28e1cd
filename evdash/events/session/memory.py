"""The conversation, and what of it is in the agent's context.

A summary takes messages out of the context: those whose IDs it names; else so many as it says, the oldest first; else
all. A clearing does the same, and without IDs and number takes out everything, summaries and system messages included.
One that says exactly the number that the summary before it replaced clears those, which have left already.
"""

from __future__ import annotations

from typing import Final

from evdash.events.event import Event
from evdash.events.session.persistent import PersistentList
from evdash.events.session.reading import beginning, count, text, texts
from evdash.events.session.state import Clearing, Context, InContext, Memory, Message, SessionState, Summary

_IDS: Final = ("message_ids", "replaced_ids", "replaced_message_ids", "replaces", "cleared_ids")
_COUNTS: Final = ("message_count", "replaced_messages", "messages", "count")
_ROLE_CHARS: Final = 100
_SYSTEM: Final = frozenset({"system", "developer"})


def with_message(state: SessionState, event: Event, at: str) -> SessionState:
    """With what a `message.added` adds to the conversation and to the context."""
    content, role = text(event, "content", "text", "message"), text(event, "role")[:_ROLE_CHARS]
    characters = len(content) if content else count(event, "content_length", "length") or 0
    message_id = text(event, "message_id") or event.event_id
    item = InContext(at, role, message_id)
    context = state.memory.context
    if role.lower() in _SYSTEM:
        context = context._replace(system=context.system.appended(item))
    else:
        context = context._replace(messages=context.messages.appended(item))
    return state._replace(
        conversation=state.conversation.appended(
            Message(at, role, characters, event.tokens, beginning(content), message_id)
        ),
        memory=state.memory._replace(context=context),
        totals=state.totals._replace(messages=state.totals.messages + 1),
        hidden=state.hidden._replace(just_summed_up=0) if state.hidden.just_summed_up else state.hidden,
    )


def with_summary(state: SessionState, event: Event, at: str) -> SessionState:
    """With a `summary.created` in the context in place of what it sums up."""
    written = text(event, "summary", "content", "text")
    said, context = count(event, *_COUNTS), state.memory.context
    if ids := texts(event, *_IDS):
        chosen_by, left, gone = "IDs", *_without(context, ids)
    else:
        gone = _first(context.messages, len(context.messages) if said is None else said)
        left = context._replace(messages=context.messages.without_first(len(gone)))
        chosen_by = "all" if said is None else "count"
    left = left._replace(summaries=left.summaries.appended(InContext(at, "", event.event_id)))
    summary = Summary(
        at,
        beginning(written),
        len(written),
        event.tokens,
        len(gone),
        len(ids) if ids else said,
        chosen_by,
        gone[0].at if gone else "",
        gone[-1].at if gone else "",
    )
    return state._replace(
        memory=state.memory._replace(context=left, summaries=state.memory.summaries.appended(summary)),
        totals=state.totals._replace(summaries=state.totals.summaries + 1),
        hidden=state.hidden._replace(just_summed_up=len(gone)),
    )


def with_clearing(state: SessionState, event: Event, at: str) -> SessionState:
    """Without what a `memory.cleared` takes out of the context."""
    said, context = count(event, *_COUNTS), state.memory.context
    if ids := texts(event, *_IDS):
        left, gone = _without(context, ids)
        removed, removed_by = len(gone), "IDs"
    elif said is None:
        left, removed, removed_by = Context(), sum(map(len, context)), "all"
    elif said and said == state.hidden.just_summed_up:
        left, removed, removed_by = context, 0, "summary"
    else:
        removed, removed_by = min(said, len(context.messages)), "count"
        left = context._replace(messages=context.messages.without_first(removed))
    reason = beginning(text(event, "reason", "content", "message"))
    clearing = Clearing(at, reason, removed, len(ids) if ids else said, removed_by)
    memory = Memory(left, state.memory.summaries, state.memory.clearings.appended(clearing))
    return state._replace(memory=memory, hidden=state.hidden._replace(just_summed_up=0))


def _first(items: PersistentList[InContext], most: int) -> list[InContext]:
    return [item for item, _ in zip(items, range(most), strict=False)]


def _without(context: Context, ids: frozenset[str]) -> tuple[Context, list[InContext]]:
    """The context without what has one of these IDs, and what that was. Looks at the whole context."""
    gone: list[InContext] = []
    left: list[PersistentList[InContext]] = []
    for items in context:
        named = [item for item in items if item.message_id in ids]
        gone += named
        left.append(PersistentList.of([item for item in items if item.message_id not in ids]) if named else items)
    return Context(*left), gone
