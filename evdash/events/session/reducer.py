"""Session reducer: the fold of one more event into the state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import beginning, count, text
from evdash.events.inheritance import own
from evdash.events.latency_sketch import operation
from evdash.events.session.aspects import NAME_CHARS, Aspect
from evdash.events.session.call_matching import (
    call_ended_by,
    is_complete,
    results_of,
    took_ms,
    with_open_call,
)
from evdash.events.session.persistent import PersistentMap
from evdash.events.session.state import (
    NOT_STARTED,
    Call,
    CallLatency,
    ClockStep,
    Duplicate,
    ErrorSeen,
    FoldFailure,
    GapSeen,
    Participants,
    Search,
    SessionState,
    ToolCall,
)
from evdash.events.text import one_line


def with_call(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state with the start of a call, the end of a call, or a return without its call."""
    event_type = type_of(event.type)
    if event_type.is_call:
        return _begun(state, event, at, is_search=event_type.call == "search")
    call, open_calls = call_ended_by(state.hidden.open_calls, event)
    if call is not None:
        state = state._replace(hidden=state.hidden._replace(open_calls=open_calls))
        return _search_ended(state, event, at, call) if call.list_name == "searches" else _ended(state, event, at, call)
    if event_type.call == "return":
        alone = ToolCall(
            at,
            event.call_id,
            event.tool,
            "",
            "no call",
            event.occurred_us,
            _result(event),
            event.latency_ms,
            None,
            at,
            beginning(event.error),
        )
        number = state.totals.returns_without_call + 1
        return state._replace(
            tool_calls=state.tool_calls.appended(alone), totals=state.totals._replace(returns_without_call=number)
        )
    return state


def _begun(state: SessionState, event: Event, at: str, *, is_search: bool) -> SessionState:
    ended = is_complete(event)
    status = "failed" if event.is_error else "returned" if ended else "open"
    arguments, call_id, error = text(event, event.profile.arguments), event.call_id, beginning(event.error)
    totals = state.totals._replace(open_calls=state.totals.open_calls + (not ended))
    if is_search:
        call = Call("searches", len(state.searches))
        search = Search(
            at,
            call_id,
            event.tool,
            beginning(text(event, event.profile.query) or arguments),
            status,
            event.occurred_us,
            results_of(event),
            event.latency_ms,
            None,
            "",
            error,
        )
        totals = totals._replace(searches=totals.searches + 1)
        state = state._replace(searches=state.searches.appended(search), totals=totals)
    else:
        call = Call("tool_calls", len(state.tool_calls))
        tool_call = ToolCall(
            at,
            call_id,
            event.tool,
            beginning(arguments),
            status,
            event.occurred_us,
            _result(event),
            event.latency_ms,
            None,
            "",
            error,
        )
        totals = totals._replace(tool_calls=totals.tool_calls + 1)
        state = state._replace(tool_calls=state.tool_calls.appended(tool_call), totals=totals)
    open_calls = with_open_call(state.hidden.open_calls, event, call)
    return state._replace(hidden=state.hidden._replace(open_calls=open_calls))


def _ended(state: SessionState, event: Event, at: str, call: Call) -> SessionState:
    begun = state.tool_calls[call.number]
    ended = begun._replace(
        status="failed" if event.is_error else "returned",
        result=_result(event) or begun.result,
        latency_ms=begun.latency_ms if event.latency_ms is None else event.latency_ms,
        took_ms=_took_ms(begun, event),
        returned_at=at,
        error=beginning(event.error),
    )
    if event.latency_ms is None and ended.latency_ms is not None:
        state = _with_latency(state, ended.tool or event.type, ended.latency_ms, at)
    return _less_open(state._replace(tool_calls=state.tool_calls.replaced(call.number, ended)), begun)


def _search_ended(state: SessionState, event: Event, at: str, call: Call) -> SessionState:
    begun = state.searches[call.number]
    results = results_of(event)
    if results is None:
        results = count(event, event.profile.result_text)
    ended = begun._replace(
        status="failed" if event.is_error else "returned",
        results=begun.results if results is None else results,
        latency_ms=begun.latency_ms if event.latency_ms is None else event.latency_ms,
        took_ms=_took_ms(begun, event),
        returned_at=at,
        error=beginning(event.error),
    )
    if event.latency_ms is None and ended.latency_ms is not None:
        state = _with_latency(state, ended.tool or event.type, ended.latency_ms, at)
    return _less_open(state._replace(searches=state.searches.replaced(call.number, ended)), begun)


def _less_open(state: SessionState, begun: ToolCall | Search) -> SessionState:
    fewer = state.totals.open_calls - (begun.status == "open")
    return state._replace(totals=state.totals._replace(open_calls=fewer))


def _took_ms(begun: ToolCall | Search, event: Event) -> float:
    return took_ms(begun.asked_us, int(begun.at.partition("-")[0]), event)


def _result(event: Event) -> str:
    return beginning(text(event, event.profile.result_text))


FOLD_VERSION: Final = 3
"""Version of the fold's result. Every change of the result increases it. Snapshots of another version are not read."""


def position(event: Event) -> str:
    """Return the position of the event, as in the field `at` of state rows."""
    return f"{event.entry_id}@{event.stream}"


def fold(state: SessionState, event: Event) -> SessionState:
    """Return the state after this event.

    The event must belong to the session and follow its last event by entry ID and stream. Never raises: a failed part
    is left out, and `failures` records that at this event. A duplicate is only recorded as a duplicate.
    """
    event = own(event, keep=("tool",))  # the state at an event does not depend on later ones
    at, key = position(event), event.identity
    state = state._replace(folded=state.folded + 1, at=at, session_id=state.session_id or event.session_id)
    if key is not None and key in state.hidden.seen:
        aspects: tuple[Aspect, ...] = (_as_duplicate,)
    else:
        aspects = (*ALWAYS, *type_of(event.type).aspects)
        if key is not None:
            state = state._replace(hidden=state.hidden._replace(seen=state.hidden.seen.added(key)))
    failed: list[str] = []
    for aspect in aspects:
        try:
            state = aspect(state, event, at)
        except Exception as error:  # noqa: BLE001 - one event that is not understood must not hide the others
            failed.append(f"{aspect.__name__.strip('_')} failed: {_in_words(error)}")
    if failed:
        sentence = f"Event not fully applied to the state: {'; '.join(failed)}."
        state = state._replace(failures=state.failures.appended(FoldFailure(at, sentence)))
    return state


def fold_all(events: Iterable[Event], state: SessionState = NOT_STARTED) -> SessionState:
    """Return the state after all of these events, which follow those of `state`."""
    for event in events:
        state = fold(state, event)
    return state


def with_gap(state: SessionState, before: str, entries: int | None, why: str) -> SessionState:
    """Return the state with a gap before the event at this position.

    `entries`: the number of missing entries; None: unknown. Events missing at the beginning are in `missing_before`. A
    gap does not change anything else in the fold.
    """
    return state._replace(gaps=state.gaps.appended(GapSeen(before, entries, why)))


def without_beginning(missing: int | None) -> SessionState:
    """Return the first state of a session without its first events.

    `missing`: the number of missing events; None: possibly some, unknown number.
    """
    return NOT_STARTED._replace(missing_before=missing)


def _as_duplicate(state: SessionState, event: Event, at: str) -> SessionState:
    return state._replace(
        duplicates=state.duplicates.appended(Duplicate(at, event.type)),
        totals=state.totals._replace(duplicates=state.totals.duplicates + 1),
    )


def _life(state: SessionState, event: Event, at: str) -> SessionState:
    life, totals = state.lifecycle, state.totals
    is_start = type_of(event.type).starts_session
    if life.started_us is None or (is_start and not life.start_is_said):
        life = life._replace(
            status="running" if life.started_us is None else life.status,
            started_us=event.occurred_us,
            start_is_said=is_start,
        )
    life = life._replace(
        agent=life.agent or event.agent,
        model=life.model or event.model,
        last_us=event.occurred_us,
        events_after_end=life.events_after_end + (life.status == "ended"),
    )
    totals = totals._replace(events=totals.events + 1, errors=totals.errors + event.is_error)
    return state._replace(lifecycle=life, totals=totals)


def _participants(state: SessionState, event: Event, at: str) -> SessionState:
    if not (event.user_id or event.agent or event.model):
        return state
    users, agents, models = state.participants
    return state._replace(
        participants=Participants(
            _counted(users, event.user_id), _counted(agents, event.agent), _counted(models, event.model)
        )
    )


def _counted(numbers: PersistentMap[int], name: str, more: int = 1) -> PersistentMap[int]:
    return numbers.put(name, (numbers.get(name) or 0) + more) if name else numbers


def _clock(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state with a clock step if the producer's timestamp went back.

    The fold compares producers' timestamps only with each other. An entry ID has another clock, and milliseconds.
    """
    if event.time_source != "timestamp":
        return state
    behind_us = state.hidden.last_stamp_us - event.occurred_us
    if behind_us:
        state = state._replace(hidden=state.hidden._replace(last_stamp_us=event.occurred_us))
    if behind_us <= 0:
        return state
    return state._replace(
        out_of_order=state.out_of_order.appended(ClockStep(at, behind_us)),
        totals=state.totals._replace(out_of_order=state.totals.out_of_order + 1),
    )


def _latency(state: SessionState, event: Event, at: str) -> SessionState:
    took_ms = event.latency_ms
    if took_ms is None or (type_of(event.type).is_call and event.call_id and not is_complete(event)):
        return state  # the latency of an open call counts when it ends, unless its return has one
    return _with_latency(state, operation(event), took_ms, at)


def _with_latency(state: SessionState, name: str, took_ms: float, at: str) -> SessionState:
    latency = state.latency
    of_operation = latency.by_operation.get(name) or CallLatency()
    of_operation = CallLatency(
        of_operation.events + 1, of_operation.total_ms + took_ms, max(of_operation.max_ms, took_ms)
    )
    is_longest = not latency.events or took_ms > latency.max_ms
    latency = latency._replace(
        events=latency.events + 1,
        total_ms=latency.total_ms + took_ms,
        max_ms=took_ms if is_longest else latency.max_ms,
        max_at=at if is_longest else latency.max_at,
        by_operation=latency.by_operation.put(name, of_operation),
    )
    return state._replace(latency=latency)


def _tokens(state: SessionState, event: Event, at: str) -> SessionState:
    if not event.tokens:
        return state
    total, by_role, by_model = state.tokens
    role = text(event, event.profile.role)[:NAME_CHARS]
    return state._replace(
        tokens=state.tokens._replace(
            total=total + event.tokens,
            by_role=_counted(by_role, role, event.tokens),
            by_model=_counted(by_model, event.model, event.tokens),
        )
    )


def _error(state: SessionState, event: Event, at: str) -> SessionState:
    if not event.is_error:
        return state
    return state._replace(
        errors=state.errors.appended(ErrorSeen(at, event.type, event.code, event.tool, beginning(event.error)))
    )


def _in_words(error: Exception) -> str:
    words = f"{type(error).__name__}: {error}".encode("utf-8", errors="backslashreplace").decode("utf-8")
    return one_line(words, 200).rstrip(".:")


ALWAYS: tuple[Aspect, ...] = (_life, _participants, _clock, with_call, _latency, _tokens, _error)
"""Aspects of every event."""
