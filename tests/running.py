"""`manage.py up` as a person runs it, for tests that need the real thing."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from evdash.config.environment import CHECKOUT


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def exists(pid: int) -> bool:
    """Whether the process is there and not only waiting to be noticed as ended."""
    state = _state(pid)
    return bool(state) and not state.startswith("Z")


def suspend(pid: int) -> None:
    """Send SIGSTOP to the process, and wait until it has stopped: a later signal could still overtake this one."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: _state(pid).startswith("T"))


def _state(pid: int) -> str:
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()


def children_of(parent: int) -> dict[int, str]:
    """The running children of a process: their process IDs and command lines."""
    listed = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,command="], capture_output=True, text=True).stdout
    rows = (line.split(maxsplit=2) for line in listed.splitlines())
    return {int(pid): command for pid, its_parent, command in rows if int(its_parent) == parent}


def wait_until(true: Callable[[], object], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.05)


class Up:
    """A running `manage.py up`, and what it printed."""

    def __init__(self, environment: dict[str, str], log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(CHECKOUT / "manage.py"), "up", *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_for(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text()):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{pattern} did not appear in:\n{self.log.read_text()}")

    def children(self) -> dict[str, int]:
        """Its running programs and their process IDs: `manage.py serve`, `valkey-server` and so on."""
        found: dict[str, int] = {}
        for pid, command in children_of(self.process.pid).items():
            if name := re.search(r"manage\.py \w+|valkey-server", command):
                found[name[0]] = pid
        return found

    def stop(self) -> str:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(40)
        return self.log.read_text()
