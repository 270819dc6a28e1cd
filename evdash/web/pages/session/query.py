"""The queries of a session page: list, view mode and state panel, and the search for an event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from django.http import HttpRequest, QueryDict

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import EVENT_TYPES
from evdash.events.filters.event_filter import EventFilter
from evdash.events.session.paths import InvalidPath, Path, parse_path, path_text
from evdash.events.session.value_trace import TRACED_CHARS
from evdash.events.summaries import SessionSummary
from evdash.events.text import one_line
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_display.row import ViewMode
from evdash.web.event_list.list_query import InvalidQuery, ListQuery, Scope, ScopedFilter, entry_id_in
from evdash.web.event_list.listing import Listing
from evdash.web.links import query_string, with_query

VIEW_MODES: Final[tuple[tuple[ViewMode, str], ...]] = (
    ("conversation", "Conversation"),
    ("events", "Events"),
    ("raw", "Raw"),
)
PINS_MAX: Final = 8
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SessionPageQuery:
    """The query of a session's page: its list, the selected event, and the state panel's paths and other event.

    The URLs that it makes are relative to the page. They keep view mode, filter, watched paths and compared event.
    """

    list: ListQuery
    part: str = ""  # "find" or "state": a part of the page instead of the page
    at: EntryId | None = None
    pins: tuple[Path, ...] = ()  # the watched paths, at most PINS_MAX
    vs: EntryId | None = None  # the event whose state is compared; None: the previous one
    removed_filter: str = ""  # the filter that a link to an event has removed
    trace: str = ""  # the value whose occurrences the page shows

    @classmethod
    def from_request(cls, request: HttpRequest, session_id: str) -> Self:
        """Return the query of a request. Raise InvalidQuery."""
        params = request.GET
        listed = ListQuery.from_request(request, Scope("session", session_id), oldest_first=True)
        return cls(
            replace(listed, view=_view_mode(params)),
            params.get("part", ""),
            entry_id_in(params, "at"),
            _pins(params),
            entry_id_in(params, "vs"),
            one_line(params.get("taken_off", ""), 200),
            _trace(params),
        )

    @property
    def kept(self) -> Pairs:
        """The parameters that every URL of the page keeps."""
        pins = [("pin", path_text(path)) for path in self.pins]
        state = [*pins, *([("vs", str(self.vs))] if self.vs else [])]
        return [*self.list.kept, *self.list.filter.pairs, *state, *([("trace", self.trace)] if self.trace else [])]

    @property
    def cleared_filter(self) -> str:
        """The sentence about the filter that was removed to show an event; "" if none was."""
        text = escape_control_chars_text(self.removed_filter)
        return f"Filter {text} removed: it excludes this event or is not valid." if text else ""

    def around(self, entry_id: EntryId) -> str:
        """Return the URL of the page around an event."""
        return self.around_each([entry_id])[0]

    def around_each(self, entry_ids: Iterable[EntryId]) -> Sequence[str]:
        """Return the URLs of the page around each of these events."""
        kept = query_string(self.kept)
        return [f"?at={entry_id}{'&' if kept else ''}{kept}" for entry_id in entry_ids]

    def showing(self, event: Event, now: datetime) -> str:
        """Return the URL of the page around this event of the session.

        A filter that hides the event, or is invalid, is removed and moved to `taken_off=`. The filter's relative times
        are relative to `now`.
        """
        chosen = self.list.filter
        if not chosen.problem and chosen.effective_filter.matches(event, now):
            return self.around(event.entry_id)
        unfiltered = replace(self, list=replace(self.list, filter=ScopedFilter(EventFilter(), chosen.scope)))
        return with_query("", [("at", str(event.entry_id)), *unfiltered.kept, ("taken_off", chosen.text)])

    def in_view(self, view: ViewMode) -> str:
        """Return the URL of the same part of the page in another view mode."""
        rows = [("rows", "all")] if self.list.shows_all else []
        kept = replace(self, list=replace(self.list, view=view)).kept
        return with_query("", [*self.list.cursor.pairs, *rows, *kept])

    def search(self, what: str, way: str, start: EntryId | None) -> str:
        """Return the URL that redirects to the next or previous event of a kind, from an entry on."""
        place = [("from", str(start))] if start else []
        return with_query("", [("part", "find"), ("what", what), ("way", way), *place, *self.kept])

    def search_time(self, moment: datetime) -> str:
        """Return the URL that redirects to the first event at or after a time."""
        return with_query("", [("part", "find"), ("what", "time"), ("time", moment.isoformat()), *self.kept])

    @property
    def state(self) -> str:
        """The URL of the state panel at the selected event, else at the newest one."""
        at = [("at", str(self.at))] if self.at else []
        return with_query("", [("part", "state"), *at, *self.kept])

    @property
    def selected(self) -> str:
        """The URL of the page around the selected event; without one, of the beginning of the page."""
        return self.around(self.at) if self.at else with_query("", self.kept)

    def pinned(self, path: Path) -> str:
        """Return the URL that also watches this path; "" if it is watched already, or PINS_MAX paths are."""
        is_full = path in self.pins or len(self.pins) >= PINS_MAX
        return "" if is_full else replace(self, pins=(*self.pins, path)).selected

    def unpinned(self, path: Path) -> str:
        """Return the URL that does not watch this path."""
        return replace(self, pins=tuple(pin for pin in self.pins if pin != path)).selected

    def traced(self, value: str) -> str:
        """Return the URL that shows the occurrences of a value."""
        return replace(self, trace=value).selected

    @property
    def untraced(self) -> str:
        """The URL that does not show the occurrences of a value."""
        return self.traced("")

    def compared_with(self, entry_id: EntryId | None) -> str:
        """Return the URL that compares with the state after this entry; None: with the previous state."""
        return replace(self, vs=entry_id).selected


def _trace(params: QueryDict) -> str:
    value = params.get("trace", "").replace("\r\n", "\n").strip()
    if len(value) > TRACED_CHARS:
        raise InvalidQuery(f"trace= must have at most {TRACED_CHARS} characters, not {len(value):,}.")
    return value


def _view_mode(params: QueryDict) -> ViewMode:
    """Return the view mode that `view=` names; events by default. Raise InvalidQuery for another word."""
    word = params.get("view", "events")
    for view, _ in VIEW_MODES:
        if word == view:
            return view
    raise InvalidQuery(f"view= must be conversation, events or raw, not {word[:40]!r}.")


def _pins(params: QueryDict) -> tuple[Path, ...]:
    try:
        return tuple(parse_path(text) for text in params.getlist("pin")[:PINS_MAX] if text)
    except InvalidPath as error:
        raise InvalidQuery(f"pin= {error}.") from None


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
    direction: str


@dataclass(frozen=True, slots=True)
class Toolbar:
    """The data of templates/pages/session/_toolbar.html."""

    view_modes: tuple[ViewModeLink, ...]
    nav_links: tuple[NavLink, ...]
    kept: Pairs  # for the form that jumps to a time
    speeds: tuple[int, ...] = (1, 2, 5, 10, 20, 50, 100)


def toolbar(query: SessionPageQuery, shown: Listing) -> Toolbar:
    """Return the toolbar of a page. Its links start at the selected event, else at the ends of the list."""
    events = shown.page.events
    ends = {"next": events[0].entry_id.previous(), "previous": events[-1].entry_id.next()} if events else {}

    def link(label: str, title: str, what: str, direction: str) -> NavLink:
        address = query.search(what, direction, query.at or ends.get(direction))
        return NavLink(label, title, address, what, direction)

    return Toolbar(
        view_modes=tuple(
            ViewModeLink(label, view, query.in_view(view), view == query.list.view) for view, label in VIEW_MODES
        ),
        nav_links=(
            link("‹ Error", "Previous error (E)", "error", "previous"),
            link("Error ›", "Next error (e)", "error", "next"),
            link("‹ Tool call", "Previous tool call (T)", "tool", "previous"),
            link("Tool call ›", "Next tool call (t)", "tool", "next"),
        ),
        kept=query.kept,
    )


_NOUNS: Final = {"event": "event", "error": "error", "tool": "tool call", "time": "event"}
# A read stops at a bound if the log is far behind the stream. A search makes at most this many reads, each after the
# previous one.
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class FindQuery:
    """The query of the search for an event of a session."""

    what: str
    way: str
    start: EntryId | None
    time: str  # for what=time: the time from which the search starts, as written

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the search in `what=`, `way=`, `from=` and `time=`. Raise InvalidQuery."""
        what, way = request.GET.get("what", "event"), request.GET.get("way", "next")
        if what not in _NOUNS or way not in ("next", "previous"):
            raise InvalidQuery(
                f"what={what[:40]!r} with way={way[:40]!r} is not a search. "
                "Use what=event, error, tool or time, and way=next or previous."
            )
        return cls(what, way, entry_id_in(request.GET, "from"), request.GET.get("time", ""))


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search."""

    event: Event | None
    searched_to: datetime | None = None  # without an event: the time up to which it searched; None: the end


def found_event(reader: Reader, summary: SessionSummary, query: FindQuery) -> Found:
    """Return the event of the session that the query selects. Raise InvalidQuery for a time that is not one.

    The page's filter has no effect.
    """
    within = EventFilter().also("session", summary.session_id)
    if query.what == "time":
        return _first(reader, _since(within, summary, query.time), None, oldest_first=True)
    if query.what == "error":
        within = within.errors()
    elif query.what == "tool":
        for event_type in EVENT_TYPES:  # alternatives: the timeline draws these from call to return
            within = within.also("type", event_type.name) if event_type.is_call else within
    start = query.start
    if query.way == "next":
        return _first(reader, within, Position(start.next(), "") if start else None, oldest_first=True)
    return _first(reader, within, Position(start, "") if start else None, oldest_first=False)


def nothing_found(query: FindQuery, searched_to: datetime | None) -> str:
    """Return the sentence for a search of `found_event` without a result."""
    noun, is_next = _NOUNS[query.what], query.way == "next"
    if query.what == "time":
        missing = f"No {noun} at or after this time"
    elif query.start:
        missing = f"No {'later' if is_next else 'earlier'} {noun}"
    else:
        missing = f"No {noun}"
    if searched_to is None:
        return f"{missing} in this session."
    direction = "up" if is_next or query.what == "time" else "back"
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
