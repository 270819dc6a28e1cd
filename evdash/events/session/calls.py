"""Tool calls and searches, each with what ended it (pairing.py)."""

from __future__ import annotations

from typing import Final

from evdash.events.event import Event
from evdash.events.session.pairing import CALLS, RETURNS, Call, call_id_of, is_complete, results_of, took_ms
from evdash.events.session.reading import beginning, counted, text
from evdash.events.session.state import Search, SessionState, ToolCall

_ARGUMENTS: Final = ("arguments", "args", "input")
_RESULTS: Final = ("result", "output", "content")


def with_call(state: SessionState, event: Event, at: str) -> SessionState:
    """With a call that has begun, or with the end of one, or with a return whose call is not there."""
    if event.type in CALLS:
        return _begun(state, event, at)
    call, open_calls = state.hidden.open_calls.ended_by(event)
    if call is not None:
        state = state._replace(hidden=state.hidden._replace(open_calls=open_calls))
        return _search_ended(state, event, at, call) if call.list_name == "searches" else _ended(state, event, at, call)
    if event.type in RETURNS:
        alone = ToolCall(
            at,
            call_id_of(event),
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


def _begun(state: SessionState, event: Event, at: str) -> SessionState:
    ended = is_complete(event)
    status = "failed" if event.is_error else "returned" if ended else "open"
    arguments, call_id, error = text(event, *_ARGUMENTS), call_id_of(event), beginning(event.error)
    totals = state.totals._replace(open_calls=state.totals.open_calls + (not ended))
    if event.type == "search.performed":
        call = Call("searches", len(state.searches))
        search = Search(
            at,
            call_id,
            event.tool,
            beginning(text(event, "query") or arguments),
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
    open_calls = state.hidden.open_calls.with_call(event, call)
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
    return _less_open(state._replace(tool_calls=state.tool_calls.replaced(call.number, ended)), begun)


def _search_ended(state: SessionState, event: Event, at: str, call: Call) -> SessionState:
    begun = state.searches[call.number]
    found = results_of(event)
    if found is None:
        found = next((number for name in _RESULTS if (number := counted(event.data.get(name))) is not None), None)
    ended = begun._replace(
        status="failed" if event.is_error else "returned",
        results=begun.results if found is None else found,
        latency_ms=begun.latency_ms if event.latency_ms is None else event.latency_ms,
        took_ms=_took_ms(begun, event),
        returned_at=at,
        error=beginning(event.error),
    )
    return _less_open(state._replace(searches=state.searches.replaced(call.number, ended)), begun)


def _less_open(state: SessionState, begun: ToolCall | Search) -> SessionState:
    fewer = state.totals.open_calls - (begun.status == "open")
    return state._replace(totals=state.totals._replace(open_calls=fewer))


def _took_ms(begun: ToolCall | Search, event: Event) -> float:
    return took_ms(begun.asked_us, int(begun.at.partition("-")[0]), event)


def _result(event: Event) -> str:
    return beginning(text(event, *_RESULTS))
