"""The processes that `manage.py up` starts: each in a session of its own, none outliving it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evdash.config.environment import CHECKOUT


@dataclass(slots=True)
class Child:
    """One process of ours. Ctrl-C in the terminal does not reach it: `up` decides what ends when."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, or start it again."""
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, str(CHECKOUT / "manage.py"), *self.arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Its standard input is a pipe from us, which ends when we do, however we end.
        self._guard = subprocess.Popen(  # noqa: S603 - our own arguments
            ["/bin/sh", "-c", 'read -r _; kill -TERM "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll() if self._process else None

    def ask_to_end(self) -> None:
        """Tell it to finish what it has in hand and end."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once, if it runs, and its guard."""
        if self._process is not None and self.is_running:
            self._process.kill()
            self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Take the guard away from a process that has ended."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
