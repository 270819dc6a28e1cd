"""Filter keys, and conditions on one property of an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from evdash.events.event import Event
from evdash.events.filters.search_text import field_needle, text_needle

# The keys of the filter grammar that name a property of an event, and that property.
ATTRIBUTES: Final[dict[str, str]] = {
    "stream": "stream",
    "type": "type",
    "session": "session_id",
    "user": "user_id",
    "severity": "severity",
    "tool": "tool",
    "model": "model",
    "agent": "agent",
    "code": "code",
    "id": "event_id",
}
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
