"""The key that signs sessions, stored in the data directory."""

import hashlib
import hmac
import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from django.core.management.utils import get_random_secret_key

from evdash.config.environment import ConfigurationError
from evdash.private_files import make_private, private_directory

NAME = "secret_key"


def secret_key(data_dir: Path) -> str:
    """Return the key in `data_dir`. The first call creates it, readable by its owner only.

    Several processes may call at once. Each writes its own key to a temporary file in the directory and links it to
    the final name. Only one link succeeds, and then all processes read the same complete file.

    Raises ConfigurationError if the directory cannot be used.
    """
    path = data_dir / NAME
    try:
        private_directory(data_dir)
        if not path.exists():
            create(path)
        make_private(path)
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"EVDASH_DATA_DIR (or --data-dir) is {str(data_dir)!r}, which is not a writable directory: "
            f"{error.strerror or error}."
        ) from error


def cookie_suffix(key: str) -> str:
    """Return 8 hex digits for the cookie names of the installation with this key.

    All processes of an installation have the same key, so they agree. The digits do not reveal the key.
    """
    return hmac.digest(key.encode(), b"cookie names", hashlib.sha256).hex()[:8]


def create(path: Path) -> None:
    """Write a new key to `path` unless another process was quicker."""
    with NamedTemporaryFile("w", encoding="ascii", dir=path.parent, prefix=path.name) as own:  # mode 0600
        own.write(get_random_secret_key())
        own.flush()
        with suppress(FileExistsError):
            os.link(own.name, path)
