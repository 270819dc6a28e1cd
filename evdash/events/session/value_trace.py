"""Occurrences of a value in the events of a session, and the author of the first one.

Values are compared as people see them: JSON is parsed, also inside texts of JSON, case does not count, and texts are in
the compatibility form NFKC, as in searches (search_text.py). A value occurs as a whole: letters and digits do not
continue it. A number occurs as any number that is equal to it. Keys inside JSON with a digit count as values, because
objects are often keyed by ID.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from evdash.events.event import Event
from evdash.events.event_types import MESSAGE, lane_of, type_of
from evdash.events.field_values import text
from evdash.events.filters.search_text import text_needle
from evdash.events.json_values import InvalidJson, parse

TRACED_CHARS: Final = 500
"""The longest value that can be traced."""

# A number without leading zeros. `05` in a date is not one, and `1,420` is 1420.
_NUMBER: Final = r"(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]+)?"
_IS_NUMBER: Final = re.compile(rf"-?{_NUMBER}", re.ASCII)
_NUMBERS: Final = re.compile(rf"(?<![^\W_])(?<![0-9]\.)-?{_NUMBER}(?![^\W_])(?!\.[0-9])(?!,[0-9]{{3}}(?![0-9]))")
# JSON may write any other sign as an escape.
_PLAIN: Final = re.compile(r"[ !#-.0-\[\]-~]+")
_BEFORE_CHARS: Final = 50
_AFTER_CHARS: Final = 70
_DIGIT: Final = re.compile("[0-9]")
_WHITE_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a value around an occurrence. A cut text has an ellipsis."""

    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event that contains a value."""

    event: Event
    path: str  # the field, or the path into its JSON: `arguments.payment_methods.0.amount`
    snippet: Snippet
    more: int  # other values of the event that contain it


@dataclass(frozen=True, slots=True)
class TracedValue:
    """A value to find."""

    text: str

    @property
    def search_words(self) -> str:
        """A text that every event with this value, other than as a key, has in its search text; "" if there is none.

        Of a number they are the last three digits before the point, which have no separator between them.
        """
        if number := _IS_NUMBER.fullmatch(self.text):
            return number[0].partition(".")[0].replace(",", "")[-3:].lstrip("-")
        return self.text if _PLAIN.fullmatch(self.text) else ""

    def occurrence(self, event: Event) -> Occurrence | None:
        """Return the first occurrence in an event; None without one.

        Fields of the envelope do not count: every event names its session and user.
        """
        found = [(path, snippet) for path, value in _values(event) if (snippet := self._snippet(value))]
        return Occurrence(event, *found[0], len(found) - 1) if found else None

    def _snippet(self, value: str) -> Snippet | None:
        shown = value
        if _IS_NUMBER.fullmatch(self.text):
            number = _decimal(self.text)
            span = next((m.span() for m in _NUMBERS.finditer(value) if _decimal(m[0]) == number), None)
        else:
            folded = text_needle(value)
            shown = value if len(folded) == len(value) else folded
            span = _whole(text_needle(self.text), folded)
        if span is None:
            return None
        start, end = span
        begin, stop = max(0, start - _BEFORE_CHARS), end + _AFTER_CHARS
        before, after = (_WHITE_SPACE.sub(" ", part) for part in (shown[begin:start], shown[end:stop]))
        return Snippet(
            f"{'…' if begin else ''}{before}", shown[start:end], f"{after}{'…' if stop < len(shown) else ''}"
        )


def _decimal(number: str) -> Decimal:
    return Decimal(number.replace(",", ""))


def _whole(needle: str, folded: str) -> tuple[int, int] | None:
    """Return the range of the first occurrence that letters and digits do not continue."""
    start = folded.find(needle) if needle else -1
    while start >= 0:
        end = start + len(needle)
        is_continued = (needle[0].isalnum() and folded[:start][-1:].isalnum()) or (
            needle[-1].isalnum() and folded[end : end + 1].isalnum()
        )
        if not is_continued:
            return start, end
        start = folded.find(needle, start + 1)
    return None


def _values(event: Event) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each value of an event."""
    envelope = event.profile.envelope
    for field in event.fields:
        if field.name == event.json_field and isinstance(nested := event.data.get(field.name), Mapping):
            for name, value in nested.items():
                if name not in envelope:
                    yield from _leaves(f"{field.name}.{name}", value)
        elif field.name not in envelope:
            yield from _leaves(field.name, field.value)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(InvalidJson):
            value = parse(value.strip())
    if isinstance(value, Mapping | list):
        for name, member in value.items() if isinstance(value, Mapping) else enumerate(value):
            if isinstance(name, str) and _DIGIT.search(name):
                yield f"{path}, key", name
            yield from _leaves(f"{path}.{name}", member)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Author:
    """The author of an occurrence, in words that continue "first stated by"."""

    words: str
    is_agent: bool  # the model wrote it: in a message, or in the arguments of a call


def author_of(occurrence: Occurrence) -> Author:
    """Return the author of an occurrence, by the type of its event, the role of a message and the field."""
    event, profile = occurrence.event, occurrence.event.profile
    event_type, tool = type_of(event.type), event.tool or "a tool"
    if event_type.is_call:
        results = (*profile.result, *profile.results, *profile.results_count, *profile.error)
        if occurrence.path.removeprefix(f"{event.json_field}.").partition(".")[0] not in results:
            return Author(f"the agent, in the call of {tool}", is_agent=True)
        return Author(f"the result of {tool}", is_agent=False)
    if event.is_error:
        return Author(f"an error of {tool}" if event.tool else "an error", is_agent=False)
    if event_type.call == "return":
        return Author(f"the result of {tool}", is_agent=False)
    if event_type.category is MESSAGE:
        speaker, role = lane_of(event), text(event, profile.role)
        words = {"user": "the user", "assistant": "the assistant", "tools": f"the result of {tool}"}
        return Author(words.get(speaker, f"the {role} message" if role else "a message"), speaker == "assistant")
    return Author(f"an event {event.type}" if event.type else "an event without a type", is_agent=False)
