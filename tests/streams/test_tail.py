import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from evdash.events.entry import Entry, EntryId
from evdash.streams import tail
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.tail import Tail, TailState


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


class Following:
    """A tail and what it gave so far."""

    def __init__(self, url: str, streams: list[str], after: Mapping[str, EntryId] | None, block_ms: int) -> None:
        self.entries: list[Entry] = []
        self.batches: list[tuple[Entry, ...]] = []
        self.states: list[TailState] = []
        self.tail = Tail(url, streams, after=after, on_state=self.states.append, block_ms=block_ms)

    async def run(self) -> None:
        async for batch in self.tail.batches():
            self.batches.append(batch)
            self.entries.extend(batch)


@asynccontextmanager
async def following(
    url: str, *streams: str, after: Mapping[str, EntryId] | None = None, block_ms: int = 5_000
) -> AsyncIterator[Following]:
    followed = Following(url, list(streams), after, block_ms)
    task = asyncio.create_task(followed.run())
    await until(lambda: followed.states or task.done())
    yield followed
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def add(client: redis.Redis, stream: str, entry_id: str = "*") -> EntryId:
    return EntryId.parse(client.execute_command("XADD", stream, entry_id, "a", "1", "a", b"\xff"))


async def test_what_is_added_after_the_start_arrives_and_nothing_before(valkey: redis.Redis, valkey_url: str) -> None:
    old = add(valkey, "s")
    async with following(valkey_url, "s", "t") as followed:
        assert followed.tail.position == {"s": old, "t": EntryId.MIN}
        ids = [add(valkey, "s"), add(valkey, "t"), add(valkey, "s")]
        await until(lambda: len(followed.entries) == 3)
    assert sorted(entry.entry_id for entry in followed.entries) == sorted(ids)
    assert followed.entries[0].pairs == ((b"a", b"1"), (b"a", b"\xff"))
    assert followed.tail.position == {"s": ids[2], "t": ids[1]}
    assert followed.states == [TailState(True)]


async def test_a_tail_goes_on_after_a_given_position(valkey: redis.Redis, valkey_url: str) -> None:
    first, second, third = add(valkey, "s"), add(valkey, "s"), add(valkey, "s")
    async with following(valkey_url, "s", after={"s": first}) as followed:
        await until(lambda: followed.entries)
    assert [entry.entry_id for entry in followed.entries] == [second, third]


async def test_a_batch_is_in_the_order_of_its_ids_across_streams(valkey: redis.Redis, valkey_url: str) -> None:
    for ms in range(1, 9):
        add(valkey, "s" if ms % 2 else "t", f"{ms}-0")
    async with following(valkey_url, "s", "t", after={"s": EntryId.MIN, "t": EntryId.MIN}) as followed:
        await until(lambda: len(followed.entries) == 8)
    assert [entry.entry_id.ms for entry in followed.entries] == list(range(1, 9))


async def test_an_outage_is_reported_and_nothing_of_it_is_missed(
    server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "LONGEST_DELAY_S", 0.2)
    first = add(open_client(server.url), "s")
    async with following(server.url, "s", after={"s": EntryId.MIN}) as followed:
        await until(lambda: followed.entries)
        server.stop()
        await until(lambda: not followed.states[-1].reachable)
        assert "is unreachable" in followed.states[-1].reason
        server.start()
        second = add(open_client(server.url), "s")
        await until(lambda: len(followed.entries) == 2)
    assert [entry.entry_id for entry in followed.entries] == [first, second]
    assert [state.reachable for state in followed.states][::2] == [True, True]


async def test_a_tail_may_be_started_before_redis(server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LONGEST_DELAY_S", 0.2)
    server.stop()
    async with following(server.url, "s") as followed:
        assert not followed.states[-1].reachable
        assert followed.tail.position == {}
        server.start()
        await until(lambda: followed.states[-1].reachable)
        added = add(open_client(server.url), "s")
        await until(lambda: followed.entries)
    assert [entry.entry_id for entry in followed.entries] == [added]


async def test_a_recreated_stream_with_lower_ids_is_read(valkey: redis.Redis, valkey_url: str) -> None:
    add(valkey, "s", "9999999999999-0")
    async with following(valkey_url, "s", block_ms=50) as followed:
        valkey.delete("s")
        await until(lambda: followed.tail.position == {"s": EntryId.MIN})
        added = add(valkey, "s")
        await until(lambda: followed.entries)
    assert [entry.entry_id for entry in followed.entries] == [added]


async def test_a_recreated_stream_with_lower_ids_is_read_completely_while_another_is_busy(
    valkey: redis.Redis, valkey_url: str
) -> None:
    add(valkey, "s", "9999999999999-0")
    async with following(valkey_url, "s", "busy", block_ms=200) as followed:
        pipeline = valkey.pipeline(transaction=True)
        pipeline.delete("s")
        for number in (5, 6, 7):
            pipeline.execute_command("XADD", "s", f"{number}-0", "a", "1")
        pipeline.execute()

        def heard() -> list[int]:
            add(valkey, "busy")
            return [entry.entry_id.ms for entry in followed.entries if entry.stream == "s"]

        await until(lambda: heard() == [5, 6, 7])
        add(valkey, "s", "8-0")
        await until(lambda: heard() == [5, 6, 7, 8])


async def test_a_stream_that_came_back_from_an_older_file_is_not_heard_twice(
    valkey: redis.Redis, valkey_url: str
) -> None:
    async with following(valkey_url, "s", block_ms=50) as followed:
        for ms in (1_000, 3_000, 5_000):
            add(valkey, "s", f"{ms}-0")
        await until(lambda: len(followed.entries) == 3)
        older = valkey.pipeline(transaction=True)
        older.delete("s")
        for ms in (1_000, 3_000):
            older.execute_command("XADD", "s", f"{ms}-0", "a", "1")
        older.execute()
        await until(lambda: followed.tail.position == {"s": EntryId(3_000, 0)})
        add(valkey, "s", "4000-0")
        await until(lambda: len(followed.entries) == 4)
    assert [entry.entry_id.ms for entry in followed.entries] == [1_000, 3_000, 5_000, 4_000]


async def test_a_key_that_is_no_stream_is_reported_and_looked_at_again(
    valkey: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "LONGEST_DELAY_S", 0.2)
    valkey.set("s", "text")
    async with following(valkey_url, "s") as followed:
        assert "is not a stream" in followed.states[-1].reason
        valkey.delete("s")
        await until(lambda: followed.states[-1].reachable)


async def test_large_entries_come_in_smaller_batches(
    valkey: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "BATCH_BYTES", 50_000)
    for _ in range(2_000):
        valkey.execute_command("XADD", "s", "*", "a", "x" * 1_000)
    async with following(valkey_url, "s", after={"s": EntryId.MIN}) as followed:
        await until(lambda: len(followed.entries) == 2_000)
    assert len(followed.batches[0]) == tail.COUNT_MAX
    assert len(followed.batches[-2]) < 100


async def test_a_cancelled_tail_leaves_no_connection(valkey: redis.Redis, valkey_url: str) -> None:
    def connections() -> int:
        return len(valkey.client_list())

    before = connections()
    async with following(valkey_url, "s"):
        assert connections() == before + 1
    await until(lambda: connections() == before)


async def test_a_tail_ends_when_it_is_cancelled_though_the_client_calls_that_a_lost_connection(
    valkey: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = tail.call_async

    async def mistaken(*arguments: Any, **options: Any) -> Any:
        try:
            return await call(*arguments, **options)
        except asyncio.CancelledError:
            raise StreamsUnavailable("The connection was lost.") from None

    monkeypatch.setattr(tail, "call_async", mistaken)
    async with asyncio.timeout(15), following(valkey_url, "s"):
        await until(lambda: any(client["cmd"] == "xread" for client in valkey.client_list()))


def test_a_tail_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one stream"):
        Tail("redis://localhost", [])
