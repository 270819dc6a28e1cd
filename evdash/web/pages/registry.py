"""The registry of pages: route, place in the rail, refresh interval, sandboxes and parameters of each page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from evdash.events.filters.event_filter import PARAMETERS, parameters_of
from evdash.events.filters.summary_filter import SESSIONS, USERS

LIST: Final = (*PARAMETERS, "before", "after", "at", "end", "rows", "paused", "by")
"""The parameters of a list of events (event_list/list_query.py)."""
POSITIONS: Final = frozenset(("before", "after", "at", "end", "rows", "paused", "skip"))
"""The parameters that are a position in a list, which a saved view leaves out."""
SUMMARY_LIST: Final = ("with", "except", "sort", "columns", "before", "after", "skip")
"""The parameters of a list of sessions or users other than its filter (summary_list/query.py)."""


@dataclass(frozen=True, slots=True)
class RailEntry:
    """A link in the left navigation rail."""

    label: str
    icon: str
    key: str  # the keyboard shortcut is `g`, then this key


@dataclass(frozen=True, slots=True)
class Page:
    """A page, an export or a form: URL name, route, and what the frame needs. web/urls.py has its view."""

    name: str
    route: str
    rail: RailEntry | None = None
    below: str = ""  # the name of the page whose rail entry is current on this page
    # The interval (static/refresh.js) at which an open page refreshes, also without events. Other pages refresh when
    # their list grows. Errors has one because it shows errors as a share of all events, and receives only errors.
    refresh_s: int = 0
    in_sandbox: bool = False  # a sandbox has the page below its prefix
    parameters: tuple[str, ...] | None = None  # the page warns about others; None: it does not check
    is_list: bool = False  # its filter, breakdown and order can be saved as a view

    @property
    def saved_parameters(self) -> tuple[str, ...]:
        """The parameters that a saved view of the page keeps."""
        return tuple(name for name in self.parameters or () if name not in POSITIONS)

    def unknown(self, names: list[str]) -> list[str]:
        """Return the names that are not parameters of the page."""
        parameters = None if self.parameters is None else {*self.parameters, "org.htmx.cache-buster"}
        return [name for name in names if parameters is not None and name not in parameters]


PAGES: Final = (
    Page(
        "overview",
        "",
        rail=RailEntry("Overview", "overview", "o"),
        refresh_s=15,
        in_sandbox=True,
        parameters=(*PARAMETERS, "range"),
    ),
    Page("live", "live/", rail=RailEntry("Live", "live", "l"), in_sandbox=True, parameters=LIST, is_list=True),
    Page(
        "sessions",
        "sessions/",
        rail=RailEntry("Sessions", "session", "s"),
        refresh_s=15,
        in_sandbox=True,
        parameters=(*parameters_of(SESSIONS.keys), *SUMMARY_LIST),
        is_list=True,
    ),
    Page(
        "session",
        "sessions/<identifier:session_id>/",
        below="sessions",
        in_sandbox=True,
        parameters=(*LIST, "view", "pin", "vs", "taken_off", "part", "what", "way", "from", "time", "trace"),
    ),
    # Addresses of session pages end with a slash, so these cannot collide with a session ID.
    Page("session-notes", "sessions/<identifier:session_id>/notes", below="sessions"),
    Page("session-transcript", "sessions/<identifier:session_id>/transcript.md", in_sandbox=True),
    Page("session-export-html", "sessions/<identifier:session_id>/export.html", in_sandbox=True),
    Page("compare", "compare/", below="sessions", in_sandbox=True, parameters=("a", "b", "from", "same")),
    Page(
        "compare-sets",
        "compare/sets/",
        below="sessions",
        in_sandbox=True,
        parameters=(*parameters_of(SESSIONS.keys), "with", "except", "against", "before_error"),
    ),
    Page(
        "users",
        "users/",
        rail=RailEntry("Users", "users", "u"),
        refresh_s=15,
        in_sandbox=True,
        parameters=(*parameters_of(USERS.keys), *SUMMARY_LIST),
        is_list=True,
    ),
    Page("user", "users/<identifier:user_id>/", below="users", in_sandbox=True, parameters=LIST),
    Page("user-export-html", "users/<identifier:user_id>/export.html", in_sandbox=True),
    Page(
        "errors",
        "errors/",
        rail=RailEntry("Errors", "error", "r"),
        refresh_s=15,
        in_sandbox=True,
        parameters=(*LIST, "groups", "sort"),
        is_list=True,
    ),
    Page(
        "error-group",
        "errors/groups/<identifier:fingerprint>/",
        below="errors",
        refresh_s=15,
        in_sandbox=True,
        parameters=LIST,
    ),
    Page("events", "events/", rail=RailEntry("Events", "events", "e"), in_sandbox=True, parameters=LIST, is_list=True),
    Page(
        "event",
        "events/<opaque:stream>/<entry_id:entry_id>/",
        below="events",
        in_sandbox=True,
        parameters=(*PARAMETERS, "part", "field", "as", "picture"),
    ),
    Page("event-notes", "events/<opaque:stream>/<entry_id:entry_id>/notes", below="events"),
    Page("search", "search/", below="events", in_sandbox=True, parameters=("q",)),
    Page("events-ndjson", "events.ndjson", in_sandbox=True),
    Page("events-csv", "events.csv", in_sandbox=True),
    Page("sessions-ndjson", "sessions.ndjson", in_sandbox=True),
    Page("sessions-csv", "sessions.csv", in_sandbox=True),
    Page("users-ndjson", "users.ndjson", in_sandbox=True),
    Page("users-csv", "users.csv", in_sandbox=True),
    Page("note", "notes/<int:number>/"),
    Page("note-delete", "notes/<int:number>/delete"),
    Page("saved-views", "views/", parameters=()),
    Page("saved-view", "views/<int:number>/", parameters=()),
    Page("saved-view-delete", "views/<int:number>/delete"),
    Page("streams", "streams/", rail=RailEntry("Streams", "streams", "t"), refresh_s=4, parameters=()),
    Page("stream-operation", "streams/operations/<operation:kind>/", below="streams"),
    Page(
        "stream-group",
        "streams/<name:stream>/groups/<name:group>/",
        below="streams",
        refresh_s=4,
        parameters=("consumer", "idle_over", "before", "after", "consumers"),
    ),
    Page("sandbox-operation", "streams/sandboxes/<sandbox_operation:kind>/", below="streams"),
    Page("stream-parked", "streams/<name:stream>/parked/", below="streams", parameters=("before", "after")),
    Page(
        "audit-log",
        "audit-log/",
        rail=RailEntry("Audit log", "audit", "a"),
        parameters=("who", "action", "object", "before"),
    ),
    Page("audit-log-ndjson", "audit-log.ndjson"),
    Page("audit-log-csv", "audit-log.csv"),
    Page("audit-log-entry", "audit-log/<int:number>/", below="audit-log", parameters=("part",)),
    Page("status", "state/", in_sandbox=True),
    Page("completions", "completions/", in_sandbox=True),
    Page("palette", "palette/", in_sandbox=True),
)
"""All pages. The rail has them in this order."""
BY_NAME: Final = {page.name: page for page in PAGES}
IN_SANDBOX: Final = frozenset((*(page.name for page in PAGES if page.in_sandbox), "live-catch-up"))
"""The URL names that a sandbox has below its prefix. live/urls.py has the last one."""
