"""The beginning of a text as one line."""

from __future__ import annotations


def one_line(text: str, length: int) -> str:
    """The first `length` characters with all white space as single spaces; an ellipsis when there was more."""
    # Enough to fill the line even where the text starts with white space, and never a whole megabyte.
    start = " ".join(text[: length * 4].split())
    if len(start) > length:
        return start[: length - 1].rstrip() + "…"
    return f"{start}…" if len(text) > length * 4 else start
