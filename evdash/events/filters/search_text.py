"""Search text of an event, for text and field searches. Python and SQL use the same text."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from evdash.events.event import Event, name_of, text_of

# A record separator surrounds every field. A unit separator divides its name from its value. Names are in upper case
# and values folded to lower case, so a text search matches values and never the names around them.
_BETWEEN_FIELDS = "\x1e"
_BEFORE_VALUE = "\x1f"
# PostgreSQL's text type rejects NUL. Each of these signs is replaced by its Unicode picture (␀). So a search for a sign
# in a value finds it, and never a separator.
_SIGNS = (_BETWEEN_FIELDS, _BEFORE_VALUE, "\x00")
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_RESERVED = str.maketrans({sign: chr(0x2400 + ord(sign)) for sign in _SIGNS})


def search_text(event: Event) -> str:
    """Return all fields of the event as one text.

    It includes the keys of a JSON object in one of them, and the fields of a newer version.
    """
    json_object = event.profile.json_object
    nested = event.data.get(json_object)
    fields = [(name_of(name), text_of(value)[0]) for name, value in event.entry.pairs]
    written = {name for name, _ in fields}
    if isinstance(nested, dict):
        fields = [field for field in fields if field[0] != json_object]
        fields.extend((name, _text(value)) for name, value in nested.items())
        written |= nested.keys()
    if event.version is not None:  # an upcast may add fields that the entry lacks (upcasters.py)
        fields.extend((name, _text(value)) for name, value in event.data.items() if name not in written)
    return _BETWEEN_FIELDS + "".join(
        [f"{_name(name)}{_BEFORE_VALUE}{text_needle(value)}{_BETWEEN_FIELDS}" for name, value in fields]
    )


def text_needle(text: str) -> str:
    """Return the search string that finds a text anywhere in a value of `search_text`."""
    return _unreserved(text).casefold()


def field_needle(name: str, value: str, *, prefix: bool) -> str:
    """Return the search string that finds a field with this value, or with a value that starts with it."""
    return f"{_BETWEEN_FIELDS}{_name(name)}{_BEFORE_VALUE}{text_needle(value)}{'' if prefix else _BETWEEN_FIELDS}"


def field_value(text: str, name: str, max_chars: int) -> str:
    """Return the folded value of the first field with this name in a search text; "" if it is longer than that.

    The text may also be an excerpt of a search text that begins with the field, of `excerpt_chars` characters.
    """
    needle = field_needle(name, "", prefix=True)
    start = text.find(needle)
    if start < 0:
        return ""
    start += len(needle)
    value, end, _ = text[start : start + max_chars + 1].partition(_BETWEEN_FIELDS)
    return value if end else ""


def excerpt_chars(name: str, max_chars: int) -> int:
    """Return the length of an excerpt that begins with a field and has its value of at most `max_chars`."""
    return len(field_needle(name, "", prefix=True)) + max_chars + 1


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=4096)  # events repeat the same few names
def _name(name: str) -> str:
    return _unreserved(name).upper()


def _unreserved(text: str) -> str:
    # The check takes a tenth of the time of the translation, and very few texts contain a sign.
    return text.translate(_RESERVED) if _SIGN.search(text) else text
