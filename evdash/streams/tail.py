"""Following the end of several streams with one connection, through outages of Redis."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass

import redis.asyncio

from evdash.events.entry import Entry, EntryId
from evdash.streams import replies
from evdash.streams.client import Refused, StreamsUnavailable, call_async, open_async_client

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
# A batch is what is held in memory at once. Entries may be large, and COUNT counts entries of each stream.
COUNT_MAX = 500
BATCH_BYTES = 8 * 2**20
# Entries by which a stream is known again: one a second at most, of a minute at least.
LANDMARKS = 60
LANDMARK_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class TailState:
    """Whether Redis answers the tail, and the sentence when it does not."""

    reachable: bool
    reason: str = ""


class Tail:
    """Everything added to these streams after a position, batch by batch.

    `after` says where to begin, stream by stream; a stream without a position begins at its end, as it is when Redis
    first answers. While Redis is away the tail asks again, ever more slowly, and goes on from where it was.
    """

    def __init__(
        self,
        url: str | None,
        streams: Sequence[str],
        *,
        after: Mapping[str, EntryId] | None = None,
        on_state: Callable[[TailState], None] | None = None,
        block_ms: int = 5_000,
    ) -> None:
        if not streams:
            raise ValueError("A tail needs at least one stream.")
        self._url = url
        self._streams = tuple(dict.fromkeys(streams))
        self._position = dict(after or {})
        self._on_state = on_state
        self._block_ms = block_ms
        self._count = COUNT_MAX
        self._landmarks: dict[str, deque[EntryId]] = {stream: deque(maxlen=LANDMARKS) for stream in self._streams}
        self.state: TailState | None = None  # None: has not heard from Redis yet

    @property
    def position(self) -> Mapping[str, EntryId]:
        """The last entry ID seen of each stream; a stream is missing before Redis has first answered."""
        return dict(self._position)

    async def batches(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Never ends by itself. Close it (`contextlib.aclosing`), or cancel its task, to stop."""
        client = open_async_client(self._url, self._block_ms)
        delay_s = FIRST_DELAY_S
        clock = asyncio.get_running_loop().time
        task = asyncio.current_task()
        settle_at_s = clock()
        try:
            while True:
                if task and task.cancelling():  # the client turns it into a lost connection now and then (redis-py 8.1)
                    raise asyncio.CancelledError
                try:
                    if clock() >= settle_at_s:
                        await self._settle(client)
                        settle_at_s = clock() + self._block_ms / 1000
                        self._report(TailState(True))
                    batch = await self._read(client)
                except StreamsUnavailable as unavailable:
                    self._report(TailState(False, str(unavailable)))
                    settle_at_s = clock()
                    await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                    delay_s = min(delay_s * 2, LONGEST_DELAY_S)
                    continue
                delay_s = FIRST_DELAY_S
                if batch:
                    yield batch
        finally:
            await client.aclose()

    def _report(self, state: TailState) -> None:
        if state != self.state:
            self.state = state
            if self._on_state:
                self._on_state(state)

    async def _read(self, client: redis.asyncio.Redis) -> tuple[Entry, ...]:
        ids = [str(self._position[stream]) for stream in self._streams]
        bounds = ("COUNT", self._count, "BLOCK", self._block_ms)
        reply = await call_async(
            client, "XREAD", *bounds, "STREAMS", *self._streams, *ids, stream=" or ".join(self._streams)
        )
        entries = [
            replies.entry(stream, raw_id, raw_pairs)
            for stream, raw_entries in replies.by_stream(reply)
            for raw_id, raw_pairs in raw_entries
        ]
        for entry in entries:
            self._position[entry.stream] = entry.entry_id
            self._remember(entry.stream, entry.entry_id)
        size = sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        self._count = max(1, self._count // 4) if size > BATCH_BYTES else min(COUNT_MAX, self._count * 2)
        return tuple(sorted(entries, key=lambda entry: (entry.entry_id, entry.stream)))

    async def _settle(self, client: redis.asyncio.Redis) -> None:
        """Find the ends of streams without a position, and step back where a stream ends before it.

        Asked again every now and then, whatever comes of other streams: a deleted and recreated stream, or a Redis
        that came back from an older file, would else never be heard again if its old IDs lay in the future. Of the one
        nothing was read yet; of the other all that there is.
        """
        for stream in self._streams:
            last_generated = await _last_generated(client, stream)
            position = self._position.get(stream)
            if position is None:
                self._position[stream] = last_generated
                self._remember(stream, last_generated)
            elif last_generated < position:
                is_known = await self._is_known(client, stream, last_generated)
                self._position[stream] = last_generated if is_known else EntryId.MIN
                self._landmarks[stream].clear()

    def _remember(self, stream: str, entry_id: EntryId) -> None:
        landmarks = self._landmarks[stream]
        if not landmarks or entry_id.ms - landmarks[-1].ms >= LANDMARK_EVERY_MS:
            landmarks.append(entry_id)

    async def _is_known(self, client: redis.asyncio.Redis, stream: str, end: EntryId) -> bool:
        """Whether the stream, which ends here now, still has an entry that it had before."""
        landmark = max((each for each in self._landmarks[stream] if each <= end), default=None)
        if landmark is None:
            return False
        reply = await call_async(client, "XRANGE", stream, str(landmark), str(landmark), stream=stream)
        return bool(replies.entries(stream, reply))


async def _last_generated(client: redis.asyncio.Redis, stream: str) -> EntryId:
    try:
        told = replies.record(await call_async(client, "XINFO STREAM", stream, stream=stream))
    except Refused as refusal:
        if "no such key" in refusal.answer.lower():
            return EntryId.MIN
        raise
    return EntryId.parse(told["last-generated-id"])
