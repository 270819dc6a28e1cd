import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.events.entry import EntryId
from evdash.streams.reads import read_backward, read_entry, read_forward

PAIRS = st.lists(st.tuples(st.binary(max_size=40), st.binary(max_size=200)), min_size=1, max_size=8)


def fill(client: redis.Redis, *ids: str) -> list[EntryId]:
    for entry_id in ids:
        client.execute_command("XADD", "s", entry_id, "a", "1")
    return [EntryId.parse(entry_id) for entry_id in ids]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=PAIRS)
def test_any_pairs_are_read_as_they_were_written(client: redis.Redis, pairs: list[tuple[bytes, bytes]]) -> None:
    raw_id = client.execute_command("XADD", "s", "*", *(part for pair in pairs for part in pair))
    entry = read_entry(client, "s", EntryId.parse(raw_id))
    assert entry is not None
    assert entry.pairs == tuple(pairs)
    assert read_backward(client, "s", before=None, after=None, count=1) == [entry]
    assert read_forward(client, "s", after=entry.entry_id.previous(), count=1) == [entry]


def test_a_forward_read_begins_after_and_ends_with_its_bound(client: redis.Redis) -> None:
    first, second, third = fill(client, "1-0", "1-1", "2-0")
    read = [entry.entry_id for entry in read_forward(client, "s", after=None, count=10)]
    assert read == [first, second, third]
    read = [entry.entry_id for entry in read_forward(client, "s", after=first, through=second, count=10)]
    assert read == [second]
    assert len(read_forward(client, "s", after=None, count=2)) == 2
    assert read_forward(client, "s", after=third, count=10) == []
    assert read_forward(client, "s", after=second, through=first, count=10) == []


def test_a_backward_read_excludes_both_ends(client: redis.Redis) -> None:
    first, second, third = fill(client, "1-0", "1-1", "2-0")
    read = [entry.entry_id for entry in read_backward(client, "s", before=None, after=None, count=10)]
    assert read == [third, second, first]
    read = [entry.entry_id for entry in read_backward(client, "s", before=third, after=first, count=10)]
    assert read == [second]
    assert read_backward(client, "s", before=second, after=first, count=10) == []


def test_the_ends_of_the_id_range_can_be_read_to(client: redis.Redis) -> None:
    smallest, largest = fill(client, "0-1", str(EntryId.MAX))
    assert [entry.entry_id for entry in read_forward(client, "s", after=smallest, count=9)] == [largest]
    assert read_forward(client, "s", after=EntryId.MAX, count=9) == []
    assert [entry.entry_id for entry in read_backward(client, "s", before=largest, after=None, count=9)] == [smallest]
    assert read_backward(client, "s", before=EntryId.MIN, after=None, count=9) == []
    assert read_backward(client, "s", before=None, after=EntryId.MAX, count=9) == []


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_is_read_when_nothing_is_asked_for(client: redis.Redis, count: int) -> None:
    fill(client, "1-0")
    assert read_forward(client, "s", after=None, count=count) == []
    assert read_backward(client, "s", before=None, after=None, count=count) == []


def test_a_missing_stream_or_entry_is_simply_not_there(client: redis.Redis) -> None:
    assert read_forward(client, "none", after=None, count=1) == []
    assert read_backward(client, "none", before=None, after=None, count=1) == []
    fill(client, "1-0")
    assert read_entry(client, "s", EntryId(1, 1)) is None
