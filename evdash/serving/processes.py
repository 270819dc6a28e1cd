"""The processes of `manage.py serve`: a light parent with the listening socket, and children that serve.

Some children make pages. One more child serves the sockets of live pages (serving/accepting.py). The parent imports
neither Django's apps nor Twisted: it has 30 MiB resident, a child about 100. It starts one child, waits until that
child serves, then starts the others. A setting that stops a child is therefore reported once, and ends the parent.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from structlog.stdlib import get_logger

from evdash.config.environment import CHECKOUT, Configuration
from evdash.logs import configure, logging_configuration
from evdash.private_files import private_directory
from evdash.supervisor.addresses import record
from evdash.supervisor.ports import listen
from evdash.supervisor.processes import RestartPause

if TYPE_CHECKING:
    from evdash.serving.pages import Pages

logger = get_logger(__name__)

INHERITED_OPTION: Final = "--inherited"
"""Option of `serve` with which the parent passes file descriptors to a child (see Inherited)."""
FIGURES_DIRECTORY: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable: the directory of prometheus_client's metrics of several processes (evdash/metrics.py)."""

ARENAS: Final = {"MALLOC_ARENA_MAX": "2"}
"""Limit of glibc's heaps. By default glibc makes up to eight per core, and each keeps free memory.

With two heaps, all processes together took 449 MiB instead of 476, at the same speed. Measured with 50 readers and
1,000 events a second.
"""

# `up` waits 20 s for the parent. The parent must end within 10 s of the signal.
STOP_WAIT_S: Final = 8.0
PAGES_NICE: Final = 5
"""Niceness of processes for pages: sockets, workers and Redis get a scarce processor first."""


def serves_in_processes(argv: Sequence[str], configuration: Configuration) -> bool:
    """Return whether this command line starts a parent."""
    return (
        argv[1:2] == ["serve"]
        and configuration.web_processes > 1
        and not {"-h", "--help", INHERITED_OPTION} & set(argv)
    )


def run(argv: Sequence[str], configuration: Configuration) -> int:
    """Serve in children until SIGTERM or SIGINT. Return the exit code.

    Raise PortTaken if another program has the port. If the first child ends before it serves, the parent ends with the
    exit code of that child.
    """
    configure(logging_configuration(configuration.log_format, configuration.log_level))
    with Parent(argv, configuration) as parent:
        return parent.run()


@dataclass(slots=True)
class _Child:
    """One web process: running, or waiting for its next start."""

    number: int
    has_sockets: bool  # False: it makes pages
    process: subprocess.Popen[bytes] | None = None
    link: socket.socket | None = None
    started_s: float = 0.0
    due_s: float = 0.0
    pause: RestartPause = field(default_factory=RestartPause)


class Parent:
    """The process that binds the port, starts the children and restarts those that end. A context manager."""

    def __init__(self, argv: Sequence[str], configuration: Configuration) -> None:
        self._argv = argv
        self._configuration = configuration
        self._signals = 0
        self._is_served = False
        self._selector = selectors.DefaultSelector()
        pages = configuration.web_processes
        self._children = [_Child(number, has_sockets=number > pages) for number in range(1, pages + 2)]

    def __enter__(self) -> Self:
        self._wake_up, wakes = socket.socketpair()
        for end in (self._wake_up, wakes):
            end.setblocking(False)
        self._wakes = wakes  # referenced, so that it stays open
        signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        self._selector.register(self._wake_up, selectors.EVENT_READ)
        self._listener = listen(self._configuration.host, self._configuration.port)
        # Connections are queued here while the process for sockets restarts.
        self._sockets, self._handed = socket.socketpair()
        self._figures = _empty_directory(self._configuration)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, self._sockets, self._handed):
            each.close()
        self._end_children()
        shutil.rmtree(self._figures, ignore_errors=True)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signals += 1

    def run(self) -> int:
        """Return the exit code: 0 after a signal, or that of the first child if it ended before it served.

        The exit code of a child that signal N killed is 128 + N.
        """
        first, *others = self._children
        self._start(first)
        while not self._signals:
            for child in self._wait():
                code = self._ended(child)
                if code is not None and not self._is_served:
                    return code if code >= 0 else 128 - code
            if self._is_served:
                for child in [first, *others]:
                    if child.process is None and child.due_s <= time.monotonic():
                        self._start(child)
        return 0

    def _start(self, child: _Child) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            accepts = [self._handed] if child.has_sockets else [self._sockets, self._listener]
            handed = [each.fileno() for each in (theirs, *accepts)]
            child.process = subprocess.Popen(  # noqa: S603 - our own arguments
                [
                    sys.executable,
                    str(CHECKOUT / "manage.py"),
                    *self._argv[1:],
                    INHERITED_OPTION,
                    ",".join(map(str, handed)),
                ],
                env={**ARENAS, **os.environ, FIGURES_DIRECTORY: self._figures},
                stdin=subprocess.DEVNULL,
                pass_fds=handed,
                start_new_session=True,  # Ctrl-C in the terminal signals the parent only, which ends the children
            )
        ours.setblocking(False)
        child.link = ours
        child.started_s = time.monotonic()
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _wait(self) -> list[_Child]:
        """Wait for a signal, a child or the next due start. Return the children that have ended."""
        due = [child.due_s for child in self._children if child.process is None] if self._is_served else []
        timeout_s = max(min(due) - time.monotonic(), 0) if due else None
        ended = []
        for key, _ in self._selector.select(timeout_s):
            if key.data is None:
                _receive(self._wake_up)
            elif _receive(key.data.link) == b"":
                ended.append(key.data)
            elif not self._is_served:
                self._is_served = True
                record(self._configuration)
        return ended

    def _ended(self, child: _Child) -> int | None:
        """Record that the child has closed its link, which is open as long as the child runs. Return its exit code."""
        process, link = child.process, child.link
        if process is None or link is None:
            return None
        self._selector.unregister(link)
        link.close()
        code = _exit_code(process)
        self._forget_figures(process.pid)
        child.process = child.link = None
        if self._is_served and not self._signals:
            pause_s = child.pause.after(time.monotonic() - child.started_s)
            logger.warning("process ended", process=f"web-{child.number}", exit_code=code, restart_in_s=round(pause_s))
            child.due_s = time.monotonic() + pause_s
        return code

    def _forget_figures(self, pid: int) -> None:
        """Remove the gauges of an ended process from the sums. Its counters stay."""
        from prometheus_client.multiprocess import mark_process_dead  # 6 MiB, which most parents never need

        mark_process_dead(pid, self._figures)  # type: ignore[no-untyped-call]

    def _end_children(self) -> None:
        """Let every child finish; kill the remaining ones after STOP_WAIT_S or at the next signal."""
        signals_before = max(self._signals, 1)
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + STOP_WAIT_S
        while any(process.poll() is None for process in running):
            remaining_s = deadline - time.monotonic()
            if self._signals > signals_before or remaining_s <= 0:
                break
            # A child closes its link shortly before it has ended.
            for key, _ in self._selector.select(min(remaining_s, 0.05)):
                if key.data is None:
                    _receive(self._wake_up)
                elif _receive(key.data.link) == b"":
                    self._selector.unregister(key.fileobj)
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def _empty_directory(configuration: Configuration) -> str:
    """Return an empty directory for the metrics of the children. The caller must own the port.

    The name contains the address. The next start therefore removes the files that a killed parent left. The fallback is
    a temporary directory.
    """
    directory = configuration.data_dir / f"figures-{configuration.host}-{configuration.port}"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        private_directory(configuration.data_dir)
        directory.mkdir(mode=0o700)
    except OSError:  # a server with a read-only data directory must still serve
        return tempfile.mkdtemp(prefix="evdash-figures-")
    return str(directory)


def _exit_code(process: subprocess.Popen[bytes]) -> int:
    """Return the exit code of an ending child. Kill the child if it has not ended after STOP_WAIT_S."""
    try:
        return process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _receive(end: socket.socket) -> bytes:
    """Return the received bytes: empty at the end of the stream, a space while nothing has arrived."""
    try:
        return end.recv(64)
    except BlockingIOError:
        return b" "
    except ConnectionError:
        return b""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The sockets that a child inherits from its parent."""

    link: socket.socket  # closes when the parent ends
    sockets: socket.socket  # sends connections of live pages, or receives them in the child for sockets
    listener: socket.socket | None  # None: this child serves the sockets

    @classmethod
    def adopt(cls, text: str) -> Self:
        """Return the sockets for the value of INHERITED_OPTION. Raise ValueError or OSError for an invalid value."""
        link, sockets, *listener = (socket.socket(fileno=int(number)) for number in text.split(","))
        for each in (link, sockets, *listener):
            each.set_inheritable(False)
        return cls(link, sockets, listener[0] if listener else None)

    def end_with_parent(self) -> None:
        """Start a thread that ends this process when the parent has ended.

        The thread sends SIGTERM to this process, and exits the process after STOP_WAIT_S at the latest.
        """
        threading.Thread(target=self._end_with_parent, name="parent-watch", daemon=True).start()

    def _end_with_parent(self) -> None:
        self.link.setblocking(True)
        while _receive(self.link):
            pass
        logger.warning("parent process ended", hint="This web process stops, too.")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_WAIT_S)
        os._exit(1)

    def serve(self, application: Any, pages: Pages) -> None:
        """Serve the ASGI application until SIGTERM. Twisted's reactor must not have run before."""
        from evdash.serving.accepting import Acceptor, Receiver
        from evdash.serving.server import PacedServer, reactor

        if self.listener is not None:
            os.nice(PAGES_NICE)

        def begin() -> None:
            if self.listener is None:
                Receiver(reactor, self.sockets, server.http_factory)
            else:
                acceptor = Acceptor(reactor, self.listener, server.http_factory, self.sockets)
                reactor.addSystemEventTrigger("before", "shutdown", acceptor.stop)
            self.link.send(b".")

        server = PacedServer(application, pages, endpoints=["inherited"], ready_callable=begin)
        # daphne's own endpoint `fd:` treats every descriptor as an IPv4 socket.
        server.endpoints = []
        server.run()
