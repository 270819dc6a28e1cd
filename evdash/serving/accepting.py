"""Distribution of new connections over the processes of the web server.

Pages and sockets use different processes. The reason is a measurement with ten readers, 200 events a second and two
cores. 100 sockets received an event after 3.8 s (median) in the processes for pages. In a process of their own they
received it after 0.6 s. The accepting process therefore reads the first bytes of a connection. It hands the connection
of a live page to the process for sockets.

Pages are spread evenly. The kernel wakes every idle process for a new connection, and the same process tends to win. Of
50 connections that stayed open, one of two processes got up to 49. Each process therefore waits before it accepts,
longer if it has more connections. The split was then 24 to 26 on a quiet machine. It was at worst 19 to 31 on a busy
one. 300 connections were split into 154 and 146.

The alternative, SO_REUSEPORT with one socket per process, gave 16 to 34 at worst, because it hashes addresses. It has
two more faults. The kernel continues to give connections to a hanging process, and macOS does not spread them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from structlog.stdlib import get_logger
from twisted.internet import tcp

logger = get_logger(__name__)

LIVE_START: Final = b"GET /live/socket/"
"""First bytes of a live page's request (live/routing.py)."""
WAIT_PER_CONNECTION_S: Final = 0.000_1
# A process accepts one connection per wait, so at least 200 per second.
LONGEST_WAIT_S: Final = 0.005
# A process without free file descriptors cannot accept connections for a while.
ERROR_PAUSE_S: Final = 1.0
SILENCE_MAX_S: Final = 60.0
"""Seconds that a connection may stay open before it sends its first byte."""


def wait_s(connections: int) -> float:
    """Return the seconds that a process with this many open connections waits before it accepts a new one."""
    return min(connections * WAIT_PER_CONNECTION_S, LONGEST_WAIT_S)


class _Reader:
    """A read descriptor of a Twisted reactor. Subclasses implement the reaction to a readable `socket`."""

    def __init__(self, reactor: Any, reads: socket.socket) -> None:
        reads.setblocking(False)
        self.reactor = reactor
        self.socket = reads

    def fileno(self) -> int:
        return self.socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - the name is Twisted's
        return type(self).__name__

    def connectionLost(self, reason: object) -> None:  # noqa: N802 - the name is Twisted's
        self.socket.close()

    def doRead(self) -> None:  # noqa: N802 - the name is Twisted's
        raise NotImplementedError


def adopt(reactor: Any, connection: socket.socket, factory: Any) -> None:
    """Serve a connection with the factory in this process, and close this socket object."""
    with connection:
        try:
            reactor.adoptStreamConnection(connection.fileno(), connection.family, factory)
        except OSError:  # the client has disconnected
            logger.debug("connection ended before it was served", exc_info=True)


class Acceptor(_Reader):
    """Acceptor of connections on a socket that several processes share."""

    def __init__(self, reactor: Any, listener: socket.socket, factory: Any, sockets: socket.socket | None) -> None:
        """Start to accept connections. Send those of live pages to `sockets`, or serve them here if it is None."""
        super().__init__(reactor, listener)
        self._factory, self._sockets = factory, sockets
        if sockets is not None:
            sockets.setblocking(False)
        self._is_stopped = False
        reactor.addReader(self)

    def stop(self) -> None:
        """Accept no more connections."""
        self._is_stopped = True
        self.reactor.removeReader(self)

    def doRead(self) -> None:  # noqa: N802 - the name is Twisted's
        self.reactor.removeReader(self)
        connections = sum(isinstance(reader, tcp.Server | _FirstBytes) for reader in self.reactor.getReaders())
        self.reactor.callLater(wait_s(connections), self._accept_one)

    def _accept_one(self) -> None:
        if self._is_stopped:
            return
        try:
            connection, _ = self.socket.accept()
        except BlockingIOError:  # another process accepted it first
            self._go_on()
        except OSError as error:
            logger.warning("connection not accepted", reason=str(error), retry_in_s=ERROR_PAUSE_S)
            self.reactor.callLater(ERROR_PAUSE_S, self._go_on)
        else:
            _FirstBytes(self.reactor, connection, self._route)
            self._go_on()

    def _go_on(self) -> None:
        if not self._is_stopped:
            self.reactor.addReader(self)

    def _route(self, connection: socket.socket, first: bytes) -> None:
        if first.startswith(LIVE_START) and self._sockets is not None and hand_over(connection, self._sockets):
            return
        adopt(self.reactor, connection, self._factory)


class _FirstBytes(_Reader):
    """A connection that has not sent anything yet."""

    def __init__(self, reactor: Any, connection: socket.socket, route: Callable[[socket.socket, bytes], None]) -> None:
        super().__init__(reactor, connection)
        self._route = route
        self._timer = reactor.callLater(SILENCE_MAX_S, self._end)
        reactor.addReader(self)

    def doRead(self) -> None:  # noqa: N802 - the name is Twisted's
        try:
            first = self.socket.recv(len(LIVE_START), socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        self._timer.cancel()
        if first:
            self.reactor.removeReader(self)
            self._route(self.socket, first)
        else:
            self._end()

    def _end(self) -> None:
        self.reactor.removeReader(self)
        self.socket.close()


def hand_over(connection: socket.socket, sockets: socket.socket) -> bool:
    """Send a connection to the process at the other end of `sockets`. Return whether the transfer succeeded.

    A full socket buffer is one cause of a failure. The connection then stays open here; otherwise it is closed here.
    """
    try:
        socket.send_fds(sockets, [b"."], [connection.fileno()])
    except OSError:
        return False
    connection.close()
    return True


class Receiver(_Reader):
    """Server of the connections that other processes hand over."""

    def __init__(self, reactor: Any, handed: socket.socket, factory: Any) -> None:
        super().__init__(reactor, handed)
        self._factory = factory
        reactor.addReader(self)

    def doRead(self) -> None:  # noqa: N802 - the name is Twisted's
        try:
            message, descriptors, _, _ = socket.recv_fds(self.socket, 1, 1)
        except BlockingIOError:
            return
        if not message:  # all other processes have ended
            self.reactor.removeReader(self)
        for descriptor in descriptors:
            connection = socket.socket(fileno=descriptor)
            connection.setblocking(False)
            connection.set_inheritable(False)
            adopt(self.reactor, connection, self._factory)
