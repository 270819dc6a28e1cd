"""Bulk writes of the tables that every batch changes: one statement for many rows.

The ORM builds an object and the text of its INSERT for every row. That took half of a worker's time on SQLite.
SQLite runs one prepared statement for each row. PostgreSQL gets many rows in one VALUES list: psycopg writes arrays
with JSON texts forty times slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any, Final

from django.db import connection
from django.db.models import Field, Model

from evdash.events.entry import EntryId

_PARAMETERS_MAX: Final = 60_000  # PostgreSQL's protocol has at most 65,535 in one statement

Row = Sequence[Any]
"""The values of a row, as the database driver takes them: an entry ID as its 16 bytes, a day as ISO text."""


class Merge(Enum):
    """The value of a column when the row exists already; without one, the new value replaces it."""

    SUM = "{table}.{column} + excluded.{column}"
    LEAST = "{least}({table}.{column}, excluded.{column})"
    GREATEST = "{greatest}({table}.{column}, excluded.{column})"


def insert(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert the rows. Raises IntegrityError if one exists."""
    _write(model, columns, rows, "")


def upsert(
    model: type[Model],
    columns: tuple[str, ...],
    rows: Sequence[Row],
    *,
    key: tuple[str, ...],
    merge: tuple[tuple[str, Merge], ...] = (),
) -> None:
    """Insert the rows, or change existing rows with the same `key`. No key may occur twice in `rows`.

    `merge` states how the columns of an existing row change.
    """
    _write(model, columns, rows, _on_conflict(model, columns, key, merge, connection.vendor))


def entry_ids_among(model: type[Model], column: str, value: int, entry_ids: Sequence[EntryId]) -> list[EntryId]:
    """Return those of these entry IDs that rows with this value have. `column`: what the index has beside the ID."""
    if not entry_ids:
        return []
    packed = [entry_id.to_bytes() for entry_id in entry_ids]
    statement = f"""
        SELECT entry_id FROM {model._meta.db_table}
        WHERE {_column(model, column)} = %s AND entry_id IN ({", ".join(["%s"] * len(packed))})
    """  # noqa: S608 - names of the model
    with connection.cursor() as cursor:
        cursor.execute(statement, [value, *packed])
        return [EntryId.from_bytes(bytes(row[0])) for row in cursor.fetchall()]


def _write(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row], on_conflict: str) -> None:
    if not rows:
        return
    head = _head(model, columns)
    holders = f"({', '.join(['%s'] * len(columns))})"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(f"{head} {holders}{on_conflict}", rows)
            return
        at_once = _PARAMETERS_MAX // len(columns)
        for start in range(0, len(rows), at_once):
            part = rows[start : start + at_once]
            statement = f"{head} {', '.join([holders] * len(part))}{on_conflict}"
            cursor.execute(statement, [value for row in part for value in row])


@lru_cache(maxsize=64)
def _head(model: type[Model], columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {model._meta.db_table} ({', '.join(_column(model, name) for name in columns)}) VALUES"


@lru_cache(maxsize=64)
def _on_conflict(
    model: type[Model],
    columns: tuple[str, ...],
    key: tuple[str, ...],
    merge: tuple[tuple[str, Merge], ...],
    vendor: str,
) -> str:
    least, greatest = ("min", "max") if vendor == "sqlite" else ("least", "greatest")
    rules = dict(merge)
    changes = []
    for name in columns:
        if name not in key:
            column = _column(model, name)
            value = rules[name].value if name in rules else "excluded.{column}"
            value = value.format(table=model._meta.db_table, column=column, least=least, greatest=greatest)
            changes.append(f"{column} = {value}")
    unique = ", ".join(_column(model, name) for name in key)
    return f" ON CONFLICT ({unique}) DO UPDATE SET {', '.join(changes)}"


def _column(model: type[Model], name: str) -> str:
    field = model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101 - not a relation from another table
    return f'"{field.column}"'
