"""What a machine is told about a web process: whether it lives, and whether it can serve pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.health.metrics import Metrics


def lines(client: Client, status: int) -> list[str]:
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode().splitlines()


@pytest.mark.usefixtures("redis_is_gone")
def test_a_process_lives_without_redis_and_without_sql(client: Client) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32  # of a browser that is signed in
    answer = client.get("/healthz")  # a test that is not marked for the database may not touch it

    assert (answer.status_code, answer.content) == (200, b"evdash is running.\n")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_process_is_ready_when_everything_is_there(client: Client) -> None:
    assert lines(client, 200) == [
        "ok: Redis answers.",
        "ok: Redis does not refuse writes.",
        "ok: SQL answers.",
        "ok: SQL accepts writes.",
        "ok: All migrations are applied.",
        "ok: The data directory is writable.",
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("redis_is_gone")
def test_without_redis_it_is_not_ready_and_tells_no_address(client: Client) -> None:
    reported = lines(client, 503)

    assert reported[0] == "not ready: Redis is unreachable or refuses the login."
    assert reported[1:4] == ["ok: SQL answers.", "ok: SQL accepts writes.", "ok: All migrations are applied."]
    assert not any(secret in line for line in reported for secret in ("127.0.0.1", "hidden", "me:"))


@pytest.mark.django_db
def test_without_sql_it_is_not_ready_and_tells_no_name(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse() -> Iterator[None]:
        raise OperationalError('connection to server at "10.0.0.5" failed: password of "evdash" is wrong')
        yield

    monkeypatch.setattr(connection, "cursor", refuse)

    assert lines(client, 503) == [
        "ok: Redis answers.",
        "ok: Redis does not refuse writes.",
        "not ready: SQL is unreachable or refuses the login.",
        "ok: The data directory is writable.",
    ]


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_is_told(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name = '0002_audit_log'")

    assert lines(client, 503)[4] == "not ready: 1 migration is not applied."


FULL = "not ready: The disk of the database is full."


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="PostgreSQL has no file here")
def test_a_database_on_a_full_disk_of_its_own_is_not_ready_though_a_small_write_succeeds(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings.EVDASH = replace(settings.EVDASH, data_dir=tmp_path)
    usage = shutil.disk_usage(tmp_path)
    assert lines(client, 200)[3] == "ok: SQL accepts writes."

    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage if path == tmp_path else usage._replace(free=0))

    assert [line for line in lines(client, 503) if line.startswith("not ready")] == [FULL]
    assert measured("sql_writes") == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("problem", "line"),
    [
        ("database or disk is full", FULL),
        ("could not extend file: disk full", FULL),
        ("attempt to write a readonly database", "not ready: SQL refuses writes."),
        ("cannot execute UPDATE in a read-only transaction", "not ready: SQL refuses writes."),
    ],
)
def test_a_database_that_refuses_writes_is_not_ready(client: Client, problem: str, line: str) -> None:
    with refused_updates(problem):
        reported = lines(client, 503)
        assert measured("sql_writes") == 0

    assert reported[2:5] == ["ok: SQL answers.", line, "ok: All migrations are applied."]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_another_process_writes_to_is_ready(client: Client) -> None:
    with refused_updates("database is locked"):
        assert lines(client, 200)[3] == "ok: SQL accepts writes."
        assert measured("sql_writes") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="PostgreSQL locks rows only")
def test_the_write_test_does_not_wait_for_another_writer(client: Client) -> None:
    limits: list[int] = []

    def execute(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("BEGIN IMMEDIATE"):
            limits.append(busy_timeout_ms())
        return execute(sql, params, many, context)

    with connection.cursor(), connection.execute_wrapper(execute):
        usual_ms = busy_timeout_ms()
        lines(client, 200)
    assert (limits, busy_timeout_ms()) == ([0], usual_ms)
    assert usual_ms > 0


def busy_timeout_ms() -> int:
    return int(connection.connection.execute("PRAGMA busy_timeout").fetchone()[0])


@contextmanager
def refused_updates(problem: str) -> Iterator[None]:
    """A database that answers every UPDATE with this error."""

    def execute(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError(problem)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield


def measured(check: str) -> float:
    """The metric of a check."""
    return measured_metric("evdash_ready", check=check)


def measured_metric(name: str, **labels: str) -> float:
    [value] = [
        sample.value
        for family in Metrics().collect()
        for sample in family.samples
        if sample.name == name and sample.labels == labels
    ]
    return float(value)


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_they_are_only_asked(client: Client, address: str) -> None:
    assert client.post(address).status_code == 405
