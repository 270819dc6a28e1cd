"""Entries and events for tests, written as short as they can be."""

from __future__ import annotations

import json
from collections.abc import Sequence

import redis
from hypothesis import strategies as st

from evdash.events.decoding import decode
from evdash.events.entry import MAX_HALF, Entry, EntryId
from evdash.events.event import Event
from evdash.streams.shared_tail import SharedTail

STREAM = "memory:events"
GROUPS = ("evdash-audit", "evdash-analytics", "evdash-debug")


def tail_of(
    client: redis.Redis, *streams: str, groups: Sequence[str] = GROUPS, bytes_max: int | None = None
) -> SharedTail:
    """A tail of these streams that nothing else uses."""
    return SharedTail(client, streams or (STREAM,), groups, bytes_max=bytes_max)


def entry(entry_id: str = "1700000000000-0", stream: str = STREAM, **fields: str | bytes) -> Entry:
    """An entry with these fields in this order."""
    return raw_entry(*fields.items(), entry_id=entry_id, stream=stream)


def raw_entry(
    *pairs: tuple[str | bytes, str | bytes], entry_id: str = "1700000000000-0", stream: str = STREAM
) -> Entry:
    """An entry with these pairs, a name as often as it stands."""
    return Entry(stream, EntryId.parse(entry_id), tuple((_raw(name), _raw(value)) for name, value in pairs))


def event(entry_id: str = "1700000000000-0", stream: str = STREAM, **fields: str | bytes) -> Event:
    """The event of such an entry."""
    return decode(entry(entry_id, stream, **fields))


def _raw(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


halves = st.one_of(st.integers(0, 5), st.integers(0, MAX_HALF), st.integers(MAX_HALF - 5, MAX_HALF))
entry_ids = st.builds(EntryId, halves, halves)

# Few different words, so that filters meet events; among them what a query language could stumble over.
words = st.sampled_from(
    (
        "",
        "a",
        "A",
        "ab",
        "abc",
        "error",
        "x y",
        '"',
        "\\",
        "*",
        "a*",
        "-a",
        "a:b",
        "%",
        "_",
        "'",
        "ß",
        "SS",
        "İ",
        "日本",
    )
) | st.sampled_from(("🙂", "\x00", "\x1e"))
names = st.sampled_from(
    ["type", "session_id", "user_id", "severity", "tool", "model", "code", "error", "content", "agent", "id", "Naïve x"]
)
raw_values = st.one_of(words.map(str.encode), st.text(max_size=20).map(str.encode), st.binary(max_size=12))
pairs = st.lists(st.tuples(names.map(str.encode), raw_values), max_size=8).map(tuple)

_traps = st.sampled_from(
    [
        b'{"type":"x","session_id":5}',
        b'{"a":"\\ud800"}',
        b"{" * 5000,
        b'{"tokens":1e400}',
        b"[1,2]",
        b"NaN",
        b"-1",
        b"1e9",
        b"9999-12-31T23:59:59Z",
        b"0001-01-01T00:00:00Z",
        b"253402300799",
        b"9" * 23,
        b"\xff\xfe",
    ]
)
_json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
).map(lambda value: json.dumps(value).encode())
_wild_names = st.one_of(
    names.map(str.encode), st.sampled_from([b"timestamp", b"data", b"latency_ms", b"tokens"]), st.binary(max_size=6)
)
wild_pairs = st.lists(st.tuples(_wild_names, st.one_of(raw_values, _traps, _json_values)), max_size=10).map(tuple)
