"""Rendering of pages: the frame around every page, complete for a browser, its main part for htmx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from evdash.eventlog.records import Coverage
from evdash.events.event import Event
from evdash.events.filters.event_filter import PARAMETERS
from evdash.streams.address import url_without_password
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_list.list_query import unknown_to_pages
from evdash.web.formatting import format_count
from evdash.web.url_prefix import MOUNTED, without_prefix

Level = Literal["info", "warning", "error"]


# Pages that refresh themselves while they are open (static/refresh.js), and the interval in seconds. They also refresh
# on new events; the interval covers changes without events. Other pages refresh when their list grows. The errors page
# has an interval because it shows errors as a share of all events, and its list receives only errors.
_REFRESHED: Final = {"overview": 15, "sessions": 15, "users": 15, "errors": 15, "streams": 4, "stream-group": 4}


@dataclass(frozen=True, slots=True)
class RailLink:
    """A link in the left navigation rail."""

    label: str
    address: str
    icon: str
    key: str  # the keyboard shortcut is `g`, then this key
    is_current: bool


@dataclass(frozen=True, slots=True)
class State:
    """The progress of the log, in words."""

    words: str
    level: Literal["ok", "behind", "down", "none"]
    explanation: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence that concerns the whole page."""

    text: str
    level: Level = "info"


# Label, URL name, icon, key, and the URL names of the pages below it.
_RAIL: Final = (
    ("Overview", "overview", "overview", "o", ()),
    ("Live", "live", "live", "l", ()),
    ("Sessions", "sessions", "session", "s", ("session", "compare")),
    ("Users", "users", "users", "u", ("user",)),
    ("Errors", "errors", "error", "r", ()),
    ("Events", "events", "events", "e", ("event",)),
    (
        "Streams",
        "streams",
        "streams",
        "t",
        ("stream-group", "stream-parked", "stream-operation", "sandbox-operation"),
    ),
    ("Audit log", "audit-log", "audit", "a", ("audit-log-entry",)),
)


def page(
    request: HttpRequest,
    template: str,
    title: str,
    context: Mapping[str, Any],
    *,
    coverage: Coverage | None = None,
    events: Iterable[Event] = (),
    notices: Iterable[Notice] = (),
    status: int = 200,
) -> HttpResponse:
    """Return the page as a response, or for htmx its main part.

    `events` are the displayed events. If one of them is simulated, the page is labelled as a demonstration.
    """
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    response = render(
        request,
        template,
        {
            "events_base": reverse("events"),
            **context,
            "frame": "fragment.html" if is_fragment else "base.html",
            "title": title,
            "rail": _rail(request),
            "refresh_s": _REFRESHED.get(_url_name(request) or "", 0),
            "state": _state(coverage),
            "notices": (*notices, *_unknown_parameters(request), *_coverage_notices(coverage)),
            "is_demonstration": any(event.simulated for event in events),
            "outside_address": _outside("streams"),
            "stream_name": settings.EVDASH.streams[0],
            "redis_url": url_without_password(settings.EVDASH.redis_url),
            "streams_read": settings.EVDASH.streams,
        },
        status=status,
    )
    return _not_kept(response)


def part(request: HttpRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    """Return a part of a page without the rest, for htmx."""
    return _not_kept(render(request, template, context))


def state_part(request: HttpRequest, coverage: Coverage) -> HttpResponse:
    """Return the state in the top bar without the rest of the page."""
    return _not_kept(render(request, "parts/_state.html", {"state": _state(coverage)}))


def _not_kept(response: HttpResponse) -> HttpResponse:
    # Pages hold personal data, so caches must not store them. `Vary` separates a fragment from its page.
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ("HX-Request", "Cookie"))
    return response


def _url_name(request: HttpRequest) -> str | None:
    return request.resolver_match.url_name if request.resolver_match else None


def _rail(request: HttpRequest) -> tuple[RailLink, ...]:
    here = _url_name(request)
    return tuple(
        RailLink(label, reverse(name) if name in MOUNTED else _outside(name), icon, key, here == name or here in below)
        for label, name, icon, key, below in _RAIL
    )


def _outside(name: str) -> str:
    with without_prefix():
        return reverse(name)


def _state(coverage: Coverage | None) -> State:
    if coverage is None or coverage.is_of_copies:
        return State("", "none", "")
    if coverage.unreachable:
        return State("Redis unreachable: event log only", "down", coverage.unreachable)
    if coverage.behind:
        number = f"{coverage.behind:,}{'+' if coverage.behind_more else ''}"
        entries = "entry" if number == "1" else "entries"
        reads = "the newest of them" if coverage.behind_more else "the rest"
        return State(
            f"{number} {entries} behind",
            "behind",
            f"The event log is {number} {entries} behind. This page reads {reads} from the stream.",
        )
    return State("up to date", "ok", "The event log has every entry of the streams.")


def _unknown_parameters(request: HttpRequest) -> tuple[Notice, ...]:
    unknown = " and ".join(f"{escape_control_chars_text(name[:40])}=" for name in unknown_to_pages(request)[:3])
    if not unknown:
        return ()
    known = ", ".join(PARAMETERS)
    return (Notice(f"Unknown parameter {unknown}, ignored. Valid: {known}.", "warning"),)


def _last_answer() -> str:
    from evdash.metrics import redis_answered  # imported here because commands import the pages, too

    answered_at = redis_answered()
    return f" Last answer: {answered_at:%H:%M:%S} UTC." if answered_at else ""


def _coverage_notices(coverage: Coverage | None) -> tuple[Notice, ...]:
    if coverage is None:
        return ()
    notices = [Notice(note, "warning") for note in coverage.notes]
    if coverage.unreachable:
        notices.insert(0, Notice(f"{coverage.unreachable}{_last_answer()} Showing the event log only.", "error"))
    elif coverage.behind_more:
        notices.append(
            Notice(
                f"The event log is more than {format_count(coverage.behind, 'entry', 'entries')} behind the stream. "
                "This page shows the event log and the newest entries. Older ones follow when the worker "
                "(manage.py work) has caught up.",
                "warning",
            )
        )
    return tuple(notices)
