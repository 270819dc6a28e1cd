"""The parameters that addresses may have: one that is misspelt must not be passed over in silence."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, QueryDict

from evdash.events import filter as event_filter

# Pages under a filter, whose lists are larger than asked for when a condition is misspelt.
_FILTERED: Final = ("overview", "live", "events", "errors", "sessions", "session", "users", "user")
# Beside the filter: the place in a list, and what of a page is shown.
_OF_PAGES: Final = frozenset(
    {
        *("before", "after", "at", "end", "rows", "paused", "from", "time"),
        *("part", "as", "field", "view", "pin", "vs", "what", "way", "taken_off", "groups"),
        "org.htmx.cache-buster",
    }
)


def unknown_to_pages(request: HttpRequest) -> list[str]:
    """The parameters of the request that its page cannot have understood, where that changes what it lists."""
    name = request.resolver_match.url_name if request.resolver_match else None
    if name not in _FILTERED:
        return []
    return [each for each in request.GET if each not in _OF_PAGES and each not in event_filter.PARAMETERS]


def refuse_unknown(query: QueryDict) -> None:
    """Raise FilterError when a query string has anything but a filter."""
    for name in query:
        if name not in event_filter.PARAMETERS:
            known = ", ".join(event_filter.PARAMETERS)
            raise event_filter.FilterError(f"{name[:40]!r} is no parameter of an export. There are {known}.", name)
