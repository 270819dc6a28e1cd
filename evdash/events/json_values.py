"""JSON values from the text of a field, safe for all later processing."""

from __future__ import annotations

import json
import re
from typing import Any, Final

DEPTH_MAX = 100
"""Python reads JSON some 990 levels deep, then fails to walk or write it. Producers do not nest 100 levels."""
# Python reads no longer integers by default, because the conversion takes quadratic time.
_INTEGER_DIGITS: Final = 4_000

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_BROKEN_BYTE = re.compile("[\udc80-\udcff]")
_BYTE_ORDER_MARK: Final = "\ufeff"
_BEFORE_JSON: Final = " \t\r\n" + _BYTE_ORDER_MARK


class InvalidJson(ValueError):
    """Unreadable JSON. The message states the reason, as the end of a sentence."""


def parse(text: str) -> Any:
    """Return the JSON value, at most 100 levels deep, with texts that encode as UTF-8. Raise InvalidJson.

    A byte order mark is ignored. An integer of more than 4,000 digits becomes a text.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK)
    try:
        value = _loaded(text)
    except (ValueError, RecursionError):
        raise InvalidJson("is not valid JSON") from None
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_deeper(value, DEPTH_MAX):
        raise InvalidJson(f"is nested deeper than {DEPTH_MAX} levels; not parsed")
    return _encodable(value) if "\\u" in text and _SURROGATE_ESCAPE.search(text) else value


def parsed_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a text; None for any other text. Raise InvalidJson for an object that is unreadable.

    JSON in a JSON text is decoded once more: two layers that both serialise are a common mistake.
    """
    text = text.lstrip(_BEFORE_JSON)
    if text.startswith('"') and "{" in text[:20]:
        try:
            text = json.loads(text).lstrip(_BEFORE_JSON)
        except ValueError:
            return None
    if not text.startswith("{"):
        return None
    value = parse(text)
    return value if isinstance(value, dict) else None


def json_text(raw: bytes) -> str:
    r"""Return the text of JSON with bytes that are not UTF-8. In a text of the parsed value such a byte is \xNN."""
    text = raw.decode("utf-8", errors="surrogateescape")
    return _BROKEN_BYTE.sub(lambda found: f"\\\\x{ord(found[0]) - 0xDC00:02x}", text)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # of an integer with too many digits
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _INTEGER_DIGITS else digits


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            member
            for container in layer
            if isinstance(container, list | dict)
            for member in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(member, list | dict) for member in layer)


def _encodable(value: Any) -> Any:
    """Return the parsed JSON with lone surrogates written as \\udNNN, because UTF-8 cannot encode them."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value
