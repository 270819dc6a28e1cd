"""Texts as columns and rows have them: without NUL, or the beginning as one line."""

from __future__ import annotations

from typing import Final

NUL_PICTURE: Final = "\u2400"
"""The sign ␀ in place of NUL."""


def without_nul(text: str) -> str:
    """Return the text with ␀ for each NUL. PostgreSQL's text type rejects NUL; the raw entry keeps it."""
    return text.replace("\x00", NUL_PICTURE)


def one_line(text: str, length: int) -> str:
    """Return the first `length` characters, all white space as single spaces, with an ellipsis if there is more.

    The ellipsis may make the result one character longer than `length`.
    """
    # Enough to fill the line even if the text starts with white space, and never a whole megabyte.
    start = " ".join(text[: length * 4].split())
    if len(start) > length:
        return start[: length - 1].rstrip() + "…"
    return f"{start}…" if len(text) > length * 4 else start
