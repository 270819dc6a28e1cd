"""Ending the work on a page whose reader has gone away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import BadRequest
from django.db import connection

Execute = Callable[..., Any]


class Abandoned(BadRequest):
    """Nobody waits for the answer any more."""


class Abandonment:
    """Whether the reader of one page has gone away. Told by the event loop, looked at by the thread that makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self.is_abandoned = False
        self.has_begun = False  # a thread works on the page

    def abandon(self) -> None:
        """End the SQL statement that runs, and let no other one begin."""
        with self._lock:
            self.is_abandoned = True
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def ends_statements(self) -> Iterator[None]:
        """Inside, in this thread, statements raise Abandoned once the reader has gone."""
        with connection.execute_wrapper(self._execute):
            yield

    def _execute(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        with self._lock:
            if self.is_abandoned:
                raise Abandoned("The reader of the page has gone away.")
            raw = context["connection"].connection
            # sqlite3 calls it interrupt, psycopg cancel; both may be called from another thread.
            self._interrupt = getattr(raw, "interrupt", None) or getattr(raw, "cancel", None)
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            if self.is_abandoned:
                raise Abandoned("The reader of the page has gone away.") from error
            raise
        finally:
            with self._lock:
                self._interrupt = None
