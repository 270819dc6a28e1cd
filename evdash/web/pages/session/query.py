"""The queries of a session page: view mode, toolbar links, state panel links, and the search for an event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import PARAMETERS, EventFilter
from evdash.events.session.call_matching import CALLS
from evdash.events.session.paths import Path, path_text
from evdash.events.summaries import SessionSummary
from evdash.events.text import one_line
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_display.row import ViewMode
from evdash.web.event_list.list_query import Scope, parse_filter
from evdash.web.event_list.listing import Listing
from evdash.web.event_list.pagination import InvalidQuery

READINGS: Final[tuple[tuple[ViewMode, str], ...]] = (
    ("conversation", "Conversation"),
    ("events", "Events"),
    ("raw", "Raw"),
)
# Parameters that links within the page keep. Each link sets its own position in the list.
_KEPT: Final = ("view", *PARAMETERS, "pin", "vs")


@dataclass(frozen=True, slots=True)
class ViewModeLink:
    """Link to one of the view modes."""

    label: str
    view: ViewMode
    address: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class NavLink:
    """Link to the next or previous error or tool call. `title` names its key on the keyboard."""

    label: str
    title: str
    address: str
    what: str
    way: str


@dataclass(frozen=True, slots=True)
class Toolbar:
    """The data of templates/pages/session/_toolbar.html."""

    readings: tuple[ViewModeLink, ...]
    ways: tuple[NavLink, ...]
    kept: tuple[tuple[str, str], ...]  # for the form that jumps to a time
    speeds: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)


def view_mode(params: QueryDict) -> ViewMode:
    """Return the view mode that `view=` names; events by default. Raise InvalidQuery for another word."""
    asked = params.get("view", "events")
    for reading, _ in READINGS:
        if asked == reading:
            return reading
    raise InvalidQuery(f"view= must be conversation, events or raw, not {asked[:40]!r}.")


def preserved_query(params: QueryDict) -> str:
    """Return the part of the query string that selects the view, without the position in the list."""
    return urlencode(_preserved_params(params))


def query_showing(event: Event, params: QueryDict, now: datetime) -> str:
    """Return the query string of the page around this event of the session, with the same view.

    A filter that hides the event, or is invalid, is removed and moved to `taken_off=`. The filter's relative times are
    relative to `now`.
    """
    asked = parse_filter(params, Scope("session", event.session_id))
    kept = _preserved_params(params)
    if asked.problem or not asked.effective_filter.matches(event, now):
        kept = [(name, value) for name, value in kept if name not in PARAMETERS] + [("taken_off", asked.text)]
    return urlencode([("at", str(event.entry_id)), *kept])


def cleared_filter(params: QueryDict) -> str:
    """Return the sentence about the filter that was removed to show an event; "" if none was."""
    text = one_line(params.get("taken_off", ""), 200)
    return f"Filter {escape_control_chars_text(text)} removed: it excludes this event or is not valid." if text else ""


def toolbar(params: QueryDict, shown: Listing) -> Toolbar:
    """Return the toolbar of a page. Its links start at the selected event, else at the ends of the list."""
    events = shown.page.events
    first, last = (events[0].entry_id, events[-1].entry_id) if events else (None, None)
    at = params.get("at", "")

    def address(what: str, way: str) -> str:
        start = at or (str(first.previous() if way == "next" else last.next()) if first and last else "")
        asked = {"part": "find", "what": what, "way": way} | ({"from": start} if start else {})
        return f"?{urlencode([*asked.items(), *_preserved_params(params)])}"

    return Toolbar(
        readings=tuple(
            ViewModeLink(label, name, _as(params, name), name == view_mode(params)) for name, label in READINGS
        ),
        ways=(
            NavLink("‹ Error", "Previous error (E)", address("error", "previous"), "error", "previous"),
            NavLink("Error ›", "Next error (e)", address("error", "next"), "error", "next"),
            NavLink("‹ Tool call", "Previous tool call (T)", address("tool", "previous"), "tool", "previous"),
            NavLink("Tool call ›", "Next tool call (t)", address("tool", "next"), "tool", "next"),
        ),
        kept=tuple(_preserved_params(params)),
    )


def _as(params: QueryDict, reading: ViewMode) -> str:
    query = params.copy()
    query.pop("view", None)
    query.pop("part", None)
    query.pop("taken_off", None)
    if reading != "events":
        query["view"] = reading
    return f"?{query.urlencode()}"


def _preserved_params(params: QueryDict) -> list[tuple[str, str]]:
    return [(name, value) for name in _KEPT for value in params.getlist(name) if value]


PINS_MAX: Final = 8


class PanelQuery:
    """Query strings of the state panel. Each keeps the view mode and the filter of the page around it."""

    def __init__(self, params: QueryDict, at: EntryId) -> None:
        self._at, self._pins, self._vs = at, params.getlist("pin"), params.get("vs", "")
        self._kept = [(name, value) for name in ("view", *PARAMETERS) for value in params.getlist(name) if value]

    def _of(self, at: EntryId, pins: Sequence[str], vs: str) -> str:
        pairs = [("at", str(at)), *(("pin", pin) for pin in pins), *([("vs", vs)] if vs else []), *self._kept]
        return urlencode(pairs)

    def kept(self, paths: Sequence[Path]) -> str:
        """Return the query string that watches these paths."""
        return self._of(self._at, [path_text(path) for path in paths], self._vs)

    def pinned(self, path: Path) -> str:
        """Return the query string that also watches this path; "" if it is watched already, or PINS_MAX paths are."""
        text = path_text(path)
        is_full = text in self._pins or len(self._pins) >= PINS_MAX
        return "" if is_full else self._of(self._at, [*self._pins, text], self._vs)

    def unpinned(self, path: Path) -> str:
        """Return the query string that does not watch this path."""
        return self._of(self._at, [pin for pin in self._pins if pin != path_text(path)], self._vs)

    def compared_with(self, entry_id: EntryId | None) -> str:
        """Return the query string that compares with the state after this entry; None: with the previous state."""
        return self._of(self._at, self._pins, str(entry_id) if entry_id else "")

    def at(self, entry_id: EntryId) -> str:
        """Return the query string of the panel at another event."""
        return self._of(entry_id, self._pins, self._vs)


WHAT: Final = ("event", "error", "tool", "time")
# A read stops at a bound if the log is far behind the stream. A search makes at most this many reads, each after the
# previous one.
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search."""

    event: Event | None
    searched_to: datetime | None = None  # without an event: the time up to which it searched; None: the end


def found_event(reader: Reader, summary: SessionSummary, params: dict[str, str]) -> Found:
    """Return the event of the session that `what=`, `way=` and `from=` or `time=` select.

    The page's filter has no effect. Raise InvalidQuery.
    """
    what, way = params.get("what", "event"), params.get("way", "next")
    if what not in WHAT or way not in ("next", "previous"):
        raise InvalidQuery(
            f"what={what[:40]!r} with way={way[:40]!r} is not a search. "
            "Use what=event, error, tool or time, and way=next or previous."
        )
    within = EventFilter().also("session", summary.session_id)
    if what == "time":
        return _first(reader, _since(within, summary, params.get("time", "")), None, oldest_first=True)
    if what == "error":
        within = within.errors()
    elif what == "tool":
        for event_type in sorted(CALLS):  # alternatives: the timeline draws these from call to return
            within = within.also("type", event_type)
    start = _from(params.get("from", ""))
    if way == "next":
        return _first(reader, within, Position(start.next(), "") if start else None, oldest_first=True)
    return _first(reader, within, Position(start, "") if start else None, oldest_first=False)


_NOUNS: Final = {"event": "event", "error": "error", "tool": "tool call", "time": "event"}


def nothing_found(params: dict[str, str], searched_to: datetime | None) -> str:
    """Return the sentence for a search of `found_event` without a result."""
    what, is_next = params.get("what", "event"), params.get("way", "next") == "next"
    noun = _NOUNS[what]
    if what == "time":
        missing = f"No {noun} at or after this time"
    elif params.get("from"):
        missing = f"No {'later' if is_next else 'earlier'} {noun}"
    else:
        missing = f"No {noun}"
    if searched_to is None:
        return f"{missing} in this session."
    direction = "up" if is_next or what == "time" else "back"
    return f"{missing} found so far. Searched {direction} to {searched_to:%Y-%m-%d %H:%M:%S} UTC."


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
        raise InvalidQuery(f"from= {error}.") from None


def _since(within: EventFilter, summary: SessionSummary, text: str) -> EventFilter:
    """Return the filter, limited to events from a time on.

    The time has one of three forms: ISO 8601 (UTC without an offset); a clock time (`14:03`, `14:03:20`); an offset
    from the session's start (`+90s`, `+5m`, `+2h`). A clock time is on the session's first day, or on the next day if
    it is before the start. Raise InvalidQuery for any other text.
    """
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
        raise InvalidQuery(
            f"{text[:40]!r} is not a time. Write 14:03, 14:03:20, +90s, +5m, +2h or 2026-05-01T14:03:20Z (UTC)."
        ) from None
    return within.between(moment, None)


def _length(text: str) -> timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours"}
    return timedelta(**{units[text[-1:]] if text[-1:] in units else _unknown(text): float(text[:-1])})


def _unknown(text: str) -> str:
    raise ValueError(text)
