from collections.abc import Iterator
from threading import Thread

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams.client import StreamsUnavailable, open_blocking_client
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.stream_info import group_infos
from tests.streams.conftest import wait_until


def ensured(consumer: GroupConsumer, stream: str = "s") -> str:
    """Ensure the group from the beginning of the stream, which exists from now on."""
    consumer.client.execute_command("XGROUP CREATE", stream, "maker", "0", "MKSTREAM")
    consumer.client.execute_command("XGROUP DESTROY", stream, "maker")
    return consumer.ensure(stream, EntryId.MIN)


@pytest.fixture
def worker(valkey: redis.Redis, valkey_url: str) -> Iterator[GroupConsumer]:
    client = open_blocking_client(valkey_url, block_ms=5_000)
    yield GroupConsumer(client, "audit", "one")
    client.close()


def fill(client: redis.Redis, count: int, stream: str = "s", since: int = 1) -> list[EntryId]:
    for ms in range(since, since + count):
        client.execute_command("XADD", stream, f"{ms}-0", "a", "1", "a", b"\xff")
    return [EntryId(ms, 0) for ms in range(since, since + count)]


def test_a_group_is_made_where_it_is_asked_for_and_then_kept(worker: GroupConsumer, valkey: redis.Redis) -> None:
    assert ensured(worker) == "created"
    assert ensured(worker) == "kept"
    ids = fill(valkey, 5)
    assert [entry.entry_id for entry in worker.read_new(["s"], count=10, block_ms=0)] == ids
    assert worker.ensure("s", ids[-1]) == "kept"


def test_a_group_is_moved_back_and_never_forward(worker: GroupConsumer, valkey: redis.Redis) -> None:
    ids = fill(valkey, 5)
    valkey.execute_command("XGROUP CREATE", "s", "audit", "$")
    assert worker.ensure("s", ids[1]) == "moved back"
    assert worker.ensure("s", ids[3]) == "kept"
    assert [entry.entry_id for entry in worker.read_new(["s"], count=10, block_ms=0)] == ids[2:]


def test_several_streams_are_read_in_one_call(worker: GroupConsumer, valkey: redis.Redis) -> None:
    ensured(worker)
    ensured(worker, "t")
    fill(valkey, 3, "s")
    fill(valkey, 2, "t")
    read = worker.read_new(["s", "t"], count=2, block_ms=0)
    assert sorted((entry.stream, entry.entry_id.ms) for entry in read) == [("s", 1), ("s", 2), ("t", 1), ("t", 2)]
    assert read[0].pairs == ((b"a", b"1"), (b"a", b"\xff"))


def test_a_read_waits_for_the_first_entry_and_no_longer_than_told(worker: GroupConsumer, valkey: redis.Redis) -> None:
    ensured(worker)
    assert worker.read_new(["s"], count=10, block_ms=20) == []
    read: list[object] = []
    reader = Thread(target=lambda: read.extend(worker.read_new(["s"], count=10, block_ms=5_000)))
    reader.start()
    wait_until(lambda: int(str(valkey.info("clients")["blocked_clients"])) == 1)
    fill(valkey, 1)
    reader.join(timeout=10)
    assert len(read) == 1


def test_unacknowledged_entries_are_read_again_and_lost_ones_are_told(
    worker: GroupConsumer, valkey: redis.Redis
) -> None:
    ensured(worker)
    ids = fill(valkey, 5)
    worker.read_new(["s"], count=10, block_ms=0)
    worker.acknowledge("s", [ids[1]])
    valkey.execute_command("XDEL", "s", str(ids[2]))
    pending = worker.read_own_pending("s", EntryId.MIN, count=10)
    assert [delivery.entry_id for delivery in pending] == [ids[0], ids[2], ids[3], ids[4]]
    assert [delivery.entry is None for delivery in pending] == [False, True, False, False]
    assert pending[0].entry is not None
    assert pending[0].entry.pairs == ((b"a", b"1"), (b"a", b"\xff"))
    rest = worker.read_own_pending("s", ids[2], count=1)
    assert [delivery.entry_id for delivery in rest] == [ids[3]]
    assert worker.read_own_pending("s", ids[4], count=10) == []


def test_the_watermark_stays_below_what_is_pending(worker: GroupConsumer, valkey: redis.Redis) -> None:
    assert worker.watermark("s") is None
    ensured(worker)
    assert worker.watermark("s") == EntryId.MIN
    ids = fill(valkey, 5)
    assert worker.watermark("s") == EntryId.MIN
    worker.read_new(["s"], count=4, block_ms=0)
    assert worker.watermark("s") == ids[0].previous()
    assert worker.acknowledge("s", [ids[0], ids[2]]) == ids[1].previous()
    assert worker.acknowledge("s", [ids[1], ids[3]]) == ids[3]
    assert worker.acknowledge("s", []) == ids[3]


def test_another_consumers_pending_entries_hold_the_watermark(worker: GroupConsumer, valkey: redis.Redis) -> None:
    other = GroupConsumer(worker.client, worker.group, "two")
    ensured(worker)
    ids = fill(valkey, 4)
    other.read_new(["s"], count=2, block_ms=0)
    worker.read_new(["s"], count=2, block_ms=0)
    assert worker.acknowledge("s", ids[2:]) == ids[0].previous()
    assert other.read_own_pending("s", EntryId.MIN, count=10)[0].entry_id == ids[0]
    assert other.acknowledge("s", ids[:2]) == ids[3]


def test_a_missing_group_is_told_apart_from_a_missing_redis(worker: GroupConsumer, valkey: redis.Redis) -> None:
    fill(valkey, 1)
    for attempt in (
        lambda: worker.read_new(["s"], count=1, block_ms=0),
        lambda: worker.read_own_pending("s", EntryId.MIN, count=1),
        lambda: worker.acknowledge("s", [EntryId(1, 0)]),
        lambda: worker.acknowledge("none", [EntryId(1, 0)]),
    ):
        with pytest.raises(GroupMissing, match="Consumer group audit does not exist on"):
            attempt()
    with pytest.raises(GroupMissing, match="Consumer group audit does not exist on absent"):
        worker.ensure("absent", EntryId.MIN)
    assert not valkey.exists("absent")  # evdash creates no stream
    valkey.set("text", "text")
    with pytest.raises(StreamsUnavailable, match=r"Key text of Redis at .* is not a stream"):
        worker.ensure("text", EntryId.MIN)


def test_a_group_destroyed_while_a_reader_waits_is_missing(worker: GroupConsumer, valkey: redis.Redis) -> None:
    ensured(worker)
    raised: list[BaseException] = []

    def read() -> None:
        try:
            worker.read_new(["s"], count=1, block_ms=5_000)
        except GroupMissing as error:
            raised.append(error)

    for destroy in (("XGROUP DESTROY", "s", "audit"), ("DEL", "s")):
        reader = Thread(target=read)
        reader.start()
        wait_until(lambda: int(str(valkey.info("clients")["blocked_clients"])) == 1)
        valkey.execute_command(*destroy)
        reader.join(timeout=10)
        ensured(worker)
    assert len(raised) == 2


def test_a_redis_that_stops_under_a_waiting_reader_is_told_at_once(server: EmbeddedServer) -> None:
    waiting = GroupConsumer(open_blocking_client(server.url, block_ms=60_000), "audit", "one")
    ensured(waiting)
    raised: list[BaseException] = []

    def read() -> None:
        try:
            waiting.read_new(["s"], count=1, block_ms=60_000)
        except StreamsUnavailable as error:
            raised.append(error)

    reader = Thread(target=read)
    reader.start()
    watching = open_blocking_client(server.url, block_ms=0)
    wait_until(lambda: int(str(watching.info("clients")["blocked_clients"])) == 1)
    server.stop()
    reader.join(timeout=10)
    assert "is unreachable" in str(raised[0])


def test_the_group_is_seen_by_redis_under_its_names(worker: GroupConsumer, valkey: redis.Redis) -> None:
    ensured(worker)
    fill(valkey, 1)
    worker.read_new(["s"], count=1, block_ms=0)
    (group,) = group_infos(valkey, "s")
    assert (group.name, group.consumers[0].name) == ("audit", "one")
