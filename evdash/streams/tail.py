"""A reader of new entries of several streams over one connection, which survives outages of Redis."""

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
# Limits of one batch, which is held in memory. Entries may be large, and COUNT applies to each stream separately.
COUNT_MAX = 500
BATCH_BYTES = 8 * 2**20
# Landmarks are entry IDs that identify a stream: at most one a second, so that they cover at least a minute.
LANDMARKS = 60
LANDMARK_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class TailState:
    """The connection state of the tail. `reason` is the sentence that explains an outage."""

    reachable: bool
    reason: str = ""


class Tail:
    """All entries added to these streams after a position, batch by batch.

    `after` gives the start position by stream. A stream without one starts at its end at the time when Redis first
    answers.

    During an outage the tail retries with growing delays, from 0.1 s to 5 s. Then it continues at its position.
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
        self._refused: set[str] = set()  # streams that Redis does not let this user read, or whose key is another type
        self._landmarks: dict[str, deque[EntryId]] = {stream: deque(maxlen=LANDMARKS) for stream in self._streams}
        self.state: TailState | None = None  # None: Redis has neither answered nor failed yet

    @property
    def position(self) -> Mapping[str, EntryId]:
        """The last entry ID read of each stream. A stream without one in `after` has none until Redis answers.

        A stream that Redis refuses to read has EntryId.MIN.
        """
        return dict.fromkeys(self._refused, EntryId.MIN) | self._position

    async def batches(self) -> AsyncGenerator[tuple[Entry, ...], None]:
        """Yield batches of entries, sorted by entry ID and stream, without end.

        Close the generator (`contextlib.aclosing`) or cancel its task to stop it.
        """
        client = open_async_client(self._url, self._block_ms)
        delay_s = FIRST_DELAY_S
        clock = asyncio.get_running_loop().time
        task = asyncio.current_task()
        settle_at_s = clock()
        try:
            while True:
                if task and task.cancelling():  # redis-py 8.1 sometimes reports it as a lost connection
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
                if batch and not (task and task.cancelling()):  # redis-py may also repeat the request and go on
                    yield batch
        finally:
            await client.aclose()

    def _report(self, state: TailState) -> None:
        if state != self.state:
            self.state = state
            if self._on_state:
                self._on_state(state)

    async def _read(self, client: redis.asyncio.Redis) -> tuple[Entry, ...]:
        streams = [stream for stream in self._streams if stream not in self._refused]
        ids = [str(self._position[stream]) for stream in streams]
        bounds = ("COUNT", self._count, "BLOCK", self._block_ms)
        try:
            reply = await call_async(client, "XREAD", *bounds, "STREAMS", *streams, *ids, stream=" or ".join(streams))
        except Refused:
            # The type of a key may have changed while the others go on. If so, this finds out which one.
            before = set(self._refused)
            await self._settle(client)
            if self._refused == before:
                raise
            return ()
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
        """Set the position of streams without one, and move it back in streams that now end before it.

        Repeat periodically, even while other streams deliver entries. A recreated stream, or a Redis restored
        from an older file, can have IDs below the old position. Without this step they would be ignored until
        they pass it.

        A recreated stream is read from its beginning. A restored one is read from its present end.

        Streams that Redis refuses to read are left out until the next time. Raises Refused if it refuses all.
        """
        refusals: dict[str, Refused] = {}
        for stream in self._streams:
            try:
                last_generated = await _last_generated(client, stream)
            except Refused as refusal:
                refusals[stream] = refusal
                continue
            position = self._position.get(stream)
            if position is None:
                self._position[stream] = last_generated
                self._remember(stream, last_generated)
            elif last_generated < position:
                is_known = await self._is_known(client, stream, last_generated)
                self._position[stream] = last_generated if is_known else EntryId.MIN
                self._landmarks[stream].clear()
        if len(refusals) == len(self._streams):
            raise refusals[self._streams[0]]
        self._refused = set(refusals)

    def _remember(self, stream: str, entry_id: EntryId) -> None:
        landmarks = self._landmarks[stream]
        if not landmarks or entry_id.ms - landmarks[-1].ms >= LANDMARK_EVERY_MS:
            landmarks.append(entry_id)

    async def _is_known(self, client: redis.asyncio.Redis, stream: str, end: EntryId) -> bool:
        """Return True if the stream, which now ends at `end`, still has an entry that it had before.

        False without a landmark up to `end`: the stream then counts as recreated.
        """
        landmark = max((each for each in self._landmarks[stream] if each <= end), default=None)
        if landmark is None:
            return False
        reply = await call_async(client, "XRANGE", stream, str(landmark), str(landmark), stream=stream)
        return bool(replies.entries(stream, reply))


async def _last_generated(client: redis.asyncio.Redis, stream: str) -> EntryId:
    try:
        record = replies.record(await call_async(client, "XINFO STREAM", stream, stream=stream))
    except Refused as refusal:
        if "no such key" in refusal.answer.lower():
            return EntryId.MIN
        raise
    return EntryId.parse(record["last-generated-id"])
