"""A key that is not a stream stops neither the tail of the pages nor that of the sockets."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.shared_tail import SharedTail
from evdash.streams.tail import Tail, TailState

GROUP = "evdash-audit"


def ids(tail: SharedTail, stream: str) -> list[EntryId]:
    reading = tail.read({})
    return [held.entry_id for held in reading.slices[stream].after(EntryId.MIN)]


def test_pages_read_the_other_streams_and_name_the_bad_one(valkey: redis.Redis) -> None:
    for stream in ("s", "x"):
        valkey.xadd(stream, {"type": "a"}, id="1-1")
    tail = SharedTail(valkey, ("s", "x"), (GROUP,))
    assert (ids(tail, "s"), ids(tail, "x")) == ([EntryId(1, 1)], [EntryId(1, 1)])
    valkey.delete("x")
    valkey.set("x", "hello")
    valkey.xadd("s", {"type": "a"}, id="2-1")
    reading = tail.read({})
    assert reading.unreachable == ""
    assert [problem.partition(" of Redis")[0] for problem in reading.problems] == ["Key x"]
    assert (ids(tail, "s"), ids(tail, "x")) == ([EntryId(1, 1), EntryId(2, 1)], [])
    valkey.delete("x")
    valkey.xadd("x", {"type": "a"}, id="5-1")
    assert ids(tail, "x") == [EntryId(5, 1)]
    assert tail.read({}).problems == ()


def test_with_bad_keys_only_redis_counts_as_refusing(valkey: redis.Redis) -> None:
    valkey.set("x", "hello")
    assert "is not a stream" in SharedTail(valkey, ("x",), (GROUP,)).read({}).unreachable


@pytest.mark.parametrize("is_late", [False, True])
async def test_sockets_get_the_entries_of_the_other_streams(
    valkey: redis.Redis, valkey_url: str, is_late: bool
) -> None:
    if not is_late:
        valkey.set("x", "hello")
    states: list[TailState] = []
    has_answered = asyncio.Event()

    def note(state: TailState) -> None:
        states.append(state)
        has_answered.set()

    tail = Tail(valkey_url, ("x", "s"), on_state=note, block_ms=50)
    async with aclosing(tail.batches()) as batches:

        async def next_id() -> EntryId:
            return (await asyncio.wait_for(anext(batches), 20))[0].entry_id

        waiting = asyncio.ensure_future(next_id())
        await asyncio.wait_for(has_answered.wait(), 20)
        assert tail.position["x"] == EntryId.MIN
        if is_late:
            valkey.set("x", "hello")
        valkey.xadd("s", {"type": "a"}, id="1-1")
        assert await waiting == EntryId(1, 1)
        valkey.xadd("s", {"type": "a"}, id="2-1")
        assert await next_id() == EntryId(2, 1)
    assert [state.reachable for state in states] == [True]
