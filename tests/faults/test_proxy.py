"""The proxy does to connections what it is told."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.proxy import HOST, Proxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            while data := self.request.recv(1024):
                self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with socketserver.ThreadingTCPServer((HOST, 0), Echo) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        with Proxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connected(proxy: Proxy) -> socket.socket:
    client = socket.create_connection((HOST, proxy.port))
    client.settimeout(5)
    return client


def echo(client: socket.socket, text: bytes = b"hello") -> bytes:
    client.sendall(text)
    return client.recv(1024)


def test_bytes_pass_both_ways_and_so_does_the_end(proxy: Proxy) -> None:
    client = connected(proxy)
    assert echo(client) == b"hello"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1024) == b""


def test_what_is_cut_is_reset_and_may_come_again(proxy: Proxy) -> None:
    one, two = connected(proxy), connected(proxy)
    assert echo(one) == echo(two) == b"hello"
    assert proxy.cut() == 2
    for client in (one, two):
        with pytest.raises(ConnectionError):
            echo(client)
    assert echo(connected(proxy)) == b"hello"


def test_new_connections_are_refused_and_open_ones_stay(proxy: Proxy) -> None:
    client = connected(proxy)
    assert echo(client) == b"hello"
    proxy.refuse()
    with pytest.raises(ConnectionError):
        assert echo(connected(proxy)) != b""
    assert echo(client) == b"hello"
    proxy.restore()
    assert echo(connected(proxy)) == b"hello"


def test_a_delay_holds_bytes_and_loses_none(proxy: Proxy) -> None:
    client = connected(proxy)
    proxy.delay(0.1)
    started = time.monotonic()
    assert echo(client) == b"hello"
    assert time.monotonic() - started >= 0.2  # there and back


def test_one_direction_stalls_until_it_is_restored(proxy: Proxy) -> None:
    client = connected(proxy)
    proxy.stall("to client")
    client.sendall(b"hello")
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.recv(1024)
    client.settimeout(5)
    proxy.restore()
    assert client.recv(1024) == b"hello"
    proxy.stall("to server")
    client.sendall(b"cut while it waits")
    proxy.cut()
    with pytest.raises(ConnectionError):
        assert client.recv(1024) != b""


def test_a_server_that_is_not_there_resets_the_client() -> None:
    with socket.create_server((HOST, 0)) as gone:
        port = gone.getsockname()[1]
    with Proxy(port) as proxy, pytest.raises(ConnectionError):
        assert echo(connected(proxy)) != b""
