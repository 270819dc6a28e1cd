"""The access log: who did what to streams and groups, why, and what came of it; who exported events and wrote notes."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from evdash.audit.access_log import access, recent
from evdash.eventlog.opening import open_reader
from evdash.web.accesses import AccessView
from evdash.web.paging import BadPlace
from evdash.web.rendering import page
from evdash.web.views.answers import explains_bad_places, said

ROWS: Final = 50


@explains_bad_places
def access_log(request: HttpRequest) -> HttpResponse:
    """What was done, newest first."""
    before_row = _number(request.GET.get("before", ""))
    found = [AccessView(one) for one in recent(ROWS + 1, before_row=before_row)]
    address = reverse("access-log")
    context = {
        "accesses": found[:ROWS],
        "newest": address if before_row is not None else "",
        "older": f"{address}?before={found[ROWS - 1].access.begun.pk}" if len(found) > ROWS else "",
    }
    with open_reader() as reader:
        coverage = reader.coverage
    return page(request, "audit/page.html", "Access log", context, coverage=coverage)


def access_log_entry(request: HttpRequest, number: int) -> HttpResponse:
    """One thing that was done, whole."""
    found = access(number)
    with open_reader() as reader:
        coverage = reader.coverage
    if found is None:
        sentence = "Nothing was begun with this number."
        return said(request, "Not in the access log", sentence, status=404, subject=str(number), coverage=coverage)
    return page(request, "audit/entry.html", found.title, {"shown": AccessView(found)}, coverage=coverage)


def _number(text: str) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadPlace(f"before= {text[:40]!r} is no number of a row of the access log.")
    return int(text)
