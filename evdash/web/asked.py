"""A filter as a person asked for it, and what the page it is asked on pins beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from django.http import QueryDict

from evdash.events.conditions import IS
from evdash.events.filter import EventFilter, FilterError
from evdash.web.paging import parameters


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
class Asked:
    """A filter as a person asked for it, and what the page makes of it."""

    own: EventFilter
    scope: Scope
    problem: Problem | None
    text: str

    @property
    def within(self) -> EventFilter:
        """The filter within the page's scope."""
        return self.scope.applied(self.own)


def asked_filter(query: QueryDict, scope: Scope = EVERYTHING) -> Asked:
    """The filter of a query string; one that cannot be read lets everything of the scope through and says why."""
    try:
        own = EventFilter.from_query(parameters(query))
    except FilterError as error:
        problem = Problem(str(error), error.text[: error.position], error.text[error.position :])
        return Asked(EventFilter(), scope, problem, query.get("q", error.text))
    return Asked(own, scope, None, own.text())
