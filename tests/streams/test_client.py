import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest
import redis

from evdash.streams.budget import redis_budget
from evdash.streams.client import (
    StreamsUnavailable,
    TooSlow,
    call,
    call_all,
    call_async,
    open_async_client,
    open_blocking_client,
    open_client,
)
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.reads import read_forward


@contextmanager
def server_that_says(answer: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """The address of a server that answers whatever it is asked with the same bytes; byte by byte with a pause."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                while connection.recv(65536):
                    for piece in [answer] if not pause_s else [bytes([byte]) for byte in answer]:
                        connection.sendall(piece)
                        time.sleep(pause_s)

    Thread(target=serve, daemon=True).start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_redis_that_is_not_there_is_named_without_its_password() -> None:
    port = unused_port()
    client = open_client(f"redis://me:hunter2@127.0.0.1:{port}")
    with pytest.raises(StreamsUnavailable) as caught:
        call(client, "PING")
    assert str(caught.value) == f"Redis at 127.0.0.1:{port} is unreachable: connection refused."


def test_a_missing_socket_and_an_unknown_host_are_sentences_too() -> None:
    with pytest.raises(StreamsUnavailable, match=r"Redis at /nowhere/redis.sock is unreachable: no such file"):
        call(open_client("unix:///nowhere/redis.sock"), "PING")
    with pytest.raises(StreamsUnavailable, match=r"Redis at nowhere.invalid:6379 is unreachable: "):
        call(open_client("nowhere.invalid"), "PING")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"-NOAUTH Authentication required.\r\n", "refused the user name or password: Authentication required."),
        (b"-WRONGPASS invalid username-password pair\r\n", "refused the user name or password: "),
        (b"-NOPERM this user has no permissions\r\n", "denies this user a command that evdash needs: "),
        (b"-LOADING Valkey is loading the dataset in memory\r\n", "is loading its data."),
        (b"-ERR max number of clients reached\r\n", "is unreachable: max number of clients reached."),
        (b"-ERR unknown command 'XRANGE'\r\n", "refused the request: unknown command 'XRANGE'."),
        (b"-READONLY You can't write against a read only replica.\r\n", "refused the request: "),
    ],
)
def test_what_the_server_refuses_is_a_sentence(answer: bytes, sentence: str) -> None:
    with server_that_says(answer) as address, pytest.raises(StreamsUnavailable) as caught:
        read_forward(open_client(address), "s", after=None, count=1)
    assert str(caught.value).startswith(f"Redis at {address} {sentence}")


def test_a_wrong_password_is_told_by_the_real_server(server: EmbeddedServer) -> None:
    open_client(server.url).config_set("requirepass", "right")
    for url in (server.url, server.url.replace("//", "//:wrong@")):
        with pytest.raises(StreamsUnavailable, match="refused the user name or password") as caught:
            call(open_client(url), "PING")
        assert "wrong@" not in str(caught.value)
    assert call(open_client(server.url.replace("//", "//:right@")), "PING")


def test_a_key_that_is_no_stream_is_named(valkey: redis.Redis) -> None:
    valkey.set("memory:events", "text")
    with pytest.raises(StreamsUnavailable, match=r"^Key memory:events of Redis at .* is not a stream\.$"):
        read_forward(valkey, "memory:events", after=None, count=1)


def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evdash.streams.client.ANSWER_TIMEOUT_S", 0.2)
    with server_that_says(b"") as address, pytest.raises(StreamsUnavailable, match="did not answer in time"):
        call(open_client(address), "PING")


def test_a_connection_that_was_lost_meanwhile_is_made_again(server: EmbeddedServer) -> None:
    client = open_client(server.url)
    client.xadd("s", {"a": "b"})
    server.stop()
    server.start()
    assert len(read_forward(client, "s", after=None, count=10)) == 1


def test_a_blocking_client_waits_for_as_long_as_it_was_told(valkey_url: str, valkey: redis.Redis) -> None:
    # Longer than the answer time-out would allow if it did not count from the end of the block.
    client = open_blocking_client(valkey_url, block_ms=400)
    client.connection_pool.connection_kwargs["socket_timeout"] -= 4.8
    assert call(client, "XREAD", "BLOCK", 400, "STREAMS", "s", "$") is None


@pytest.mark.parametrize("query", ["", "?protocol=3", "?decode_responses=True", "?socket_timeout=0.001"])
def test_the_url_cannot_change_what_is_read(valkey_url: str, valkey: redis.Redis, query: str) -> None:
    valkey.execute_command("XADD", "s", "1-1", "a", b"\xff", "a", "2")
    entries = read_forward(open_client(valkey_url + query), "s", after=None, count=1)
    assert entries[0].pairs == ((b"a", b"\xff"), (b"a", b"2"))


def test_a_pipeline_is_raw_as_well(client: redis.Redis) -> None:
    client.execute_command("XADD", "s", "1-1", "a", "1", "a", "2")
    (reply,) = call_all(client, ("XRANGE", "s", "-", "+"))
    assert reply == [[b"1-1", [b"a", b"1", b"a", b"2"]]]


async def test_the_asynchronous_client_is_raw_and_speaks_in_sentences(valkey_url: str, valkey: redis.Redis) -> None:
    valkey.execute_command("XADD", "s", "1-1", "a", "1", "a", "2")
    client = open_async_client(valkey_url)
    assert await call_async(client, "XRANGE", "s", "-", "+") == [[b"1-1", [b"a", b"1", b"a", b"2"]]]
    await client.aclose()
    for host in ("127.0.0.1", "localhost"):
        client = open_async_client(f"{host}:{unused_port()}")
        with pytest.raises(StreamsUnavailable, match="is unreachable: connection refused"):
            await call_async(client, "PING")
        await client.aclose()


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_the_budget_of_a_page_bounds_a_connection_that_hangs(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the budget, this test would last as long as the client waits by itself: an hour."""
    monkeypatch.setattr("evdash.streams.client.ANSWER_TIMEOUT_S", 3_600.0)
    monkeypatch.setattr("evdash.streams.client.CONNECT_TIMEOUT_S", 3_600.0)
    with server_that_says(b"") as address:
        client = open_client(f"{scheme}://{address}")
        with redis_budget(0.2), pytest.raises(TooSlow):
            call(client, "PING")


def test_the_budget_of_a_page_bounds_an_answer_that_comes_byte_by_byte() -> None:
    """Each byte comes in time, and all of them would take a quarter of an hour."""
    with server_that_says(b"$9000\r\n" + 9_000 * b"x", pause_s=0.1) as address:
        client = open_client(f"redis://{address}")
        with redis_budget(0.3), pytest.raises(TooSlow):
            call(client, "PING")
