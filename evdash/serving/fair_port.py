"""A listener that spreads connections evenly over the processes that share its socket.

The kernel wakes every idle process for a new connection, and the same one tends to win. Of 50 connections that stayed
open, one of two processes got up to 49. Live pages stay connected for hours, so one core would do their work. Here a
process waits before it accepts, longer if it has more connections. The split was then 24 to 26 on a quiet machine and
at worst 19 to 31 on a busy one; 300 connections came to 154 and 146.

SO_REUSEPORT with a socket for each process gave 16 to 34 at worst (it hashes addresses). It was not chosen: the kernel
goes on giving connections to a process that hangs, and macOS does not spread them.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import tcp

WAIT_PER_CONNECTION_S: Final = 0.000_1
# A process accepts one connection for each wait, so at least 200 in a second.
LONGEST_WAIT_S: Final = 0.005


def wait_s(connections: int) -> float:
    """Return how long a process with so many open connections leaves a new one to the others, in seconds."""
    return min(connections * WAIT_PER_CONNECTION_S, LONGEST_WAIT_S)


class FairPort(tcp.Port):
    """A port of Twisted's reactor on a socket that several processes accept from."""

    reactor: Any

    def doRead(self) -> None:  # noqa: N802 - the name is Twisted's
        self.stopReading()  # type: ignore[no-untyped-call]
        connections = sum(isinstance(each, tcp.Server) for each in self.reactor.getReaders())
        self.reactor.callLater(wait_s(connections), self._accept_one)

    def _accept_one(self) -> None:
        if not self.connected or self.disconnecting:
            return
        self.numberAccepts = 1
        super().doRead()  # type: ignore[no-untyped-call]  # nothing happens when another process was quicker
        self.startReading()  # type: ignore[no-untyped-call]
