"""Identifiers of events: types, sessions, users, tools and the like, of limited length."""

from __future__ import annotations

import hashlib
from typing import Final

from evdash.events.text import without_nul

IDENTIFIER_MAX_CHARS: Final = 200
_HASH_CHARS: Final = 16


def identifier_of(text: str) -> str:
    """Return an identifier as events have it: at most 200 characters, without NUL and white space around it.

    A longer text ends with a hash of the whole text. NUL is written as ␀.
    """
    text = without_nul(text.strip())
    if len(text) <= IDENTIFIER_MAX_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", errors="backslashreplace")).hexdigest()[:_HASH_CHARS]
    return f"{text[: IDENTIFIER_MAX_CHARS - _HASH_CHARS - 1]}…{digest}"
