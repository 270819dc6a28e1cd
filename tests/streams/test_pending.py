from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from evdash.events.entry import EntryId
from evdash.streams import consumer_group
from evdash.streams.client import open_client
from evdash.streams.consumer_group import GroupConsumer, GroupMissing, claim, pending_entries
from tests.streams.conftest import wait_until

HOUR_MS = 3_600_000


@pytest.fixture
def ids(valkey: redis.Redis) -> list[EntryId]:
    """Six entries of stream s, the first four read by consumer a of group g, the last two by b."""
    for ms in range(1, 7):
        valkey.execute_command("XADD", "s", f"{ms}-0", "a", "1", "a", b"\xff")
    valkey.execute_command("XGROUP CREATE", "s", "g", "0")
    read(valkey, "a", 4)
    read(valkey, "b", 2)
    return [EntryId(ms, 0) for ms in range(1, 7)]


def read(client: redis.Redis, consumer: str, count: int) -> None:
    client.execute_command("XREADGROUP", "GROUP", "g", consumer, "COUNT", count, "STREAMS", "s", ">")


def be_idle(client: redis.Redis, consumer: str, idle_ms: int, *ids: EntryId) -> None:
    client.execute_command("XCLAIM", "s", "g", consumer, 0, *map(str, ids), "IDLE", idle_ms, "JUSTID")


def owners(client: redis.Redis) -> dict[int, str]:
    return {entry.entry_id.ms: entry.consumer for entry in pending_entries(client, "s", "g", count=100)}


def meanwhile(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Between the look and the claim, `happens` does."""
    look = consumer_group._pending_and_present

    def look_and_then(*args: Any) -> Any:
        found = look(*args)
        happens()
        return found

    monkeypatch.setattr(consumer_group, "_pending_and_present", look_and_then)


def without_idle(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the client's server one from before Redis 6.2."""
    execute = client.execute_command

    def execute_as_of_old(*command: Any, **options: Any) -> Any:
        if command[0] == "XPENDING" and "IDLE" in command:
            raise redis.ResponseError("syntax error")
        return execute(*command, **options)

    monkeypatch.setattr(client, "execute_command", execute_as_of_old)


def test_pending_entries_are_told_with_their_consumer_idle_time_and_deliveries(
    valkey: redis.Redis, ids: list[EntryId]
) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[0])
    first, *rest = pending_entries(valkey, "s", "g", count=10)
    assert (first.stream, first.entry_id, first.consumer, first.deliveries) == ("s", ids[0], "a", 1)
    assert HOUR_MS <= first.idle_ms < HOUR_MS + 60_000
    assert [entry.entry_id for entry in rest] == ids[1:]


def test_pending_entries_are_listed_page_by_page_and_by_consumer(valkey: redis.Redis, ids: list[EntryId]) -> None:
    page = pending_entries(valkey, "s", "g", count=4)
    assert [entry.entry_id for entry in page] == ids[:4]
    assert [entry.entry_id for entry in pending_entries(valkey, "s", "g", after=ids[3], count=4)] == ids[4:]
    assert [entry.entry_id for entry in pending_entries(valkey, "s", "g", consumer="b", count=4)] == ids[4:]
    assert pending_entries(valkey, "s", "g", after=EntryId.MAX, count=4) == []
    assert pending_entries(valkey, "s", "g", consumer="nobody", count=4) == []


@pytest.mark.parametrize("old_server", [False, True])
def test_only_the_idle_ones_are_listed_when_asked_for(
    valkey: redis.Redis, ids: list[EntryId], old_server: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[1], ids[3])
    be_idle(valkey, "b", 2 * HOUR_MS, ids[5])
    monkeypatch.setattr(consumer_group, "FILTER_STEP", 2)
    if old_server:
        without_idle(valkey, monkeypatch)

    def listed(**arguments: Any) -> list[EntryId]:
        return [entry.entry_id for entry in pending_entries(valkey, "s", "g", idle_over_ms=HOUR_MS, **arguments)]

    assert listed(count=10) == [ids[1], ids[3], ids[5]]
    assert listed(count=2) == [ids[1], ids[3]]
    assert listed(after=ids[1], count=10) == [ids[3], ids[5]]
    assert listed(consumer="b", count=10) == [ids[5]]


def test_a_missing_group_is_told(valkey: redis.Redis, ids: list[EntryId]) -> None:
    for attempt in (
        lambda: pending_entries(valkey, "s", "none", count=1),
        lambda: pending_entries(valkey, "none", "g", idle_over_ms=5, count=1),
        lambda: claim(valkey, "s", "none", "c", ids, idle_over_ms=0),
        lambda: claim(valkey, "none", "g", "c", ids, idle_over_ms=0),
        lambda: GroupConsumer(valkey, "none", "c").claim_idle("s", 0, 10),
        lambda: GroupConsumer(valkey, "none", "c").deliveries_of("s", ids),
    ):
        with pytest.raises(GroupMissing, match="does not exist on"):
            attempt()


def test_a_claim_brings_the_entries_whole_and_counts_as_a_delivery(valkey: redis.Redis, ids: list[EntryId]) -> None:
    claimed = claim(valkey, "s", "g", "c", [ids[4], ids[0]], idle_over_ms=0)
    assert [delivery.entry_id for delivery in claimed.deliveries] == [ids[0], ids[4]]
    assert all(
        delivery.entry is not None and delivery.entry.pairs == ((b"a", b"1"), (b"a", b"\xff"))
        for delivery in claimed.deliveries
    )
    assert claimed.not_claimed == ()
    assert owners(valkey) == {1: "c", 2: "a", 3: "a", 4: "a", 5: "c", 6: "b"}
    assert GroupConsumer(valkey, "g", "c").deliveries_of("s", [ids[0], ids[1]]) == {ids[0]: 2, ids[1]: 1}


def test_busy_acknowledged_and_unknown_entries_are_not_claimed(valkey: redis.Redis, ids: list[EntryId]) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[0], ids[1])
    valkey.execute_command("XACK", "s", "g", str(ids[1]))
    unknown = EntryId(77, 0)
    claimed = claim(valkey, "s", "g", "c", [*ids[:3], unknown], idle_over_ms=HOUR_MS)
    assert [delivery.entry_id for delivery in claimed.deliveries] == [ids[0]]
    assert claimed.not_claimed == (ids[1], ids[2], unknown)


def test_an_entry_gone_from_the_stream_is_told_and_stays_pending(valkey: redis.Redis, ids: list[EntryId]) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[0], ids[1])
    valkey.execute_command("XDEL", "s", str(ids[1]), str(ids[2]))
    claimed = claim(valkey, "s", "g", "c", ids[:3], idle_over_ms=HOUR_MS)
    assert [(delivery.entry_id, delivery.entry is None) for delivery in claimed.deliveries] == [
        (ids[0], False),
        (ids[1], True),
    ]
    assert claimed.not_claimed == (ids[2],)  # gone too, but its consumer has it in hand
    assert owners(valkey) == {1: "c", 2: "a", 3: "a", 4: "a", 5: "b", 6: "b"}


def test_an_entry_removed_in_the_moment_of_the_claim_is_told(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: valkey.execute_command("XDEL", "s", str(ids[1])))
    claimed = claim(valkey, "s", "g", "c", ids[:3], idle_over_ms=0)
    assert [delivery.entry is None for delivery in claimed.deliveries] == [False, True, False]
    assert claimed.not_claimed == ()


def test_an_entry_acknowledged_and_removed_in_the_moment_of_the_claim_is_not_called_gone(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    def acknowledge_and_remove() -> None:
        valkey.execute_command("XACK", "s", "g", str(ids[1]))
        valkey.execute_command("XDEL", "s", str(ids[1]))

    meanwhile(monkeypatch, acknowledge_and_remove)
    claimed = claim(valkey, "s", "g", "c", ids[:3], idle_over_ms=0)
    assert [delivery.entry_id for delivery in claimed.deliveries] == [ids[0], ids[2]]
    assert claimed.not_claimed == (ids[1],)


def test_an_entry_that_another_claims_first_stays_the_others(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    be_idle(valkey, "a", HOUR_MS, *ids[:4])
    meanwhile(monkeypatch, lambda: valkey.execute_command("XCLAIM", "s", "g", "d", HOUR_MS, str(ids[1])))
    claimed = claim(valkey, "s", "g", "c", ids[:3], idle_over_ms=HOUR_MS)
    assert [delivery.entry_id for delivery in claimed.deliveries] == [ids[0], ids[2]]
    assert claimed.not_claimed == (ids[1],)
    assert owners(valkey)[2] == "d"


def test_a_group_that_goes_in_the_moment_of_the_claim_is_missing(
    valkey: redis.Redis, ids: list[EntryId], monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch, lambda: valkey.execute_command("XGROUP DESTROY", "s", "g"))
    with pytest.raises(GroupMissing):
        claim(valkey, "s", "g", "c", ids, idle_over_ms=0)


def test_many_entries_are_claimed_in_steps(valkey: redis.Redis, ids: list[EntryId]) -> None:
    for ms in range(7, 300):
        valkey.execute_command("XADD", "s", f"{ms}-0", "a", "1")
    read(valkey, "a", 300)
    entries = [entry.entry_id for entry in pending_entries(valkey, "s", "g", count=1_000)]
    claimed = claim(valkey, "s", "g", "c", entries, idle_over_ms=0)
    assert [delivery.entry_id for delivery in claimed.deliveries] == entries
    assert set(owners(valkey).values()) == {"c"}


def test_a_consumer_claims_what_others_left_and_nothing_of_its_own(valkey: redis.Redis, ids: list[EntryId]) -> None:
    be_idle(valkey, "a", HOUR_MS, *ids[:4])
    be_idle(valkey, "b", HOUR_MS, ids[5])
    b = GroupConsumer(valkey, "g", "b")
    assert [delivery.entry_id for delivery in b.claim_idle("s", HOUR_MS, count=3)] == ids[:3]
    assert [delivery.entry_id for delivery in b.claim_idle("s", HOUR_MS, count=3)] == [ids[3]]
    assert b.claim_idle("s", HOUR_MS, count=3) == []


def test_own_idle_entries_do_not_stand_in_the_way_of_others(valkey: redis.Redis, ids: list[EntryId]) -> None:
    for ms in range(7, 200):
        valkey.execute_command("XADD", "s", f"{ms}-0", "a", "1")
    read(valkey, "a", 192)
    read(valkey, "b", 1)
    last = EntryId(199, 0)
    wait_until(lambda: pending_entries(valkey, "s", "g", after=last.previous(), idle_over_ms=2, count=1))
    a = GroupConsumer(valkey, "g", "a")
    assert [delivery.entry_id for delivery in a.claim_idle("s", 2, count=2)] == ids[4:]
    assert [delivery.entry_id for delivery in a.claim_idle("s", 2, count=2)] == [last]


def test_a_gone_entry_is_told_to_each_who_claims_until_it_is_acknowledged(
    valkey: redis.Redis, ids: list[EntryId]
) -> None:
    be_idle(valkey, "a", HOUR_MS, ids[0])
    valkey.execute_command("XDEL", "s", str(ids[0]))
    for name in ("c", "d"):
        (delivery,) = GroupConsumer(valkey, "g", name).claim_idle("s", HOUR_MS, count=10)
        assert (delivery.entry_id, delivery.entry) == (ids[0], None)
    GroupConsumer(valkey, "g", "c").acknowledge("s", ids[:1])
    assert GroupConsumer(valkey, "g", "c").claim_idle("s", HOUR_MS, count=10) == []


def test_two_who_claim_at_once_share_the_entries(valkey: redis.Redis, valkey_url: str, ids: list[EntryId]) -> None:
    for ms in range(7, 500):
        valkey.execute_command("XADD", "s", f"{ms}-0", "a", "1")
    read(valkey, "a", 500)
    entries = [entry.entry_id for entry in pending_entries(valkey, "s", "g", count=1_000)]
    be_idle(valkey, "a", HOUR_MS, *entries)
    clients = [open_client(valkey_url) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        claims = list(
            threads.map(lambda one: claim(one, "s", "g", str(id(one)), entries, idle_over_ms=HOUR_MS), clients)
        )
    for client in clients:
        client.close()
    got = [delivery.entry_id for claimed in claims for delivery in claimed.deliveries]
    assert sorted(got) == entries
    for claimed in claims:
        assert sorted([*claimed.not_claimed, *(delivery.entry_id for delivery in claimed.deliveries)]) == entries
