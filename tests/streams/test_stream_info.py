import redis

from evdash.events.entry import EntryId
from evdash.streams import stream_info as info
from evdash.streams.stream_info import Lag, group_infos, stream_info


def fill(client: redis.Redis, count: int, since: int = 1) -> None:
    for ms in range(since, since + count):
        client.execute_command("XADD", "s", f"{ms}-0", "a", "1")


def read(client: redis.Redis, count: int) -> None:
    client.execute_command("XREADGROUP", "GROUP", "g", "c", "COUNT", count, "STREAMS", "s", ">")


def lag(client: redis.Redis) -> Lag:
    (group,) = group_infos(client, "s")
    return group.lag


def test_a_stream_tells_its_length_its_ends_and_what_it_ever_had(client: redis.Redis) -> None:
    fill(client, 5)
    client.execute_command("XDEL", "s", "5-0")
    info = stream_info(client, "s")
    assert info is not None
    assert (info.length, info.first_id, info.last_id) == (4, EntryId(1, 0), EntryId(4, 0))
    assert info.last_generated_id == EntryId(5, 0)
    assert info.entries_added == 5
    assert info.max_deleted_id == EntryId(5, 0)


def test_memory_is_told_where_the_server_tells_it(valkey: redis.Redis) -> None:
    fill(valkey, 5)
    info = stream_info(valkey, "s")
    assert info is not None
    assert info.memory_bytes
    assert info.memory_bytes > 100


def test_an_empty_stream_has_no_ends_and_a_missing_one_no_info(client: redis.Redis) -> None:
    client.execute_command("XGROUP CREATE", "s", "g", "0", "MKSTREAM")
    info = stream_info(client, "s")
    assert info is not None
    assert (info.length, info.first_id, info.last_id) == (0, None, None)
    assert lag(client) == Lag(0, exact=True)
    assert stream_info(client, "none") is None
    assert group_infos(client, "none") == []


def test_a_group_tells_its_consumers_and_what_is_pending(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    valkey.execute_command("XGROUP CREATE", "s", b"\xfft", "0")
    read(valkey, 4)
    valkey.execute_command("XACK", "s", "g", "1-0")
    by_name = {group.name: group for group in group_infos(valkey, "s")}
    assert sorted(by_name) == ["\\xfft", "g"]
    group = by_name["g"]
    assert [(consumer.name, consumer.pending) for consumer in group.consumers] == [("c", 3)]
    assert (group.pending, group.oldest_pending, group.last_delivered) == (3, EntryId(2, 0), EntryId(4, 0))
    assert group.watermark == EntryId(2, 0).previous()
    assert group.lag == Lag(6, exact=True)


def test_entries_trimmed_before_the_group_got_them_are_no_lag(valkey: redis.Redis) -> None:
    fill(valkey, 100)
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    read(valkey, 50)
    assert lag(valkey) == Lag(50, exact=True)
    valkey.execute_command("XTRIM", "s", "MAXLEN", 10)
    assert lag(valkey) == Lag(10, exact=True)
    fill(valkey, 1, since=200)
    assert lag(valkey) == Lag(11, exact=True)


def test_a_lag_that_redis_does_not_know_is_counted(valkey: redis.Redis) -> None:
    fill(valkey, 300)
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    read(valkey, 50)
    valkey.execute_command("XDEL", "s", "70-0")
    assert lag(valkey) == Lag(249, exact=True)


def test_counting_a_lag_stops_at_its_bound_and_says_so(valkey: redis.Redis) -> None:
    fill(valkey, 1_300)
    valkey.execute_command("XGROUP CREATE", "s", "g", "50-0")
    assert lag(valkey) == Lag(info.LAG_COUNT_MAX, exact=False, at_most=1_299)
    assert str(lag(valkey)) == "1,000+"
    assert lag(valkey).bounds == "1,000 counted, at most 1,299"
    assert str(Lag(None, exact=False)) == "unknown"


def test_past_the_bound_of_counting_redis_counters_give_an_estimate(valkey: redis.Redis) -> None:
    fill(valkey, 1_300)
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    read(valkey, 50)
    valkey.execute_command("XDEL", "s", "70-0")
    assert str(lag(valkey)) == "about 1,250"
    assert lag(valkey).bounds == "1,000 counted, at most 1,298"


def test_a_group_that_stands_past_the_end_has_no_lag(valkey: redis.Redis) -> None:
    fill(valkey, 3)
    valkey.execute_command("XGROUP CREATE", "s", "g", "500-0")
    assert lag(valkey) == Lag(0, exact=True)
