"""A filter as a person asked for it, and what the page it is asked on pins beside it."""

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
    """Where and why a filter cannot be read."""

    sentence: str
    before: str
    rest: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What a page pins beside what a person filters: the session, the user, errors only."""

    key: str = ""
    value: str = ""

    def applied(self, event_filter: EventFilter) -> EventFilter:
        """The filter within the scope. Other values of its key would be alternatives to it, so they go."""
        if not self.key:
            return event_filter
        kept = tuple(c for c in event_filter.conditions if c.key != self.key or c.negated)
        return replace(event_filter, conditions=kept).also(self.key, self.value)


EVERYTHING: Final = Scope()
ERRORS: Final = Scope(IS, "error")


@dataclass(frozen=True, slots=True)
class ScopedFilter:
    """A filter as a person asked for it, and what the page makes of it."""

    own: EventFilter
    scope: Scope
    problem: Problem | None
    text: str

    @property
    def effective_filter(self) -> EventFilter:
        """The filter within the page's scope."""
        return self.scope.applied(self.own)


def parse_filter(query: QueryDict, scope: Scope = EVERYTHING) -> ScopedFilter:
    """The filter of a query string; one that cannot be read lets everything of the scope through and says why."""
    try:
        own = EventFilter.from_query(parameters(query))
    except FilterError as error:
        problem = Problem(str(error), error.text[: error.position], error.text[error.position :])
        return ScopedFilter(EventFilter(), scope, problem, query.get("q", error.text))
    return ScopedFilter(own, scope, None, own.text())


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
