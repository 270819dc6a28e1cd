"""Search text of an event, for text and field searches. Python and SQL use the same text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
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
    records = _records(event, _folded)
    text = b"".join(records) + b"\x1e"
    signs = text.count(b"\x1e") - 1, text.count(b"\x1d"), text.count(b"\x1f")
    if signs != (len(records),) * 3 or b"\0" in text:  # a value has one of the signs
        return b"".join(_records(event, text_needle)).decode() + _BETWEEN_FIELDS
    return text.decode()


def _records(event: Event, fold: Callable[[str], str]) -> list[bytes]:
    """Return the records of the search text (UTF-8). With `_folded` a value may contain a separator."""
    json_name = event.json_field
    may_be_plain = fold is _folded
    records: list[bytes] = []
    for raw_name, raw_value in event.entry.pairs:
        # Most values: this is a third of the time of the general way.
        is_plain = may_be_plain and raw_value[:1] not in _JSON_STARTS and raw_value.isascii()
        if is_plain and (json_name is None or name_of(raw_name) != json_name):
            records.append(_start_of_field(raw_name) + raw_value.lower())
            continue
        name, value = name_of(raw_name), text_of(raw_value)[0]
        json_value = event.data.get(name) if name == json_name else _json_of(value)
        if json_value is None:
            records.append(_record("", name, fold(value)).encode())
        elif name == json_name and isinstance(json_value, dict):
            records += map(str.encode, _records_of_json(f"{name}.", "", json_value, fold))
        else:
            records += map(str.encode, _records_of_json("", name, json_value, fold))
    if event.version is not None:  # an upcast may add fields that the entry lacks (upcasters.py)
        written = {name_of(raw_name) for raw_name, _ in event.entry.pairs}
        if json_name in written and isinstance(event.data.get(json_name), dict):
            written |= event.data[json_name].keys()
        records += [
            _record("", name, fold(_text(value))).encode() for name, value in event.data.items() if name not in written
        ]
    return records


def text_needle(text: str) -> str:
    """Return the search string that finds a text anywhere in a value of `search_text`.

    Case does not count, nor how Unicode writes a sign: the text is in the compatibility form NFKC, with full case
    folding.
    """
    return _unreserved(_folded(text))


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def field_needles(name: str, value: str, *, prefix: bool) -> tuple[str, ...]:
    """Return the search strings of which any finds a field with this value, or with a value that starts with it.

    A name with a dot is a field's name, or a path into JSON. An object or a list has any value, but no particular one.
    """
    names = _names(name)
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
    return f"(?:{'|'.join(map(re.escape, _names(name)))}){_BEFORE_VALUE}({NUMBER}){_BETWEEN_FIELDS}"


def numbers_in(text: str, pattern: str) -> Iterator[float]:
    """Yield the numbers that a search text has at the places of a `number_pattern`."""
    return map(float, _compiled(pattern).findall(text))


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def field_value(text: str, name: str, max_chars: int) -> str:
    """Return the folded value of the first field with this name, or at this path; "" if it is longer than that.

    `text` is a search text, or an excerpt of one that begins with the field, of `excerpt_chars` characters.
    """
    for needle in value_needles(name):
        start = text.find(needle)
        if start >= 0:
            start += len(needle)
            value, end, _ = text[start : start + max_chars + 1].partition(_BETWEEN_FIELDS)
            return value if end else ""
    return ""


def value_needles(name: str) -> tuple[str, ...]:
    """Return the search strings at the end of one of which the value of a field begins."""
    return tuple(f"{written}{_BEFORE_VALUE}" for written in _names(name))


def excerpt_chars(name: str, max_chars: int) -> int:
    """Return the length of an excerpt that begins with a field and has its value of at most `max_chars`."""
    return max(map(len, value_needles(name))) + max_chars + 1


def _names(name: str) -> tuple[str, ...]:
    """Return how a search text writes the name of a field, or a path into JSON."""
    field, dot, path = name.partition(".")
    own = f"{_BEFORE_NAME}{_name(name)}"
    return (own, f"{_BETWEEN_FIELDS}{_name(field)}.{_BEFORE_NAME}{_name(path)}") if dot else (own,)


_JSON_STARTS: Final = frozenset((b"{", b"[", b" ", b"\t", b"\r", b"\n"))


@lru_cache(maxsize=4096)
def _start_of_field(raw_name: bytes) -> bytes:
    return _record("", name_of(raw_name), "").encode()


def _record(before: str, name: str, folded: str) -> str:
    return f"{_BETWEEN_FIELDS}{_name(before)}{_BEFORE_NAME}{_name(name)}{_BEFORE_VALUE}{folded}"


def _json_of(value: str) -> Any:
    """Return the JSON object or list in a text; None for any other text."""
    if value.lstrip(" \t\r\n\ufeff")[:1] not in ("{", "["):
        return None
    try:
        return parse(value.strip())
    except InvalidJson:
        return None


def _records_of_json(before: str, name: str, value: Any, fold: Callable[[str], str]) -> list[str]:
    leaves: list[tuple[str, str]] = []
    _add_leaves(name, value, leaves)
    records = [_record(before, path, fold(text)) for path, text in leaves[:PATHS_MAX]]
    if further := leaves[PATHS_MAX:]:
        records.append(_record("", before.removesuffix(".") or name, fold("\n".join(text for _, text in further))))
    return records


def _add_leaves(path: str, value: Any, leaves: list[tuple[str, str]]) -> None:
    """Add the path and the text of each value. An empty object or list is a value."""
    if value and isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in members:
            _add_leaves(f"{path}.{name}" if path else str(name), member, leaves)
    else:
        leaves.append((path, _text(value)))


def _text(value: Any) -> str:
    if type(value) is int:  # for json.dumps a number takes ten times as long
        return str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@lru_cache(maxsize=4096)  # events repeat the same few names
def _name(name: str) -> str:
    return _unreserved(name).upper()


def _unreserved(text: str) -> str:
    # The check takes a tenth of the time of the translation, and very few texts contain a sign.
    return text.translate(_RESERVED) if _SIGN.search(text) else text
