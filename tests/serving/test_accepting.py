"""Connections that processes share: each goes to one that has few, and those of live pages to the process for them."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from evdash.serving import accepting
from evdash.serving.accepting import (
    ERROR_PAUSE_S,
    LIVE_START,
    LONGEST_WAIT_S,
    SILENCE_MAX_S,
    WAIT_PER_CONNECTION_S,
    Acceptor,
    Receiver,
    wait_s,
)

PAGE = b"GET /events/ HTTP/1.1\r\n\r\n"
LIVE = LIVE_START + b" HTTP/1.1\r\n\r\n"

Connect = Callable[[bytes], socket.socket]


class Reactor(MemoryReactorClock):
    """Knows what is read from, and keeps the connections that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[socket.socket] = []

    def adoptStreamConnection(self, descriptor: int, family: int, factory: Factory) -> None:  # noqa: N802
        assert isinstance(factory, Factory)
        self.adopted.append(socket.socket(fileno=socket.dup(descriptor)))

    def read(self) -> None:
        """As if everything could be read, and all waits were over."""
        for each in list(self.getReaders()):
            each.doRead()
        self.advance(LONGEST_WAIT_S)

    def received(self) -> list[bytes]:
        return [each.recv(1_000) for each in self.adopted]


@pytest.fixture
def factory() -> Factory:
    return Factory.forProtocol(Protocol)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


@pytest.fixture
def connect(listener: socket.socket) -> Iterator[Connect]:
    opened: list[socket.socket] = []

    def connect_one(first: bytes = PAGE) -> socket.socket:
        opened.append(socket.create_connection(listener.getsockname()))
        opened[-1].sendall(first)
        return opened[-1]

    yield connect_one
    for each in opened:
        each.close()


@pytest.fixture
def handing() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_the_process_with_fewer_connections_accepts_first(
    listener: socket.socket, connect: Connect, factory: Factory
) -> None:
    one, other = Reactor(), Reactor()
    acceptors = [Acceptor(reactor, listener, factory, None) for reactor in (one, other)]
    silent = connect(b"")
    acceptors[0].doRead()
    one.advance(0)
    assert len(one.getReaders()) == 2  # the listener, and the connection that has sent nothing

    connect(PAGE)
    for acceptor, reactor in zip(acceptors, (one, other), strict=True):  # the kernel wakes both
        acceptor.doRead()
        reactor.advance(0)
    one.advance(LONGEST_WAIT_S)
    other.read()
    assert other.received() == [PAGE]
    silent.sendall(LIVE)
    one.read()
    assert one.received() == [LIVE]  # nobody else has the sockets


def test_a_connection_of_a_live_page_is_handed_to_the_process_for_sockets(
    listener: socket.socket, connect: Connect, factory: Factory, handing: tuple[socket.socket, socket.socket]
) -> None:
    pages, sockets = Reactor(), Reactor()
    Acceptor(pages, listener, factory, handing[0])
    receiver = Receiver(sockets, handing[1], factory)
    receiver.doRead()  # there is nothing yet
    for first in (LIVE, PAGE, LIVE):
        connect(first)
    for _ in range(6):
        pages.read()
    assert pages.received() == [PAGE]
    for _ in range(2):
        receiver.doRead()
    assert sockets.received() == [LIVE, LIVE]


def test_a_live_page_is_served_with_the_pages_where_nobody_takes_it(
    listener: socket.socket, connect: Connect, factory: Factory, handing: tuple[socket.socket, socket.socket]
) -> None:
    pages = Reactor()
    Acceptor(pages, listener, factory, handing[0])
    handing[1].close()
    connect(LIVE)
    for _ in range(2):
        pages.read()
    assert pages.received() == [LIVE]


def test_a_live_page_is_served_with_the_pages_where_no_more_can_be_handed_over(
    listener: socket.socket, connect: Connect, factory: Factory, handing: tuple[socket.socket, socket.socket]
) -> None:
    pages = Reactor()
    Acceptor(pages, listener, factory, handing[0])
    with contextlib.suppress(BlockingIOError):
        while True:
            handing[0].send(b"." * 4_096)
    connect(LIVE)
    for _ in range(2):
        pages.read()
    assert pages.received() == [LIVE]


def test_a_receiver_ends_with_those_who_hand_over(
    factory: Factory, handing: tuple[socket.socket, socket.socket]
) -> None:
    reactor = Reactor()
    receiver = Receiver(reactor, handing[1], factory)
    handing[0].close()
    receiver.doRead()
    assert not reactor.getReaders()


def test_a_client_that_leaves_or_says_nothing_is_let_go(
    listener: socket.socket, connect: Connect, factory: Factory
) -> None:
    reactor = Reactor()
    Acceptor(reactor, listener, factory, None)
    gone, silent = connect(b""), connect(b"")
    for _ in range(2):
        reactor.read()
    assert len(reactor.getReaders()) == 3
    gone.close()
    reactor.read()
    assert len(reactor.getReaders()) == 2
    reactor.advance(SILENCE_MAX_S)
    assert silent.recv(1) == b""
    assert not reactor.adopted


def test_without_file_descriptors_it_pauses_and_goes_on(
    listener: socket.socket, connect: Connect, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Exhausted(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            raise OSError(errno.EMFILE, "Too many open files")

    reactor = Reactor()
    acceptor = Acceptor(reactor, listener, factory, None)
    connect(PAGE)
    acceptor.socket = Exhausted(fileno=socket.dup(listener.fileno()))
    reactor.read()
    assert acceptor not in reactor.getReaders()
    acceptor.socket.close()
    acceptor.socket = listener
    reactor.advance(ERROR_PAUSE_S)
    for _ in range(2):
        reactor.read()
    assert reactor.received() == [PAGE]


def test_an_acceptor_that_stops_while_it_waits_accepts_nothing(
    listener: socket.socket, connect: Connect, factory: Factory
) -> None:
    reactor = Reactor()
    acceptor = Acceptor(reactor, listener, factory, None)
    connect(PAGE)
    acceptor.doRead()
    acceptor.stop()
    reactor.advance(LONGEST_WAIT_S)
    assert not reactor.adopted
    assert not reactor.getReaders()


def test_the_wait_grows_with_the_connections_up_to_a_bound() -> None:
    assert wait_s(0) == 0
    assert wait_s(2) == 2 * WAIT_PER_CONNECTION_S
    assert wait_s(100_000) == LONGEST_WAIT_S


def test_the_address_of_sockets_is_that_of_their_route() -> None:
    from django.urls import reverse

    from evdash.live.routing import websocket_urlpatterns

    assert b"GET " + reverse("live-socket", urlconf=_Urls(websocket_urlpatterns)).encode() == accepting.LIVE_START


class _Urls:
    """A URL configuration with these patterns."""

    def __init__(self, urlpatterns: list[object]) -> None:
        self.urlpatterns = urlpatterns
