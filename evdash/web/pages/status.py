"""The state in the top bar as a fragment, for pages that refresh it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.web.page import state_part


def status(request: HttpRequest) -> HttpResponse:
    """Render the current progress of the indexing."""
    with open_reader() as reader:
        coverage = reader.coverage
    return state_part(request, coverage)
