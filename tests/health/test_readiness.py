"""What a machine is told about a web process: whether it lives, and whether it can serve pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from evdash.health import readiness
from evdash.health.metrics import Metrics
from evdash.streams.client import open_client
from evdash.streams.embedded_server import EmbeddedServer
from tests.running import wait_until


def lines(client: Client, status: int) -> list[str]:
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode().splitlines()


@pytest.mark.usefixtures("redis_is_gone")
def test_a_process_lives_without_redis_and_without_sql(client: Client) -> None:
    answer = client.get("/healthz")  # a test that is not marked for the database may not touch it

    assert (answer.status_code, answer.content) == (200, b"evdash is running.\n")
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.django_db
def test_a_process_is_ready_when_everything_is_there(client: Client) -> None:
    assert lines(client, 200) == [
        "ok: Redis answers.",
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
        "not ready: SQL is unreachable or refuses the login.",
        "not ready: Writes not checked: SQL is unreachable.",
        "not ready: Migrations not checked: SQL is unreachable.",
        "ok: The data directory is writable.",
    ]


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_is_told(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name = '0002_audit_log'")

    assert lines(client, 503)[3] == "not ready: 1 migration is not applied. Run `manage.py migrate`."


FULL = "not ready: The disk of the database is full."


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="PostgreSQL has no file here")
def test_a_disk_without_space_is_not_ready_though_a_small_write_succeeds(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = iter([10 * readiness.FREE_MIN_BYTES, readiness.FREE_MIN_BYTES - 1])
    monkeypatch.setattr(readiness, "_free_bytes", lambda: next(free))
    assert lines(client, 200)[2] == "ok: SQL accepts writes."

    readiness._write_test.forget()

    assert lines(client, 503)[2] == FULL
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

    assert reported[:4] == ["ok: Redis answers.", "ok: SQL answers.", line, "ok: All migrations are applied."]


@pytest.mark.django_db(transaction=True)
def test_a_database_that_another_process_writes_to_is_ready(client: Client) -> None:
    with refused_updates("database is locked"):
        assert lines(client, 200)[2] == "ok: SQL is busy with another write."
        assert measured("sql_writes") == 1


@pytest.mark.django_db
def test_the_write_test_runs_at_most_once_a_second(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1_000.0
    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=lambda: now_s))
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            lines(client, 200)
        now_s += readiness.WRITE_TEST_EVERY_S
        lines(client, 200)

    assert sum(query["sql"].startswith("UPDATE") for query in queries) == 2


@pytest.mark.django_db
def test_a_valkey_that_cannot_save_is_not_ready_with_the_reason(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    directory = tmp_path / "gone"
    with EmbeddedServer(directory) as server:
        settings.EVDASH = replace(settings.EVDASH, redis_url=server.url)
        assert lines(client, 200)[0] == "ok: Redis answers."
        with open_client(server.url) as valkey:
            valkey.config_set("appendonly", "no")
            valkey.config_set("save", "3600 1")
            shutil.rmtree(directory)
            valkey.bgsave()
            wait_until(lambda: valkey.info("persistence")["rdb_last_bgsave_status"] == "err")

        assert lines(client, 503)[0] == (
            "not ready: Redis refuses writes: it cannot save its data. Its disk may be full."
        )
        assert (measured("redis"), measured_metric("evdash_redis_up")) == (0, 1)


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
