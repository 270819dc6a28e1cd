"""Ways through a session: the next error, the next tool call, a time, wherever in it they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.entry_id import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.session.pairing import CALLS
from evdash.events.summaries import SessionSummary
from evdash.web.paging import BadPlace

WHAT: Final = ("event", "error", "tool", "time")
# A search stops at a bound where the log is far behind the stream; it goes on from there so often.
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to."""

    event: Event | None
    searched_to: datetime | None = None  # without an event: the search came so far and no further; None: to the end


def found_event(reader: Reader, summary: SessionSummary, params: dict[str, str]) -> Found:
    """The event of the session that `what=`, `way=` and `from=` or `time=` ask for, whatever the page's filter shows.

    Raises BadPlace.
    """
    what, way = params.get("what", "event"), params.get("way", "next")
    if what not in WHAT or way not in ("next", "previous"):
        raise BadPlace("A session is searched for what=event, error, tool or time, way=next or previous.")
    within = EventFilter().also("session", summary.session_id)
    if what == "time":
        return _first(reader, _since(within, summary, params.get("time", "")), None, oldest_first=True)
    if what == "error":
        within = within.errors()
    elif what == "tool":
        for event_type in sorted(CALLS):  # alternatives: what the picture draws from call to return
            within = within.also("type", event_type)
    start = _from(params.get("from", ""))
    if way == "next":
        return _first(reader, within, Position(start.next(), "") if start else None, oldest_first=True)
    return _first(reader, within, Position(start, "") if start else None, oldest_first=False)


def _first(reader: Reader, within: EventFilter, place: Position | None, *, oldest_first: bool) -> Found:
    for _ in range(_ROUNDS):
        if oldest_first:
            page = reader.page(within, after=place, oldest_first=True, limit=1)
        else:
            page = reader.page(within, before=place, limit=1)
        place = page.newer if oldest_first else page.older
        if page.events or page.searched_to is None or place is None:
            return Found(page.events[0] if page.events else None)
    return Found(None, page.searched_to)


def _from(text: str) -> EntryId | None:
    try:
        return EntryId.parse(text) if text else None
    except InvalidEntryId as error:
        raise BadPlace(f"from= {error}.") from None


def _since(within: EventFilter, summary: SessionSummary, text: str) -> EventFilter:
    """From a time on: ISO 8601, a clock time of the session's first day or after (`14:03`, `14:03:20`), or so long
    after its start (`+90s`, `+5m`, `+2h`)."""
    text = text.strip()
    moment: datetime | None = None
    try:
        if text.startswith("+"):
            moment = summary.started_at + _length(text[1:])
        elif "T" in text or "-" in text:
            moment = datetime.fromisoformat(text)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        else:
            clock = datetime.strptime(text, "%H:%M:%S" if text.count(":") == 2 else "%H:%M").time()
            moment = datetime.combine(summary.started_at.date(), clock, UTC)
            if moment < summary.started_at.replace(second=0, microsecond=0):
                moment += timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadPlace(
            f"{text[:40]!r} is no time: expected 14:03, 14:03:20, +90s, +5m, +2h or 2026-05-01T14:03:20Z, in UTC."
        ) from None
    return within.between(moment, None)


def _length(text: str) -> timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours"}
    return timedelta(**{units[text[-1:]] if text[-1:] in units else _unknown(text): float(text[:-1])})


def _unknown(text: str) -> str:
    raise ValueError(text)
