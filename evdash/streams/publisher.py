"""Publishing events from Python: the XADD commands of a producer, repeated when Redis does not answer."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from time import sleep, time
from types import TracebackType
from typing import Any, Self

import redis
import redis.asyncio

from evdash.events.entry import EntryId
from evdash.streams.client import (
    DEFAULT_URL,
    Command,
    Refused,
    StreamsUnavailable,
    open_async_client,
    open_blocking_client,
    reaching,
    redis_url,
)

DEFAULT_STREAM = "memory:events"
OWN_FIELDS = ("id", "type", "session_id", "user_id", "timestamp")

# The wait before each further attempt. Together they are long enough for the restart of a server.
RETRY_DELAYS_S = (0.1, 0.5, 2.0)
BATCH_SIZE = 500


class InvalidNewEvent(ValueError):
    """An event that cannot be written. The message names the value and the rule."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to publish. Publishing the same value again is safe: readers count an `event_id` once."""

    type: str
    session_id: str
    user_id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    event_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    timestamp: float = field(default_factory=time)  # Unix seconds
    entry_id: EntryId | None = None  # set to write a history; None: Redis assigns the next ID

    def pairs(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return names and values as they are written to the stream. Raises InvalidNewEvent."""
        own = (self.event_id, self.type, self.session_id, self.user_id, f"{self.timestamp:.6f}")
        for name, value in zip(OWN_FIELDS, own, strict=True):
            if not isinstance(value, str):
                raise InvalidNewEvent(f"The {name} of an event must be text, not {value!r}.")
        if not self.type:
            raise InvalidNewEvent("An event needs a type, for example 'message.added'.")
        return *zip(OWN_FIELDS, own, strict=True), *(_pair(name, value) for name, value in self.data.items())


def _pair(name: str, value: Any) -> tuple[str, str | bytes]:
    if not isinstance(name, str) or not name:
        raise InvalidNewEvent(f"A field name must be text, not {name!r}.")
    if name in OWN_FIELDS:
        raise InvalidNewEvent(
            f"Field name {name!r} is reserved for the event itself ({', '.join(OWN_FIELDS)}). Use another name."
        )
    if isinstance(value, bytes):
        return name, value
    try:
        text = value if isinstance(value, str) else _json(value)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidNewEvent(f"The value of {name!r} cannot be written as text or JSON: {error}.") from None
    return name, text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class _Settings:
    """The settings that both publishers share."""

    def __init__(
        self,
        url: str | None = None,
        stream: str = DEFAULT_STREAM,
        max_length: int | None = None,
        approximate: bool = True,
    ) -> None:
        """Store the settings; the first publish connects. Raises InvalidRedisUrl.

        `max_length` trims the stream to its newest entries. `approximate` lets Redis keep some more, which is
        far cheaper.
        """
        self.url = redis_url(url or DEFAULT_URL)
        self.stream = stream
        self.max_length = max_length
        self.approximate = approximate

    def _batches(self, events: Iterable[NewEvent]) -> Iterator[list[Command]]:
        """Yield the XADD commands of the events, in batches of BATCH_SIZE.

        An invalid event raises InvalidNewEvent before any command of its batch is sent.
        """
        remaining = iter(events)
        while batch := [self._command(event) for event in islice(remaining, BATCH_SIZE)]:
            yield batch

    def _command(self, event: NewEvent) -> Command:
        bound: tuple[str | int, ...] = ()
        if self.max_length is not None:
            bound = ("MAXLEN", "~" if self.approximate else "=", self.max_length)
        entry_id = "*" if event.entry_id is None else str(event.entry_id)
        return ("XADD", self.stream, *bound, entry_id, *(part for pair in event.pairs() for part in pair))


class Publisher(_Settings):
    """A publisher to one stream, for any number of threads. Close it, or use it in a `with` statement."""

    @cached_property
    def _client(self) -> redis.Redis:
        return open_blocking_client(self.url, block_ms=0)

    def publish(self, type: str, session_id: str, user_id: str, **data: Any) -> EntryId:
        """Append one event and return its entry ID. Values that are not text are written as JSON.

        Raises InvalidNewEvent, or StreamsUnavailable when Redis did not answer after several attempts. An error
        reply (Refused) is raised at once, without another attempt.
        """
        return self.publish_many([NewEvent(type, session_id, user_id, data)])[0]

    def publish_many(self, events: Iterable[NewEvent]) -> list[EntryId]:
        """Append the events in their order, many in one round trip. Raises as `publish` does.

        After StreamsUnavailable some may have been written: publish the same NewEvents again.
        """
        return [entry_id for batch in self._batches(events) for entry_id in self._send_repeatedly(batch)]

    def _send_repeatedly(self, batch: list[Command]) -> list[EntryId]:
        for delay_s in RETRY_DELAYS_S:
            try:
                return self._send(batch)
            except Refused:
                raise
            except StreamsUnavailable:
                sleep(delay_s)
        return self._send(batch)

    def _send(self, batch: list[Command]) -> list[EntryId]:
        with reaching(self._client, self.stream), self._client.pipeline(transaction=False) as pipeline:
            _queue(pipeline, batch)
            return [EntryId.parse(reply) for reply in pipeline.execute()]

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncPublisher(_Settings):
    """An asynchronous publisher for one event loop. Close it, or use it in an `async with` statement."""

    @cached_property
    def _client(self) -> redis.asyncio.Redis:
        return open_async_client(self.url)

    async def publish(self, type: str, session_id: str, user_id: str, **data: Any) -> EntryId:
        """Append one event and return its entry ID, as Publisher.publish does."""
        return (await self.publish_many([NewEvent(type, session_id, user_id, data)]))[0]

    async def publish_many(self, events: Iterable[NewEvent]) -> list[EntryId]:
        """Append the events in their order, as Publisher.publish_many does."""
        return [entry_id for batch in self._batches(events) for entry_id in await self._send_repeatedly(batch)]

    async def _send_repeatedly(self, batch: list[Command]) -> list[EntryId]:
        for delay_s in RETRY_DELAYS_S:
            try:
                return await self._send(batch)
            except Refused:
                raise
            except StreamsUnavailable:
                await asyncio.sleep(delay_s)
        return await self._send(batch)

    async def _send(self, batch: list[Command]) -> list[EntryId]:
        with reaching(self._client, self.stream):
            async with self._client.pipeline(transaction=False) as pipeline:
                _queue(pipeline, batch)
                return [EntryId.parse(reply) for reply in await pipeline.execute()]

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


def _queue(pipeline: redis.client.Pipeline | redis.asyncio.client.Pipeline, batch: list[Command]) -> None:
    for command in batch:
        pipeline.execute_command(*command)
