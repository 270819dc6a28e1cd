"""Ending the work on a page whose reader has gone away, or whose database does not answer."""

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
"""A PostgreSQL that works ends a statement earlier by itself (serving/pages.py); one that hangs does not."""
CHECK_MAX_S: Final = 1.5
"""How long a kept connection has to prove, before the first statement of a page, that its server answers. Then it takes
up to 3 s (settings) to learn that a new one cannot be had either."""
_ACTIVE: Final = 1
"""PQTRANS_ACTIVE: a command is in progress. https://www.postgresql.org/docs/current/libpq-status.html"""


class Abandoned(BadRequest):
    """Nobody waits for the answer any more."""


class NotAbandoned(logging.Filter):
    """Keeps pages whose reader has gone away out of the log: they are counted, and no fault."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (record.exc_info and isinstance(record.exc_info[1], Abandoned))


class Abandonment:
    """Whether the reader of one page has gone away. Told by the event loop, looked at by the thread that makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._interrupt: Callable[[], object] | None = None
        self._database: Any = None  # as Django knows it
        self._active_since_s: float | None = None  # since when a statement was seen to run
        self._has_executed = False
        self.is_abandoned = False
        self.has_begun = False  # a thread works on the page

    def abandon(self) -> None:
        """End the SQL statement that runs, and let no other one begin."""
        with self._lock:
            self.is_abandoned = True
            if self._interrupt is not None:
                self._interrupt()

    def end_hanging(self) -> None:
        """Cut the connection to a PostgreSQL that has not answered for HANGING_AFTER_S: what waits for it fails with an
        OperationalError. Called every now and then. To cancel a statement would be to ask the same server."""
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
        """Inside, in this thread, statements raise Abandoned once the reader has gone."""
        self._database = connections[DEFAULT_DB_ALIAS]  # that of this thread
        try:
            with connection.execute_wrapper(self._execute):
                yield
        finally:
            self._database = None

    def _execute(self, execute: Execute, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        with self._lock:
            if self.is_abandoned:
                raise Abandoned("The reader of the page has gone away.")
            self._has_executed = True
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
                self._active_since_s = None
