"""The user's filter and the page's fixed scope."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from django.http import HttpRequest, QueryDict

from evdash.events.filters import event_filter
from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.events.filters.keys import IS
from evdash.web.event_list.pagination import parameters


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a filter: the reason, the text before its position and the text from there on."""

    sentence: str
    before: str
    rest: str


@dataclass(frozen=True, slots=True)
class Scope:
    """A condition that the page adds to the user's filter: the session, the user, or errors only."""

    key: str = ""
    value: str = ""

    def applied(self, event_filter: EventFilter) -> EventFilter:
        """Return the filter within the scope.

        Other values of the scope's key are removed, because they would be alternatives to it. Negated ones stay.
        """
        if not self.key:
            return event_filter
        kept = tuple(c for c in event_filter.conditions if c.key != self.key or c.negated)
        return replace(event_filter, conditions=kept).also(self.key, self.value)


EVERYTHING: Final = Scope()
ERRORS: Final = Scope(IS, "error")


@dataclass(frozen=True, slots=True)
class ScopedFilter:
    """The user's filter, the page's scope, the problem if the filter is invalid, and the filter's text."""

    own: EventFilter
    scope: Scope
    problem: Problem | None
    text: str

    @property
    def effective_filter(self) -> EventFilter:
        """The user's filter within the page's scope."""
        return self.scope.applied(self.own)


def parse_filter(query: QueryDict, scope: Scope = EVERYTHING) -> ScopedFilter:
    """Return the filter of a query string.

    If it is invalid, the result has the problem, and its filter matches every event of the scope.
    """
    try:
        own = EventFilter.from_query(parameters(query))
    except FilterError as error:
        problem = Problem(str(error), error.text[: error.position], error.text[error.position :])
        return ScopedFilter(EventFilter(), scope, problem, query.get("q", error.text))
    return ScopedFilter(own, scope, None, own.text())


# Pages with a filter. A misspelt parameter would make their lists larger than requested.
_FILTERED: Final = ("overview", "live", "events", "errors", "sessions", "session", "users", "user")
# Parameters other than the filter: the page cursor and the displayed part of a page.
_OF_PAGES: Final = frozenset(
    {
        *("before", "after", "at", "end", "rows", "paused", "from", "time"),
        *("part", "as", "field", "view", "pin", "vs", "what", "way", "taken_off", "groups"),
        "org.htmx.cache-buster",
    }
)


def unknown_to_pages(request: HttpRequest) -> list[str]:
    """Return the names of the request's unknown parameters; empty for pages without a filter."""
    name = request.resolver_match.url_name if request.resolver_match else None
    if name not in _FILTERED:
        return []
    return [each for each in request.GET if each not in _OF_PAGES and each not in event_filter.PARAMETERS]


def refuse_unknown(query: QueryDict) -> None:
    """Raise FilterError if a query string has a parameter that is not part of a filter."""
    for name in query:
        if name not in event_filter.PARAMETERS:
            known = ", ".join(event_filter.PARAMETERS)
            raise event_filter.FilterError(f"Unknown export parameter {name[:40]!r}. Valid: {known}.", name)
