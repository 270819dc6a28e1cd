"""Bulk writes of the tables that every batch changes, as prepared statements.

The ORM builds an object and the text of its INSERT for every row. That took half of a worker's time.
SQLite runs one prepared statement for all rows; PostgreSQL gets one array per column.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model

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


def _write(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row], on_conflict: str) -> None:
    if not rows:
        return
    statement = _insert(model, columns, connection.vendor) + on_conflict
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(statement, rows)
        else:
            cursor.execute(statement, [list(values) for values in zip(*rows, strict=True)])


@lru_cache(maxsize=64)
def _insert(model: type[Model], columns: tuple[str, ...], vendor: str) -> str:
    names = ", ".join(_column(model, name) for name in columns)
    if vendor == "sqlite":
        values = f"VALUES ({', '.join('%s' for _ in columns)})"
    else:
        types = [model._meta.get_field(name).db_type(connection) for name in columns]
        values = f"SELECT * FROM unnest({', '.join(f'%s::{type_}[]' for type_ in types)})"  # noqa: S608 - likewise
    return f"INSERT INTO {model._meta.db_table} ({names}) {values}"


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
