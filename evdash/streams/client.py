"""Connections to Redis: commands are sent as bytes, replies return raw, and each failure is a StreamsUnavailable."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ConstantBackoff
from redis.connection import DefaultParser, parse_url
from redis.retry import Retry
from redis.utils import SENTINEL

from evdash.streams.address import InvalidRedisUrl, redis_url, shown_address
from evdash.streams.budget import budget_in_use, call_left_s, spending
from evdash.streams.contact import contact_with
from evdash.streams.names import EMPTY, raw_name

__all__ = [
    "InvalidRedisUrl",
    "Refused",
    "StillLoading",
    "StreamsUnavailable",
    "TooSlow",
    "call",
    "call_all",
    "call_async",
    "call_at_once",
    "call_each",
    "keep_raw",
    "last_answer",
    "open_async_client",
    "open_blocking_client",
    "open_client",
    "reaching",
    "redis_url",
    "refusal",
    "shown_address",
]

DEFAULT_URL = "redis://localhost:6379"
CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0

AnyClient = redis.Redis | redis.asyncio.Redis
Client = TypeVar("Client", redis.Redis, redis.asyncio.Redis)
Command = Sequence[str | bytes | int]

# redis-py would turn the replies of these commands into dicts: an entry with a repeated field would lose a value.
_RAW_COMMANDS = (
    "XRANGE",
    "XREVRANGE",
    "XREAD",
    "XREADGROUP",
    "XCLAIM",
    "XAUTOCLAIM",
    "XPENDING",
    "XINFO STREAM",
    "XINFO GROUPS",
    "XINFO CONSUMERS",
)


class StreamsUnavailable(Exception):
    """Redis is unreachable, refuses evdash, or has another type of key under the stream's name.

    The message is the sentence to show.
    """


class Refused(StreamsUnavailable):
    """An error reply of Redis. `answer` holds the text of that reply, for callers that recognise certain errors.

    `code` is its first word if that is a code, such as NOPERM or WRONGTYPE.
    """

    def __init__(self, sentence: str, answer: str, code: str = "") -> None:
        super().__init__(sentence)
        self.answer = answer
        self.code = code

    @property
    def is_missing_permission(self) -> bool:
        """True if the user may not run the command. A caller that can do without the command then continues."""
        return isinstance(self.__cause__, redis.exceptions.NoPermissionError)


class TooSlow(StreamsUnavailable):
    """A reply of Redis that did not arrive in time. Another attempt would take as long again."""


class StillLoading(StreamsUnavailable):
    """A Redis server that replies but has not finished loading its data."""


def open_client(url: str | None = None) -> redis.Redis:
    """Return a client for short calls.

    It retries once after a lost connection, and gives up on a reply after 5 s. It does not open a connection yet.
    Several threads may use it.
    """
    options = _options(url, ANSWER_TIMEOUT_S)
    # Only a lost connection is retried: after a time-out a second attempt would only double a page's wait.
    options["retry"] = Retry(ConstantBackoff(0.05), 1, (redis.ConnectionError,))
    options["connection_class"] = _WITHIN_BUDGET[options.get("connection_class", redis.Connection)]
    return keep_raw(redis.Redis.from_pool(redis.ConnectionPool(**options)))


def open_blocking_client(url: str | None, block_ms: int) -> redis.Redis:
    """Return a client for reads that block up to `block_ms`.

    It waits 5 s longer than that for a reply, and never retries by itself.
    """
    options = _options(url, block_ms / 1000 + ANSWER_TIMEOUT_S)
    options["retry"] = Retry(ConstantBackoff(0), 0)
    return keep_raw(redis.Redis.from_pool(redis.ConnectionPool(**options)))


def open_async_client(url: str | None, block_ms: int = 0) -> redis.asyncio.Redis:
    """Return the asynchronous client, for one event loop.

    The caller closes it with `aclose()`. It waits for a reply `block_ms` and another 5 s, and never retries by
    itself.
    """
    options = _options(url, block_ms / 1000 + ANSWER_TIMEOUT_S)
    options["retry"] = AsyncRetry(ConstantBackoff(0), 0)
    if "path" in options:
        options["connection_class"] = redis.asyncio.UnixDomainSocketConnection
    elif options.get("connection_class") is redis.SSLConnection:
        options["connection_class"] = redis.asyncio.SSLConnection
    return keep_raw(redis.asyncio.Redis.from_pool(redis.asyncio.ConnectionPool(**options)))


class _ParserWithinBudget(DefaultParser):  # type: ignore[misc, valid-type]
    """A parser that reads all pieces of a reply within the budget of the call (budget.py).

    redis-py restarts its own time-out with each piece.
    """

    def on_connect(self, connection: Any, **options: Any) -> None:
        super().on_connect(connection, **options)
        self._socket_timeout = connection._socket_timeout  # `connection.socket_timeout` may hold for this call only

    def read_from_socket(self, timeout: Any = SENTINEL, raise_on_timeout: bool = True) -> bool:
        left_s = call_left_s()
        if left_s is not None:
            if left_s <= 0:
                raise redis.TimeoutError("The call to Redis timed out.")
            timeout = _shorter(self._socket_timeout if timeout is SENTINEL else timeout, left_s)
        return bool(super().read_from_socket(timeout=timeout, raise_on_timeout=raise_on_timeout))


class _WithinBudget(redis.connection.AbstractConnection):
    """A connection that waits no longer than the budget of its call allows, for TCP, TLS and each reply.

    The look-up of a host name is not bounded: the operating system has no time-out for it.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "parser_class": _ParserWithinBudget})

    @property
    def socket_connect_timeout(self) -> float | int | None:
        return _shorter(self._socket_connect_timeout, _at_least_a_moment(call_left_s()))

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: float | int | None) -> None:
        self._socket_connect_timeout = value

    @property
    def socket_timeout(self) -> float | int | None:
        """The time-out of a reply, in seconds; while connecting, that of the TLS handshake."""
        return _shorter(self._socket_timeout, _at_least_a_moment(call_left_s()))

    @socket_timeout.setter
    def socket_timeout(self, value: float | int | None) -> None:
        self._socket_timeout = value

    def _connect(self) -> Any:
        connected = super()._connect()  # type: ignore[no-untyped-call, safe-super]
        connected.settimeout(self._socket_timeout)
        return connected


def _at_least_a_moment(seconds: float | None) -> float | None:
    """Return at least 0.001 s. A time-out of zero would make a socket non-blocking."""
    return None if seconds is None else max(seconds, 0.001)


def _shorter(one_s: float | None, other_s: float | None) -> float | None:
    return min((each for each in (one_s, other_s) if each is not None), default=None)


class _TcpWithinBudget(_WithinBudget, redis.Connection):
    pass


class _TlsWithinBudget(_WithinBudget, redis.SSLConnection):
    pass


class _UnixWithinBudget(_WithinBudget, redis.UnixDomainSocketConnection):
    pass


_WITHIN_BUDGET = {
    redis.Connection: _TcpWithinBudget,
    redis.SSLConnection: _TlsWithinBudget,
    redis.UnixDomainSocketConnection: _UnixWithinBudget,
}


def _options(url: str | None, answer_timeout_s: float) -> dict[str, Any]:
    return {
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        **parse_url(redis_url(url or DEFAULT_URL)),  # type: ignore[no-untyped-call]
        # This package relies on these options, so they override the query string of the URL. Every version and proxy
        # supports RESP2, and its replies have one shape.
        "socket_timeout": answer_timeout_s,
        "protocol": 2,
        "decode_responses": False,
    }


def keep_raw(client: Client) -> Client:
    """Return the same client, set to leave stream replies as the server sent them."""
    for command in _RAW_COMMANDS:
        client.set_response_callback(command, _as_it_came)
    return client


def _as_it_came(response: Any, **_options: Any) -> Any:
    return response


def call(client: redis.Redis, *command: str | bytes | int, stream: str = "") -> Any:
    """Return the raw reply to one command.

    `stream` names the key in the error message if the key is not a stream.
    """
    with reaching(client, stream):
        return client.execute_command(*_sent(command))  # type: ignore[no-untyped-call]


def call_all(client: redis.Redis, *commands: Command, stream: str = "") -> list[Any]:
    """Return the raw replies to these commands, in their order.

    The commands are sent in one round trip, but not as a transaction.
    """
    with reaching(client, stream), client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
        return pipeline.execute()


def call_each(client: redis.Redis, *commands: Command) -> list[Any]:
    """Return the replies as `call_all` does, with a ResponseError in place of each refused command's reply."""
    with reaching(client), client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
        return pipeline.execute(raise_on_error=False)


def call_at_once(client: redis.Redis, *commands: Command, stream: str = "") -> list[Any]:
    """Return the replies as `call_all` does, from one transaction (MULTI).

    Commands of other clients do not run in between. All keys must belong to one stream.
    """
    with reaching(client, stream), client.pipeline(transaction=True) as pipeline:
        for command in commands:
            pipeline.execute_command(*_sent(command))  # type: ignore[no-untyped-call]
        return pipeline.execute()


def _sent(command: Command) -> Command:
    """Return the command with the bytes of its names (names.py). Other texts of commands have no escape."""
    if not any(isinstance(part, str) and ("\\x" in part or part == EMPTY) for part in command):
        return command
    return tuple(raw_name(part) if isinstance(part, str) else part for part in command)


async def call_async(client: redis.asyncio.Redis, *command: str | bytes | int, stream: str = "") -> Any:
    """Return the raw reply to one command, asynchronously, as `call` does."""
    with reaching(client, stream):
        return await client.execute_command(*_sent(command))  # type: ignore[no-untyped-call]


@contextmanager
def reaching(client: AnyClient, stream: str = "") -> Iterator[None]:
    """Turn every failure of a call to Redis into StreamsUnavailable with its sentence.

    Raise TooSlow at once if the page's budget (budget.py) is spent, or while calls of pages are held off
    (contact.py).
    """
    address = _address(client)
    contact, budget = contact_with(address), budget_in_use()
    with ExitStack() as stack:
        if budget is not None:
            at_most_s = stack.enter_context(contact.call())
            if budget.is_spent or at_most_s == 0:
                raise TooSlow(_too_slow(address))
            stack.enter_context(spending(budget, at_most_s))
        began_s = time.monotonic()
        try:
            yield
        except redis.ResponseError as error:
            contact.answered()
            raise refusal(client, error, stream) from error
        except redis.BusyLoadingError as error:
            contact.answered()
            raise StillLoading(_sentence(error, address, stream)) from error
        except (redis.TimeoutError, TimeoutError) as error:
            contact.silent(time.monotonic() - began_s)
            raise TooSlow(_too_slow(address)) from error
        except (redis.RedisError, OSError) as error:
            raise StreamsUnavailable(_sentence(error, address, stream)) from error
        contact.answered()


def _too_slow(address: str) -> str:
    return f"Redis at {address} did not answer in time."


def last_answer(client: AnyClient) -> datetime | None:
    """Return when the server of this client last answered this process (UTC), or None if it never did."""
    return contact_with(_address(client)).answered_at


def refusal(client: AnyClient, error: redis.ResponseError, stream: str = "") -> Refused:
    """Return the exception for an error reply of `call_each`. The caller raises it."""
    first_word = str(error).partition(" ")[0]
    # redis-py cuts off the codes that it knows.
    code = getattr(error, "status_code", None) or (first_word if first_word.isupper() else "")
    return Refused(_sentence(error, _address(client), stream), str(error), code)


def _address(client: AnyClient) -> str:
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def _sentence(error: Exception, address: str, stream: str) -> str:
    text = str(error).strip().rstrip(".")
    if isinstance(error, redis.AuthenticationError | redis.exceptions.AuthenticationWrongNumberOfArgsError):
        return f"Redis at {address} refused the user name or password: {text}."
    if isinstance(error, redis.exceptions.NoPermissionError | redis.exceptions.AuthorizationError):
        return f"Redis at {address} denies this user a command that evdash needs: {text}."
    if isinstance(error, redis.exceptions.ClusterCrossSlotError | redis.exceptions.AskError):  # and MovedError
        return f"Redis at {address} is a node of a Redis Cluster. evdash does not support clusters yet."
    if isinstance(error, redis.BusyLoadingError):
        return f"Redis at {address} is loading its data."
    if isinstance(error, redis.ConnectionError | OSError):
        return f"Redis at {address} is unreachable: {_reason(error)}."
    if "WRONGTYPE" in text:
        return (
            f"Key {stream} of Redis at {address} is not a stream."
            if stream
            else (f"The requested key of Redis at {address} is not a stream.")
        )
    return f"Redis at {address} refused the request: {text}."


def _reason(error: BaseException) -> str:
    """Return the operating system's reason, such as "connection refused".

    redis-py and asyncio wrap that error in others.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror | ssl.SSLError):
            return str(cause.strerror or cause)
        # asyncio puts an address into `strerror`, and several failures (::1, 127.0.0.1) into one text.
        if isinstance(cause, OSError):
            errno = cause.errno or next(map(int, re.findall(r"\[Errno (\d+)\]", str(cause))), 0)
            if errno:
                return _within_sentence(os.strerror(errno))
        cause = cause.__cause__ or cause.__context__
    return _within_sentence(str(error).strip().rstrip(".") or "the connection was lost")


def _within_sentence(words: str) -> str:
    return words[0].lower() + words[1:]
