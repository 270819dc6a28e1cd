"""Session reducer: the fold of one more event into the state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from evdash.events.call_latencies import own_latency
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.field_values import beginning, count, text
from evdash.events.inheritance import own
from evdash.events.session.aspects import NAME_CHARS, Aspect
from evdash.events.session.call_matching import (
    CallStep,
    call_of,
    call_steps,
    elapsed_ms,
    latency_of,
    results_of,
    with_end,
    with_open_call,
)
from evdash.events.session.persistent import PersistentList, PersistentMap
from evdash.events.session.state import (
    NOT_STARTED,
    Call,
    CallLatency,
    ClockStep,
    Duplicate,
    ErrorSeen,
    FoldFailure,
    GapSeen,
    Latency,
    OpenCalls,
    Participants,
    Search,
    SessionState,
    ToolCall,
)
from evdash.events.text import one_line


def with_calls(state: SessionState, event: Event, at: str) -> SessionState:
    """Return the state with the calls and the ends of calls that the event states, and with their latencies."""
    state = _with_latency(state, own_latency(event), at)
    for number, step in enumerate(call_steps(event)):
        # Rows of one list have different positions.
        row_at = at if number == 0 else f"{at}#{number + 1}"
        state = _begun(state, event, step, row_at) if step.kind == "call" else _ended(state, event, step, row_at)
    return state


def _begun(state: SessionState, event: Event, step: CallStep, at: str) -> SessionState:
    list_name = "searches" if type_of(event.type).call == "search" else "tool_calls"
    call = call_of(event, step, list_name, len(_rows_of(state, list_name)))
    open_calls, repeated, early = with_open_call(state.hidden.open_calls, step, call)
    state = _with_open_calls(state, open_calls)
    if repeated:
        return _stated_again(state, event, step, repeated, call)
    state = _with_latency(state, _call_latency(event, step, call, None), at)
    row, totals = _row(event, step, at), state.totals
    totals = totals._replace(open_calls=totals.open_calls + (row.status == "open"))
    if isinstance(row, Search):
        totals = totals._replace(searches=totals.searches + 1)
    else:
        totals = totals._replace(tool_calls=totals.tool_calls + 1)
    state = _with_row(state._replace(totals=totals), row)
    return state if early is None else _ended_before(state, call, early, at)


def _row(event: Event, step: CallStep, at: str) -> ToolCall | Search:
    if step.part is not None:
        status, arguments = "returned" if step.is_complete else "open", beginning(step.part.arguments)
        return ToolCall(at, step.call_id, step.tool, arguments, status, event.occurred_us, "", None, None, "", "")
    status = "failed" if event.is_error else "returned" if step.is_complete else "open"
    arguments, call_id, error = text(event, event.profile.arguments), event.call_id, beginning(event.error)
    if type_of(event.type).call == "search":
        return Search(
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
    return ToolCall(
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


def _stated_again(state: SessionState, event: Event, step: CallStep, call: Call, again: Call) -> SessionState:
    """Return the state with an open call that this event states again. A message adds nothing to its row."""
    if step.part is not None:
        return state
    state = _with_latency(state, _call_latency(event, step, again, None), position(event))
    row, own = state.tool_calls[call.number], _row(event, step, "")
    is_ended = row.status == "open" and own.status != "open"
    row = row._replace(
        status=own.status if is_ended else row.status,
        asked_us=own.asked_us,
        result=row.result or _result(event),
        latency_ms=own.latency_ms,
        error=own.error,
    )
    totals = state.totals._replace(open_calls=state.totals.open_calls - is_ended)
    return state._replace(tool_calls=state.tool_calls.replaced(call.number, row), totals=totals)


class _End(NamedTuple):
    at: str
    result: str
    results: int | None  # of a search
    is_failed: bool
    error: str


def _ended(state: SessionState, event: Event, step: CallStep, at: str) -> SessionState:
    end = call_of(event, step, "tool_calls", len(state.tool_calls))
    call, open_calls = with_end(state.hidden.open_calls, step, end)
    state = _with_open_calls(state, open_calls)
    if call is not None:
        if step.part is None:
            results = results_of(event)
            results = count(event, event.profile.result_text) if results is None else results
            found = _End(at, _result(event), results, event.is_error, beginning(event.error))
        else:
            result = beginning(step.part.text)
            found = _End(position(event), result, None, step.part.is_error, result if step.part.is_error else "")
        state = _without_latency(state, _call_latency(event, step, call, None))
        return _with_end(_with_latency(state, _call_latency(event, step, call, end), at), call, end, found)
    state = _with_latency(state, _call_latency(event, step, None, end), at)
    if step.kind != "return":
        return state
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
    totals = state.totals._replace(returns_without_call=state.totals.returns_without_call + 1)
    return _with_row(state._replace(totals=totals), alone)


def _ended_before(state: SessionState, call: Call, end: Call, at: str) -> SessionState:
    """Return the state with a call that a return before it has ended."""
    early = state.tool_calls[end.number]
    state = _without_latency(_without_latency(state, latency_of(call, None)), latency_of(None, end))
    state = _with_latency(state, latency_of(call, end), at)
    totals = state.totals._replace(returns_without_call=state.totals.returns_without_call - 1)
    tool_calls = state.tool_calls.replaced(end.number, early._replace(status="before call"))
    found = _End(early.at, early.result, None, bool(early.error), early.error)
    return _with_end(state._replace(totals=totals, tool_calls=tool_calls), call, end, found)


def _with_end(state: SessionState, call: Call, end: Call, found: _End) -> SessionState:
    begun = _rows_of(state, call.list_name)[call.number]
    totals = state.totals._replace(open_calls=state.totals.open_calls - (begun.status == "open"))
    ended = begun._replace(
        status="failed" if found.is_failed else "returned",
        latency_ms=begun.latency_ms if end.latency_ms is None else end.latency_ms,
        took_ms=elapsed_ms(call.occurred_us, call.written_ms, end.occurred_us, end.written_ms),
        returned_at=found.at,
        error=found.error,
    )
    state = state._replace(totals=totals)
    if isinstance(ended, Search):
        ended = ended._replace(results=begun.results if found.results is None else found.results)
        return state._replace(searches=state.searches.replaced(call.number, ended))
    ended = ended._replace(result=found.result or begun.result)
    return state._replace(tool_calls=state.tool_calls.replaced(call.number, ended))


def _rows_of(state: SessionState, list_name: str) -> PersistentList[Any]:
    return state.searches if list_name == "searches" else state.tool_calls


def _with_row(state: SessionState, row: ToolCall | Search) -> SessionState:
    if isinstance(row, Search):
        return state._replace(searches=state.searches.appended(row))
    return state._replace(tool_calls=state.tool_calls.appended(row))


def _with_open_calls(state: SessionState, open_calls: OpenCalls) -> SessionState:
    return state._replace(hidden=state.hidden._replace(open_calls=open_calls))


def _call_latency(event: Event, step: CallStep, call: Call | None, end: Call | None) -> tuple[str, float] | None:
    """Return operation and latency of a call with an ID. Without an ID, each event has its own latency."""
    return latency_of(call, end) if step.call_id and event.session_id else None


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


def _with_latency(state: SessionState, found: tuple[str, float] | None, at: str) -> SessionState:
    """Return the state with one more latency (ms) of an operation."""
    if found is None:
        return state
    (name, took_ms), latency = found, state.latency
    counted = latency.by_operation.get(name) or CallLatency()
    counted = CallLatency(counted.events + 1, counted.total_ms + took_ms, max(counted.max_ms, took_ms))
    is_longest = not latency.events or took_ms > latency.max_ms
    latency = latency._replace(
        events=latency.events + 1,
        total_ms=latency.total_ms + took_ms,
        max_ms=took_ms if is_longest else latency.max_ms,
        max_at=at if is_longest else latency.max_at,
        by_operation=latency.by_operation.put(name, counted),
    )
    return state._replace(latency=latency)


def _without_latency(state: SessionState, found: tuple[str, float] | None) -> SessionState:
    """Return the state without a counted latency. The largest ones stay what they were."""
    if found is None:
        return state
    (name, took_ms), latency = found, state.latency
    counted = latency.by_operation.get(name) or CallLatency()
    by_operation = latency.by_operation.without(name)
    if counted.events > 1:
        total_ms = round(counted.total_ms - took_ms, _DIGITS)
        by_operation = latency.by_operation.put(name, counted._replace(events=counted.events - 1, total_ms=total_ms))
    total_ms = round(latency.total_ms - took_ms, _DIGITS)
    latency = latency._replace(events=latency.events - 1, total_ms=total_ms, by_operation=by_operation)
    return state._replace(latency=latency if latency.events else Latency())


_DIGITS: Final = 6
"""Digits of a sum of milliseconds after a subtraction, which leaves rounding errors."""


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


ALWAYS: tuple[Aspect, ...] = (_life, _participants, _clock, with_calls, _tokens, _error)
"""Aspects of every event."""
