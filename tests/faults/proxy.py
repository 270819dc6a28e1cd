"""A TCP proxy on loopback that a test can have cut, refuse, delay and stall what goes through it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

HOST = "127.0.0.1"
CHUNK_BYTES = 64 * 1024
# Closing with it tells the other end "connection reset" instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)

Direction = Literal["to server", "to client"]


class Proxy:
    """Passes connections on to a port of this machine, unless told otherwise; `port` is its own.

    What is told holds until `restore`, for connections that are open as well as for new ones.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.accepted = 0  # connections so far
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._changed = threading.Condition()
        self._connections: set[_Connection] = set()
        self._refuses = False
        self._delay_s = 0.0
        self._stalled: set[Direction] = set()
        threading.Thread(target=self._accept, daemon=True, name=f"proxy-{self.port}").start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening and cut everything."""
        with suppress(OSError):  # wakes the thread that accepts, where the system lets it
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> int:
        """Reset every open connection, and say how many that were; new ones are welcome."""
        with self._changed:
            connections = list(self._connections)
            for connection in connections:
                connection.reset()
            self._connections.clear()
            self._changed.notify_all()
        return len(connections)

    def refuse(self) -> None:
        """Reset new connections as soon as they are made; those that are open stay."""
        with self._changed:
            self._refuses = True

    def delay(self, seconds: float) -> None:
        """Hold whatever comes for so long before it is passed on."""
        with self._changed:
            self._delay_s = seconds

    def stall(self, direction: Direction) -> None:
        """Pass nothing on in one direction; it is kept, as far as the buffers of the system reach."""
        with self._changed:
            self._stalled.add(direction)

    def restore(self) -> None:
        """Be a plain proxy again; what was stalled goes on its way."""
        with self._changed:
            self._refuses = False
            self._delay_s = 0.0
            self._stalled.clear()
            self._changed.notify_all()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.accepted += 1
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = None if self._refuses else socket.create_connection((HOST, self.target_port), timeout=5)
        except OSError:
            server = None
        if server is None:
            _reset(client)
            return
        server.settimeout(None)
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, server)
        with self._changed:
            self._connections.add(connection)
        ways: tuple[tuple[Direction, socket.socket, socket.socket], ...] = (
            ("to server", client, server),
            ("to client", server, client),
        )
        for direction, source, sink in ways:
            threading.Thread(target=self._pump, args=(connection, direction, source, sink), daemon=True).start()

    def _pump(self, connection: _Connection, direction: Direction, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(CHUNK_BYTES):
                self._hold(connection, direction)
                sink.sendall(data)
            self._hold(connection, direction)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            connection.reset()
        if connection.ended_one_way():
            with self._changed:
                self._connections.discard(connection)

    def _hold(self, connection: _Connection, direction: Direction) -> None:
        """Returns when something may be passed on. Raises OSError for a connection that was cut meanwhile."""
        with self._changed:
            passes_at = time.monotonic() + self._delay_s
            while not connection.is_cut:
                left_s = min(passes_at - time.monotonic(), self._delay_s)
                if direction in self._stalled:
                    self._changed.wait()
                elif left_s > 0:
                    self._changed.wait(left_s)
                else:
                    return
        raise ConnectionResetError


class _Connection:
    """Both ends of what one client has open."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self._ends = (client, server)
        self._ways_ended = 0
        self._lock = threading.Lock()
        self.is_cut = False

    def reset(self) -> None:
        with self._lock:
            self.is_cut = True
            for end in self._ends:
                _reset(end)

    def ended_one_way(self) -> bool:
        """Whether the other one had ended already; then both ends are closed."""
        with self._lock:
            self._ways_ended += 1
            if self._ways_ended == 2:
                for end in self._ends:
                    end.close()
            return self._ways_ended == 2


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        end.shutdown(socket.SHUT_RD)  # wakes the thread that reads it
    end.close()
