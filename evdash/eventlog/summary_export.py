"""Export of the sessions or users of a selection, as NDJSON or CSV."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.export import Piece, csv_text, with_first
from evdash.eventlog.reader import Reader
from evdash.eventlog.selections import ListPosition
from evdash.events.entry import EntryId
from evdash.events.filters.summary_filter import SESSIONS, Selection, SummaryKind
from evdash.events.summaries import SessionSummary, UserSummary
from evdash.streams.budget import PAGE_BUDGET_S, redis_budget
from evdash.streams.client import StreamsUnavailable

CHUNK: Final = 1_000
"""Sessions or users per piece."""
Value = Callable[[Any], str | int | float | bool]


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


_SESSION: Final[dict[str, Value]] = {
    "session_id": lambda each: each.session_id,
    "user_id": lambda each: each.user_id,
    "agent": lambda each: each.agent.text,
    "model": lambda each: each.model.text,
    "first_entry_id": lambda each: str(each.first_id),
    "last_entry_id": lambda each: str(each.last_id),
    "started_at": lambda each: _iso(each.started_at),
    "last_at": lambda each: _iso(each.last_at),
    "duration_s": lambda each: each.duration_s,
    "ended": lambda each: each.ended,
    "outcome": lambda each: each.outcome,
    "events": lambda each: each.events,
    "errors": lambda each: each.errors,
    "messages": lambda each: each.messages,
    "calls": lambda each: each.tool_calls,
    "searches": lambda each: each.searches,
    "tokens": lambda each: each.tokens,
}
_USER: Final[dict[str, Value]] = {
    "user_id": lambda each: each.user_id,
    "first_entry_id": lambda each: str(each.first_id),
    "last_entry_id": lambda each: str(each.last_id),
    "first_at": lambda each: _iso(each.first_at),
    "last_at": lambda each: _iso(each.last_at),
    "events": lambda each: each.events,
    "errors": lambda each: each.errors,
    "sessions": lambda each: each.sessions,
    "tokens": lambda each: each.tokens,
}


class LimitMet(StreamsUnavailable):
    """A limit of a selection left some sessions or users out of the file."""


def summary_ndjson(selection: Selection) -> Iterator[bytes]:
    """Return one JSON object per line, oldest last entry first. Times are the producers'.

    A session that gets entries during the export is in the file once. Raises StreamsUnavailable at once or in the
    middle: an incomplete export never ends like a complete one.
    """
    values = _values(selection.kind)

    def line(summary: SessionSummary | UserSummary) -> str:
        return json.dumps({name: value(summary) for name, value in values.items()}, ensure_ascii=False) + "\n"

    return _pieces(selection, lambda summaries: "".join(map(line, summaries)))


def summary_csv(selection: Selection) -> Iterator[bytes]:
    """Return one row per session or user with a header line, otherwise as `summary_ndjson`."""
    values = _values(selection.kind)

    def row(summary: SessionSummary | UserSummary) -> list[str]:
        found = (value(summary) for value in values.values())
        return [str(int(each)) if isinstance(each, bool) else str(each) for each in found]

    pieces = _pieces(selection, lambda summaries: csv_text(map(row, summaries)))
    return with_first(csv_text([list(values)]).encode(), pieces)


def _values(kind: SummaryKind) -> dict[str, Value]:
    return _SESSION if kind is SESSIONS else _USER


def _pieces(selection: Selection, render: Callable[[Sequence[SessionSummary | UserSummary]], str]) -> Iterator[bytes]:
    with open_reader() as reader:
        _ = reader.coverage
    if reader.unreachable:
        raise StreamsUnavailable(f"An export would be incomplete. {reader.unreachable}")
    return _read_on(reader, selection, render)


def _read_on(
    reader: Reader, selection: Selection, render: Callable[[Sequence[SessionSummary | UserSummary]], str]
) -> Iterator[bytes]:
    after: EntryId | None = EntryId.MIN
    seen: set[str] = set()
    attribute, is_complete = selection.kind.attribute, True
    while after is not None:
        # From the oldest on: one that gets entries meanwhile moves towards the end, and is not missed.
        with redis_budget(PAGE_BUDGET_S):
            position = ListPosition(after=after, limit=CHUNK)
            if selection.kind is SESSIONS:
                sessions = reader.sessions(selection, position)
                found: tuple[SessionSummary | UserSummary, ...] = sessions.sessions
                after, is_complete = sessions.newer, is_complete and sessions.is_complete
            else:
                users = reader.users(selection, position)
                found, after, is_complete = users.users, users.newer, is_complete and users.is_complete
        if reader.unreachable:
            raise StreamsUnavailable(f"An export was interrupted. {reader.unreachable}")
        new = [each for each in reversed(found) if getattr(each, attribute) not in seen]
        seen.update(getattr(each, attribute) for each in new)
        if new:
            yield Piece.of(render(new), len(new))
    if not is_complete:
        raise LimitMet("The conditions consider only the newest events that match them, or the nearest in the range.")
