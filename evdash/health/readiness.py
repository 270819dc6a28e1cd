"""The readiness of this process to serve pages, with one sentence for each requirement."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from evdash.health.conditions import KINDS
from evdash.health.current import health_of_now


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. The sentence is public: it contains no address, no name and no password."""

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
    redis, *others = (
        Check(not numbers[kind.name], kind.in_words(numbers[kind.name]) if numbers[kind.name] else kind.absent)
        for kind in KINDS
        if kind.stops_pages
    )
    return Readiness(
        (redis, database, _migrations(database), *others),
        tuple(kind.in_words(numbers[kind.name]) for kind in KINDS if numbers[kind.name] and not kind.stops_pages),
    )


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return Check(False, "SQL is unreachable or refuses the login.")
    return Check(True, "SQL answers.")


def _migrations(database: Check) -> Check:
    if not database.passed:
        return Check(False, "Migrations not checked: SQL is unreachable.")
    try:
        executor = MigrationExecutor(connection)
        missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError:
        return Check(False, "Migrations not checked: SQL refused the query.")
    if missing:
        are = "migration is" if missing == 1 else "migrations are"
        return Check(False, f"{missing} {are} not applied. Run `manage.py migrate`.")
    return Check(True, "All migrations are applied.")
