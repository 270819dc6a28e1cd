"""Filter keys, and conditions on one property of an event."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from evdash.events.event import Event
from evdash.events.filters.search_text import field_needles, number_pattern, numbers_in, text_needle
from evdash.events.identifiers import identifier_of


@dataclass(frozen=True, slots=True)
class FilterKey:
    """A property of events that filters name. Grammar, SQL, URLs, facets, help and documentation use this table.

    The property is an attribute of Event or a field of entries. The event log has a column for each attribute but the
    stream. It has none for a field: its conditions are those of `field.NAME`, in the search text.
    """

    name: str
    attribute: str = ""
    example: str = ""  # a value, for the help
    phrase: str = ""  # before the value in a filter's description: "in session"
    noun: str = ""  # in "of any …"; "": the name
    facet: str = ""  # the heading of its facet; "": no facet
    is_parameter: bool = False  # URLs have a parameter of this name
    is_lower_case: bool = False  # decoding writes its values in lower case
    is_number: bool = False  # its values are compared as numbers
    zero_is_none: bool = False  # an event without a number has 0
    field: str = ""  # instead of an attribute
    values: tuple[str, ...] = ()  # the only values; empty: any

    def __post_init__(self) -> None:
        if bool(self.attribute) == bool(self.field):
            raise ValueError(f"The filter key {self.name} needs either an attribute or a field.")

    def normalized(self, value: str, *, is_prefix: bool = False) -> str:
        """Return the value as conditions have it, and as events have it.

        The case of a field's value does not count. A long identifier is shortened as decoding does it.
        """
        if self.is_number:
            return value
        if self.field:
            return value.casefold()
        if self.attribute not in ("stream", "outcome") and not is_prefix:
            value = identifier_of(value)
        return value.lower() if self.is_lower_case else value


FILTER_KEYS: Final = (
    FilterKey("tool", "tool", "search*", "with tool", facet="Tool"),
    FilterKey("code", "code", "timeout", "with code", facet="Error code"),
    FilterKey("agent", "agent", "planner", "of agent", facet="Agent"),
    FilterKey("agent_version", "agent_version", "2.1", "of agent version", noun="agent version", facet="Agent version"),
    FilterKey("model", "model", "gpt-4o", "with model", facet="Model"),
    FilterKey("type", "type", "tool.called", "of type", facet="Type", is_parameter=True),
    FilterKey(
        "severity", "severity", "warning", "of severity", facet="Severity", is_parameter=True, is_lower_case=True
    ),
    FilterKey("user", "user_id", "mia_li_3668", "of user", facet="User", is_parameter=True),
    FilterKey("session", "session_id", "airline-33-t0", "in session", facet="Session", is_parameter=True),
    FilterKey("stream", "stream", "memory:events", "in stream", facet="Stream", is_parameter=True),
    FilterKey("latency", "latency_ms", ">500", "with a latency in ms", noun="latency", is_number=True),
    FilterKey("tokens", "tokens", ">=1000", "with tokens", noun="number of tokens", is_number=True, zero_is_none=True),
    FilterKey("group", "error_group", "9f3c2a…", "of error group", noun="error group"),
    FilterKey("id", "event_id", "evt-1", "with event ID", noun="event ID"),
)
"""All keys, in the order of facets and help."""
BY_NAME: Final = {key.name: key for key in FILTER_KEYS}
SESSION_KEYS: Final = (
    FilterKey("outcome", "outcome", "resolved", "with outcome", facet="Outcome", is_parameter=True),
    FilterKey("ended", "has_ended", "no", "ended:", is_parameter=True, values=("yes", "no")),
    FilterKey("duration", "duration_s", ">60", "with a duration in s", is_number=True),
    FilterKey("events", "events", ">=100", "with events", is_number=True),
    FilterKey("errors", "errors", ">0", "with errors", is_number=True),
    FilterKey("messages", "messages", ">10", "with messages", is_number=True),
    FilterKey("calls", "tool_calls", ">5", "with calls", is_number=True),
    FilterKey("searches", "searches", ">0", "with searches", is_number=True),
    FilterKey("tokens", "tokens", ">=1000", "with tokens", is_number=True),
)
"""The keys of a whole session, with attributes of SessionSummary. In lists of sessions they precede those of events."""
USER_KEYS: Final = (
    FilterKey("sessions", "sessions", ">1", "with sessions", is_number=True),
    FilterKey("events", "events", ">=100", "with events", is_number=True),
    FilterKey("errors", "errors", ">0", "with errors", is_number=True),
    FilterKey("tokens", "tokens", ">=1000", "with tokens", is_number=True),
)
"""The keys of a user, with attributes of UserSummary."""
Keys = Mapping[str, FilterKey]
"""Filter keys by their names."""
ATTRIBUTES: Final = {key.name: key.attribute for key in FILTER_KEYS if key.attribute}
FIELD_PREFIX: Final = "field."
TEXT: Final = "text"
IS: Final = "is"


COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
"""The comparisons of numbers by their signs, the longer signs first. Keys of numbers have "=" without a sign."""


def facet_keys() -> tuple[FilterKey, ...]:
    """Return the keys with a facet, in their order."""
    return tuple(key for key in BY_NAME.values() if key.facet)


@dataclass(frozen=True, slots=True)
class Condition:
    """One required property of an event, or with `negated` an excluded one.

    `key` is one of BY_NAME, or `field.NAME` for any field. It can also be `text` for a text in any value, or `is`
    with the value `error`. Values of attributes compare exactly. Values of fields and texts compare without regard to
    case.
    """

    key: str
    value: str
    negated: bool = False
    prefix: bool = False  # the property starts with the value
    comparison: str = ""  # one of COMPARISONS: the property is a number that compares so with the value

    def needles(self) -> tuple[str, ...]:
        """Return the search strings of which the search text has one, for `text`, `field.NAME` and keys of fields."""
        if self.key == TEXT:
            return (text_needle(self.value),)
        name = BY_NAME[self.key].field if self.key in BY_NAME else self.key.removeprefix(FIELD_PREFIX)
        return field_needles(name, self.value, prefix=self.prefix)

    def holds(self) -> Callable[[Event, str], bool]:
        """Return the test of one event and its search text. The test ignores `negated`."""
        value = self.value
        if self.comparison:
            return self._compares()
        if self.key in ATTRIBUTES:
            attribute = ATTRIBUTES[self.key]
            if self.prefix:
                return lambda event, _: self.accepts(getattr(event, attribute))
            return lambda event, _: bool(getattr(event, attribute) == value)
        if self.key == IS:
            return lambda event, _: event.is_error
        needle, *others = self.needles()
        if others:
            return lambda _, text: needle in text or any(other in text for other in others)
        return lambda _, text: needle in text

    def _compares(self) -> Callable[[Event, str], bool]:
        number, compares = float(self.value), COMPARISONS[self.comparison]
        if key := BY_NAME.get(self.key):
            attribute, none = key.attribute, 0 if key.zero_is_none else None
            return lambda event, _: (own := getattr(event, attribute)) not in (None, none) and compares(own, number)
        pattern = self.number_pattern
        return lambda _, text: any(compares(own, number) for own in numbers_in(text, pattern))

    @property
    def number_pattern(self) -> str:
        """The regular expression for the numbers of a field in the search text."""
        return number_pattern(self.key.removeprefix(FIELD_PREFIX))

    def accepts(self, value: str) -> bool:
        """Return whether an attribute with this value meets the condition, which is not negated.

        A prefix without a text (`user:*`) accepts every value but the empty one.
        """
        if not self.prefix:
            return value == self.value
        return value.startswith(self.value) if self.value else bool(value)

    @property
    def needs_search_text(self) -> bool:
        return self.key not in ATTRIBUTES and self.key != IS
