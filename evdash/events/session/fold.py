"""The session fold: the state after one more event."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from evdash.events.duplicates import identity
from evdash.events.event import Event
from evdash.events.latency import operation
from evdash.events.one_line import one_line
from evdash.events.session.calls import with_call
from evdash.events.session.memory import with_clearing, with_message, with_summary
from evdash.events.session.persistent import PersistentMap
from evdash.events.session.reading import beginning, text
from evdash.events.session.state import (
    NOT_STARTED,
    ClockStep,
    Duplicate,
    ErrorSeen,
    FoldFailure,
    GapSeen,
    OperationLatency,
    OtherType,
    Participants,
    SessionState,
)

FOLD_VERSION: Final = 2
"""Counted up with every change of what the fold says: checkpoints of another version are not read."""

_FIELDS_KEPT: Final = 20
_NAME_CHARS: Final = 100

Aspect = Callable[[SessionState, Event, str], SessionState]


def position(event: Event) -> str:
    """Where the event stands, as rows of the state say it in `at`."""
    return f"{event.entry_id}@{event.stream}"


def fold(state: SessionState, event: Event) -> SessionState:
    """The state after this event, which must be of the session and follow its last one by entry ID and stream.

    Never raises: what fails is left out, and `failures` says so at this event. A duplicate is only counted as one.
    """
    at, key = position(event), identity(event)
    state = state._replace(folded=state.folded + 1, at=at, session_id=state.session_id or event.session_id)
    if key is not None and key in state.hidden.seen:
        aspects: tuple[Aspect, ...] = (_as_duplicate,)
    else:
        aspects = (*ALWAYS, *BY_TYPE.get(event.type, _OTHERWISE))
        if key is not None:
            state = state._replace(hidden=state.hidden._replace(seen=state.hidden.seen.added(key)))
    failed: list[str] = []
    for aspect in aspects:
        try:
            state = aspect(state, event, at)
        except Exception as error:  # noqa: BLE001 - one event that is not understood must not hide the others
            failed.append(f"{aspect.__name__.strip('_')} failed: {_in_words(error)}")
    if failed:
        sentence = f"This event is not wholly in the state: {'; '.join(failed)}."
        state = state._replace(failures=state.failures.appended(FoldFailure(at, sentence)))
    return state


def fold_all(events: Iterable[Event], state: SessionState = NOT_STARTED) -> SessionState:
    """The state after all of these events, which follow those of `state`."""
    for event in events:
        state = fold(state, event)
    return state


def with_gap(state: SessionState, before: str, entries: int | None, why: str) -> SessionState:
    """With the knowledge that entries are missing (None: nobody knows how many) before the event at this position.

    What is missing at the beginning is `missing_before`; a gap does not otherwise change what is folded.
    """
    return state._replace(gaps=state.gaps.appended(GapSeen(before, entries, why)))


def without_beginning(missing: int | None) -> SessionState:
    """The state to begin with when so many events are gone from the beginning; None: there may be some, nobody
    knows how many."""
    return NOT_STARTED._replace(missing_before=missing)


def _as_duplicate(state: SessionState, event: Event, at: str) -> SessionState:
    return state._replace(
        duplicates=state.duplicates.appended(Duplicate(at, event.type)),
        totals=state.totals._replace(duplicates=state.totals.duplicates + 1),
    )


def _life(state: SessionState, event: Event, at: str) -> SessionState:
    life, totals = state.lifecycle, state.totals
    if life.started_us is None or (event.type == "session.started" and not life.start_is_said):
        life = life._replace(
            status="running" if life.started_us is None else life.status,
            started_us=event.occurred_us,
            start_is_said=event.type == "session.started",
        )
    life = life._replace(
        agent=life.agent or event.agent,
        model=life.model or event.model,
        last_us=event.occurred_us,
        events_after_end=life.events_after_end + (life.status == "ended"),
    )
    totals = totals._replace(events=totals.events + 1, errors=totals.errors + event.is_error)
    return state._replace(lifecycle=life, totals=totals)


def _end(state: SessionState, event: Event, at: str) -> SessionState:
    """The last end counts, as in summaries: what comes after it, a start as well, is told as events after the end."""
    outcome = text(event, "outcome", "reason")[:_NAME_CHARS]
    return state._replace(
        lifecycle=state.lifecycle._replace(
            status="ended", ended_us=event.occurred_us, outcome=outcome, events_after_end=0
        )
    )


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
    """Producers' timestamps are compared with each other alone: an entry ID has another clock, and milliseconds."""
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
    if took_ms is None:
        return state
    latency, name = state.latency, operation(event)
    of_it = latency.by_operation.get(name) or OperationLatency()
    of_it = OperationLatency(of_it.events + 1, of_it.total_ms + took_ms, max(of_it.max_ms, took_ms))
    is_longest = not latency.events or took_ms > latency.max_ms
    latency = latency._replace(
        events=latency.events + 1,
        total_ms=latency.total_ms + took_ms,
        max_ms=took_ms if is_longest else latency.max_ms,
        max_at=at if is_longest else latency.max_at,
        by_operation=latency.by_operation.put(name, of_it),
    )
    return state._replace(latency=latency)


def _tokens(state: SessionState, event: Event, at: str) -> SessionState:
    if not event.tokens:
        return state
    total, by_role, by_model = state.tokens
    role = text(event, "role")[:_NAME_CHARS]
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


def _other_type(state: SessionState, event: Event, at: str) -> SessionState:
    known = state.other_types.get(event.type)
    names = sorted(event.data)[:_FIELDS_KEPT]
    last = {one_line(name, _NAME_CHARS): beginning(text(event, name)) for name in names}
    other = OtherType(known.events + 1 if known else 1, at, PersistentMap.of(last), len(event.data) - len(names))
    return state._replace(other_types=state.other_types.put(event.type, other))


def _in_words(error: Exception) -> str:
    words = f"{type(error).__name__}: {error}".encode("utf-8", errors="backslashreplace").decode("utf-8")
    return one_line(words, 200).rstrip(".:")


ALWAYS: tuple[Aspect, ...] = (_life, _participants, _clock, with_call, _latency, _tokens, _error)
"""What every event may change, and may so without the others."""
BY_TYPE: dict[str, tuple[Aspect, ...]] = {
    "session.started": (),
    "session.ended": (_end,),
    "message.added": (with_message,),
    "summary.created": (with_summary,),
    "memory.cleared": (with_clearing,),
    "search.performed": (),
    "tool.called": (),
    "tool.returned": (),
    "error.occurred": (),
}
_OTHERWISE: tuple[Aspect, ...] = (_other_type,)
