"""Answers that any page can give: what was asked cannot be read, or is not there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from evdash.eventlog.records import Coverage
from evdash.web.addresses import page_address
from evdash.web.paging import BadPlace
from evdash.web.rendering import page

Given = ParamSpec("Given")
View = Callable[Concatenate[HttpRequest, Given], HttpResponseBase]


def explains_bad_places(view: View[Given]) -> View[Given]:
    """Answer a place in a list that cannot be read with status 400 and the sentence."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except BadPlace as error:
            return said(request, "This address cannot be read", str(error), status=400)

    return cast(View[Given], answer)


def said(
    request: HttpRequest, title: str, sentence: str, *, status: int, coverage: Coverage | None = None, subject: str = ""
) -> HttpResponse:
    """A page that is one sentence, with ways on. `subject` is the ID that was asked for."""
    context = {"sentence": sentence, "subject": subject, "beginning": page_address(request) if status == 400 else ""}
    return page(request, "said.html", title, context, coverage=coverage, status=status)
