"""The version of the static files, which is part of their addresses: browsers need not ask for a file again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, MutableMapping
from importlib.metadata import version
from pathlib import Path

YEAR_S = 31_536_000


def version_of(directories: Iterable[Path], package: str) -> str:
    """Return 12 hexadecimal digits that differ for other files in these directories, or another version of `package`.

    The version is that of all files, because scripts and styles import each other by relative addresses.
    """
    digest = hashlib.sha256(version(package).encode())
    for directory in directories:
        for path in sorted(path for path in directory.rglob("*") if path.is_file()):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(directory).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def keep_forever(headers: MutableMapping[str, str], path: str, url: str) -> None:
    """Set the Cache-Control header of a file whose address has the version."""
    headers["Cache-Control"] = f"max-age={YEAR_S}, public, immutable"
