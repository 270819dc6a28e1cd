"""A stream's rate is that of its entries' writing, whatever its groups do."""

import redis

from evdash.streams.stream_info import READ_MAX, WINDOW_S, Arrivals, arrivals, stream_info


def write(client: redis.Redis, count: int, age_s: int) -> None:
    now_ms = client.time()[0] * 1000
    for n in range(count):
        client.execute_command("XADD", "s", f"{now_ms - age_s * 1000}-{n}", "a", "1")


def lately(client: redis.Redis) -> Arrivals | None:
    info = stream_info(client, "s")
    assert info is not None
    return arrivals(client, "s", info)


def test_entries_of_the_last_minutes_are_counted_and_older_ones_are_not(client: redis.Redis) -> None:
    write(client, 40, age_s=3_600)
    assert lately(client) == Arrivals(0, WINDOW_S)
    write(client, 30, age_s=60)
    assert lately(client) == Arrivals(30, WINDOW_S)


def test_of_a_quick_stream_the_newest_entries_are_the_measure(client: redis.Redis) -> None:
    write(client, READ_MAX + 500, age_s=10)
    found = lately(client)
    assert found is not None
    assert found.entries == READ_MAX
    assert READ_MAX / 12 < found.per_second <= READ_MAX / 9


def test_a_stream_that_was_trimmed_is_measured_as_far_as_it_reaches(valkey: redis.Redis) -> None:
    write(valkey, 50, age_s=60)
    write(valkey, 50, age_s=20)
    valkey.execute_command("XTRIM", "s", "MAXLEN", 50)
    found = lately(valkey)
    assert found is not None
    assert found.entries == 50
    assert 19 <= found.window_s <= 22


def test_ids_that_run_ahead_of_the_clock_tell_nothing(client: redis.Redis) -> None:
    client.execute_command("XADD", "s", "9999999999999-0", "a", "1")
    client.execute_command("XADD", "s", "*", "a", "1")
    assert lately(client) is None
