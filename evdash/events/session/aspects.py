"""Aspects of the fold that belong to an event type: its change of the state (event_types.py selects them)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from evdash.events.event import Event
from evdash.events.field_values import beginning, count, message_text, text, texts
from evdash.events.session.persistent import PersistentList, PersistentMap
from evdash.events.session.state import (
    Clearing,
    Context,
    InContext,
    Memory,
    Message,
    OtherType,
    SessionState,
    Summary,
)
from evdash.events.text import one_line

Aspect = Callable[[SessionState, Event, str], SessionState]
"""One change of the state by an event, which is at a position. Each aspect applies even if others fail."""

NAME_CHARS: Final = 100
_FIELDS_KEPT: Final = 20
_SYSTEM: Final = frozenset({"system", "developer"})


def with_message(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state with a `message.added` in the conversation and the context."""
    content, role = message_text(event), text(event, event.profile.role)[:NAME_CHARS]
    characters = len(content) if content else count(event, event.profile.content_length) or 0
    message_id = text(event, event.profile.message_id) or event.event_id
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
    """Return the state with a `summary.created` in the context, in place of the items that it replaces."""
    written = text(event, event.profile.summary)
    reported_count, context = count(event, event.profile.removed_count), state.memory.context
    if ids := texts(event, event.profile.removed_ids):
        chosen_by, remaining, removed_items = "IDs", *_without(context, ids)
    else:
        removed_items = _first(context.messages, len(context.messages) if reported_count is None else reported_count)
        remaining = context._replace(messages=context.messages.without_first(len(removed_items)))
        chosen_by = "all" if reported_count is None else "count"
    remaining = remaining._replace(summaries=remaining.summaries.appended(InContext(at, "", event.event_id)))
    summary = Summary(
        at,
        beginning(written),
        len(written),
        event.tokens,
        len(removed_items),
        len(ids) if ids else reported_count,
        chosen_by,
        removed_items[0].at if removed_items else "",
        removed_items[-1].at if removed_items else "",
    )
    return state._replace(
        memory=state.memory._replace(context=remaining, summaries=state.memory.summaries.appended(summary)),
        totals=state.totals._replace(summaries=state.totals.summaries + 1),
        hidden=state.hidden._replace(just_summed_up=len(removed_items)),
    )


def with_clearing(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state without the context items that a `memory.cleared` removes."""
    reported_count, context = count(event, event.profile.removed_count), state.memory.context
    if ids := texts(event, event.profile.removed_ids):
        remaining, removed_items = _without(context, ids)
        removed, removed_by = len(removed_items), "IDs"
    elif reported_count is None:
        remaining, removed, removed_by = Context(), sum(map(len, context)), "all"
    elif reported_count and reported_count == state.hidden.just_summed_up:
        remaining, removed, removed_by = context, 0, "summary"
    else:
        removed, removed_by = min(reported_count, len(context.messages)), "count"
        remaining = context._replace(messages=context.messages.without_first(removed))
    reason = beginning(text(event, event.profile.clearing_reason))
    clearing = Clearing(at, reason, removed, len(ids) if ids else reported_count, removed_by)
    memory = Memory(remaining, state.memory.summaries, state.memory.clearings.appended(clearing))
    return state._replace(memory=memory, hidden=state.hidden._replace(just_summed_up=0))


def _first(items: PersistentList[InContext], most: int) -> list[InContext]:
    return [item for item, _ in zip(items, range(most), strict=False)]


def _without(context: Context, ids: frozenset[str]) -> tuple[Context, list[InContext]]:
    """Return the context without the items of these IDs, and those items. It scans the whole context."""
    removed_items: list[InContext] = []
    remaining: list[PersistentList[InContext]] = []
    for items in context:
        named = [item for item in items if item.message_id in ids]
        removed_items += named
        remaining.append(PersistentList.of([item for item in items if item.message_id not in ids]) if named else items)
    return Context(*remaining), removed_items


def with_end(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the ended state. As in summaries, the last end counts.

    Every event after the end counts as an event after the end. This includes a start.
    """
    outcome = text(event, event.profile.outcome)[:NAME_CHARS]
    return state._replace(
        lifecycle=state.lifecycle._replace(
            status="ended", ended_us=event.occurred_us, outcome=outcome, events_after_end=0
        )
    )


def with_other_type(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state with the fields of an event whose type has no other aspect."""
    earlier = state.other_types.get(event.type)
    names = sorted(event.data)[:_FIELDS_KEPT]
    last = {one_line(name, NAME_CHARS): beginning(text(event, (name,))) for name in names}
    other = OtherType(earlier.events + 1 if earlier else 1, at, PersistentMap.of(last), len(event.data) - len(names))
    return state._replace(other_types=state.other_types.put(event.type, other))
