"""Several queries that see one state of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def read_transaction() -> Iterator[None]:
    """What is committed meanwhile is not seen inside. For reading only; inside a transaction it changes nothing."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        # Not `atomic()`: it takes the write lock at once (`transaction_mode: IMMEDIATE`), which a reader must not.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            connection.rollback()  # no statement: those of a page whose reader has gone away are refused
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
