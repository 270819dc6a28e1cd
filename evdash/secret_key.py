"""The key that signs sessions, kept in the data directory."""

import os
from pathlib import Path

from django.core.management.utils import get_random_secret_key

from evdash.configuration import ConfigurationError

NAME = "secret_key"


def secret_key(data_dir: Path) -> str:
    """The key in `data_dir`, created on the first call, readable by its owner only.

    Several processes may call at once: each writes a key of its own beside the place and links it there, which works
    for exactly one, and then all read the same whole file. Raises ConfigurationError when the directory cannot be used.
    """
    path = data_dir / NAME
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            create(path)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"EVDASH_DATA_DIR (or --data-dir) cannot be {str(data_dir)!r}: "
            f"it takes a directory that can be written to ({error.strerror or error})."
        ) from error


def create(path: Path) -> None:
    """Write a new key to `path` unless another process was quicker."""
    own = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(get_random_secret_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(own, path)
        except FileExistsError:
            return
    finally:
        own.unlink(missing_ok=True)
