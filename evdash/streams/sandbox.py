"""Sandboxes: streams under a prefix of their own that hold copies of entries for a while, and what is kept beside them.

Beside the stream `sandbox:x` lie the hash `sandbox:x:provenance`, which has a JSON object for each replay into it, and
the stream `sandbox:x:origins`, which has for each entry that got a new ID, under the same ID, where it came from. The
sorted set `sandbox:index` lists the sandboxes with the time at which they expire. All of them expire.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import redis

from evdash.events.entry_id import EntryId
from evdash.streams import replies
from evdash.streams.client import call, call_all
from evdash.streams.info import StreamInfo, stream_info
from evdash.streams.parked import parked_stream
from evdash.streams.reads import read_entry

Ids = Literal["original", "new"]

EXPIRES_MAX_S: Final = 30 * 86_400
NAME_MAX: Final = 200
_BESIDE: Final = (":provenance", ":origins", ":parked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where the entries of one replay came from, and how far it came."""

    who: str
    reason: str
    words: str  # the filter as a person would say it
    query: str  # the filter in the grammar
    ids: Ids
    pace: str  # in words
    begun_at: datetime
    heard_at: datetime | None = None  # when whoever copies said last that they still do; None: not told
    ended_at: datetime | None = None  # None: it is still being copied, or was ended without a word
    outcome: str = ""  # the sentence that says why it ended before its end; else empty
    sources: tuple[str, ...] = ()
    first_id: EntryId | None = None  # in its source, as the next one
    last_id: EntryId | None = None
    entries: int = 0
    size_bytes: int = 0

    def to_json(self) -> str:
        """The object that the hash keeps."""
        return json.dumps(asdict(self), default=_json_value, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From such an object. Raises ValueError."""
        try:
            told: dict[str, Any] = json.loads(text)
            for name in ("begun_at", "heard_at", "ended_at"):
                told[name] = datetime.fromisoformat(told[name]) if told.get(name) else None
            for name in ("first_id", "last_id"):
                told[name] = EntryId(*told[name]) if told[name] else None
            return cls(**{**told, "sources": tuple(told["sources"])})
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{text[:60]!r} is no provenance") from error


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One sandbox as it is now."""

    name: str
    info: StreamInfo | None  # None: nothing has been copied yet
    expires_at: datetime | None  # None: somebody has taken the expiry away
    replays: tuple[Provenance, ...]  # the oldest first; without what others have put there in another form


def why_no_sandbox(stream: str, prefix: str, watched: Collection[str]) -> str:
    """The sentence that says why this cannot be the name of a sandbox; "" when it can."""
    if stream in watched or stream in {parked_stream(name) for name in watched}:
        return f"{stream} is one of the streams that evdash watches: nothing is replayed into those."
    if not stream.startswith(prefix) or stream == prefix:
        return (
            f"{stream or 'A stream without a name'} is no sandbox: the name of one begins with {prefix} "
            "(EVDASH_SANDBOX_PREFIX) and goes on after it."
        )
    if stream.endswith(_BESIDE) or stream == _index(prefix):
        return f"{stream} is a name for what is kept beside a sandbox: choose another one."
    if len(stream) > NAME_MAX or not stream.isprintable() or any(character.isspace() for character in stream):
        return f"The name of a sandbox has at most {NAME_MAX} characters, all of them visible: choose another one."
    return ""


def why_not_into(client: redis.Redis, stream: str, first_id: EntryId | None) -> str:
    """The sentence that says why nothing can be copied into this sandbox as it is now; "" when it can.

    `first_id` is the first that is to keep its ID; None: all get new ones.
    """
    info = stream_info(client, stream)
    if info is None:
        return ""
    if not call(client, "EXISTS", provenance_key(stream)):
        return f"There is a stream {stream} already, which no replay has made: choose another name."
    if first_id is not None and info.last_generated_id >= first_id:
        return (
            f"{stream} has had the entry {info.last_generated_id} already, and {first_id}, the first one to be copied, "
            "does not come after it: give the entries new IDs, or choose another sandbox."
        )
    return ""


def sandboxes(client: redis.Redis, prefix: str) -> list[Sandbox]:
    """The sandboxes that there are, by name."""
    names = sorted(replies.text(raw) for raw in call(client, "ZRANGE", _index(prefix), 0, -1))
    found = (sandbox(client, name) for name in names)
    return [one for one in found if one is not None]


def sandbox(client: redis.Redis, stream: str) -> Sandbox | None:
    """The sandbox of this name; None when it was never made, or has expired."""
    kept, left_ms = call_all(client, ("HGETALL", provenance_key(stream)), ("PTTL", provenance_key(stream)))
    if not kept:
        return None
    replays = [replay for replay in map(_readable, kept.values()) if replay is not None]
    at = datetime.fromtimestamp(now_ms(client) / 1000 + left_ms / 1000, UTC) if left_ms >= 0 else None
    replays.sort(key=lambda replay: replay.begun_at)
    return Sandbox(stream, stream_info(client, stream), at, tuple(replays))


def origin(client: redis.Redis, stream: str, entry_id: EntryId) -> tuple[str, EntryId] | None:
    """The stream and the ID that an entry of a sandbox had before it got a new one; None where it kept its own."""
    kept = read_entry(client, origins_key(stream), entry_id)
    told = dict(kept.pairs) if kept else {}
    return (replies.text(told[b"stream"]), EntryId.parse(told[b"entry_id"])) if told else None


def delete_sandbox(client: redis.Redis, stream: str, prefix: str) -> None:
    """Delete the sandbox and what is kept beside it. A replay that is under way notices and ends."""
    keys = (provenance_key(stream), stream, origins_key(stream))
    call_all(client, *(("DEL", key) for key in keys), ("ZREM", _index(prefix), stream))


def provenance_key(stream: str) -> str:
    """The hash with what is known of each replay into the sandbox."""
    return f"{stream}:provenance"


def origins_key(stream: str) -> str:
    """The stream with the places from where entries with new IDs came."""
    return f"{stream}:origins"


def expiry_commands(stream: str, prefix: str, expires_ms: int) -> list[tuple[str | int, ...]]:
    """The commands that have the sandbox, and what lies beside it, expire at this Unix time."""
    return [
        *(("PEXPIREAT", key, expires_ms) for key in (stream, provenance_key(stream), origins_key(stream))),
        ("ZADD", _index(prefix), expires_ms, stream),
        # As long as the longest that a sandbox named there can last.
        ("EXPIRE", _index(prefix), EXPIRES_MAX_S + 86_400),
    ]


def now_ms(client: redis.Redis) -> int:
    """The server's clock, which the expiry goes by, in Unix milliseconds."""
    seconds, microseconds = call(client, "TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def forget_expired(client: redis.Redis, prefix: str) -> None:
    """Take those off the list that have expired."""
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
