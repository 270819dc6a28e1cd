"""The state of a session at one of its events, what the event changed, and paths that are watched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from evdash.eventlog.reader import Reader
from evdash.eventlog.session_states import Step
from evdash.events.entry_id import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.one_line import one_line
from evdash.events.session.data import MISSING, InvalidPath, Path, as_data, parse_path, path_text, value_in
from evdash.events.session.diff import Change, diff
from evdash.events.session.state import NOT_STARTED, SessionState
from evdash.events.summaries import SessionSummary
from evdash.web.paging import BadPlace
from evdash.web.session.changes import VALUE_CHARS, ChangeGroup, change_groups, short
from evdash.web.session.open_calls import OpenCall, open_calls
from evdash.web.session.panel_query import PINS_MAX, PanelQuery
from evdash.web.session_status import session_status
from evdash.web.wording import count

CHANGES_SHOWN: Final = 60
ROWS_SHOWN: Final = 30  # of each list of the state, the newest
VALUES_SHOWN: Final = 6
HISTORY_EVENTS: Final = 1_000  # over which paths are watched, at least, where the session has so many
_DEPTH_OPEN: Final = 2
# What every event changes and nobody looks for.
_BOOKKEEPING: Final = frozenset({("folded",), ("at",), ("lifecycle", "last_us"), ("totals", "events")})
# Sums, which follow from what else is told.
_COUNTS: Final = frozenset({"totals", "tokens", "latency", "participants"})


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a watched path had, from this event on."""

    text: str
    address: str  # of the page at the event


@dataclass(frozen=True, slots=True)
class Pin:
    """A watched path."""

    path: str
    value: str
    unpin: str
    values: tuple[Value, ...]  # the last different ones, newest first
    points: str  # of a sparkline 100 wide and 20 high; "" for what is no number
    said: str


@dataclass(frozen=True, slots=True)
class Part:
    """One value of the state: a leaf, or what has parts."""

    name: str
    text: str
    mark: str  # added, changed, or holds (something that did); "" else
    parts: tuple[Part, ...] = ()
    is_open: bool = False
    pin: str = ""


@dataclass(frozen=True, slots=True)
class StatePanel:
    """What templates/sessions/_state.html shows."""

    event: Event
    number: int  # of the event in its session, from 1
    facts: tuple[tuple[str, str], ...]
    open_calls: tuple[OpenCall, ...]
    more_open_calls: int
    incompleteness: str
    compared: str  # the event that is compared with, in words; "" for the one before
    changes: tuple[ChangeGroup, ...]
    counts: tuple[ChangeGroup, ...]  # sums that changed with it
    more_changes: int
    pins: tuple[Pin, ...]
    watched: str  # from where on the history of the pins is known
    parts: tuple[Part, ...]
    query: str  # what the address keeps of the panel
    is_step: bool
    compare_from: str  # query string of the panel that keeps this event to compare with
    compare_off: str


def state_panel(reader: Reader, summary: SessionSummary, params: QueryDict) -> StatePanel | None:
    """The panel at `at=` (without it: at the newest event), compared with `vs=`, with every `pin=` watched.

    None when the session has no event up to there. Raises BadPlace.
    """
    at, against = _entry_id(params, "at"), _entry_id(params, "vs")
    paths = _paths(params)
    steps = list(reader.session_steps(summary.session_id, at, history=HISTORY_EVENTS if paths else 1))
    if not steps:
        return None
    last = steps[-1]
    other = _state_at(reader, summary.session_id, against) if against is not None else last.before
    earlier, later = (last.after, other) if other.folded > last.after.folded else (other, last.after)
    changes = [change for change in diff(earlier, later) if change.path not in _BOOKKEEPING]
    query = PanelQuery(params, last.event.entry_id)
    told = [change for change in changes if change.path[0] not in _COUNTS]
    counts = [change for change in changes if change.path[0] in _COUNTS]
    waiting = open_calls(reader, summary, last, query)
    return StatePanel(
        event=last.event,
        number=last.after.folded,
        facts=_facts(last.after, _status(reader, summary, last)),
        open_calls=waiting,
        more_open_calls=last.after.totals.open_calls - len(waiting),
        incompleteness=last.after.incompleteness,
        compared=f"{against}, event {other.folded:,}" if against is not None else "",
        changes=change_groups(told[:CHANGES_SHOWN], earlier, later, query),
        counts=change_groups(counts[:CHANGES_SHOWN], earlier, later, query),
        more_changes=max(0, len(told) - CHANGES_SHOWN),
        pins=tuple(_pin(path, steps, query) for path in paths),
        watched=_since(steps) if paths else "",
        parts=_parts(last.after, changes, query),
        query=query.kept(paths),
        is_step=against is None,
        compare_from=query.compared_with(last.event.entry_id),
        compare_off=query.compared_with(None),
    )


def _entry_id(params: QueryDict, name: str) -> EntryId | None:
    try:
        return EntryId.parse(str(params[name])) if params.get(name) else None
    except InvalidEntryId as error:
        raise BadPlace(f"{name}= {error}.") from None


def _paths(params: QueryDict) -> list[Path]:
    try:
        return [parse_path(text) for text in params.getlist("pin")[:PINS_MAX] if text]
    except InvalidPath as error:
        raise BadPlace(f"pin= {error}.") from None


def _state_at(reader: Reader, session_id: str, at: EntryId) -> SessionState:
    state = NOT_STARTED
    for step in reader.session_steps(session_id, at):
        state = step.after
    return state


def _status(reader: Reader, summary: SessionSummary, last: Step) -> str:
    """What it was at the step; at the last event that is known what it is now, as the page says it."""
    life = last.after.lifecycle
    is_newest = last.event.entry_id >= summary.last_id
    word = session_status(summary, reader.now) if is_newest and life.status == "running" else life.status
    after_end = f", {count(life.events_after_end, 'event')} after its end" if life.events_after_end else ""
    return f"{word}{f': {life.outcome}' if life.outcome else ''}{after_end}"


def _facts(state: SessionState, status: str) -> tuple[tuple[str, str], ...]:
    totals, context = state.totals, state.memory.context
    in_context = len(context.system) + len(context.messages) + len(context.summaries)
    open_calls = (("open calls", f"{totals.open_calls:,}"),) if totals.open_calls else ()
    return (
        ("status", status),
        ("messages", f"{totals.messages:,}, {in_context:,} in context"),
        ("tool calls", f"{totals.tool_calls:,}"),
        ("searches", f"{totals.searches:,}"),
        *open_calls,
        ("errors", f"{totals.errors:,}"),
        ("tokens", f"{state.tokens.total:,}"),
    )


def _pin(path: Path, steps: Sequence[Step], query: PanelQuery) -> Pin:
    history: list[tuple[EntryId, Any]] = []
    for step in steps:
        value = value_in(step.after, path)
        if not history or history[-1][1] != value or type(history[-1][1]) is not type(value):
            history.append((step.event.entry_id, value))
    numbers = [v for v in (value_in(step.after, path) for step in steps) if isinstance(v, (int, float))]
    is_number = len(numbers) == len(steps) and len(steps) > 1 and not any(isinstance(v, bool) for v in numbers)
    said = f"from {min(numbers):,} to {max(numbers):,}" if is_number else ""
    return Pin(
        path=path_text(path),
        value=_told(history[-1][1]),
        unpin=query.unpinned(path),
        values=tuple(Value(_told(value), query.at(entry_id)) for entry_id, value in history[-VALUES_SHOWN:][::-1]),
        points=_points(numbers) if is_number else "",
        said=said,
    )


def _since(steps: Sequence[Step]) -> str:
    before = steps[0].before.folded
    if not before:
        return f"over all {count(len(steps), 'event')} up to here"
    return f"over the last {count(len(steps), 'event')}, from event {before + 1:,} on"


def _told(value: Any) -> str:
    return "nothing there" if value is MISSING else short(value)


def _points(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    step = max(1, len(numbers) // 100)
    shown = list(numbers[::step])
    if shown[-1] != numbers[-1]:
        shown.append(numbers[-1])
    across, up = 100 / max(1, len(shown) - 1), 18 / (high - low) if high > low else 0.0
    return " ".join(f"{index * across:.1f},{19 - (value - low) * up:.1f}" for index, value in enumerate(shown))


def _parts(state: SessionState, changes: Sequence[Change], query: PanelQuery) -> tuple[Part, ...]:
    marks: dict[Path, str] = {}
    for change in changes:
        if change.kind != "removed":
            marks[change.path] = change.kind
        for length in range(1, len(change.path)):
            marks.setdefault(change.path[:length], "holds")
    data = as_data(state, newest=ROWS_SHOWN)
    return tuple(_part((name,), value, marks, query) for name, value in data.items())


def _part(path: Path, value: Any, marks: Mapping[Path, str], query: PanelQuery) -> Part:
    mark = marks.get(path, "")
    if not isinstance(value, Mapping):
        text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE_CHARS)
        return Part(path[-1], text or "empty", mark, pin="" if _is_in_row(path) else query.pinned(path))
    # What is in a part that is new as a whole is new without saying so.
    parts = tuple(_part((*path, name), each, marks, query) for name, each in value.items())
    text = count(len(parts), "entry", "entries") if parts else "none"
    if len(parts) == ROWS_SHOWN:
        text = f"the newest {len(parts)}"
    return Part(path[-1], text, mark, parts, is_open=bool(mark) and len(path) <= _DEPTH_OPEN)


def _is_in_row(path: Path) -> bool:
    """Whether the path leads into a row of a list: there are many, and what they change is told above."""
    return any("@" in part for part in path)
