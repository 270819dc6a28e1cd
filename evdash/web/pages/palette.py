"""Results of the command palette, as JSON for static/palette.js: saved views, sessions, users, entries and events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.known_values import known_values
from evdash.eventlog.reader import Reader
from evdash.saved_views.reading import visible_views
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_list.jump import Jump, event_jumps, id_in, jumps
from evdash.web.links import session_address, user_address
from evdash.web.pages.completions import usual_cases
from evdash.web.sandbox_middleware import sandbox_request
from evdash.web.saved_view_display import ViewLink

TEXT_MAX_CHARS: Final = 200
RESULTS_MAX: Final = 12
VIEWS_MAX: Final = 6
NAMES_MAX: Final = 4
"""Greatest number of sessions, and of users, whose ID begins with the text."""
EVENT_ID_MIN_CHARS: Final = 8
"""Shortest text that is searched as the ID of an event, which reads up to 50,000 rows."""


@dataclass(frozen=True, slots=True)
class PaletteQuery:
    """The text in the box of the palette."""

    text: str

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the text in `q=`, at most TEXT_MAX_CHARS of it. Never raises."""
        return cls(request.GET.get("q", "").strip()[:TEXT_MAX_CHARS])


@require_GET
def palette(request: HttpRequest) -> JsonResponse:
    """Return at most RESULTS_MAX results, as `{"results": [{"kind": …, "name": …, "address": …}]}`.

    First those with exactly this ID, then saved views whose name contains all words of the text, then sessions and
    users of the log whose ID begins with it. Without a text there are views only. Sandboxes have no views.
    """
    query = PaletteQuery.from_request(request)
    is_sandbox = sandbox_request(request) is not None
    found: list[Jump] = []
    if query.text:
        with open_reader() as reader:
            found += _with_id(reader, query.text)
    if not is_sandbox:
        found += _views(request, query.text)
        found += _beginning_with(query.text) if query.text else ()
    first = {jump.address: jump for jump in reversed(found)}  # an exact ID is also the beginning of one
    results = [jump for jump in found if first[jump.address] is jump][:RESULTS_MAX]
    return JsonResponse(
        {
            "results": [
                {"kind": jump.kind, "name": escape_control_chars_text(jump.name), "address": jump.address}
                for jump in results
            ]
        }
    )


def _with_id(reader: Reader, text: str) -> tuple[Jump, ...]:
    text = id_in(text)
    found = jumps(reader, text) if text else ()
    may_be_event_id = len(text) >= EVENT_ID_MIN_CHARS and " " not in text and any(map(str.isdigit, text))
    return found or (event_jumps(reader, text) if may_be_event_id else ())


def _views(request: HttpRequest, text: str) -> list[Jump]:
    words = text.casefold().split()
    names = (view for view in visible_views(request.user) if all(word in view.name.casefold() for word in words))
    return [Jump("view", view.name, ViewLink(view).address) for view in names][:VIEWS_MAX]


def _beginning_with(text: str) -> Iterator[Jump]:
    starts = usual_cases(text)
    for name in known_values("session", starts, NAMES_MAX)[:NAMES_MAX]:
        yield Jump("session", name, session_address(name))
    for name in known_values("user", starts, NAMES_MAX)[:NAMES_MAX]:
        yield Jump("user", name, user_address(name))
