"""Sandboxes: streams under their own prefix that hold copies of entries for a limited time, and their companion keys.

Each sandbox `sandbox:x` has two companion keys. The hash `sandbox:x:provenance` has a JSON object for each replay into
the sandbox. The stream `sandbox:x:origins` has, under the same ID, the origin of each entry that got a new ID. The
sorted set `sandbox:index` lists the sandboxes with their expiry times. All of these keys expire.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import redis

from evdash.events.entry import Entry, EntryId
from evdash.streams import replies
from evdash.streams.client import Command, Refused, StreamsUnavailable, call, call_all, call_at_once
from evdash.streams.dead_letters import parked_stream
from evdash.streams.names import name_of
from evdash.streams.reads import read_entries, read_entry
from evdash.streams.stream_info import StreamInfo, stream_info

Ids = Literal["original", "new"]

EXPIRES_MAX_S: Final = 30 * 86_400
NAME_MAX: Final = 200

# A deletion between a check and HSET would create the hash again, without an expiry. A script does both atomically.
_UPDATE_IF_KEPT: Final = """
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
_BESIDE: Final = (":provenance", ":origins", ":parked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The origin of the entries of one replay, and the replay's progress."""

    who: str
    reason: str
    words: str  # the filter in plain language
    query: str  # the filter in the grammar
    ids: Ids
    pace: str  # in words
    begun_at: datetime
    heard_at: datetime | None = None  # when the replay last reported that it runs; None: never
    ended_at: datetime | None = None  # None: still running, or it ended without recording it
    outcome: str = ""  # the sentence with the reason for an early end, or empty
    sources: tuple[str, ...] = ()
    first_id: EntryId | None = None  # in its source stream, like `last_id`
    last_id: EntryId | None = None
    entries: int = 0
    size_bytes: int = 0

    def to_json(self) -> str:
        """Return the JSON object for the provenance hash."""
        return json.dumps(asdict(self), default=_json_value, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the provenance from such a JSON object. Raises ValueError."""
        try:
            values: dict[str, Any] = json.loads(text)
            for name in ("begun_at", "heard_at", "ended_at"):
                values[name] = datetime.fromisoformat(values[name]) if values.get(name) else None
            for name in ("first_id", "last_id"):
                values[name] = EntryId(*values[name]) if values[name] else None
            return cls(**{**values, "sources": tuple(values["sources"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{text[:60]!r} is not a provenance record") from error


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One sandbox in its present state."""

    name: str
    info: StreamInfo | None  # None: nothing has been copied yet
    expires_at: datetime | None  # None: the expiry was removed
    replays: tuple[Provenance, ...]  # oldest first; without objects that other programs wrote in another form


def why_no_sandbox(stream: str, prefix: str, watched: Collection[str]) -> str:
    """Return the reason why this cannot be the name of a sandbox, as a sentence; "" if it can."""
    if stream in watched or stream in {parked_stream(name) for name in watched}:
        return f"{stream} is a watched stream. Choose a sandbox name that starts with {prefix}."
    if not stream.startswith(prefix) or stream == prefix:
        return (
            f"{stream or 'The empty name'} is not a sandbox name. It must start with {prefix} "
            "(EVDASH_SANDBOX_PREFIX) and continue after it."
        )
    if stream.endswith(_BESIDE) or stream == _index(prefix):
        return f"{stream} is reserved for sandbox metadata. Choose another name."
    if len(stream) > NAME_MAX or not stream.isprintable() or any(character.isspace() for character in stream):
        return f"A sandbox name has at most {NAME_MAX} characters, all of them visible. Choose another name."
    return ""


def why_not_into(client: redis.Redis, stream: str, first_id: EntryId | None) -> str:
    """Return the reason why nothing can be copied into this sandbox now, as a sentence; "" if it can.

    `first_id` is the first ID to be kept. None: all entries get new IDs.
    """
    info = stream_info(client, stream)
    if info is None:
        return ""
    if not call(client, "EXISTS", provenance_key(stream)):
        return f"Stream {stream} exists and was not created by a replay. Choose another name."
    if first_id is not None and info.last_generated_id >= first_id:
        return (
            f"{first_id}, the first entry to copy, is not after the last entry {info.last_generated_id} of {stream}. "
            "Use new IDs or another sandbox."
        )
    return ""


def sandboxes(client: redis.Redis, prefix: str) -> list[Sandbox]:
    """Return the present sandboxes, sorted by name."""
    names = sorted(name_of(raw) for raw in call(client, "ZRANGE", _index(prefix), 0, -1))
    existing = (sandbox(client, name) for name in names)
    return [one for one in existing if one is not None]


def sandbox(client: redis.Redis, stream: str) -> Sandbox | None:
    """Return the sandbox of this name, or None if it was never created, was deleted, or has expired."""
    kept, left_ms = call_all(client, ("HGETALL", provenance_key(stream)), ("PTTL", provenance_key(stream)))
    if not kept:
        return None
    replays = [replay for replay in map(_readable, kept.values()) if replay is not None]
    at = datetime.fromtimestamp(now_ms(client) / 1000 + left_ms / 1000, UTC) if left_ms >= 0 else None
    replays.sort(key=lambda replay: replay.begun_at)
    return Sandbox(stream, stream_info(client, stream), at, tuple(replays))


def origin(client: redis.Redis, stream: str, entry_id: EntryId) -> tuple[str, EntryId] | None:
    """Return the original stream and ID of a sandbox entry that got a new ID; None if it kept its ID."""
    kept = read_entry(client, origins_key(stream), entry_id)
    fields = dict(kept.pairs) if kept else {}
    return (replies.text(fields[b"stream"]), EntryId.parse(fields[b"entry_id"])) if fields else None


def delete_sandbox(client: redis.Redis, stream: str, prefix: str) -> None:
    """Delete the sandbox and its companion keys. A running replay notices the deletion and ends."""
    keys = (provenance_key(stream), stream, origins_key(stream))
    call_all(client, *(("DEL", key) for key in keys), ("ZREM", _index(prefix), stream))


def provenance_key(stream: str) -> str:
    """Return the name of the hash with the provenance of each replay into the sandbox."""
    return f"{stream}:provenance"


def origins_key(stream: str) -> str:
    """Return the name of the stream with the origins of entries that got new IDs."""
    return f"{stream}:origins"


def expiry_commands(stream: str, prefix: str, expires_ms: int) -> list[tuple[str | int, ...]]:
    """Return the commands that make the sandbox and its companion keys expire at `expires_ms`.

    `expires_ms` is in Unix milliseconds.
    """
    return [
        *(("PEXPIREAT", key, expires_ms) for key in (stream, provenance_key(stream), origins_key(stream))),
        ("ZADD", _index(prefix), expires_ms, stream),
        # A day longer than the longest lifetime of a sandbox in the index.
        ("EXPIRE", _index(prefix), EXPIRES_MAX_S + 86_400),
    ]


def now_ms(client: redis.Redis) -> int:
    """Return the server's time in Unix milliseconds. Expiry uses this clock.

    If the user may not run TIME, it is the time of this machine.
    """
    try:
        seconds, microseconds = call(client, "TIME")
    except Refused as refusal:
        if not refusal.is_missing_permission:
            raise
        return time.time_ns() // 1_000_000
    return int(seconds) * 1000 + int(microseconds) // 1000


def forget_expired(client: redis.Redis, prefix: str) -> None:
    """Remove expired sandboxes from the index."""
    call(client, "ZREMRANGEBYSCORE", _index(prefix), "-inf", now_ms(client))


def _readable(raw: bytes) -> Provenance | None:
    try:
        return Provenance.from_json(replies.text(raw))
    except ValueError:
        return None


def _index(prefix: str) -> str:
    return f"{prefix}index"


def _json_value(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class SandboxGone(StreamsUnavailable):
    """A sandbox that was deleted, or expired, while entries were copied into it."""


class SandboxWriter:
    """The writer of one replay into a sandbox. `provenance` has the progress.

    A batch is one MULTI with IDs that are assigned here. A repeated attempt after a lost reply therefore writes
    nothing twice. A replay that ends midway has written all of a batch or none of it.
    """

    def __init__(
        self, client: redis.Redis, stream: str, prefix: str, provenance: Provenance, *, expires_s: int
    ) -> None:
        self.provenance = provenance
        self._client, self._stream, self._prefix = client, stream, prefix
        existing = sandbox(client, stream)
        remaining = existing.expires_at - datetime.now(UTC) if existing and existing.expires_at else None
        # A further replay into a sandbox never shortens its lifetime.
        self._expires_s = max(expires_s, int(remaining.total_seconds()) if remaining else 0)
        info = stream_info(client, stream)
        self._last_id = info.last_generated_id if info else EntryId.MIN
        forget_expired(client, prefix)
        self._number = self._begin()

    def write(self, entries: Sequence[Entry]) -> None:
        """Append these entries in their order.

        Raises StreamsUnavailable: then all of them were written or none, unless it is Refused because another client
        wrote into the sandbox. Raises SandboxGone, which is a
        StreamsUnavailable, for a sandbox that was deleted or has expired.
        """
        if not call(self._client, "HEXISTS", provenance_key(self._stream), self._number):
            raise SandboxGone(f"{self._stream} was deleted or expired during the replay.")
        ids = self._ids(entries, now_ms(self._client))
        grown = self._grown(entries)
        commands: list[Command] = []
        for entry_id, entry in zip(ids, entries, strict=True):
            flat = [part for pair in entry.pairs for part in pair]
            commands.append(("XADD", self._stream, str(entry_id), *flat))
            if self.provenance.ids == "new":
                where = ("stream", _bytes(entry.stream), "entry_id", str(entry.entry_id))
                commands.append(("XADD", origins_key(self._stream), str(entry_id), *where))
        try:
            call_at_once(self._client, *commands, *self._noted(grown), stream=self._stream)
        except Refused:
            # A retry after a lost reply finds its own entries. Other entries mean that another client wrote here. If it
            # wrote within the range of these IDs, Redis refused the first of them and took the last.
            there = read_entries(self._client, self._stream, (ids[0], ids[-1]))
            if any(
                (written := there.get(entry_id)) is None or written.pairs != entry.pairs
                for entry_id, entry in ((ids[0], entries[0]), (ids[-1], entries[-1]))
            ):
                call_all(self._client, *self._noted(self.provenance))
                raise
        self.provenance, self._last_id = grown, ids[-1]

    def tell_alive(self) -> None:
        """Record that the replay is still running, while it writes nothing.

        Raises StreamsUnavailable; of these, SandboxGone for a sandbox that was deleted or has expired.
        """
        alive = replace(self.provenance, heard_at=datetime.now(UTC))
        key = provenance_key(self._stream)
        if not call(self._client, "EVAL", _UPDATE_IF_KEPT, 1, key, self._number, alive.to_json().encode()):
            raise SandboxGone(f"{self._stream} was deleted or expired during the replay.")
        self.provenance = alive

    def end(self, outcome: str = "") -> None:
        """Record the end of the replay. `outcome` is the reason if it ended early, as a sentence.

        Reads the progress from Redis: only Redis has the result of an interrupted batch. Raises
        StreamsUnavailable.
        """
        kept = call(self._client, "HGET", provenance_key(self._stream), self._number)
        if kept is None:
            raise SandboxGone(f"{self._stream} was deleted or expired during the replay.")
        so_far = Provenance.from_json(kept.decode())
        self.provenance = replace(so_far, ended_at=datetime.now(UTC), outcome=outcome)
        call_all(self._client, *self._noted(self.provenance))

    def _begin(self) -> str:
        key, number = provenance_key(self._stream), 1
        while True:
            hsetnx = ("HSETNX", key, str(number), self.provenance.to_json().encode())
            expiry = expiry_commands(self._stream, self._prefix, self._expires_at_ms)
            if call_at_once(self._client, hsetnx, *expiry)[0]:
                return str(number)
            number += 1

    def _noted(self, provenance: Provenance) -> list[Command]:
        hset = ("HSET", provenance_key(self._stream), self._number, provenance.to_json().encode())
        return [hset, *expiry_commands(self._stream, self._prefix, self._expires_at_ms)]

    @property
    def _expires_at_ms(self) -> int:
        """The expiry in Unix milliseconds if this write is the last one."""
        return now_ms(self._client) + self._expires_s * 1000

    def _grown(self, entries: Sequence[Entry]) -> Provenance:
        so_far = self.provenance
        return replace(
            so_far,
            sources=tuple(dict.fromkeys((*so_far.sources, *(entry.stream for entry in entries)))),
            first_id=so_far.first_id or entries[0].entry_id,
            last_id=entries[-1].entry_id,
            heard_at=datetime.now(UTC),
            entries=so_far.entries + len(entries),
            size_bytes=so_far.size_bytes + sum(map(size_of, entries)),
        )

    def _ids(self, entries: Sequence[Entry], clock_ms: int) -> list[EntryId]:
        if self.provenance.ids == "original":
            return [entry.entry_id for entry in entries]
        ids: list[EntryId] = []
        # The same IDs as Redis would assign: from its clock, and always after the last entry.
        after = max(self._last_id, EntryId(clock_ms, 0).previous())
        for _ in entries:
            after = after.next()
            ids.append(after)
        return ids


def size_of(entry: Entry) -> int:
    """Return the size of the entry's names and values in bytes."""
    return sum(len(name) + len(value) for name, value in entry.pairs)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
