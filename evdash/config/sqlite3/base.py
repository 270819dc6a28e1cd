"""The database backend for SQLite. Django loads it by the name of its package (settings.DATABASES)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.backends.sqlite3 import base

from evdash.private_files import create_private, make_private, private_directory


class DatabaseWrapper(base.DatabaseWrapper):
    """Connection to a SQLite file that only its owner may read.

    SQLite gives the files of its write-ahead log the mode of the database, but only when it creates them.
    """

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """Return a new connection. The database and the files of its write-ahead log have mode 0600."""
        if not self.is_in_memory_db():
            database = Path(str(conn_params["database"]))
            with suppress(OSError):  # SQLite then reports the reason, such as a missing directory
                if database.parent == settings.EVDASH.data_dir:
                    private_directory(database.parent)
                create_private(database)
            make_private(*(database.with_name(f"{database.name}{end}") for end in ("-wal", "-shm", "-journal")))
        return super().get_new_connection(conn_params)
