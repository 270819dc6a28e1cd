"""The calls that wait for a return in a state, as the state panel lists them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.eventlog.session_states import Step
from evdash.events.entry_id import EntryId
from evdash.events.one_line import one_line
from evdash.events.session.pairing import took_ms
from evdash.events.session.state import Search, SessionState, ToolCall
from evdash.events.summaries import SessionSummary
from evdash.web.calls import KnownEnd
from evdash.web.session.panel_query import PanelQuery
from evdash.web.session_status import session_status
from evdash.web.wording import milliseconds

SHOWN: Final = 8
_LABEL_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that nothing has ended so far."""

    label: str
    address: str  # query string of the page at the call
    words: str


def open_calls(reader: Reader, summary: SessionSummary, step: Step, query: PanelQuery) -> tuple[OpenCall, ...]:
    """The newest calls that wait after this step, newest first."""
    waiting = [(Position.parse(call.at).entry_id, call) for call in _waiting(step.after)]
    calls = sorted(waiting, key=lambda each: each[0], reverse=True)[:SHOWN]
    end = _end(reader, summary, step, calls[-1][0]) if calls else None
    return tuple(_open_call(entry_id, call, step, end, query) for entry_id, call in calls)


def _waiting(state: SessionState) -> Iterator[ToolCall | Search]:
    """Found from the newest on: their number spares looking through all of a long session."""
    rows: Iterator[ToolCall | Search] = chain(reversed(state.tool_calls), reversed(state.searches))
    return islice((row for row in rows if row.status == "open"), state.totals.open_calls)


def _end(reader: Reader, summary: SessionSummary, step: Step, since: EntryId) -> KnownEnd | None:
    """The end of the session, where the step is its last and nothing after `since` is missing."""
    if step.event.entry_id < summary.last_id or not reader.has_read_all:
        return None
    status = session_status(summary, reader.now)
    if reader.gaps(since, EntryId.MAX if status == "running" else summary.last_id):
        return None
    return KnownEnd(step.event, reader.now, status)


def _open_call(
    entry_id: EntryId, call: ToolCall | Search, step: Step, end: KnownEnd | None, query: PanelQuery
) -> OpenCall:
    asked = call.query if isinstance(call, Search) else call.arguments
    if end:
        words = end.without_return(call.asked_us, entry_id)
    elif entry_id == step.event.entry_id:
        words = "this event"
    else:
        words = f"called {milliseconds(took_ms(call.asked_us, entry_id.ms, step.event))} before"
    return OpenCall(one_line(f"{call.tool or 'search'} {asked}", _LABEL_CHARS).strip(), query.at(entry_id), words)
