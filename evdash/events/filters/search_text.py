"""Search text of an event, for text and field searches. Python and SQL use the same text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from evdash.events.event import Event, name_of, text_of
from evdash.events.json_values import InvalidJson, parse

# A record separator begins every field. A group separator is before its name, a unit separator before its value. Names
# are in upper case and values folded, so a text search matches values and never the names around them.
#
# JSON is written as the texts that people see: each value with its path as name (`PAYLOAD.ORDER.ID`). If the keys of a
# JSON object are fields of the event, the path has a separator after the name of the object (after `DATA.` in
# `DATA.ORDER.ID`). So a search for either name finds it.
_BETWEEN_FIELDS = "\x1e"
_BEFORE_NAME = "\x1d"
_BEFORE_VALUE = "\x1f"
# PostgreSQL's text type rejects NUL. Each of these signs is replaced by its Unicode picture (␀). So a search for a sign
# in a value finds it, and never a separator.
_SIGNS = (_BETWEEN_FIELDS, _BEFORE_NAME, _BEFORE_VALUE, "\x00")
_SIGN = re.compile(f"[{''.join(_SIGNS)}]")
_RESERVED = str.maketrans({sign: chr(0x2400 + ord(sign)) for sign in _SIGNS})

# The values of a JSON object beyond this number have no names of their own: paths of long lists would be long texts.
PATHS_MAX: Final = 1_000


def search_text(event: Event) -> str:
    """Return all fields of the event as one text, with the values of JSON in any of them.

    It includes the fields of a newer version.
    """
    records: list[str] = []
    written: set[str] = set()
    json_name = event.json_field
    for raw_name, raw_value in event.entry.pairs:
        name = name_of(raw_name)
        written.add(name)
        # Most values: this is a third of the time of the calls below.
        if raw_value.isascii() and raw_value[:1] not in _JSON_STARTS and name != json_name:
            folded = raw_value.lower().decode("ascii")
            records.append(_start_of_record(name) + (_unreserved(folded) if _SIGN.search(folded) else folded))
            continue
        value = text_of(raw_value)[0]
        json_value = event.data.get(name) if name == event.json_field else _json_of(value)
        if json_value is None:
            records.append(_record("", name, value))
        elif name == event.json_field and isinstance(json_value, Mapping):
            records.extend(_records_of_json(f"{name}.", "", json_value))
            written |= json_value.keys()
        else:
            records.extend(_records_of_json("", name, json_value))
    if event.version is not None:  # an upcast may add fields that the entry lacks (upcasters.py)
        records.extend(_record("", name, _text(value)) for name, value in event.data.items() if name not in written)
    return "".join(records) + _BETWEEN_FIELDS


def text_needle(text: str) -> str:
    """Return the search string that finds a text anywhere in a value of `search_text`.

    Case does not count, nor how Unicode writes a sign: the text is in the compatibility form NFKC, with full case
    folding.
    """
    if text.isascii():
        return _unreserved(text).lower()
    return _unreserved(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()))


def field_needles(name: str, value: str, *, prefix: bool) -> tuple[str, ...]:
    """Return the search strings of which any finds a field with this value, or with a value that starts with it.

    A name with a dot is a field's name, or a path into JSON. An object or a list has any value, but no particular one.
    """
    field, dot, path = name.partition(".")
    names = [f"{_BEFORE_NAME}{_name(name)}"]
    if dot:
        names.append(f"{_BETWEEN_FIELDS}{_name(field)}.{_BEFORE_NAME}{_name(path)}")
    end = f"{_BEFORE_VALUE}{text_needle(value)}{'' if prefix else _BETWEEN_FIELDS}"
    needles = [written + end for written in names]
    if prefix and not value:
        inside = f"{_BETWEEN_FIELDS}{_name(name)}.{_BEFORE_NAME}"  # the keys of this object are fields of the event
        needles += [*(f"{written}." for written in names), inside]
    return tuple(needles)


# A number with the same value as double precision in PostgreSQL and as float in Python.
NUMBER: Final = r"[-+]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:e[-+]?[0-9]{1,2})?"


def number_pattern(name: str) -> str:
    """Return the regular expression whose only group is the number in a field with this name, or at this path."""
    field, dot, path = name.partition(".")
    needles = [f"{_BEFORE_NAME}{_name(name)}"]
    if dot:
        needles.append(f"{_BETWEEN_FIELDS}{_name(field)}.{_BEFORE_NAME}{_name(path)}")
    return f"(?:{'|'.join(map(re.escape, needles))}){_BEFORE_VALUE}({NUMBER}){_BETWEEN_FIELDS}"


def numbers_in(text: str, pattern: str) -> Iterator[float]:
    """Yield the numbers that a search text has at the places of a `number_pattern`."""
    return map(float, _compiled(pattern).findall(text))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def field_value(text: str, name: str, max_chars: int) -> str:
    """Return the folded value of the first field with this name in a search text; "" if it is longer than that.

    The text may also be an excerpt of a search text that begins with the field, of `excerpt_chars` characters.
    """
    needle = facet_needle(name)
    start = text.find(needle)
    if start < 0:
        return ""
    start += len(needle)
    value, end, _ = text[start : start + max_chars + 1].partition(_BETWEEN_FIELDS)
    return value if end else ""


def facet_needle(name: str) -> str:
    """Return the search string at whose end the value of a field begins."""
    return f"{_BEFORE_NAME}{_name(name)}{_BEFORE_VALUE}"


def excerpt_chars(name: str, max_chars: int) -> int:
    """Return the length of an excerpt that begins with a field and has its value of at most `max_chars`."""
    return len(facet_needle(name)) + max_chars + 1


_JSON_STARTS: Final = frozenset((b"{", b"[", b" ", b"\t", b"\r", b"\n"))


@lru_cache(maxsize=4096)
def _start_of_record(name: str) -> str:
    return f"{_BETWEEN_FIELDS}{_BEFORE_NAME}{_name(name)}{_BEFORE_VALUE}"


def _record(before: str, name: str, value: str) -> str:
    return f"{_BETWEEN_FIELDS}{_name(before)}{_BEFORE_NAME}{_name(name)}{_BEFORE_VALUE}{text_needle(value)}"


def _json_of(value: str) -> Any:
    """Return the JSON object or list in a text; None for any other text."""
    if value.lstrip(" \t\r\n\ufeff")[:1] not in ("{", "["):
        return None
    try:
        return parse(value.strip())
    except InvalidJson:
        return None


def _records_of_json(before: str, name: str, value: Any) -> Iterator[str]:
    further: list[str] = []
    for count, (path, text) in enumerate(_leaves(name, value)):
        if count < PATHS_MAX:
            yield _record(before, path, text)
        else:
            further.append(text)
    if further:
        yield _record("", before.removesuffix(".") or name, "\n".join(further))


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of each value. An empty object or list is a value."""
    members = list(value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ())
    if not members:
        yield path, _text(value)
    for name, member in members:
        yield from _leaves(f"{path}.{name}" if path else str(name), member)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=4096)  # events repeat the same few names
def _name(name: str) -> str:
    return _unreserved(name).upper()


def _unreserved(text: str) -> str:
    # The check takes a tenth of the time of the translation, and very few texts contain a sign.
    return text.translate(_RESERVED) if _SIGN.search(text) else text
