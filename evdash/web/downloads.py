"""Files that are produced in pieces while they are sent. The last line of an incomplete file states the reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from csv import writer as csv_writer
from typing import Any

from django.db import DatabaseError
from django.http import StreamingHttpResponse
from django.utils.html import escape
from structlog.stdlib import get_logger

from evdash.streams.client import StreamsUnavailable
from evdash.web.error_pages import database_problem

logger = get_logger(__name__)

Pieces = Iterator[bytes]


class BrokenOff(Exception):
    """An early end of a file. The message is the sentence with the reason."""


class Download(StreamingHttpResponse):
    """A file of events. If Redis or SQL fails, or `break_off` is called, its last line states that it is incomplete."""

    def __init__(self, pieces: Pieces, form: str, *, recorded: Callable[[Pieces], Pieces], **options: Any) -> None:
        """Take the pieces and `form`, the name of the file's format.

        `recorded` wraps the pieces and returns them, so that it can record how they end.
        """
        self._reason = ""
        super().__init__(_ended_in_words(recorded(self._until_broken_off(pieces)), form), **options)

    def break_off(self, reason: str) -> None:
        """End the file after the current piece with a last line that has this sentence as the reason."""
        self._reason = reason

    def _until_broken_off(self, pieces: Pieces) -> Pieces:
        for piece in pieces:
            yield piece
            if self._reason and next(pieces, None) is not None:  # a file that ended just now is complete
                raise BrokenOff(self._reason)


def _ended_in_words(pieces: Pieces, form: str) -> Pieces:
    try:
        yield from pieces
    except (StreamsUnavailable, DatabaseError, BrokenOff) as cause:
        fault = cause if isinstance(cause, DatabaseError) else None
        logger.warning("export incomplete", format=form, reason=str(cause), exc_info=fault)
        yield incomplete_line(form, incomplete_reason(cause)).encode()


def incomplete_reason(cause: Exception) -> str:
    """Return the sentence with the reason for the early end of a file."""
    return database_problem(cause) if isinstance(cause, DatabaseError) else " ".join(str(cause).split())


def incomplete_line(form: str, reason: str) -> str:
    """Return the last line of an incomplete file of this format, with the reason."""
    if form == "NDJSON":
        return json.dumps({"incomplete": True, "reason": reason}, ensure_ascii=False) + "\n"
    if form == "CSV":
        text = io.StringIO()
        csv_writer(text).writerow([f"# incomplete: {reason}"])
        return text.getvalue()
    if form == "HTML file":
        return f"<p><strong>This file is incomplete: {escape(reason)}</strong></p>\n"
    return f"\n\n**This file is incomplete:** {reason}\n"
