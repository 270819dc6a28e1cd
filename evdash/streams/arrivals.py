"""How fast entries have been arriving in a stream, told by their entry IDs, which carry the time of their writing."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from evdash.events.entry_id import EntryId
from evdash.streams.client import Refused, call
from evdash.streams.info import StreamInfo
from evdash.streams.reads import read_backward

WINDOW_S = 300
READ_MAX = 1_000
READ_MAX_BYTES = 2 * 2**20
READ_STEP = 100


@dataclass(frozen=True, slots=True)
class Arrivals:
    """So many entries in the last so many seconds: five minutes, or as far back as the stream was read or reaches."""

    entries: int
    window_s: float

    @property
    def per_second(self) -> float:
        return self.entries / self.window_s


def arrivals(client: redis.Redis, stream: str, info: StreamInfo) -> Arrivals | None:
    """What arrived lately, by the server's clock. None: unknown, since IDs run ahead of it or it is not told.

    After one explicit ID of the future all automatic ones continue from that.
    """
    try:
        seconds, microseconds = call(client, "TIME")
    except Refused:  # this user may not ask
        return None
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    if info.last_generated_id.ms > now_ms + 1000:
        return None
    since = EntryId(now_ms - WINDOW_S * 1000, 0)
    if info.first_id and info.first_id > since and info.entries_added != info.length:
        since = info.first_id  # what was there before it has been removed
    oldest: EntryId | None = None
    count = size = 0
    while count < READ_MAX and size < READ_MAX_BYTES:
        entries = read_backward(client, stream, before=oldest, after=since.previous(), count=READ_STEP)
        count += len(entries)
        if len(entries) < READ_STEP:
            break
        size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        oldest = entries[-1].entry_id
    else:
        since = oldest or since
    return Arrivals(count, max(now_ms - since.ms, 1) / 1000)
