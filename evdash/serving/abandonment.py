"""Cancellation of a page whose client has disconnected or whose database does not answer."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from django.core.exceptions import BadRequest
from django.db import DEFAULT_DB_ALIAS, connection, connections

Execute = Callable[..., Any]

HANGING_AFTER_S: Final = 4.5
"""Seconds without an answer after which evdash cuts the connection to PostgreSQL.

A working PostgreSQL ends a statement earlier, by its statement_timeout (serving/pages.py). A hanging one does not.
"""
CHECK_MAX_S: Final = 1.5
"""Seconds that a kept connection has to prove that its server answers, before the first statement of a page.

After that, a new connection takes up to 3 s (settings) to fail as well.
"""
_ACTIVE: Final = 1
"""PQTRANS_ACTIVE: a command is in progress. https://www.postgresql.org/docs/current/libpq-status.html"""


class Abandoned(BadRequest):
    """Error for a page whose client does not wait for the response any more."""


class NotAbandoned(logging.Filter):
    """Log filter that drops records of abandoned pages: evdash counts them, and they are not a fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], Abandoned))


class Abandonment:
    """State of one page: whether its client has disconnected.

    The event loop sets it. The thread that makes the page checks it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self._database: Any = None  # the Django connection wrapper
        self._active_since_s: float | None = None  # first time at which a statement was seen active
        self._has_executed = False
        self.is_abandoned = False
        self.has_begun = False  # a thread makes the page

    def abandon(self) -> None:
        """Interrupt the running SQL statement and prevent every later one."""
        with self._lock:
            self.is_abandoned = True
            if self._interrupt is not None:
                self._interrupt()

    def end_hanging(self) -> None:
        """Cut the connection to a PostgreSQL that has not answered for HANGING_AFTER_S.

        The limit is CHECK_MAX_S before the first statement of the page. The waiting thread gets an OperationalError.
        Call this periodically. Cancelling the statement would not help: it needs an answer of the same server.
        """
        with self._lock:
            pgconn = getattr(getattr(self._database, "connection", None), "pgconn", None)
            if pgconn is None or pgconn.transaction_status != _ACTIVE:
                self._active_since_s = None
                return
            if self._active_since_s is None:
                self._active_since_s = time.monotonic()
            longest_s = HANGING_AFTER_S if self._has_executed else CHECK_MAX_S
            if time.monotonic() - self._active_since_s < longest_s:
                return
            with suppress(Exception), socket.socket(fileno=os.dup(pgconn.socket)) as connected:  # it may be lost by now
                connected.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def ends_statements(self) -> Iterator[None]:
        """Raise Abandoned from this thread's SQL statements inside the context once the client has disconnected."""
        self._database = connections[DEFAULT_DB_ALIAS]  # Django keeps one connection per thread
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            self._database = None

    def _execute(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        with self._lock:
            if self.is_abandoned:
                raise Abandoned("The client has disconnected.")
            self._has_executed = True
            raw = context["connection"].connection
            # The method is `interrupt` in sqlite3 and `cancel` in psycopg. Both are safe from another thread.
            self._interrupt = getattr(raw, "interrupt", None) or getattr(raw, "cancel", None)
        try:
            return execute(sql, params, many, context)
        except Exception as error:
            if self.is_abandoned:
                raise Abandoned("The client has disconnected.") from error
            raise
        finally:
            with self._lock:
                self._interrupt = None
                self._active_since_s = None
