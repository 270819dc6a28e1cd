"""Fingerprints of errors: equal for errors that differ only in numbers and names."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from evdash.events.text import without_nul

TRACEBACK: Final = "Traceback (most recent call last):"
MASKED_MAX_CHARS: Final = 300
# Longer texts are cut before they are masked, because the beginning distinguishes errors.
_READ_MAX_CHARS = 2_000

_MASKS = (
    (re.compile(r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?\b"), "<time>"),
    (re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+\b"), "<email>"),
    (re.compile(r"\b\w+://[^\s\"'<>]+"), "<url>"),
    (re.compile(r"\"[^\"\n]{1,200}\""), "<text>"),
    (re.compile(r"(?<!\w)'[^'\n]{1,200}'(?!\w)"), "<text>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<number>"),
    # A name with a digit in it: HAT290, user_17, airline-25-t1.
    (re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[^\W\d])\w[\w-]*"), "<name>"),
    (re.compile(r"(?<![\w<])[-+]?\d(?:[\d,]*\d)?(?:\.\d+)?%?"), "<number>"),
)
_PLACEHOLDER: Final = re.compile(r"<(uuid|time|email|url|text|number|name|user|session)>")
_SPACE = re.compile(r"\s+")


def masked(error: str, user_id: str, session_id: str) -> str:
    """Return an error's text with masks for its variable parts: numbers, times, names, quoted text."""
    text = without_nul(error[:_READ_MAX_CHARS])
    for own, mask in ((user_id, "<user>"), (session_id, "<session>")):
        if len(own) >= 3:
            text = text.replace(own, mask)
    for pattern, mask in _MASKS:
        text = pattern.sub(mask, text)
    return _SPACE.sub(" ", text).strip()[:MASKED_MAX_CHARS]


def placeholders_in(masked_text: str) -> list[tuple[str, bool]]:
    """Return the parts of a masked text, in order: each a text, or the name of a placeholder with True."""
    parts = _PLACEHOLDER.split(masked_text)
    return [(part, bool(place % 2)) for place, part in enumerate(parts) if part]


def exception_line(error: str) -> str:
    """Return the line of a Python traceback that names the exception; any other text unchanged.

    It is the first line after the last frame that is not indented.
    https://docs.python.org/3/library/traceback.html
    """
    _, is_traceback, frames = error.rpartition(TRACEBACK)
    if not is_traceback:
        return error
    lines = frames.rpartition('\n  File "')[2].splitlines()[1:]
    return next((line for line in lines if line and not line[0].isspace()), error)


def fingerprint(event_type: str, code: str, tool: str, masked_text: str) -> str:
    """Return 32 hexadecimal digits, equal for errors of the same type, code, tool and masked text."""
    parts = "\x1f".join((event_type, code, tool, masked_text))
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
