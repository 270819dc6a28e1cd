"""The facts of SQL: whether it answers, accepts writes and has all tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F

from evdash.health.disk import disk_of


@dataclass(frozen=True, slots=True)
class Sql:
    """The state of the database. The reason is public: it contains no address, no name and no password."""

    is_unreachable: bool = False
    write_problem: str = ""  # the reason why it refuses writes
    missing_migrations: int = 0


def read_sql() -> Sql:
    """Return the state of the database as of now, after a small write. Never raises a database's error."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()  # none if the table does not exist
        missing = len(_all_migrations() - applied.keys())
        return Sql(write_problem=_write_problem() if applied else "", missing_migrations=missing)
    except (DatabaseError, InterfaceError):
        return Sql(is_unreachable=True)


@cache
def _all_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.nodes)


def _write_problem() -> str:
    """Commit a change of one small row to its present value. Return the reason if SQL refuses it; else ""."""
    if _is_database_disk_full():
        return "The disk of the database is full."
    rows = MigrationRecorder.Migration.objects
    try:
        with _without_waiting(), transaction.atomic():
            rows.filter(pk=rows.order_by("pk").values("pk")[:1]).update(app=F("app"))
    except DatabaseError as error:
        words = str(error)
        if "locked" in words or "lock timeout" in words:  # the other process that writes proves that writing works
            return ""
        return "The disk of the database is full." if "full" in words else "SQL refuses writes."
    return ""


@contextmanager
def _without_waiting() -> Iterator[None]:
    """Fail at once if another process writes to SQLite: a page must not wait for the transaction of a worker."""
    if connection.vendor != "sqlite":
        yield
        return
    connection.ensure_connection()
    raw = connection.connection  # its statements run even for a page whose client has disconnected
    (waits_ms,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {waits_ms}")


def _is_database_disk_full() -> bool:
    """Return True if the SQLite file is on a full disk. A small write may succeed there; a batch then fails.

    The write-ahead log has space of earlier writes. The data directory has a health condition of its own.
    """
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return False
    directory = Path(str(connection.settings_dict["NAME"])).absolute().parent
    return directory != settings.EVDASH.data_dir and disk_of(directory).is_full
