"""Filters of sessions and users: conditions on the whole session or user, and on its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final

from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.keys import BY_NAME, COMPARISONS, SESSION_KEYS, USER_KEYS, Condition, Keys
from evdash.events.summaries import SessionSummary, UserSummary


@dataclass(frozen=True, slots=True)
class SummaryKind:
    """Sessions or users: their noun, the filter keys of the whole, and the attribute of events that names one."""

    noun: str  # in the singular
    own_keys: Keys
    attribute: str

    @property
    def keys(self) -> Keys:
        """All keys of the list. An own key takes the place of one of events."""
        return {**self.own_keys, **{name: key for name, key in BY_NAME.items() if name not in self.own_keys}}


SESSIONS: Final = SummaryKind("session", {key.name: key for key in SESSION_KEYS}, "session_id")
USERS: Final = SummaryKind("user", {key.name: key for key in USER_KEYS}, "user_id")


@dataclass(frozen=True, slots=True)
class SummaryFilter:
    """The sessions or users whose own conditions hold, and whose events meet the others.

    One event must meet all conditions on events together, within the time range. A negated one must be met by no
    event of the session or user.
    """

    kind: SummaryKind
    written: EventFilter = field(default_factory=EventFilter)

    @classmethod
    def from_query(cls, kind: SummaryKind, params: Mapping[str, Sequence[str]]) -> SummaryFilter:
        """Return the filter of a query string's parameters. Raise FilterError."""
        return cls(kind, EventFilter.from_query(params, kind.keys))

    @classmethod
    def parse(cls, kind: SummaryKind, text: str) -> SummaryFilter:
        """Return the filter of a text in the grammar. Raise FilterError."""
        return cls.from_query(kind, {"q": [text]})

    def __bool__(self) -> bool:
        return bool(self.written)

    def own_groups(self) -> Iterator[tuple[Condition, ...]]:
        """Yield the conditions on the whole as a conjunction of alternatives."""
        return (group for group in self.written.alternatives() if group[0].key in self.kind.own_keys)

    @property
    def events(self) -> EventFilter:
        """The conditions on one event of it, and the time range."""
        kept = (c for c in self.written.conditions if c.key not in self.kind.own_keys and not c.negated)
        return replace(self.written, conditions=tuple(kept))

    @property
    def excluded(self) -> tuple[EventFilter, ...]:
        """The filters that no event of it matches."""
        conditions = (c for c in self.written.conditions if c.key not in self.kind.own_keys and c.negated)
        return tuple(EventFilter((replace(condition, negated=False),)) for condition in conditions)

    def accepts(self) -> Callable[[Any], bool]:
        """Return the test of the conditions on the whole, for a SessionSummary or UserSummary."""
        groups = [[(self._holds(c), c.negated) for c in group] for group in self.own_groups()]
        return lambda summary: all(any(holds(summary) != negated for holds, negated in group) for group in groups)

    def _holds(self, condition: Condition) -> Callable[[Any], bool]:
        attribute = self.kind.own_keys[condition.key].attribute
        if condition.comparison:
            number, compares = float(condition.value), COMPARISONS[condition.comparison]
            return lambda summary: compares(getattr(summary, attribute), number)
        return lambda summary: condition.accepts(getattr(summary, attribute))

    def describe(self) -> str:
        """Return the filter in words: "sessions with outcome unresolved in the last 2 hours"."""
        return f"{self.kind.noun}s {self.in_words()}" if self else f"all {self.kind.noun}s"

    def in_words(self) -> str:
        """Return the conditions in words."""
        return " ".join(self.written.words(self.kind.keys))


@dataclass(frozen=True, slots=True)
class Selection:
    """A set of sessions or users: those of a filter and of all of `also`, without those of all of `excluded`.

    Different events may meet the conditions of different filters.
    """

    filter: SummaryFilter
    also: tuple[SummaryFilter, ...] = ()
    excluded: tuple[SummaryFilter, ...] = ()

    @property
    def kind(self) -> SummaryKind:
        return self.filter.kind

    @property
    def required(self) -> tuple[SummaryFilter, ...]:
        """The filters that all match."""
        return (self.filter, *self.also)

    def __bool__(self) -> bool:
        return any(self.required) or bool(self.excluded)

    @property
    def of_any_outcome(self) -> Selection:
        """The selection without conditions on the outcome in its filter."""
        own = self.filter.written
        kept = tuple(c for c in own.conditions if c.key not in ("outcome", "ended"))
        return replace(self, filter=replace(self.filter, written=replace(own, conditions=kept)))

    def select(
        self, summaries: Mapping[str, SessionSummary | UserSummary], with_event: Callable[[EventFilter], Set[str]]
    ) -> set[str]:
        """Return the names of the selected ones among these summaries, by name.

        `with_event` returns the names of those that have an event of a filter.
        """

        def matching(part: SummaryFilter) -> set[str]:
            accepts = part.accepts()
            found = {name for name, summary in summaries.items() if accepts(summary)}
            if part.events:
                found &= with_event(part.events)
            return found.difference(*map(with_event, part.excluded))

        found = set(summaries).intersection(*map(matching, self.required))
        return found - set(summaries).intersection(*map(matching, self.excluded)) if self.excluded else found

    def text(self) -> str:
        """Return the filters as written: those that are not the first after `with` or `except`."""
        parts = [self.filter.written.text()]
        parts += [f"with {each.written.text()}" for each in self.also]
        parts += [f"except {each.written.text()}" for each in self.excluded]
        return " ".join(filter(None, parts))

    def describe(self) -> str:
        """Return the selection in words."""
        words = [self.filter.describe(), *(f"also {each.in_words()}" for each in self.also)]
        if self.excluded:
            words.append(f"except those {', also '.join(each.in_words() for each in self.excluded)}")
        return ", ".join(words)


EVERY_SESSION: Final = Selection(SummaryFilter(SESSIONS))
EVERY_USER: Final = Selection(SummaryFilter(USERS))


def sessions_of_user(user_id: str) -> Selection:
    """Return the selection of the sessions in which a user took part."""
    return Selection(SummaryFilter(SESSIONS, EventFilter().also("user", user_id)))
