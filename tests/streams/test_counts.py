import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams import stream_info
from evdash.streams.stream_info import EntryCount, scan


def fill(client: redis.Redis, count: int, value: str = "1") -> list[EntryId]:
    for ms in range(1, count + 1):
        client.execute_command("XADD", "s", f"{ms}-0", "a", value)
    return [EntryId(ms, 0) for ms in range(1, count + 1)]


def test_a_range_is_counted_exactly_up_to_the_bound(client: redis.Redis) -> None:
    ids = fill(client, 30)
    assert scan(client, "s", at_most=30).count == EntryCount(30)
    assert scan(client, "s", at_most=29).count == EntryCount(29, exact=False)
    assert scan(client, "s", since=ids[4], through=ids[9]).ids == tuple(ids[4:10])
    assert scan(client, "s", since=ids[4], through=ids[9], at_most=6).count == EntryCount(6)
    assert scan(client, "s", since=ids[9], through=ids[4]).count == EntryCount(0)
    assert scan(client, "s", at_most=0).count == EntryCount(0, exact=False)
    assert scan(client, "none", at_most=10).count == EntryCount(0)


def test_many_entries_are_read_in_steps(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_info, "READ_STEP", 7)
    ids = fill(client, 30)
    assert scan(client, "s").ids == tuple(ids)
    assert scan(client, "s", at_most=14).ids == tuple(ids[:14])
    assert scan(client, "s", at_most=28).count == EntryCount(28, exact=False)


def test_counting_large_entries_stops_earlier(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_info, "READ_STEP", 5)
    monkeypatch.setattr(stream_info, "SCAN_MAX_BYTES", 1_000)
    fill(client, 30, value="x" * 120)
    assert scan(client, "s").count == EntryCount(10, exact=False)


def test_a_count_reads_as_words() -> None:
    assert EntryCount(1).entries() == "1 entry"
    assert EntryCount(1, exact=False).entries() == "1+ entries"
    assert EntryCount(0).entries() == "0 entries"
    assert EntryCount(10_000, exact=False).entries() == "10,000+ entries"
