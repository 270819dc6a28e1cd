"""What a machine is told about a web process: whether it lives, and whether it can serve pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection
from django.test import Client


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
        "ok: All migrations are applied.",
        "ok: The data directory is writable.",
    ]


@pytest.mark.django_db
@pytest.mark.usefixtures("redis_is_gone")
def test_without_redis_it_is_not_ready_and_tells_no_address(client: Client) -> None:
    reported = lines(client, 503)

    assert reported[0] == "not ready: Redis is unreachable or refuses the login."
    assert reported[1:3] == ["ok: SQL answers.", "ok: All migrations are applied."]
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
        "not ready: Migrations not checked: SQL is unreachable.",
        "ok: The data directory is writable.",
    ]


@pytest.mark.django_db
def test_a_migration_that_is_not_applied_is_told(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name = '0002_audit_log'")

    assert lines(client, 503)[2] == "not ready: 1 migration is not applied. Run `manage.py migrate`."


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_they_are_only_asked(client: Client, address: str) -> None:
    assert client.post(address).status_code == 405
