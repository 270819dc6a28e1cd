"""Many sockets in a process of its own: each asks, reads and acknowledges as static/live/connection.js does."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Origin

WAITING_SEEN_S = 0.5
CONNECTING_AT_ONCE = 10
LIVE_WITHIN_S = 30.0
COMPLETE_WITHIN_S = 20.0
# What does not read must not have it read by its kernel: a small receive window is full at once.
STOPPED_WINDOW_BYTES = 4096

_ENTRY = re.compile(r'data-entry="[^"]* (\d+-\d+)"')


@dataclass(frozen=True, slots=True)
class SocketRequest:
    """One socket to open."""

    query: str
    cookie: str
    stops: bool  # reads nothing more once it is live


@dataclass(slots=True)
class Received:
    """What came on one socket. Rows are numbers into the entry IDs that all sockets have in common."""

    rows: array[int] = field(default_factory=lambda: array("L"))
    rows_ns: array[int] = field(default_factory=lambda: array("Q"))  # when the message with the row was there
    skipped: int = 0
    messages: int = 0
    size: int = 0  # characters of all messages
    is_closed: bool = False  # by the server
    problem: str = ""

    @property
    def accounted(self) -> int:
        return len(self.rows) + self.skipped


@dataclass(frozen=True, slots=True)
class Result:
    """What came on all sockets, in the order in which they were asked for."""

    received: list[Received]
    entry_ids: list[str]
    cpu_s: float


class Sockets:
    """The process. Returns from its making when all of them are live, and those that stop have stopped."""

    def __init__(self, address: str, requests: list[SocketRequest]) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_run, args=(address, requests, other))
        self._process.start()
        other.close()
        if problem := self._pipe.recv():
            self.end()
            raise RuntimeError(problem)

    def result(self, expected: list[int]) -> Result:
        """When each socket has accounted for so many events, or does not in time.

        Those that had stopped read on when all the others are done.
        """
        self._pipe.send(expected)
        result: Result = self._pipe.recv()
        self._process.join()
        return result

    def end(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()


class _Socket:
    def __init__(self, request: SocketRequest, number_of: Callable[[str], int]) -> None:
        self.request = request
        self.received = Received()
        self.is_live = asyncio.Event()
        self._number_of = number_of
        self._acknowledged = 0
        self._soon: set[asyncio.Task[None]] = set()

    async def open(self, address: str) -> None:
        parts = urlsplit(address)
        raw = socket.socket()
        if self.request.stops:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STOPPED_WINDOW_BYTES)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, (parts.hostname, parts.port))
        self._connection: ClientConnection = await connect(
            f"ws://{parts.netloc}/live/socket/",
            sock=raw,
            origin=Origin(address),
            additional_headers={"Cookie": self.request.cookie},
            proxy=None,
            max_size=None,
            ping_interval=None,  # browsers do not
        )
        self.reading = asyncio.create_task(self._read())
        await self._say({"type": "subscribe", "number": 1, "query": self.request.query, "cursor": {}})

    def read_on(self) -> None:
        self._connection.transport.resume_reading()

    async def close(self) -> None:
        self.reading.cancel()
        await self._connection.close()

    async def _read(self) -> None:
        try:
            async for text in self._connection:
                await self._hear(text, time.monotonic_ns())
        except ConnectionClosed:
            pass
        self.received.is_closed = True

    async def _hear(self, text: str | bytes, now_ns: int) -> None:
        received = self.received
        received.messages += 1
        received.size += len(text)
        message = json.loads(text)
        match message:
            case {"type": "state", "state": "live"} if not self.is_live.is_set():
                if self.request.stops:
                    self._connection.transport.pause_reading()
                self.is_live.set()
            case {"type": "rows", "html": str(html), "count": int(rows), "skipped": int(skipped)}:
                entry_ids = _ENTRY.findall(html)
                if len(entry_ids) != rows or not message.get("skipped_exactly", True):
                    received.problem = f"a message says {rows} rows, has {len(entry_ids)}, or counts inexactly"
                received.rows.extend(map(self._number_of, entry_ids))
                received.rows_ns.extend([now_ns] * len(entry_ids))
                received.skipped += skipped
                self._acknowledged += 1
                await self._say({"type": "ack", "messages": self._acknowledged})
            case {"type": "waiting"}:
                seen = asyncio.create_task(self._waiting_seen())
                self._soon.add(seen)
                seen.add_done_callback(self._soon.discard)
            case {"type": "refused", "reason": reason}:
                received.problem = f"it was refused: {reason}"

    async def _waiting_seen(self) -> None:
        await asyncio.sleep(WAITING_SEEN_S)
        await self._say({"type": "waiting-seen"})

    async def _say(self, message: dict[str, object]) -> None:
        await self._connection.send(json.dumps(message))


def _run(address: str, requests: list[SocketRequest], pipe: Connection) -> None:
    asyncio.run(_drive(address, requests, pipe))


async def _drive(address: str, requests: list[SocketRequest], pipe: Connection) -> None:
    numbers: dict[str, int] = {}
    sockets = [_Socket(each, lambda entry_id: numbers.setdefault(entry_id, len(numbers))) for each in requests]
    gate = asyncio.Semaphore(CONNECTING_AT_ONCE)

    async def open_one(each: _Socket) -> None:
        async with gate:
            await each.open(address)
            await asyncio.wait_for(each.is_live.wait(), LIVE_WITHIN_S)

    try:
        await asyncio.gather(*map(open_one, sockets))
    except (OSError, TimeoutError, WebSocketException) as error:
        pipe.send(f"Not all sockets became live: {error!r}")
        return
    pipe.send("")
    expected: list[int] = await asyncio.to_thread(pipe.recv)
    cpu_s = time.process_time()
    both = list(zip(sockets, expected, strict=True))
    await _until_complete([(each, events) for each, events in both if not each.request.stops])
    for each in sockets:
        if each.request.stops:
            each.read_on()
    await _until_complete(both)
    for each in sockets:
        await each.close()
    pipe.send(Result([each.received for each in sockets], list(numbers), cpu_s))


async def _until_complete(part: list[tuple[_Socket, int]]) -> None:
    deadline = time.monotonic() + COMPLETE_WITHIN_S
    while time.monotonic() < deadline:
        if all(each.received.accounted >= events or each.reading.done() for each, events in part):
            return
        await asyncio.sleep(0.05)
