"""JSON values from the text of a field, safe for all later processing."""

from __future__ import annotations

import json
import re
from typing import Any

DEPTH_MAX = 100
"""Python reads JSON some 990 levels deep, then fails to walk or write it. Producers do not nest 100 levels."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class InvalidJson(ValueError):
    """Unreadable JSON. The message states the reason, as the end of a sentence."""


def parse(text: str) -> Any:
    """Return the JSON value, at most 100 levels deep, with texts that encode as UTF-8. Raise InvalidJson."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidJson("is not valid JSON") from None
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_deeper(value, DEPTH_MAX):
        raise InvalidJson(f"is nested deeper than {DEPTH_MAX} levels; not parsed")
    return _encodable(value) if "\\u" in text and _SURROGATE_ESCAPE.search(text) else value


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
