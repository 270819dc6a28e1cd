"""Beginning of a text as one line."""

from __future__ import annotations


def one_line(text: str, length: int) -> str:
    """Return the first `length` characters, all white space as single spaces, with an ellipsis if there is more.

    The ellipsis may make the result one character longer than `length`.
    """
    # Enough to fill the line even if the text starts with white space, and never a whole megabyte.
    start = " ".join(text[: length * 4].split())
    if len(start) > length:
        return start[: length - 1].rstrip() + "…"
    return f"{start}…" if len(text) > length * 4 else start
