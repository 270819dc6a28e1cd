"""Requests that are too large or too slow are refused before anything works on them."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web.http import Request

from evdash.serving.limits import BODY_MAX_S, HEAD_MAX_S, LINGER_S, LimitedChannel

HEAD = b"POST /sign-in/ HTTP/1.1\r\nHost: x\r\n"
LIMIT = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class Connection:
    """A client's connection under a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.transport = StringTransport()
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Answered(Request):  # type: ignore[misc]
            def process(self) -> None:
                bodies.append(self.content.read())
                self.write(b"made")
                self.finish()

        self.channel: Any = LimitedChannel()
        self.channel.callLater = self.clock.callLater
        self.channel.timeOut = 60
        self.channel.requestFactory = Answered
        self.channel.makeConnection(self.transport)

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.channel.dataReceived(part)

    @property
    def status(self) -> int:
        """The status of the last answer; 0 if there is none."""
        answers = self.transport.value().split(b"HTTP/1.1 ")
        return int(answers[-1][:3]) if len(answers) > 1 else 0

    @property
    def is_closed(self) -> bool:
        return bool(self.transport.disconnecting)


@pytest.fixture
def client() -> Connection:
    return Connection()


def test_a_body_up_to_the_limit_is_received(client: Connection) -> None:
    client.send(HEAD + b"Content-Length: %d\r\n\r\n" % LIMIT, b"x" * LIMIT)

    assert client.status == 200
    assert len(client.bodies[0]) == LIMIT


def test_a_longer_body_is_refused_before_it_is_received(client: Connection) -> None:
    client.send(HEAD + b"Content-Length: %d\r\n\r\nxxx" % (LIMIT + 1))

    assert client.status == 413
    assert b"larger than 2,621,440 bytes, the limit." in client.transport.value()
    client.send(b"x" * LIMIT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert client.bodies == []
    client.clock.advance(LINGER_S)
    assert client.is_closed


def test_a_client_that_waits_for_a_permission_to_send_gets_the_refusal_instead(client: Connection) -> None:
    client.send(HEAD + b"Expect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n")

    assert client.status == 413
    assert b"100 Continue" not in client.transport.value()


def test_a_body_in_chunks_is_refused_at_the_limit(client: Connection) -> None:
    client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % LIMIT, b"x" * LIMIT)

    assert client.status == 413
    assert client.bodies == []


def test_a_body_in_chunks_below_the_limit_is_received(client: Connection) -> None:
    client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n")

    assert client.bodies == [b"abc"]


def test_a_head_that_comes_byte_by_byte_ends_in_time(client: Connection) -> None:
    for _ in range(int(HEAD_MAX_S) + 1):
        client.send(b"P")
        client.clock.advance(1)

    assert client.status == 408
    assert client.is_closed


def test_a_body_that_comes_byte_by_byte_ends_in_time(client: Connection) -> None:
    client.send(HEAD + b"Content-Length: 1000\r\n\r\n")
    for _ in range(int(BODY_MAX_S) + 1):
        client.send(b"x")
        client.clock.advance(1)

    assert client.status == 408
    assert client.is_closed
    assert client.bodies == []


def test_each_request_of_a_connection_has_the_whole_time(client: Connection) -> None:
    for _ in range(3):
        client.clock.advance(HEAD_MAX_S - 1)
        client.send(HEAD + b"Content-Length: 1\r\n\r\n")
        client.clock.advance(BODY_MAX_S - 1)
        client.send(b"x")

    assert client.bodies == [b"x"] * 3
    assert not client.is_closed


def test_a_head_has_a_size_and_a_number_of_fields(client: Connection) -> None:
    client.send(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 502)
    assert client.status == 400

    other = Connection()
    other.send(b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: " % n + b"x" * 1000 + b"\r\n" for n in range(17)))
    assert other.status == 400


def test_a_lost_connection_leaves_no_timer(client: Connection) -> None:
    client.send(b"P")
    client.channel.connectionLost(None)

    assert client.clock.getDelayedCalls() == []
