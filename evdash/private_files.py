"""Files that only their owner may read and write: the database, the key, logs and the data of the embedded server."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Final

from structlog.stdlib import get_logger

logger = get_logger(__name__)

UMASK: Final = 0o077
"""The umask of a process that creates private files: nobody but the owner gets a right."""
_FILE_MODE: Final = 0o600
_creating: Final = threading.Lock()  # no other thread connects to a new file before its descriptor is closed
_DIRECTORY_MODE: Final = 0o700


def private_directory(path: Path) -> None:
    """Create the directory with mode 0700 if it is missing. Raise OSError if that is impossible.

    The mode of a directory that exists stays: its owner may have a reason for it.
    """
    path.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)


def create_private(path: Path) -> None:
    """Create the file with mode 0600 if it is missing, and make it private if it exists. Raise OSError.

    A file that exists is never opened. To close a second descriptor of a SQLite database takes away all locks of the
    process on it, and the database becomes corrupt (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    with _creating:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY, _FILE_MODE))
        except FileExistsError:
            make_private(path)


def make_private(*paths: Path) -> None:
    """Remove the rights of the group and of others from these files and directories; missing ones are skipped.

    A file of another owner keeps its mode, and a warning is logged.
    """
    for path in paths:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & UMASK:
                path.chmod(mode & ~UMASK)
        except FileNotFoundError:
            continue
        except OSError as error:
            logger.warning("file not private", path=str(path), reason=error.strerror or str(error))


def make_tree_private(directory: Path) -> None:
    """Apply `make_private` to the directory and to everything in it, except symbolic links."""
    make_private(directory)
    for folder, names, files in os.walk(directory):
        make_private(*(path for name in (*names, *files) if not (path := Path(folder) / name).is_symlink()))
