"""Redis's information about a stream and its consumer groups. Unknown values are None."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis

from evdash.events.entry import EntryId
from evdash.streams import replies
from evdash.streams.client import Refused, call, call_each, refusal
from evdash.streams.names import name_of
from evdash.streams.reads import read_backward, read_forward

CONSUMERS_UNKNOWN: Final = "This Redis user may not list consumers (XINFO CONSUMERS)."
# A lag that Redis does not report is counted by reading, up to these limits.
LAG_COUNT_MAX = 1_000
LAG_COUNT_MAX_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream. None: the server is too old to report the value, or the user may not read it."""

    length: int
    first_id: EntryId | None  # None: the stream is empty
    last_id: EntryId | None
    last_generated_id: EntryId  # of the newest entry ever, deleted or not
    entries_added: int | None  # since the stream was created; from Redis 7 on
    max_deleted_id: EntryId | None
    memory_bytes: int | None

    def has_entries_after(self, entry_id: EntryId) -> bool:
        """Return True if the stream has an entry after this ID."""
        return self.last_id is not None and entry_id < self.last_id


@dataclass(frozen=True, slots=True)
class Lag:
    """Entries not yet delivered to the group. If not `exact`, `count` is a lower bound. None: unknown.

    `about` estimates the lag from Redis's counters, if counting stopped early. It is never less than `count`.
    """

    count: int | None
    exact: bool
    estimate: int | None = None
    at_most: int | None = None

    def __str__(self) -> str:
        if self.count is None:
            return "unknown"
        if self.estimate is not None:
            return f"about {self.estimate:,}"
        return f"{self.count:,}" if self.exact else f"{self.count:,}+"

    @property
    def bounds(self) -> str:
        """The certain bounds of a lag that is not exact; "" if it is exact or unknown."""
        if self.count is None or self.exact:
            return ""
        return f"{self.count:,} counted" + (f", at most {self.at_most:,}" if self.at_most is not None else "")


@dataclass(frozen=True, slots=True)
class ConsumerInfo:
    """One consumer of a group."""

    name: str
    pending: int
    idle_ms: int  # since its last attempt to read or claim
    inactive_ms: int | None  # since its last successful one; None: never, or not reported


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """One consumer group of a stream."""

    name: str
    consumers: tuple[ConsumerInfo, ...]
    pending: int
    oldest_pending: EntryId | None
    last_delivered: EntryId
    lag: Lag
    has_known_consumers: bool = True  # False: the user may not list them

    @property
    def watermark(self) -> EntryId:
        """The ID up to which everything was delivered and acknowledged."""
        return watermark(self.last_delivered, self.oldest_pending)


def watermark(last_delivered: EntryId, oldest_pending: EntryId | None) -> EntryId:
    """Return the ID up to which the group has acknowledged everything that was delivered to it."""
    return last_delivered if oldest_pending is None else min(last_delivered, oldest_pending.previous())


def stream_info(client: redis.Redis, stream: str) -> StreamInfo | None:
    """Return the stream's information, or None if the key does not exist."""
    reply = _existing(client, "XINFO STREAM", stream)
    return None if reply is None else stream_info_of(reply, _memory_bytes(client, stream))


def first_left_of(info: StreamInfo, seen: EntryId) -> EntryId | None:
    """Return the first entry ID of the stream, if entries between `known` and it may have been removed.

    None if none can have been. If all entries were removed, return the ID after the last generated one. None as
    well for a recreated stream.
    """
    first = info.first_id or info.last_generated_id.next()
    if first <= seen.next() or info.last_generated_id <= seen or info.entries_added == info.length:
        return None
    return first


def group_infos(client: redis.Redis, stream: str) -> list[GroupInfo]:
    """Return the stream's consumer groups, sorted by name; empty if the stream does not exist."""
    stream_reply = _existing(client, "XINFO STREAM", stream)
    if stream_reply is None:
        return []
    info = stream_info_of(stream_reply)
    groups = [replies.record(reply) for reply in _existing(client, "XINFO GROUPS", stream) or ()]
    infos = (_group_info(client, stream, info, group) for group in groups)
    return sorted((group for group in infos if group is not None), key=lambda group: group.name)


def existing_streams(client: redis.Redis, streams: Sequence[str]) -> dict[str, Refused | None]:
    """Return the streams that exist, each with the refusal if its key is not a stream or this user may not read it."""
    answers = call_each(client, *(("XINFO GROUPS", stream) for stream in streams)) if streams else []
    found: dict[str, Refused | None] = {}
    for stream, answer in zip(streams, answers, strict=True):
        if not isinstance(answer, redis.ResponseError):
            found[stream] = None
        elif "no such key" not in str(answer).lower():
            found[stream] = refusal(client, answer, stream)
    return found


def consumer_infos(client: redis.Redis, stream: str, group: str) -> list[ConsumerInfo] | None:
    """Return the consumers of a group, sorted by name; empty if the group or the stream does not exist.

    None: unknown, because this user may not list them.
    """
    try:
        reply = call(client, "XINFO CONSUMERS", stream, group, stream=stream)
    except Refused as refusal:
        if "NOGROUP" in refusal.answer or "no such key" in refusal.answer.lower():
            return []
        if refusal.is_missing_permission:
            return None
        raise
    return consumers_of(reply)


def consumers_of(reply: Any) -> list[ConsumerInfo]:
    """Return the consumers in a raw reply of XINFO CONSUMERS, sorted by name."""
    return sorted(map(_consumer_info, reply), key=lambda consumer: consumer.name)


def _existing(client: redis.Redis, command: str, stream: str) -> Any:
    """Return the reply, or None if the key does not exist."""
    try:
        return call(client, command, stream, stream=stream)
    except Refused as refusal:
        if "no such key" in refusal.answer.lower():
            return None
        raise


def stream_info_of(reply: Any, memory_bytes: int | None = None) -> StreamInfo:
    """Return the information in a raw reply of XINFO STREAM."""
    record = replies.record(reply)
    return StreamInfo(
        length=int(record["length"]),
        first_id=_end(record.get("first-entry")),
        last_id=_end(record.get("last-entry")),
        last_generated_id=EntryId.parse(record["last-generated-id"]),
        entries_added=record.get("entries-added"),
        max_deleted_id=EntryId.parse(record["max-deleted-entry-id"]) if "max-deleted-entry-id" in record else None,
        memory_bytes=memory_bytes,
    )


def _end(raw_entry: Any) -> EntryId | None:
    return EntryId.parse(raw_entry[0]) if raw_entry else None


def _memory_bytes(client: redis.Redis, stream: str) -> int | None:
    try:
        return int(call(client, "MEMORY USAGE", stream) or 0) or None
    except Refused:  # hosted servers forbid MEMORY, others lack it
        return None


def _group_info(client: redis.Redis, stream: str, info: StreamInfo, record: dict[str, Any]) -> GroupInfo | None:
    looks = ("XINFO CONSUMERS", stream, record["name"]), ("XPENDING", stream, record["name"])
    consumers, pending = call_each(client, *looks)
    has_known_consumers = True
    for reply in (consumers, pending):
        if isinstance(reply, redis.ResponseError):
            if "NOGROUP" in str(reply):  # destroyed since it was listed
                return None
            if reply is consumers and isinstance(reply, redis.exceptions.NoPermissionError):
                consumers, has_known_consumers = [], False
                continue
            raise refusal(client, reply, stream) from reply
    last_delivered = EntryId.parse(record["last-delivered-id"])
    return GroupInfo(
        name=name_of(record["name"]),
        consumers=tuple(consumers_of(consumers)),
        pending=int(pending[0]),
        oldest_pending=EntryId.parse(pending[1]) if pending[1] else None,
        last_delivered=last_delivered,
        lag=_lag(client, stream, info, last_delivered, record.get("lag"), record.get("entries-read")),
        has_known_consumers=has_known_consumers,
    )


def _consumer_info(reply: Any) -> ConsumerInfo:
    record = replies.record(reply)
    inactive_ms = record.get("inactive")
    return ConsumerInfo(
        name=name_of(record["name"]),
        pending=int(record["pending"]),
        idle_ms=int(record["idle"]),
        inactive_ms=None if inactive_ms is None or int(inactive_ms) < 0 else int(inactive_ms),
    )


def _lag(
    client: redis.Redis,
    stream: str,
    info: StreamInfo,
    last_delivered: EntryId,
    reported_lag: int | None,
    entries_read: int | None,
) -> Lag:
    """Return the lag of a group.

    If its position is before the first entry or at the last one, the lag is exact without Redis's own figure.
    Redis's figure is used only in between. It counts trimmed entries that the group never got (Valkey 9.1: 50 of a
    stream of 10).
    """
    if info.first_id is None or info.last_id is None or last_delivered >= info.last_id:
        return Lag(0, exact=True)
    if last_delivered < info.first_id:
        return Lag(info.length, exact=True)
    if reported_lag is not None:
        return Lag(min(int(reported_lag), info.length), exact=True)
    lag = _counted_lag(client, stream, last_delivered)
    if lag.exact or lag.count is None:
        return lag
    at_most = max(lag.count, info.length - 1)  # the group got the first entry of the stream
    if info.entries_added is None or entries_read is None:
        return Lag(lag.count, exact=False, at_most=at_most)
    estimate = min(max(info.entries_added - int(entries_read), lag.count), at_most)
    return Lag(lag.count, exact=False, estimate=estimate, at_most=at_most)


def _counted_lag(client: redis.Redis, stream: str, last_delivered: EntryId) -> Lag:
    count = size = 0
    after = last_delivered
    step = 100
    while count < LAG_COUNT_MAX and size < LAG_COUNT_MAX_BYTES:
        entries = read_forward(client, stream, after=after, count=step)
        count += len(entries)
        if len(entries) < step:
            return Lag(count, exact=True)
        size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        after = entries[-1].entry_id
    return Lag(count, exact=False)


SCAN_MAX = 10_000
SCAN_MAX_BYTES = 32 * 2**20
READ_STEP = 200


@dataclass(frozen=True, slots=True)
class EntryCount:
    """A number of entries. If not `exact`, it is a lower bound."""

    number: int
    exact: bool = True

    def __str__(self) -> str:
        return f"{self.number:,}" if self.exact else f"{self.number:,}+"

    def entries(self) -> str:
        """Return the count with its noun: "1 entry", "10,000+ entries"."""
        return f"{self} {'entry' if self == EntryCount(1) else 'entries'}"


@dataclass(frozen=True, slots=True)
class Scan:
    """The IDs of a range in stream order. If not `complete`, the range continues after the last one."""

    ids: tuple[EntryId, ...]
    complete: bool

    @property
    def count(self) -> EntryCount:
        """The number of entries in the range."""
        return EntryCount(len(self.ids), self.complete)


def scan(
    client: redis.Redis,
    stream: str,
    *,
    since: EntryId = EntryId.MIN,
    through: EntryId = EntryId.MAX,
    at_most: int = SCAN_MAX,
) -> Scan:
    """Return the IDs from `since` to `through`, both included.

    The scan ends after `at_most` IDs, or after some 32 MB of entries.
    """
    ids: list[EntryId] = []
    size = 0
    after = since.previous() if since != EntryId.MIN else None
    while len(ids) < at_most and size < SCAN_MAX_BYTES:
        # One entry more than `at_most` proves that the range continues.
        step = min(READ_STEP, at_most - len(ids) + 1)
        entries = read_forward(client, stream, after=after, through=through, count=step)
        ids += [entry.entry_id for entry in entries]
        if len(entries) < step:
            return Scan(tuple(ids[:at_most]), complete=len(ids) <= at_most)
        size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        after = entries[-1].entry_id
    return Scan(tuple(ids[:at_most]), complete=False)


WINDOW_S = 300
READ_MAX = 1_000
READ_MAX_BYTES = 2 * 2**20
ARRIVALS_STEP = 100


@dataclass(frozen=True, slots=True)
class Arrivals:
    """A number of entries and the period in which they arrived.

    The period is five minutes. It is shorter if the read ended earlier, or if older entries have been removed.
    """

    entries: int
    window_s: float

    @property
    def per_second(self) -> float:
        return self.entries / self.window_s


def arrivals(client: redis.Redis, stream: str, info: StreamInfo) -> Arrivals | None:
    """Return the entries that arrived recently, by the server's clock.

    None: unknown, because IDs are ahead of that clock or the user may not read it. After one explicit ID in the
    future all automatic IDs continue from it.
    """
    try:
        seconds, microseconds = call(client, "TIME")
    except Refused:  # this user may not run TIME
        return None
    now_ms = int(seconds) * 1000 + int(microseconds) // 1000
    if info.last_generated_id.ms > now_ms + 1000:
        return None
    since = EntryId(now_ms - WINDOW_S * 1000, 0)
    if info.first_id and info.first_id > since and info.entries_added != info.length:
        since = info.first_id  # earlier entries have been removed
    oldest: EntryId | None = None
    count = size = 0
    while count < READ_MAX and size < READ_MAX_BYTES:
        entries = read_backward(client, stream, before=oldest, after=since.previous(), count=ARRIVALS_STEP)
        count += len(entries)
        if len(entries) < ARRIVALS_STEP:
            break
        size += sum(len(name) + len(value) for entry in entries for name, value in entry.pairs)
        oldest = entries[-1].entry_id
    else:
        since = oldest or since
    return Arrivals(count, max(now_ms - since.ms, 1) / 1000)
