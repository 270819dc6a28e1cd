"""Filter keys, and conditions on one property of an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evdash.events.event import Event
from evdash.events.filters.search_text import field_needle, text_needle


@dataclass(frozen=True, slots=True)
class FilterKey:
    """A property of events that filters name. Grammar, SQL, URLs, facets, help and documentation use this table."""

    name: str
    attribute: str  # of Event; a column of the event log, except for the stream
    example: str  # a value, for the help
    phrase: str  # before the value in a filter's description: "in session"
    noun: str = ""  # in "of any …"; "": the name
    facet: str = ""  # the heading of its facet; "": no facet
    is_parameter: bool = False  # URLs have a parameter of this name
    is_lower_case: bool = False  # decoding writes its values in lower case


FILTER_KEYS: Final = (
    FilterKey("type", "type", "tool.called", "of type", facet="Type", is_parameter=True),
    FilterKey(
        "severity", "severity", "warning", "of severity", facet="Severity", is_parameter=True, is_lower_case=True
    ),
    FilterKey("user", "user_id", "mia_li_3668", "of user", facet="User", is_parameter=True),
    FilterKey("session", "session_id", "airline-33-t0", "in session", facet="Session", is_parameter=True),
    FilterKey("tool", "tool", "search*", "with tool", facet="Tool"),
    FilterKey("code", "code", "timeout", "with code", facet="Error code"),
    FilterKey("model", "model", "gpt-4o", "with model", facet="Model"),
    FilterKey("stream", "stream", "memory:events", "in stream", facet="Stream", is_parameter=True),
    FilterKey("agent", "agent", "planner", "of agent"),
    FilterKey("id", "event_id", "evt-1", "with event ID", noun="event ID"),
)
"""All keys, in the order of facets and help."""
BY_NAME: Final = {key.name: key for key in FILTER_KEYS}
ATTRIBUTES: Final = {key.name: key.attribute for key in FILTER_KEYS}
FACETS: Final = tuple(key.name for key in FILTER_KEYS if key.facet)
FIELD_PREFIX: Final = "field."
TEXT: Final = "text"
IS: Final = "is"


@dataclass(frozen=True, slots=True)
class Condition:
    """One required property of an event, or with `negated` an excluded one.

    `key` is one of ATTRIBUTES, or `field.NAME` for any field. It can also be `text` for a text in any value, or `is`
    with the value `error`. Values of attributes compare exactly. Values of fields and texts compare without regard to
    case.
    """

    key: str
    value: str
    negated: bool = False
    prefix: bool = False  # the property starts with the value

    def needle(self) -> str:
        """Return the search string within the search text, for `text` and `field.NAME`."""
        if self.key == TEXT:
            return text_needle(self.value)
        return field_needle(self.key.removeprefix(FIELD_PREFIX), self.value, prefix=self.prefix)

    def holds(self) -> Callable[[Event, str], bool]:
        """Return the test of one event and its search text. The test ignores `negated`."""
        value = self.value
        if self.key in ATTRIBUTES:
            attribute = ATTRIBUTES[self.key]
            if self.prefix:
                return lambda event, _: str(getattr(event, attribute)).startswith(value)
            return lambda event, _: bool(getattr(event, attribute) == value)
        if self.key == IS:
            return lambda event, _: event.is_error
        needle = self.needle()
        return lambda _, text: needle in text

    @property
    def needs_search_text(self) -> bool:
        return self.key not in ATTRIBUTES and self.key != IS
