"""The queries of lists: the user's filter within the page's scope, and a position in the list.

A request is parsed once into a frozen query object, which also makes the URLs of the same page with another filter or
position. No other code reads `request.GET`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from django.http import HttpRequest, QueryDict

from evdash.eventlog.records import InvalidPosition, Position
from evdash.events.breakdown import FOCUS_KEYS
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.event_filter import PARAMETERS, EventFilter, FilterError, parameters_of
from evdash.events.filters.keys import BY_NAME, FIELD_PREFIX, IS, Condition, Keys
from evdash.events.summaries import Outcome
from evdash.web.event_display.row import ViewMode
from evdash.web.links import page_address, with_query

ROWS: Final = 100
# The limit with `rows=all`, which is for printing. An export is the means for more rows.
ROWS_AT_MOST: Final = 5_000
TAIL_ROWS: Final = (ROWS, 500, 1_000)
"""The numbers of rows with which a live list can begin. A page keeps up to 1,000 (static/live/rows.js)."""


class InvalidQuery(ValueError):
    """An invalid parameter of a request. The message is the sentence to show."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in a filter: the reason, the text before its position and the text from there on."""

    sentence: str
    before: str
    rest: str
    suggestion: str = ""  # a valid filter that was probably meant


@dataclass(frozen=True, slots=True)
class Scope:
    """A condition that the page adds to the user's filter: the session, the user, errors only, or one error group."""

    key: str = ""
    value: str = ""

    @property
    def states_errors(self) -> bool:
        """True if the scope has errors only."""
        return self.key in FOCUS_KEYS

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
    """The user's filter within the page's scope. With a `problem` it is invalid, and matches all of the scope."""

    own: EventFilter
    scope: Scope = EVERYTHING
    problem: Problem | None = None
    invalid_parameters: tuple[tuple[str, str], ...] = ()  # the parameters of an invalid filter

    @classmethod
    def parse(cls, params: QueryDict, scope: Scope = EVERYTHING, keys: Keys = BY_NAME) -> Self:
        """Return the filter of a query string; `keys` are those of the list."""
        try:
            return cls(EventFilter.from_query(values_by_name(params), keys), scope)
        except FilterError as error:
            problem = Problem(str(error), error.text[: error.position], error.text[error.position :], error.suggestion)
            return cls(EventFilter(), scope, problem, tuple(chosen_pairs(params, parameters_of(keys))))

    @property
    def effective_filter(self) -> EventFilter:
        """The user's filter within the page's scope."""
        return self.scope.applied(self.own)

    @property
    def text(self) -> str:
        """The user's filter in the grammar. An invalid filter is returned as written."""
        if self.problem is None:
            return self.own.text()
        return dict(self.invalid_parameters).get("q", f"{self.problem.before}{self.problem.rest}")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters that a URL with this filter has."""
        return self.invalid_parameters or filter_pairs(self.own)


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The displayed part of a list of events: before or after a position, its far end, or else its beginning.

    A paused list shows its newest end without events newer than `paused`. `at` is an entry to show with the events
    around it.
    """

    before: Position | None = None
    after: Position | None = None
    is_far_end: bool = False
    paused: EntryId | None = None
    at: EntryId | None = None

    @classmethod
    def parse(cls, params: QueryDict) -> Self:
        """Return the page cursor in `before=`, `after=`, `end=1`, `paused=` and `at=`. Raise InvalidQuery."""
        before, after = _before_or_after(params)
        try:
            return cls(
                Position.parse(before) if before else None,
                Position.parse(after) if after else None,
                not before and not after and params.get("end") == "1",
                entry_id_in(params, "paused"),
                entry_id_in(params, "at") if not before and not after else None,
            )
        except InvalidPosition as error:
            raise InvalidQuery(f"{'before' if before else 'after'}= {error}.") from None

    @property
    def is_beginning(self) -> bool:
        return self.before is None and self.after is None and self.at is None and not self.is_far_end

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters that a URL of the same part has."""
        parameters = {"before": self.before, "after": self.after, "paused": self.paused, "at": self.at}
        pairs = [(name, str(value)) for name, value in parameters.items() if value is not None]
        return (*pairs, ("end", "1")) if self.is_far_end else tuple(pairs)


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list of events: filter, displayed part, order and view mode."""

    path: str
    filter: ScopedFilter
    cursor: PageCursor = PageCursor()
    view: ViewMode = "events"
    oldest_first: bool = False
    rows: int = ROWS
    own_parameters: tuple[tuple[str, str], ...] = ()  # those of the page that every URL of the list has
    by: str = ""  # the key of a breakdown; "": none
    by_problem: str = ""  # why there is no breakdown by it

    @classmethod
    def from_request(
        cls,
        request: HttpRequest,
        scope: Scope = EVERYTHING,
        *,
        oldest_first: bool = False,
        row_counts: Sequence[int] = (ROWS,),
    ) -> Self:
        """Return the list query of a request; `row_counts` are those that it can choose, the default first.

        Raise InvalidQuery for an invalid page cursor and for another number of rows.
        """
        params = request.GET
        by, by_problem = breakdown_key(params.get("by", "").strip())
        return cls(
            page_address(request),
            ScopedFilter.parse(params, scope),
            PageCursor.parse(params),
            oldest_first=oldest_first,
            by=by,
            by_problem=by_problem,
        ).with_rows(_row_count(params, row_counts))

    def with_rows(self, rows: int) -> Self:
        """Return the query with this number of rows. Every URL of the list keeps it, except for ROWS_AT_MOST."""
        kept = () if rows in (ROWS, ROWS_AT_MOST) else (("rows", str(rows)),)
        return replace(self, rows=rows, own_parameters=kept)

    @property
    def shows_all(self) -> bool:
        """True if the page has up to ROWS_AT_MOST rows with whole texts, for printing."""
        return self.rows == ROWS_AT_MOST

    @property
    def kept(self) -> tuple[tuple[str, str], ...]:
        """The parameters other than the filter that every URL of the list has."""
        view = () if self.view == "events" else (("view", self.view),)
        by = (("by", self.by),) if self.by and not self.by_problem else ()
        return (*view, *self.own_parameters, *by)

    def url(
        self,
        own: EventFilter | None = None,
        *,
        before: Position | None = None,
        after: Position | None = None,
        at_end: bool = False,
        shows_all: bool = False,
    ) -> str:
        """Return the URL of the list, with another filter if `own` is given, and of its beginning by default."""
        pairs = [*self.kept, *(self.filter.pairs if own is None else filter_pairs(own))]
        pairs += [("rows", "all")] if shows_all else []
        return with_query(self.path, [*pairs, *PageCursor(before, after, at_end).pairs])


@dataclass(frozen=True, slots=True)
class EntryCursorQuery:
    """The query of a list in the order of entry IDs without a filter: before or after one."""

    path: str
    before: EntryId | None = None
    after: EntryId | None = None

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `before=` and `after=`. Raise InvalidQuery."""
        return cls(page_address(request), *entry_cursor_in(request.GET))

    def url(self, *, before: EntryId | None = None, after: EntryId | None = None) -> str:
        """Return the URL of the list before or after an entry, of its beginning by default."""
        parameters = {"before": before, "after": after}
        return with_query(self.path, [(name, str(value)) for name, value in parameters.items() if value])


@dataclass(frozen=True, slots=True)
class ExportQuery:
    """The query of an export of events: a filter alone."""

    filter: EventFilter

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the filter of a request.

        Raise FilterError for an invalid filter, and for a parameter that is not part of one: ignoring a misspelt
        condition would export everything.
        """
        for name in request.GET:
            if name not in PARAMETERS:
                raise FilterError(f"Unknown export parameter {name[:40]!r}. Valid: {', '.join(PARAMETERS)}.", name)
        return cls(EventFilter.from_query(values_by_name(request.GET)))


def breakdown_key(text: str) -> tuple[str, str]:
    """Return the key of a breakdown from its text (`tool`, `field.order.id`, or short `order.id`), and a problem.

    The problem is "", or that the key has numbers.
    """
    key = BY_NAME.get(text.lower())
    if key and key.is_number:
        problem = f"{key.name} is numeric and has no breakdown. For a field of this name write field.{key.name}."
        return key.name, problem
    if key or not text:
        return key.name if key else "", ""
    name = text[len(FIELD_PREFIX) :] if text.lower().startswith(FIELD_PREFIX) else text
    return f"{FIELD_PREFIX}{name or text}", ""


def outcome_label(outcome: Outcome) -> str:
    """Return an outcome as pages name it."""
    return outcome.text or ("no outcome" if outcome.has_ended else "not ended")


def with_outcome(own: EventFilter, outcome: Outcome | None) -> EventFilter:
    """Return a filter of sessions with this outcome instead of its own conditions on it; None: with any."""
    conditions = tuple(c for c in own.conditions if c.key not in ("outcome", "ended"))
    if outcome is None:
        further: tuple[Condition, ...] = ()
    elif outcome.text:
        further = (Condition("outcome", outcome.text),)
    elif outcome.has_ended:
        further = (Condition("ended", "yes"), Condition("outcome", "", negated=True, prefix=True))
    else:
        further = (Condition("ended", "no"),)
    return replace(own, conditions=(*conditions, *further))


def filter_pairs(event_filter: EventFilter) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a URL with this filter; none for the filter that matches everything."""
    return (("q", event_filter.text()),) if event_filter else ()


def values_by_name(params: QueryDict) -> Mapping[str, Sequence[str]]:
    """Return a query string in the form that EventFilter parses: the values of each name."""
    return {name: params.getlist(name) for name in params}


def chosen_pairs(params: QueryDict, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the non-empty parameters of these names, in their order."""
    for name in names:
        yield from ((name, value) for value in params.getlist(name) if value)


def entry_id_in(params: QueryDict, name: str) -> EntryId | None:
    """Return the entry ID in a parameter; None without it. Raise InvalidQuery."""
    text = params.get(name)
    try:
        return EntryId.parse(text) if text else None
    except InvalidEntryId as error:
        raise InvalidQuery(f"{name}= {error}.") from None


def entry_cursor_in(params: QueryDict) -> tuple[EntryId | None, EntryId | None]:
    """Return the entry IDs in `before=` and `after=`, at most one of them. Raise InvalidQuery."""
    _before_or_after(params)
    return entry_id_in(params, "before"), entry_id_in(params, "after")


def _row_count(params: QueryDict, row_counts: Sequence[int]) -> int:
    text = params.get("rows", "")
    if text == "all":
        return ROWS_AT_MOST
    if not text:
        return row_counts[0]
    by_text = {str(rows): rows for rows in row_counts}
    if text not in by_text:
        raise InvalidQuery(f"rows= must be {', '.join(by_text)} or all, not {text[:40]!r}.")
    return by_text[text]


def _before_or_after(params: QueryDict) -> tuple[str, str]:
    before, after = params.get("before", ""), params.get("after", "")
    if before and after:
        raise InvalidQuery("Use before= or after=, not both.")
    return before, after
