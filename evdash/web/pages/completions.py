"""Completions of a value in the filter box, as JSON for static/complete.js."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from evdash.eventlog.current_reader import open_reader
from evdash.eventlog.known_values import known_values
from evdash.eventlog.reader import Reader
from evdash.events.event import Event
from evdash.events.filters.event_filter import Condition, EventFilter, FilterError
from evdash.events.filters.keys import FIELD_PREFIX, facet_keys
from evdash.events.filters.parser import MAX_CONDITIONS
from evdash.events.filters.search_text import field_value, search_text
from evdash.web.event_list.list_query import values_by_name

VALUES_MAX: Final = 12
START_MAX_CHARS: Final = 200
# Names and values of fields are those of this number of the newest events.
FIELD_EVENTS: Final = 100


@dataclass(frozen=True, slots=True)
class CompletionsQuery:
    """The query of completions: a filter key, the beginning of its value, and the filter of the list."""

    key: str
    start: str
    filter: EventFilter

    @classmethod
    def from_request(cls, request: HttpRequest) -> Self:
        """Return the query in `key=`, `start=` and the parameters of a filter. Raise FilterError."""
        params = request.GET
        chosen = EventFilter.from_query(values_by_name(params))
        return cls(params.get("key", ""), params.get("start", "")[:START_MAX_CHARS], chosen)

    @property
    def starts(self) -> tuple[str, ...]:
        """The beginning as typed and in the usual other cases."""
        return usual_cases(self.start)

    @property
    def without_key(self) -> EventFilter:
        """The filter of the list without its own values of the key, which are alternatives to the new value."""
        kept = tuple(c for c in self.filter.conditions if c.key != self.key or c.negated)
        return replace(self.filter, conditions=kept)

    @property
    def matching(self) -> EventFilter:
        """The filter for the events whose value begins so."""
        others = self.without_key
        begins = tuple(Condition(self.key, start, prefix=True) for start in self.starts)
        return replace(others, conditions=(*others.conditions, *begins)[:MAX_CONDITIONS])


def usual_cases(start: str) -> tuple[str, ...]:
    """Return the beginning of a name as typed and in the usual other cases: an index compares exactly."""
    return tuple(dict.fromkeys((start, start.lower(), start.upper(), start.capitalize(), start.title())))


@require_GET
def completions(request: HttpRequest) -> HttpResponse:
    """Return at most VALUES_MAX values that begin so, as `{"values": [{"value": …, "count": …}]}`.

    The key `field.` gives names of fields. A value has a count only if all its events were counted. For an invalid
    filter the answer is `{"error": …}` with status 400.
    """
    try:
        query = CompletionsQuery.from_request(request)
    except FilterError as error:
        return JsonResponse({"error": str(error)}, status=400)
    with open_reader() as reader:
        counts = _counts(reader, query)
        if not query.without_key and not reader.coverage.is_of_copies:
            counts = {**counts, **{value: None for value in _known(query) if value not in counts}}
    values = [{"value": value, "count": count} for value, count in counts.items()][:VALUES_MAX]
    return JsonResponse({"values": values})


def _known(query: CompletionsQuery) -> list[str]:
    return known_values(query.key, query.starts, VALUES_MAX)


def _counts(reader: Reader, query: CompletionsQuery) -> Mapping[str, int | None]:
    """Return values with the number of their events, or None if that is not known."""
    start = query.start.casefold()
    if query.key == FIELD_PREFIX:
        page = reader.page(query.filter, limit=FIELD_EVENTS)
        names = sorted({name for event in page.events for name in _field_names(event)})
        return {name: None for name in names if name.casefold().startswith(start)}
    if query.key.startswith(FIELD_PREFIX):
        name = query.key.removeprefix(FIELD_PREFIX)
        page = reader.page(query.matching, limit=FIELD_EVENTS)
        found = (field_value(search_text(event), name, START_MAX_CHARS) for event in page.events)
        return dict.fromkeys(value for value in found if value and value.startswith(start))
    if query.key == "stream":
        return {stream: None for stream in reader.streams if stream.casefold().startswith(start)}
    if query.key not in {key.name for key in facet_keys()}:
        return {}
    summary = reader.summary(query.matching)
    return {
        facet.value: None if summary.sampled else facet.count
        for facet in summary.facets.get(query.key, ())
        if facet.value.startswith(query.starts)
    }


def _field_names(event: Event) -> Iterator[str]:
    """Yield the names of an event's fields and data, with paths into objects."""
    yield from (name.decode(errors="replace") for name, _ in event.entry.pairs)
    yield from _paths(event.data, "")


def _paths(data: Mapping[str, Any], before: str) -> Iterator[str]:
    for name, value in data.items():
        yield f"{before}{name}"
        if isinstance(value, dict) and before.count(".") < 2:
            yield from _paths(value, f"{before}{name}.")
