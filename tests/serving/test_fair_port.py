"""Processes that share a listening socket leave a connection to the one that has fewer."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.internet.testing import MemoryReactorClock

from evdash.serving.fair_port import LONGEST_WAIT_S, WAIT_PER_CONNECTION_S, FairPort, wait_s


class Process:
    """A port on the shared socket, and the reactor of its process."""

    def __init__(self, listener: socket.socket) -> None:
        self.reactor = MemoryReactorClock()
        self.accepted: list[Protocol] = []
        factory = ServerFactory()
        factory.buildProtocol = self._build  # type: ignore[method-assign]
        self.port = FairPort._fromListeningDescriptor(self.reactor, listener.fileno(), listener.family, factory)
        self.port.startListening()

    def _build(self, address: object) -> Protocol:
        self.accepted.append(Protocol())
        return self.accepted[-1]

    @property
    def is_listening(self) -> bool:
        return self.port in self.reactor.getReaders()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.setblocking(False)
        yield listening


@pytest.fixture
def clients(listener: socket.socket) -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for each in opened:
        each.close()


def connect(listener: socket.socket, clients: list[socket.socket]) -> None:
    clients.append(socket.create_connection(listener.getsockname()))


def test_the_process_with_fewer_connections_accepts_first(
    listener: socket.socket, clients: list[socket.socket]
) -> None:
    one, other = Process(listener), Process(listener)
    connect(listener, clients)
    one.port.doRead()
    one.reactor.advance(0)
    assert (len(one.accepted), len(other.accepted)) == (1, 0)

    connect(listener, clients)
    for process in (one, other):  # the kernel wakes both
        process.port.doRead()
        process.reactor.advance(0)
    assert (len(one.accepted), len(other.accepted)) == (1, 1)

    one.reactor.advance(LONGEST_WAIT_S)
    assert len(one.accepted) == 1
    assert one.is_listening
    assert other.is_listening


def test_a_process_accepts_after_its_wait_when_no_other_does(
    listener: socket.socket, clients: list[socket.socket]
) -> None:
    process = Process(listener)
    for _ in range(3):
        connect(listener, clients)
    for accepted in (1, 2, 3):
        assert process.is_listening
        process.port.doRead()
        assert not process.is_listening
        process.reactor.advance(LONGEST_WAIT_S)
        assert len(process.accepted) == accepted


def test_a_port_that_stops_while_it_waits_accepts_nothing(
    listener: socket.socket, clients: list[socket.socket]
) -> None:
    process = Process(listener)
    connect(listener, clients)
    process.port.doRead()
    process.port.stopListening()
    process.reactor.advance(LONGEST_WAIT_S)
    assert not process.accepted
    assert not process.is_listening


def test_the_wait_grows_with_the_connections_up_to_a_bound() -> None:
    assert wait_s(0) == 0
    assert wait_s(2) == 2 * WAIT_PER_CONNECTION_S
    assert wait_s(100_000) == LONGEST_WAIT_S
