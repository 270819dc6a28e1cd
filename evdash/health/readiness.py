"""The readiness of this process to serve pages, with one sentence for each requirement."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import F

from evdash.health.conditions import KINDS
from evdash.health.current import health_of_now
from evdash.streams.client import Refused, StreamsUnavailable, call, open_client

WRITE_TEST_EVERY_S: Final = 1.0
"""Shortest time between two write tests of a process. Anybody may request the checks."""
FREE_MIN_BYTES: Final = 2**20
"""Free bytes below which the disk of SQLite counts as full.

A small write can succeed on a full disk, because the write-ahead log has space of earlier writes. A batch then fails.
"""
_CANNOT_SAVE: Final = "MISCONF"  # https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. The sentence is public: it contains no address, no name and no password."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Readiness:
    """The requirements of a process that serves pages, and the conditions that do not keep it from serving them."""

    checks: tuple[Check, ...]
    warnings: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        return all(check.passed for check in self.checks)


def readiness() -> Readiness:
    """Run all checks now and return their results. Waiting for Redis ends after some seconds."""
    database = _database()
    numbers = health_of_now(with_sql=database.passed).numbers
    others = (
        Check(
            kind.name,
            not numbers[kind.name],
            kind.in_words(numbers[kind.name]) if numbers[kind.name] else kind.absent,
        )
        for kind in KINDS
        if kind.stops_pages and kind.name != "redis-unreachable"
    )
    return Readiness(
        (_redis(), database, _writes(database), _migrations(database), *others),
        tuple(kind.in_words(numbers[kind.name]) for kind in KINDS if numbers[kind.name] and not kind.stops_pages),
    )


def _redis() -> Check:
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            call(client, "PING")  # a server that cannot save its data refuses PING, as it refuses writes
        except Refused as refusal:
            if _CANNOT_SAVE in refusal.answer:
                return Check("redis", False, "Redis refuses writes: it cannot save its data. Its disk may be full.")
            if not refusal.is_missing_permission:  # a user who may not run PING has an answer all the same
                return Check("redis", False, "Redis is unreachable or refuses the login.")
        except StreamsUnavailable:
            return Check("redis", False, "Redis is unreachable or refuses the login.")
    return Check("redis", True, "Redis answers.")


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return Check("sql", False, "SQL is unreachable or refuses the login.")
    return Check("sql", True, "SQL answers.")


def _writes(database: Check) -> Check:
    if not database.passed:
        return Check("sql_writes", False, "Writes not checked: SQL is unreachable.")
    return _write_test.result()


class WriteTest:
    """The test whether SQL accepts writes. A result is kept for WRITE_TEST_EVERY_S."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._result: Check | None = None
        self._tested_s = 0.0

    def result(self) -> Check:
        """Return the result of a test that is at most WRITE_TEST_EVERY_S old. Of several callers, one runs it."""
        with self._lock:
            if self._result is None or time.monotonic() - self._tested_s >= WRITE_TEST_EVERY_S:
                self._result = _tested()
                self._tested_s = time.monotonic()
            return self._result

    def forget(self) -> None:
        """Drop the result, so that the next call tests again."""
        self._result = None


_write_test: Final = WriteTest()


def _tested() -> Check:
    """Commit a change of one small row to its present value."""
    if (free_bytes := _free_bytes()) is not None and free_bytes < FREE_MIN_BYTES:
        return Check("sql_writes", False, "The disk of the database is full.")
    rows = MigrationRecorder.Migration.objects
    try:
        with transaction.atomic():
            rows.filter(pk=rows.order_by("pk").values("pk")[:1]).update(app=F("app"))
    except DatabaseError as error:
        words = str(error)
        if "locked" in words or "lock timeout" in words:  # the other process that writes proves that writing works
            return Check("sql_writes", True, "SQL is busy with another write.")
        reason = "The disk of the database is full." if "full" in words else "SQL refuses writes."
        return Check("sql_writes", False, reason)
    return Check("sql_writes", True, "SQL accepts writes.")


def _free_bytes() -> int | None:
    """Return the free bytes of the disk with the SQLite file; None for PostgreSQL and if the disk does not report."""
    if connection.vendor != "sqlite" or connection.is_in_memory_db():  # type: ignore[attr-defined]
        return None
    try:
        return shutil.disk_usage(Path(str(connection.settings_dict["NAME"])).parent).free
    except OSError:
        return None


def _migrations(database: Check) -> Check:
    if not database.passed:
        return Check("migrations", False, "Migrations not checked: SQL is unreachable.")
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        return Check("migrations", False, "Migrations not checked: SQL refused the query.")
    if missing:
        are = "migration is" if missing == 1 else "migrations are"
        return Check("migrations", False, f"{missing} {are} not applied. Run `manage.py migrate`.")
    return Check("migrations", True, "All migrations are applied.")
