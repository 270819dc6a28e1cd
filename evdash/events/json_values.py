"""JSON out of a field's text, such that nothing that is done with it later can fail."""

from __future__ import annotations

import json
import re
from typing import Any

DEPTH_MAX = 100
"""Python reads JSON some 990 levels deep, and fails on walking or writing what it has read; nobody nests 100."""

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class InvalidJson(ValueError):
    """The text is no JSON that can be read; the message says why, as the end of a sentence."""


def parse(text: str) -> Any:
    """The JSON value, at most 100 levels deep, every text in it fit for UTF-8. Raises InvalidJson."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidJson("looks like JSON and is not valid JSON") from None
    if text.count("[") + text.count("{") > DEPTH_MAX and _is_deeper(value, DEPTH_MAX):
        raise InvalidJson(f"is JSON nested deeper than {DEPTH_MAX} levels, which is not read")
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
    """The parsed JSON with lone surrogates, which no UTF-8 output can carry, written as \\udNNN."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value
