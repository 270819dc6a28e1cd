"""The state in the top bar by itself, for pages that follow it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from evdash.eventlog.current_reader import open_reader
from evdash.web.page import state_part


def state(request: HttpRequest) -> HttpResponse:
    """How far the indexing is, now."""
    with open_reader() as reader:
        coverage = reader.coverage
    return state_part(request, coverage)
