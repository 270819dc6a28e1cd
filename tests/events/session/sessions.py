"""Sessions for tests: short ones by hand, and any that producers could write."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from tests.builders import event, wild_pairs

START_MS = 1_764_000_000_000


def at(after_ms: int, **fields: str) -> Event:
    """An event so long after the start, by its entry ID and by its producer."""
    time_ms = START_MS + after_ms
    return event(f"{time_ms}-0", **{"type": "message.added", "session_id": "s", "timestamp": str(time_ms)} | fields)


def place(after_ms: int) -> str:
    """Where the state says that such an event stands."""
    return f"{START_MS + after_ms}-0@memory:events"


_TYPES: dict[str, tuple[str, ...]] = {
    "session.started": (),
    "session.ended": (),
    "message.added": ("role", "content", "message_id"),
    "summary.created": ("message_ids", "message_count"),
    "memory.cleared": ("message_count",),
    "search.performed": ("call_id", "tool", "results"),
    "tool.called": ("call_id", "tool"),
    "tool.returned": ("call_id", "tool", "result"),
    "error.occurred": ("call_id", "tool", "error"),
    "guardrail.blocked": (),
    "": (),
}
_PARTS = [
    json.dumps([{"type": kind, name: call_id, "name": "book"}])
    for kind, name in (("tool_use", "id"), ("tool_result", "tool_use_id"))
    for call_id in ("c1", "c2", "")
]
_PARTS.append(json.dumps([json.loads(part)[0] for part in _PARTS[:4]]))
_FIELDS = {
    "role": ["user", "assistant", "system", ""],
    "content": ["", "hello", "a longer text " * 30, *_PARTS],
    "call_id": ["", "c1", "c2"],
    "tool": ["", "find", "book"],
    "message_id": ["m1", "m2", "m3"],
    "message_ids": ['["m1"]', '["m2", "m3", "m4"]', "[]", "[", "m1"],
    "message_count": ["0", "1", "2", "40", "-1", "many"],
    "results": ["0", "3", '["x", "y"]', ""],
    "result": ["", "[1, 2]", "done"],
    "error": ["", "no"],
    "latency_ms": ["5", "0.5", "x"],
    "tokens": ["3", "x"],
    "id": ["", "e1", "e2"],
    "user_id": ["u", "v", ""],
    "model": ["big", ""],
    "timestamp": ["1764000000", "1763999990", "1764000000123", ""],
    "data": ['{"role": "user", "content": ["a"], "call_id": 7}', "{"],
}


def _likely_of(event_type: str) -> st.SearchStrategy[tuple[tuple[bytes, bytes], ...]]:
    values = {name: st.sampled_from(values) for name, values in _FIELDS.items()}
    own = {name: values.pop(name) for name in _TYPES[event_type]}
    fields = st.fixed_dictionaries({"type": st.just(event_type), **own}, optional=values)
    return fields.map(lambda fields: tuple((name.encode(), value.encode()) for name, value in fields.items()))


_likely = st.one_of(*map(_likely_of, _TYPES))
# By a number first: `one_of` would flatten its branches, and choose among so many almost always a likely one.
_pairs = st.integers(0, 3).flatmap(
    lambda kind: (
        wild_pairs
        if kind == 3
        else st.tuples(_likely, wild_pairs).map(lambda both: (*both[0], *both[1]))
        if kind == 2
        else _likely
    )
)
_MESSAGE = ((b"type", b"message.added"), (b"role", b"user"))
_SUMMARY = ((b"type", b"summary.created"), (b"message_count", b"40"))
# Long enough that lists have chunks, and a summary takes a part of one out of the context.
_long = st.integers(0, 90).map(lambda messages: [*[_MESSAGE] * (70 + messages), _SUMMARY])


_parts = st.integers(0, 9).flatmap(lambda kind: _long if kind == 9 else _pairs.map(lambda pairs: [pairs]))


@st.composite
def sessions(draw: st.DrawFn, stream: str = "memory:events") -> list[Event]:
    """Events in the order of their positions, as `decode` reads them out of all sorts of entries."""
    parts = draw(st.lists(_parts, min_size=1, max_size=30)) * draw(st.integers(1, 2))
    decoded: dict[tuple[tuple[bytes, bytes], ...], Event] = {}
    events = []
    for number, pairs in enumerate(pairs for part in parts for pairs in part):
        if pairs not in decoded:
            decoded[pairs] = decode(Entry(stream, EntryId.MIN, pairs))
        events.append(decoded[pairs]._replace(entry=Entry(stream, EntryId(START_MS + number, 0), pairs)))
    return events
