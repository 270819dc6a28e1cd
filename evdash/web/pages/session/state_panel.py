"""The state of a session at one of its events, the changes by that event, and watched paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, Final, Literal

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.session_snapshots import Step
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.session.call_matching import took_ms
from evdash.events.session.diff import StateChange, diff
from evdash.events.session.paths import MISSING, Path, as_data, path_text, value_in
from evdash.events.session.state import NOT_STARTED, Search, SessionState, ToolCall
from evdash.events.summaries import SessionSummary
from evdash.events.text import one_line
from evdash.web.event_display.calls import KnownEnd
from evdash.web.formatting import format_count, format_milliseconds
from evdash.web.pages.session.query import SessionPageQuery
from evdash.web.pages.session.state_values import (
    VALUE_CHARS,
    ShownValue,
    is_bookkeeping,
    label_of,
    path_in_words,
    pretty_json,
    shown_value,
)
from evdash.web.session_status import session_status

_POSITION: Final = re.compile(r"(\d+-\d+)@")
# Fields with the name of a row, and fields with its text. The first non-empty one is used.
_NAMES: Final = ("tool", "role", "type")
_WORDS: Final = ("beginning", "query", "arguments", "text", "sentence", "reason")


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One difference, as a line. `name` is the path within its group, in words; "" for the group itself."""

    kind: Literal["added", "removed", "changed"]
    name: str
    path: str  # in words
    before: ShownValue | None
    after: ShownValue | None
    pin: str  # URL that also watches this path; "" if it cannot


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """The differences in one row of a list, or in one part of the state."""

    kind: Literal["added", "removed", "changed"]
    title: str  # its path, in words
    path: str
    label: str  # of the row
    address: str  # URL of the page at the row's event; "" if it is not a row
    lines: tuple[ChangeLine, ...]


def change_groups(
    changes: Sequence[StateChange], earlier: SessionState, later: SessionState, query: SessionPageQuery
) -> tuple[ChangeGroup, ...]:
    """Return the changes, grouped by row or part of the state, in their order."""
    gathered: dict[Path, list[StateChange]] = {}
    for change in changes:
        gathered.setdefault(_row_of(change.path), []).append(change)
    return tuple(_group(path, group_changes, earlier, later, query) for path, group_changes in gathered.items())


def _row_of(path: Path) -> Path:
    """Return the path up to the row of a list in it, else the path without its last name."""
    for index, part in enumerate(path):
        if _POSITION.match(part):
            return path[: index + 1]
    return path[:-1] or path


def _group(
    path: Path, changes: Sequence[StateChange], earlier: SessionState, later: SessionState, query: SessionPageQuery
) -> ChangeGroup:
    position = _POSITION.match(path[-1])
    row = value_in(later, path)
    if row is MISSING:
        row = value_in(earlier, path)
    kind = changes[0].kind if len(changes) == 1 and changes[0].path == path else "changed"
    return ChangeGroup(
        kind=kind,
        title=path_in_words(path[:-1] if position else path),
        path=path_text(path[:-1] if position else path),
        label=_label(row) if position else "",
        address=query.around(EntryId.parse(position[1])) if position else "",
        lines=tuple(_line(change, path, query) for change in changes),
    )


def _line(change: StateChange, group: Path, query: SessionPageQuery) -> ChangeLine:
    # The label describes an added or removed row. The arguments of a call are more than a label can have.
    is_row = bool(change.path == group and _POSITION.match(group[-1]))
    before = after = None
    if is_row and change.kind == "added":
        arguments = change.after.get("arguments", "") if isinstance(change.after, Mapping) else ""
        after = pretty_json(arguments)
    elif not is_row:
        before = shown_value(change.path, change.before) if change.kind != "added" else None
        after = shown_value(change.path, change.after) if change.kind != "removed" else None
    return ChangeLine(
        change.kind,
        path_in_words(change.path, start=len(group)),
        path_in_words(change.path),
        before,
        after,
        query.pinned(change.path) if change.kind != "removed" and not is_row else "",
    )


def _label(row: Any) -> str:
    if not isinstance(row, Mapping):
        return ""
    name = next((str(row[key]) for key in _NAMES if row.get(key)), "")
    words = next((str(row[key]) for key in _WORDS if row.get(key)), "")
    return one_line(f"{name}: {words}" if name and words else name or words, VALUE_CHARS)


SHOWN: Final = 8
_LABEL_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call without a return so far."""

    label: str
    address: str  # URL of the page at the call
    words: str


def open_calls(reader: Reader, summary: SessionSummary, step: Step, query: SessionPageQuery) -> tuple[OpenCall, ...]:
    """Return the newest open calls after this step, newest first, at most SHOWN."""
    waiting = [(Position.parse(call.at).entry_id, call) for call in _waiting(step.after)]
    calls = sorted(waiting, key=lambda each: each[0], reverse=True)[:SHOWN]
    end = _end(reader, summary, step, calls[-1][0]) if calls else None
    return tuple(_open_call(entry_id, call, step, end, query) for entry_id, call in calls)


def _waiting(state: SessionState) -> Iterator[ToolCall | Search]:
    """Yield the open calls, tool calls before searches, each newest first.

    Their known number ends the search, so that not every row of a long session is read.
    """
    rows: Iterator[ToolCall | Search] = chain(reversed(state.tool_calls), reversed(state.searches))
    return islice((row for row in rows if row.status == "open"), state.totals.open_calls)


def _end(reader: Reader, summary: SessionSummary, step: Step, since: EntryId) -> KnownEnd | None:
    """Return the end of the session, if the step is its last and nothing after `since` is missing; else None."""
    if step.event.entry_id < summary.last_id or not reader.has_read_all:
        return None
    status = session_status(summary, reader.now)
    if reader.gaps(since, EntryId.MAX if status == "running" else summary.last_id):
        return None
    return KnownEnd(step.event, reader.now, status)


def _open_call(
    entry_id: EntryId, call: ToolCall | Search, step: Step, end: KnownEnd | None, query: SessionPageQuery
) -> OpenCall:
    arguments = call.query if isinstance(call, Search) else call.arguments
    if end:
        words = end.without_return(call.asked_us, entry_id)
    elif entry_id == step.event.entry_id:
        words = "this event"
    else:
        words = f"called {format_milliseconds(took_ms(call.asked_us, entry_id.ms, step.event))} earlier"
    return OpenCall(
        one_line(f"{call.tool or 'search'} {arguments}", _LABEL_CHARS).strip(), query.around(entry_id), words
    )


CHANGES_SHOWN: Final = 60
ROWS_SHOWN: Final = 30  # of each list of the state, the newest
VALUES_SHOWN: Final = 6
_ROW_CHARS: Final = 48
HISTORY_EVENTS: Final = 1_000  # minimum history of watched paths, if the session has as many events
_DEPTH_OPEN: Final = 2
# A count that every event changes.
_EVENT_COUNT: Final = ("totals", "events")
# Sums, which follow from the other changes.
_COUNTS: Final = frozenset({"totals", "tokens", "latency", "participants"})


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a watched path, from this event on."""

    shown: ShownValue
    address: str  # of the page at the event


@dataclass(frozen=True, slots=True)
class Pin:
    """A watched path. `name` has it in words."""

    name: str
    path: str
    value: ShownValue
    unpin: str
    values: tuple[Value, ...]  # the last different ones, newest first
    points: str  # of a sparkline 100 wide and 20 high; "" unless all values are numbers
    range_text: str


@dataclass(frozen=True, slots=True)
class Part:
    """One value of the state: a leaf, or a value with parts. `name` is in words."""

    name: str
    path: str  # "" in a row of a list
    shown: ShownValue  # of a value with parts: their number
    mark: str  # added, changed, or holds (contains an added or changed part); "" else
    parts: tuple[Part, ...] = ()
    is_open: bool = False
    pin: str = ""
    trace: str = ""  # URL that shows the occurrences of the text


@dataclass(frozen=True, slots=True)
class StatePanel:
    """The data of templates/pages/session/_state.html."""

    event: Event
    number: int  # of the event in its session, from 1
    facts: tuple[tuple[str, str], ...]
    open_calls: tuple[OpenCall, ...]
    more_open_calls: int
    incompleteness: str
    compared: str  # the compared event, in words; "" for the previous one
    changes: tuple[ChangeGroup, ...]
    counts: tuple[ChangeGroup, ...]  # sums that changed with it
    more_changes: int
    pins: tuple[Pin, ...]
    watched: str  # known range of the pins' history, in words
    parts: tuple[Part, ...]
    address: str  # of the page with this panel
    is_step: bool
    compare_from: str  # URL that compares with this event
    compare_off: str


def state_panel(reader: Reader, summary: SessionSummary, requested: SessionPageQuery) -> StatePanel | None:
    """Return the panel at the selected event, compared with another one, with the values of the watched paths.

    Without a selected event the panel is at the newest one. Return None if the session has no event up to there.
    """
    against, paths = requested.vs, requested.pins
    steps = list(reader.session_steps(summary.session_id, requested.at, history=HISTORY_EVENTS if paths else 1))
    if not steps:
        return None
    last = steps[-1]
    other = _state_at(reader, summary.session_id, against) if against is not None else last.before
    earlier, later = (last.after, other) if other.folded > last.after.folded else (other, last.after)
    changes = [
        change for change in diff(earlier, later) if change.path != _EVENT_COUNT and not is_bookkeeping(change.path)
    ]
    query = replace(requested, at=last.event.entry_id)
    value_changes = [change for change in changes if change.path[0] not in _COUNTS]
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
        changes=change_groups(value_changes[:CHANGES_SHOWN], earlier, later, query),
        counts=change_groups(counts[:CHANGES_SHOWN], earlier, later, query),
        more_changes=max(0, len(value_changes) - CHANGES_SHOWN),
        pins=tuple(_pin(path, steps, query) for path in paths),
        watched=_since(steps) if paths else "",
        parts=_parts(last.after, changes, query),
        address=query.selected,
        is_step=against is None,
        compare_from=query.compared_with(last.event.entry_id),
        compare_off=query.compared_with(None),
    )


def _state_at(reader: Reader, session_id: str, at: EntryId) -> SessionState:
    state = NOT_STARTED
    for step in reader.session_steps(session_id, at):
        state = step.after
    return state


def _status(reader: Reader, summary: SessionSummary, last: Step) -> str:
    """Return the status after the step. At the last known event it is the current status, as on the page."""
    life = last.after.lifecycle
    is_newest = last.event.entry_id >= summary.last_id
    word = session_status(summary, reader.now) if is_newest and life.status == "running" else life.status
    after_end = f", {format_count(life.events_after_end, 'event')} after its end" if life.events_after_end else ""
    return f"{word}{f': {life.outcome}' if life.outcome else ''}{after_end}"


def _facts(state: SessionState, status: str) -> tuple[tuple[str, str], ...]:
    totals, context = state.totals, state.memory.context
    in_context = len(context.system) + len(context.messages) + len(context.summaries)
    open_calls = (("Open calls", f"{totals.open_calls:,}"),) if totals.open_calls else ()
    return (
        ("Status", status),
        ("Messages", f"{totals.messages:,}, {in_context:,} in context"),
        ("Tool calls", f"{totals.tool_calls:,}"),
        ("Searches", f"{totals.searches:,}"),
        *open_calls,
        ("Errors", f"{totals.errors:,}"),
        ("Tokens", f"{state.tokens.total:,}"),
    )


def _pin(path: Path, steps: Sequence[Step], query: SessionPageQuery) -> Pin:
    history: list[tuple[EntryId, Any]] = []
    for step in steps:
        value = value_in(step.after, path)
        if not history or history[-1][1] != value or type(history[-1][1]) is not type(value):
            history.append((step.event.entry_id, value))
    numbers = [v for v in (value_in(step.after, path) for step in steps) if isinstance(v, (int, float))]
    is_number = len(numbers) == len(steps) and len(steps) > 1 and not any(isinstance(v, bool) for v in numbers)
    ends = [shown_value(path, number).text for number in (min(numbers), max(numbers))] if is_number else []
    range_text = f"minimum {ends[0]}, maximum {ends[1]}" if ends else ""
    return Pin(
        name=path_in_words(path),
        path=path_text(path),
        value=_watched_value(path, history[-1][1]),
        unpin=query.unpinned(path),
        values=tuple(
            Value(_watched_value(path, value), query.around(entry_id))
            for entry_id, value in history[-VALUES_SHOWN:][::-1]
        ),
        points=_points(numbers) if is_number else "",
        range_text=range_text,
    )


def _since(steps: Sequence[Step]) -> str:
    before = steps[0].before.folded
    if not before:
        return "event 1" if len(steps) == 1 else f"events 1 to {len(steps):,}"
    return f"last {format_count(len(steps), 'event')} (from event {before + 1:,})"


def _watched_value(path: Path, value: Any) -> ShownValue:
    return ShownValue("absent", "none") if value is MISSING else shown_value(path, value)


def _points(numbers: Sequence[float]) -> str:
    low, high = min(numbers), max(numbers)
    step = max(1, len(numbers) // 100)
    shown = list(numbers[::step])
    if shown[-1] != numbers[-1]:
        shown.append(numbers[-1])
    across, up = 100 / max(1, len(shown) - 1), 18 / (high - low) if high > low else 0.0
    return " ".join(f"{index * across:.1f},{19 - (value - low) * up:.1f}" for index, value in enumerate(shown))


def _parts(state: SessionState, changes: Sequence[StateChange], query: SessionPageQuery) -> tuple[Part, ...]:
    marks: dict[Path, str] = {}
    for change in changes:
        if change.kind != "removed":
            marks[change.path] = change.kind
        for length in range(1, len(change.path)):
            marks.setdefault(change.path[:length], "holds")
    data = as_data(state, newest=ROWS_SHOWN)
    return tuple(_parts_of((), data, marks, query))


def _parts_of(
    path: Path, values: Mapping[str, Any], marks: Mapping[Path, str], query: SessionPageQuery
) -> Iterator[Part]:
    """Yield the parts of a value. Bookkeeping, empty lists and the empty fields of rows are left out."""
    for name, value in values.items():
        inside = (*path, name)
        if is_bookkeeping(inside, value) or value == {} or (_is_in_row(path) and value in ("", None)):
            continue
        yield _part(inside, value, marks, query)


def _part(path: Path, value: Any, marks: Mapping[Path, str], query: SessionPageQuery) -> Part:
    mark = marks.get(path, "")
    if not isinstance(value, Mapping):
        is_in_row = _is_in_row(path)
        pin = "" if is_in_row else query.pinned(path)
        text = one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE_CHARS)
        trace = query.traced(text) if text == value and "@" not in text else ""
        shown = shown_value(path, value)
        return Part(label_of(path), "" if is_in_row else path_text(path), shown, mark, pin=pin, trace=trace)
    # Parts of a newly added part have no mark of their own.
    parts = tuple(_parts_of(path, value, marks, query))
    number = f"newest {len(value)}" if len(value) == ROWS_SHOWN else format_count(len(value), "item")
    is_row = _POSITION.match(path[-1]) is not None
    return Part(
        (one_line(_label(value), _ROW_CHARS) if is_row else "") or label_of(path),
        path_text(path),
        ShownValue("" if is_row else number, "text"),
        mark,
        parts,
        is_open=bool(mark) and len(path) <= _DEPTH_OPEN,
    )


def _is_in_row(path: Path) -> bool:
    """Return whether the path leads into a row of a list. Such paths are many, and the changes above list theirs."""
    return any("@" in part for part in path)
