"""The readiness of this process to serve pages, with one sentence for each requirement."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from evdash.streams.client import StreamsUnavailable, call, open_client


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. The sentence is public: it contains no address, no name and no password."""

    passed: bool
    sentence: str


def checks() -> tuple[Check, ...]:
    """Run all checks now and return their results. Waiting for Redis ends after some seconds."""
    database = _database()
    return _redis(), database, _migrations(database)


def _redis() -> Check:
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            call(client, "PING")
        except StreamsUnavailable:
            return Check(False, "Redis is unreachable or refuses the login.")
    return Check(True, "Redis answers.")


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
