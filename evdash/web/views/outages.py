"""The page of an error: what it says when the database is to blame."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: status 503 and a sentence while SQL cannot be used, else the page of a fault, status 500."""
    error = sys.exc_info()[1]
    if not isinstance(error, OperationalError | InterfaceError):
        return HttpResponse(render_to_string("500.html"), status=500)
    from evdash.figures import SQL_DEADLINE_HITS  # here: commands load the addresses, too

    SQL_DEADLINE_HITS.inc()
    # The driver's own words name addresses, and this page may be that of a stranger. The server's output has them.
    is_locked = "locked" in str(error) or "lock timeout" in str(error)
    sentence = (
        "Another process has locked the database." if is_locked else "The database did not answer, or not in time."
    )
    # A connection may be lost after the server has committed, and before it has said so.
    outcome = "" if request.method in ("GET", "HEAD") else "Look whether it was done before you repeat it."
    response = HttpResponse(
        render_to_string(
            "503.html", {"title": "The database cannot be used", "sentence": sentence, "outcome": outcome}
        ),
        status=503,
    )
    response["Retry-After"] = "3"
    response["Cache-Control"] = "no-store"
    return response
