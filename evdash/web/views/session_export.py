"""A session to take along: a transcript, or one file that opens anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import content_disposition_header

from evdash.accounts.tokens import token_of, token_or_session
from evdash.streams.client import StreamsUnavailable
from evdash.web.addresses import session_address
from evdash.web.handover.html_file import html_file
from evdash.web.handover.session_export import SessionExport, SessionUnknown, session_export
from evdash.web.handover.transcript import transcript
from evdash.web.views.export import streamed


@token_or_session
def session_transcript(request: HttpRequest, session_id: str) -> HttpResponseBase:
    """The session as Markdown."""
    return _exported(request, session_id, transcript, "text/markdown; charset=utf-8", "md")


@token_or_session
def session_file(request: HttpRequest, session_id: str) -> HttpResponseBase:
    """The session as one HTML file. It is downloaded: on a page of evdash's own it would have evdash's rights."""
    return _exported(request, session_id, html_file, "text/html; charset=utf-8", "html")


def _exported(
    request: HttpRequest,
    session_id: str,
    write: Callable[[SessionExport], Iterator[bytes]],
    content_type: str,
    ending: str,
) -> HttpResponseBase:
    address = request.build_absolute_uri(session_address(session_id))
    try:
        export = session_export(session_id, _who(request), address=address, with_picture=ending == "html")
        pieces = write(export)
    except SessionUnknown as unknown:
        return HttpResponse(f"{unknown}\n", status=404, content_type="text/plain; charset=utf-8")
    except StreamsUnavailable as outage:
        return HttpResponse(f"{outage}\n", status=503, content_type="text/plain; charset=utf-8")
    response = streamed(request, pieces, content_type)
    response["Content-Disposition"] = content_disposition_header(True, f"{export.file_stem}.{ending}")
    return response


def _who(request: HttpRequest) -> str:
    if request.user.is_authenticated:
        return request.user.get_username()
    token = token_of(request)
    return f"the program with the token {token.name}" if token else "a program"
