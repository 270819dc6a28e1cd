from datetime import UTC, datetime, timedelta, timezone

import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.events.entry import Entry, EntryId
from evdash.streams.dead_letters import (
    LOOK_BACK,
    META_FIELDS,
    ParkedEntry,
    park,
    parked_count,
    parked_entries,
    parked_entry,
    parked_stream,
    remove_parked,
)
from evdash.streams.reads import read_forward

NAMES = st.one_of(st.binary(max_size=20), st.sampled_from(META_FIELDS))
PAIRS = st.lists(st.tuples(NAMES, st.binary(max_size=100)), max_size=20).map(tuple)
IDS = st.builds(EntryId, st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
TIMES = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


def entry(ms: int, *pairs: tuple[bytes, bytes]) -> Entry:
    return Entry("s", EntryId(ms, 0), pairs or ((b"type", b"odd"),))


def park_plainly(client: redis.Redis, *milliseconds: int) -> list[EntryId]:
    return [
        park(client, entry(ms), group="audit", consumer="one", deliveries=5, reason="It is odd.") for ms in milliseconds
    ]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry_id=IDS, pairs=PAIRS, group=TEXT, consumer=TEXT, deliveries=st.integers(0, 2**63), reason=TEXT, at=TIMES)
def test_any_entry_comes_back_from_parking_as_it_went(
    valkey: redis.Redis,
    entry_id: EntryId,
    pairs: tuple[tuple[bytes, bytes], ...],
    group: str,
    consumer: str,
    deliveries: int,
    reason: str,
    at: datetime,
) -> None:
    odd = Entry("s", entry_id, pairs)
    parked_id = park(valkey, odd, group=group, consumer=consumer, deliveries=deliveries, reason=reason, parked_at=at)
    expected = ParkedEntry(parked_id, odd, group, consumer, deliveries, reason, at)
    assert parked_entry(valkey, "s", parked_id) == expected
    assert expected in parked_entries(valkey, "s", after=parked_id.previous(), count=1)
    assert remove_parked(valkey, "s", [parked_id]) == 1


def test_a_person_reads_the_reason_in_redis_itself(valkey: redis.Redis) -> None:
    odd = entry(7, (b"parked_reason", b"an own field"), (b"a", b"\xff"), (b"a", b"2"))
    at = datetime(2026, 11, 5, 12, 30, 1, 500, UTC)
    park(valkey, odd, group="audit", consumer="one", deliveries=5, reason="The session ID is a list.", parked_at=at)
    (raw,) = read_forward(valkey, "s:parked", after=None, count=10)
    assert raw.pairs == (
        (b"parked_stream", b"s"),
        (b"parked_entry_id", b"7-0"),
        (b"parked_group", b"audit"),
        (b"parked_consumer", b"one"),
        (b"parked_deliveries", b"5"),
        (b"parked_reason", b"The session ID is a list."),
        (b"parked_at", b"2026-11-05T12:30:01.000500+00:00"),
        *odd.pairs,
    )


def test_parked_entries_are_listed_counted_and_removed(valkey: redis.Redis) -> None:
    assert (parked_entries(valkey, "s", count=10), parked_count(valkey, "s")) == ([], 0)
    parked_ids = park_plainly(valkey, 1, 2, 3)
    assert parked_count(valkey, "s") == 3
    assert [parked.entry for parked in parked_entries(valkey, "s", count=2)] == [entry(1), entry(2)]
    assert [parked.entry for parked in parked_entries(valkey, "s", after=parked_ids[1], count=2)] == [entry(3)]
    assert remove_parked(valkey, "s", [parked_ids[0], parked_ids[0], EntryId(1, 1)]) == 1
    assert remove_parked(valkey, "s", []) == 0
    assert parked_entry(valkey, "s", parked_ids[0]) is None
    assert [parked.parked_id for parked in parked_entries(valkey, "s", count=10)] == parked_ids[1:]


def test_parking_again_what_was_just_parked_writes_nothing(valkey: redis.Redis) -> None:
    first, second = park_plainly(valkey, 1, 2)
    assert park_plainly(valkey, 1) == [first]
    other_group = park(valkey, entry(1), group="debug", consumer="one", deliveries=5, reason="It is odd.")
    assert other_group not in (first, second)
    remove_parked(valkey, "s", [first])
    assert park_plainly(valkey, 1) != [first]
    assert parked_count(valkey, "s") == 3


def test_another_entry_under_the_same_id_is_parked_as_well(valkey: redis.Redis) -> None:
    (first,) = park_plainly(valkey, 1)
    (other,) = [park(valkey, entry(1, (b"b", b"2")), group="audit", consumer="one", deliveries=5, reason="")]
    assert other != first
    assert parked_count(valkey, "s") == 2


def test_what_was_parked_long_ago_is_not_looked_for(valkey: redis.Redis) -> None:
    first, *_ = park_plainly(valkey, *range(1, LOOK_BACK + 2))
    assert park_plainly(valkey, 1) != [first]


def test_what_others_put_into_the_parked_stream_is_left_alone(valkey: redis.Redis) -> None:
    beside = parked_stream("s")
    meta = [(name, b"1") for name in META_FIELDS]
    for pairs in ([(b"a", b"1")], meta, [*meta[:-1], (b"parked_at", b"2026-11-05")], list(reversed(meta))):
        valkey.execute_command("XADD", beside, "*", *(part for pair in pairs for part in pair))
    (mine,) = park_plainly(valkey, 1)
    assert [parked.parked_id for parked in parked_entries(valkey, "s", count=1)] == [mine]
    foreign = read_forward(valkey, beside, after=None, count=1)[0].entry_id
    assert parked_entry(valkey, "s", foreign) is None
    assert parked_count(valkey, "s") == 5
