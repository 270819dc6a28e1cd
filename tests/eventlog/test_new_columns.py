"""Workers of two versions may run at once: a column that an older one does not write has a value in the database."""

from __future__ import annotations

import pytest
from django.db import connection, migrations
from django.db.migrations.loader import MigrationLoader
from django.db.models import NOT_PROVIDED

ADDED = [
    (f"{name}: {operation.model_name}.{operation.name}", operation.field)
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items())
    if app == "eventlog" and name >= "0010"
    for operation in migration.operations
    if isinstance(operation, migrations.AddField)
]


def test_columns_were_added() -> None:
    assert ADDED


@pytest.mark.parametrize("field", [field for _, field in ADDED], ids=[name for name, _ in ADDED])
def test_a_row_may_lack_a_new_column(field: object) -> None:
    assert field.null or field.db_default is not NOT_PROVIDED


@pytest.mark.django_db
def test_the_database_gives_a_session_what_an_older_worker_does_not_write() -> None:
    columns = {
        "session_id": "s", "user_id": "u", "user_at": b"\x00" * 16, "agent": "", "agent_at": b"\xff" * 16, "model": "",
        "model_at": b"\xff" * 16, "first_id": b"\x00" * 16, "last_id": b"\x00" * 16, "started_us": 1, "last_us": 1,
        "outcome": "", "events": 1, "errors": 0, "tokens": 0, "messages": 0, "tool_calls": 0, "searches": 0,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO eventlog_agentsession ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
            list(columns.values()),
        )
        cursor.execute("SELECT declared_user, declared_user_at FROM eventlog_agentsession")
        text, at = cursor.fetchone()
    assert (text, bytes(at)) == ("", b"\xff" * 16)
