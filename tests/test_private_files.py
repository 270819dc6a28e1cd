"""Files with events or secrets are their owner's alone, also in a data directory of an older version."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from django.db import connections

from evdash.config.sqlite3.base import DatabaseWrapper
from evdash.private_files import create_private, make_private, make_tree_private, private_directory
from evdash.streams.embedded_server import EmbeddedServer
from tests.conftest import ManagePy


def mode_of(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):04o}"


def modes_below(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): mode_of(path) for path in directory.rglob("*")}


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """A data directory that others may read, with a database in the middle of its write-ahead log."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o755)
    (directory / "secret_key").write_text("k" * 50)
    database = sqlite3.connect(directory / "evdash.sqlite3")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE a (b)")
    return directory


def test_files_of_an_older_version_become_private_at_the_next_start(older: Path, manage_py: ManagePy) -> None:
    held = sqlite3.connect(older / "evdash.sqlite3")  # keeps the files of the write-ahead log
    held.execute("SELECT * FROM a").fetchall()
    for path in older.iterdir():
        path.chmod(0o644)
    assert {path.name for path in older.iterdir()} >= {"evdash.sqlite3-wal", "evdash.sqlite3-shm"}

    manage_py("migrate", EVDASH_DATA_DIR=str(older)).check_returncode()

    assert set(modes_below(older).values()) == {"0600"}
    held.close()
    assert mode_of(older) == "0755"  # the owner's choice


@pytest.mark.parametrize("key", ["", "k" * 50])
def test_a_new_data_directory_and_its_files_are_private(tmp_path: Path, manage_py: ManagePy, key: str) -> None:
    directory = tmp_path / "new" / "data"

    manage_py("migrate", EVDASH_DATA_DIR=str(directory), EVDASH_SECRET_KEY=key).check_returncode()

    assert mode_of(directory) == "0700"
    assert "evdash.sqlite3" in modes_below(directory)
    assert set(modes_below(directory).values()) == {"0600"}


def test_a_database_of_its_own_address_is_private(tmp_path: Path, manage_py: ManagePy) -> None:
    manage_py("migrate", DATABASE_URL=f"sqlite:///{tmp_path}/other.sqlite3").check_returncode()

    assert mode_of(tmp_path / "other.sqlite3") == "0600"


def test_the_embedded_server_keeps_its_data_and_log_private(tmp_path: Path) -> None:
    old = tmp_path / "valkey"
    old.mkdir(mode=0o755)
    (old / "valkey.log").write_text("")
    with EmbeddedServer(tmp_path):
        modes = modes_below(tmp_path)

    assert {"valkey/valkey.log", "valkey/port", "valkey/lock", "valkey/appendonlydir"} <= modes.keys()
    assert {name: mode for name, mode in modes.items() if int(mode, 8) & 0o077} == {}


def test_the_embedded_server_makes_a_private_data_directory(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "data"):
        assert mode_of(tmp_path / "data") == "0700"


def test_a_file_is_private_from_its_first_moment_and_an_existing_one_becomes_so(tmp_path: Path) -> None:
    create_private(tmp_path / "new")
    (tmp_path / "old").write_text("kept")
    (tmp_path / "old").chmod(0o664)
    create_private(tmp_path / "old")

    assert modes_below(tmp_path) == {"new": "0600", "old": "0600"}
    assert (tmp_path / "old").read_text() == "kept"


def test_a_tree_becomes_private_without_what_its_links_point_to(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_text("")
    (tree / "link").symlink_to(outside)

    make_tree_private(tree)

    assert (mode_of(tree), mode_of(tree / "below"), mode_of(tree / "below" / "file")) == ("0700", "0700", "0600")
    assert mode_of(outside) == "0644"


def test_a_mode_that_cannot_be_changed_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "of somebody else"
    path.write_text("")
    path.chmod(0o644)

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with structlog.testing.capture_logs() as logged:
        make_private(path, tmp_path / "missing")

    assert [(entry["event"], entry["reason"]) for entry in logged] == [("file not private", "Operation not permitted")]


def test_an_existing_directory_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o750)
    private_directory(tmp_path / "shared")
    private_directory(tmp_path / "new")

    assert (mode_of(tmp_path / "shared"), mode_of(tmp_path / "new")) == ("0750", "0700")


OTHER_PROCESS = """
import sqlite3, sys
try:
    print(sqlite3.connect(sys.argv[1], timeout=0).execute("PRAGMA journal_mode=DELETE").fetchone()[0])
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.mark.django_db
def test_a_further_connection_takes_no_lock_from_the_process(tmp_path: Path) -> None:
    """Another process would find the database unused, remove the write-ahead log, and so corrupt it."""
    path = tmp_path / "evdash.sqlite3"
    settings = {**connections["default"].settings_dict, "ENGINE": "evdash.config.sqlite3", "NAME": str(path)}
    settings["OPTIONS"] = {"init_command": "PRAGMA journal_mode=WAL;"}
    first, second = DatabaseWrapper(settings, "first"), DatabaseWrapper(settings, "second")
    try:
        with first.cursor() as cursor:
            cursor.execute("CREATE TABLE a (b)")
        second.connect()
        second.close()
        done = subprocess.run(
            [sys.executable, "-c", OTHER_PROCESS, path], capture_output=True, text=True, timeout=60, check=True
        )
        assert done.stdout == "database is locked\n"
    finally:
        first.close()
