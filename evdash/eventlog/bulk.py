"""Bulk writes of the tables that every batch changes: one statement for many rows.

The ORM builds an object and the text of its INSERT for every row. That took half of a worker's time on SQLite.
SQLite runs one prepared statement for each row. PostgreSQL gets many rows in one VALUES list: psycopg writes arrays
with JSON texts forty times slower.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, Literal

from django.db import connection
from django.db.models import Field, Model, TextField

from evdash.events.entry import EntryId

_PARAMETERS_MAX: Final = 60_000  # PostgreSQL's protocol has at most 65,535 in one statement
_LOOKED_UP_MAX: Final = 30_000  # parameters of one look-up: SQLite's default limit is 32,766

Row = Sequence[Any]
"""The values of a row, as the database driver takes them: an entry ID as its 16 bytes, a day as ISO text."""


class Merge(Enum):
    """The value of a column when the row exists already; without one, the new value replaces it."""

    SUM = "{old} + {new}"
    LEAST = "{least}({old}, {new})"
    GREATEST = "{greatest}({old}, {new})"


@dataclass(frozen=True, slots=True)
class Follow:
    """The value of a column that belongs to the least or the greatest value of the column `by`, where null never wins.

    If both values of `by` are equal, the value itself is compared. Texts are compared as bytes.
    """

    by: str
    order: Literal["least", "greatest"]
    empty_loses: bool = False  # an empty text loses against any other, whatever `by` is


@dataclass(frozen=True, slots=True)
class With:
    """The value of the row whose value of another column is kept, by the rule of that column.

    If both rows have the same value there, `tie` is the rule.
    """

    column: str
    rule: Follow
    tie: Merge | Follow


Rule = Merge | Follow | With


def insert(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert the rows. Raises IntegrityError if one exists."""
    _write(model, columns, rows, "")


def upsert(
    model: type[Model],
    columns: tuple[str, ...],
    rows: Sequence[Row],
    *,
    key: tuple[str, ...],
    merge: tuple[tuple[str, Rule], ...] = (),
) -> None:
    """Insert the rows, or change existing rows with the same `key`. No key may occur twice in `rows`.

    `merge` states how the columns of an existing row change.
    """
    _write(model, columns, rows, _on_conflict(model, columns, key, merge, connection.vendor))


def update(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Change the columns of existing rows. Each of `rows` has the values of `columns`, then the primary key."""
    if not rows:
        return
    key = model._meta.pk.name
    names = [_column(model, name) for name in (*columns, key)]
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            changes = ", ".join(f"{name} = %s" for name in names[:-1])
            cursor.executemany(f"UPDATE {table} SET {changes} WHERE {names[-1]} = %s", rows)  # noqa: S608 - the model
            return
        changes = ", ".join(f"{name} = changed.{name}" for name in names[:-1])
        types = [model._meta.get_field(name).db_type(connection) for name in (*columns, key)]
        holders = f"({', '.join(f'%s::{type_}' for type_ in types)})"
        rows_per_statement = _PARAMETERS_MAX // len(names)
        for start in range(0, len(rows), rows_per_statement):
            part = rows[start : start + rows_per_statement]
            statement = f"""
                UPDATE {table} SET {changes} FROM (VALUES {", ".join([holders] * len(part))})
                AS changed ({", ".join(names)}) WHERE {table}.{names[-1]} = changed.{names[-1]}
            """  # noqa: S608 - names of the model
            cursor.execute(statement, [value for row in part for value in row])


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


def existing(model: type[Model], columns: tuple[str, ...], keys: Collection[Row]) -> set[tuple[Any, ...]]:
    """Return those of these keys that rows have. `columns` are those of the key; an index must begin with them."""
    return set(select(model, columns, keys))


def select(
    model: type[Model], columns: tuple[str, ...], keys: Collection[Row], values: tuple[str, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield key and `values` of the rows with these keys, as the database driver reads them.

    SQLite reads the whole index for `(a, b) IN (VALUES ...)`, but not for a join.
    """
    all_keys = list(keys)
    names = [_column(model, name) for name in columns]
    further = "".join(f", known.{_column(model, name)}" for name in values)
    holders = f"({', '.join(['%s'] * len(columns))})"
    keys_per_statement = _LOOKED_UP_MAX // len(columns)
    for start in range(0, len(all_keys), keys_per_statement):
        part = all_keys[start : start + keys_per_statement]
        statement = f"""
            WITH wanted ({", ".join(names)}) AS (VALUES {", ".join([holders] * len(part))})
            SELECT {", ".join(f"wanted.{name}" for name in names)}{further}
            FROM wanted JOIN {model._meta.db_table} AS known
            ON {" AND ".join(f"known.{name} = wanted.{name}" for name in names)}
        """  # noqa: S608 - names of the model
        with connection.cursor() as cursor:
            cursor.execute(statement, [value for key in part for value in key])
            yield from cursor.fetchall()


def _write(model: type[Model], columns: tuple[str, ...], rows: Sequence[Row], on_conflict: str) -> None:
    if not rows:
        return
    head = _head(model, columns)
    holders = f"({', '.join(['%s'] * len(columns))})"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(f"{head} {holders}{on_conflict}", rows)
            return
        rows_per_statement = _PARAMETERS_MAX // len(columns)
        for start in range(0, len(rows), rows_per_statement):
            part = rows[start : start + rows_per_statement]
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
    merge: tuple[tuple[str, Rule], ...],
    vendor: str,
) -> str:
    rules = dict(merge)
    changes = [
        f"{_column(model, name)} = {_merged(model, name, rules.get(name), vendor)}"
        for name in columns
        if name not in key
    ]
    unique = ", ".join(_column(model, name) for name in key)
    return f" ON CONFLICT ({unique}) DO UPDATE SET {', '.join(changes)}"


def _merged(model: type[Model], name: str, rule: Rule | None, vendor: str) -> str:
    """Return the SQL expression of a column's new value."""
    table = model._meta.db_table
    old, new = f"{table}.{_column(model, name)}", f"excluded.{_column(model, name)}"
    if rule is None:
        return new
    if isinstance(rule, Merge):
        least, greatest = ("min", "max") if vendor == "sqlite" else ("least", "greatest")
        return rule.value.format(old=old, new=new, least=least, greatest=greatest)
    if isinstance(rule, With):
        wins, tie = _wins(model, rule.column, rule.rule, vendor), _merged(model, name, rule.tie, vendor)
        columns = (_column(model, rule.column), _column(model, rule.rule.by))
        is_same = " AND ".join(f"{table}.{column} = excluded.{column}" for column in columns)
        return f"CASE WHEN {is_same} THEN {tie} WHEN {wins} THEN {new} ELSE {old} END"
    return f"CASE WHEN {_wins(model, name, rule, vendor)} THEN {new} ELSE {old} END"


def _wins(model: type[Model], name: str, rule: Follow, vendor: str) -> str:
    """Return the SQL condition for the new value of a column to replace the old one."""
    table = model._meta.db_table
    old, new = f"{table}.{_column(model, name)}", f"excluded.{_column(model, name)}"
    old_by, new_by = f"{table}.{_column(model, rule.by)}", f"excluded.{_column(model, rule.by)}"
    is_text = isinstance(model._meta.get_field(name), TextField)
    collation = ' COLLATE "C"' if is_text and vendor == "postgresql" else ""
    sign = "<" if rule.order == "least" else ">"
    wins = f"({new_by}, {new}{collation}) {sign} ({old_by}, {old}{collation})"
    if rule.empty_loses:
        return f"{new} <> '' AND ({old} = '' OR {wins})"
    return f"{new_by} IS NOT NULL AND ({old_by} IS NULL OR {wins})"


def _column(model: type[Model], name: str) -> str:
    field = model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101 - not a relation from another table
    return f'"{field.column}"'
