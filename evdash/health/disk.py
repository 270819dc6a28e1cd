"""The free space of a disk, and whether it takes a file."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings

LOW_BYTES: Final = 200 * 2**20
FULL_BYTES: Final = 2**20
"""Free bytes below which a disk counts as low, and as full."""
PROBE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of a directory."""

    free_bytes: int | None  # None: unknown
    problem: str = ""  # the reason of the operating system if nothing can be written

    @property
    def is_full(self) -> bool:
        """True if nothing, or nearly nothing, can be written."""
        return bool(self.problem) or (self.free_bytes is not None and self.free_bytes < FULL_BYTES)

    @property
    def is_low(self) -> bool:
        """True if little can be written before the disk is full."""
        return not self.is_full and self.free_bytes is not None and self.free_bytes < LOW_BYTES


def disk_of(directory: Path) -> Disk:
    """Return the free space of a directory's disk, and the reason if a small file cannot be written to it."""
    try:
        free_bytes = shutil.disk_usage(directory).free
    except OSError:
        return Disk(None)
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"\0" * PROBE_BYTES)
            probe.flush()
    except OSError as error:
        # With PostgreSQL evdash need not write to a directory that is read-only.
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full or "sqlite" in settings.DATABASES["default"]["ENGINE"]:
            return Disk(free_bytes, os.strerror(error.errno or errno.EIO))
    return Disk(free_bytes)
