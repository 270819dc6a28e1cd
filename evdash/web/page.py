"""Rendering of pages: the frame around every page, complete for a browser, its main part for htmx."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers

from evdash.accounts.sessions import AUTOMATIC
from evdash.eventlog.records import Coverage, RedecodingProgress
from evdash.events.event import Event
from evdash.events.filters.event_filter import PARAMETERS
from evdash.health.current import current_health
from evdash.streams.address import url_without_password
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.formatting import format_count
from evdash.web.pages.registry import BY_NAME, PAGES, Page, RailEntry
from evdash.web.saved_view_display import form_to_save, views_in_rail
from evdash.web.url_prefix import without_prefix

if TYPE_CHECKING:
    from evdash.web.event_list.filter_bar import FilterBar

Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class RailLink:
    """A rail entry as the frame shows it. `conditions` is the number on its badge."""

    name: str
    entry: RailEntry
    address: str
    is_current: bool
    conditions: int


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
    here = _page_of(request)
    is_fragment = bool(request.htmx) and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    if is_fragment and (bar := getattr(context.get("listing"), "bar", context.get("bar"))) and bar.problem:
        return _problem(request, bar, status)
    response = render(
        request,
        template,
        {
            "events_base": reverse("events"),
            "printed": "",  # content of a print
            **context,
            "frame": "fragment.html" if is_fragment else "base.html",
            "title": title,
            "rail": _rail(here),
            **_saved_views(request, here),
            "refresh_s": here.refresh_s if here else 0,
            "state": _state(coverage),
            "notices": (*notices, *_unknown_parameters(request, here), *_coverage_notices(coverage)),
            "is_demonstration": any(event.simulated for event in events),
            "outside_address": _outside("streams"),
            "stream_name": settings.EVDASH.streams[0],
            "redis_url": url_without_password(settings.EVDASH.redis_url),
            "streams_read": settings.EVDASH.streams,
            "printed_at": datetime.now(UTC),
        },
        status=status,
    )
    return _not_kept(response)


def _problem(request: HttpRequest, bar: FilterBar, status: int) -> HttpResponse:
    """Return the error in a filter for htmx. The list, chart and facets of the last valid filter stay on the page."""
    response = _not_kept(
        render(request, "event_list/_problem.html", {"bar": bar, "is_beside_earlier": True}, status=status)
    )
    response["HX-Retarget"], response["HX-Reswap"], response["HX-Push-Url"] = "#filter-problem", "outerHTML", "false"
    return response


def part(request: HttpRequest, template: str, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
    """Return a part of a page without the rest, for htmx."""
    return _not_kept(render(request, template, context, status=status))


def state_part(request: HttpRequest, coverage: Coverage) -> HttpResponse:
    """Return the state in the top bar and the badges of the rail without the rest of the page."""
    return _not_kept(render(request, "parts/_state_and_badges.html", {"state": _state(coverage), "rail": _rail(None)}))


def _not_kept(response: HttpResponse) -> HttpResponse:
    # Pages hold personal data, so caches must not store them. `Vary` separates a fragment from its page.
    response["Cache-Control"] = "private, no-store"
    patch_vary_headers(response, ("HX-Request", "Cookie"))
    return response


def _page_of(request: HttpRequest) -> Page | None:
    return BY_NAME.get(request.resolver_match.url_name or "") if request.resolver_match else None


def _rail(here: Page | None) -> tuple[RailLink, ...]:
    health = current_health()
    return tuple(
        RailLink(
            page.name,
            page.rail,
            reverse(page.name) if page.in_sandbox else _outside(page.name),
            here is not None and page.name in (here.name, here.below),
            health.badge(page.name),
        )
        for page in PAGES
        if page.rail
    )


def _saved_views(request: HttpRequest, here: Page | None) -> Mapping[str, Any]:
    """Return the views in the rail and the form that saves this list. A sandbox has neither.

    A refresh does not change the rail, so it does not read the views.
    """
    is_sandbox = getattr(request, "mount", None) is not None
    return {
        "views": None if is_sandbox or AUTOMATIC in request.headers else views_in_rail(request.user, here, request.GET),
        "view_form": None if is_sandbox else form_to_save(request.user, here, request.GET),
        "is_views_page": here is not None and here.name == "saved-views",
        # htmx then takes only the main part of a whole page, so the rail is also in there.
        "is_restored": request.htmx.history_restore_request,  # type: ignore[attr-defined]
    }


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
    return State("Indexed", "ok", "The event log has every entry of the streams.")


def _unknown_parameters(request: HttpRequest, here: Page | None) -> tuple[Notice, ...]:
    """Return a notice of parameters that the page ignores: a misspelt condition makes a list larger than requested."""
    unknown = here.unknown(list(request.GET)) if here else []
    if here is None or not unknown:
        return ()
    names = " and ".join(f"{escape_control_chars_text(name[:40])}=" for name in unknown[:3])
    parameters = [name for name in here.parameters or () if name in PARAMETERS] or here.parameters
    valid = f"Valid: {', '.join(parameters)}." if parameters else "This page has no parameters."
    return (Notice(f"Unknown parameter {names}, ignored. {valid}", "warning"),)


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
    if coverage.redecoding is not None:
        notices.append(Notice(_redecoding(coverage.redecoding), "warning"))
    return tuple(notices)


def _redecoding(progress: RedecodingProgress) -> str:
    if not progress.rows_left:
        return (
            "Counting all events again after an upgrade. Sessions, users and numbers may be out of date until the "
            "worker (manage.py work) has finished."
        )
    share = f"{progress.rows_left:,} of {format_count(progress.rows, 'event', 'events')}"
    if progress.is_running:
        return f"Re-decoding {share} after an upgrade. Filters may miss some of them until it has finished."
    return (
        f"Another version, or other upcasters, decoded {share}. Filters may miss some of them until a worker of this "
        "version (manage.py work) has decoded them again."
    )
