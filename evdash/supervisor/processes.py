"""The processes that `manage.py up` starts. Each has its own session, and none outlives `up`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from evdash.config.environment import CHECKOUT

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0
# A process that has run this long did not fail because of its start: the next pause is FIRST_PAUSE_S again.
STABLE_AFTER_S: Final = 60.0


class RestartPause:
    """The pause before one process is started again. It doubles with each failed start."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def after(self, ran_s: float) -> float:
        """Return the pause in seconds after a process that has run for `ran_s`."""
        if ran_s >= STABLE_AFTER_S:
            self._next_s = FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(self._next_s * 2, LONGEST_PAUSE_S)
        return pause_s


@dataclass(slots=True)
class Child:
    """One process that `up` started. Ctrl-C in the terminal does not reach it: `up` decides when it ends."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _guard: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _started_s: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Start the process, or start it again."""
        self._started_s = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, str(CHECKOUT / "manage.py"), *self.arguments],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        # The guard's standard input is a pipe from this process. It closes when this process ends for any reason.
        self._guard = subprocess.Popen(  # noqa: S603 - our own arguments
            ["/bin/sh", "-c", 'read -r _; kill -TERM "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def is_running(self) -> bool:
        """True if the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative after a signal; None while the process runs or was not started."""
        return self._process.poll() if self._process else None

    @property
    def ran_s(self) -> float:
        """The time since the last start, in seconds."""
        return time.monotonic() - self._started_s

    def ask_to_end(self) -> None:
        """Send SIGTERM: the process finishes its present work and ends."""
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process, if it runs, and its guard."""
        if self._process is not None and self.is_running:
            self._process.kill()
            self._process.wait()
        self.forget()

    def forget(self) -> None:
        """Remove the guard of a process that has ended."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
            self._guard = None
