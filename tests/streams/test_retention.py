from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from threading import Event
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evdash.events.entry import EntryId
from evdash.streams import retention
from evdash.streams import stream_info as counts
from evdash.streams.client import open_client
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.reads import read_forward
from evdash.streams.retention import TrimRefused, committed_by_all, plan_safe_trim, plan_trim, retain, trim
from evdash.streams.stream_info import EntryCount, stream_info


def fill(client: redis.Redis, number: int, since: int = 1) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for ms in range(since, since + number):
            pipeline.execute_command("XADD", "s", f"{ms}-0", "a", "1")
        pipeline.execute()


def group(client: redis.Redis, name: str, *, read: int = 0, acknowledge: int = 0) -> GroupConsumer:
    """A group of stream s that read so many entries and acknowledged the first so many of them."""
    consumer = GroupConsumer(client, name, "one")
    if not client.exists("s"):
        client.xgroup_create("s", "maker", id="0", mkstream=True)
        client.xgroup_destroy("s", "maker")
    consumer.ensure("s", EntryId.MIN)
    if read:
        ids = [entry.entry_id for entry in consumer.read_new(["s"], count=read, block_ms=0)]
        consumer.acknowledge("s", ids[:acknowledge])
    return consumer


def left(client: redis.Redis) -> list[int]:
    return [entry.entry_id.ms for entry in read_forward(client, "s", after=None, count=100_000)]


def refusal(attempt: Callable[[], object]) -> str:
    with pytest.raises(TrimRefused) as refused:
        attempt()
    return str(refused.value)


def test_the_least_watermark_of_all_groups_is_what_all_have_committed(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    assert committed_by_all(valkey, "s") == (None, None)
    group(valkey, "audit", read=10, acknowledge=10)
    group(valkey, "foreign", read=5, acknowledge=3)
    least, slowest = committed_by_all(valkey, "s")
    assert slowest is not None
    assert (least, slowest.name) == (EntryId(4, 0).previous(), "foreign")
    assert committed_by_all(valkey, "none") == (None, None)


def test_a_trim_to_a_length_removes_the_oldest(valkey: redis.Redis) -> None:
    fill(valkey, 100)
    group(valkey, "audit", read=100, acknowledge=100)
    plan = plan_trim(valkey, "s", max_length=30)
    assert (plan.entries, plan.later, plan.held_by, plan.held_entries) == (EntryCount(70), 0, "", EntryCount(0))
    assert str(plan) == "Trims the oldest 70 entries of s (before 70-1)."
    assert len(left(valkey)) == 100
    trimmed = trim(valkey, plan, approximate=False)
    assert (trimmed.removed, trimmed.length, trimmed.first_id) == (70, 30, EntryId(71, 0))
    assert left(valkey) == list(range(71, 101))
    again = plan_trim(valkey, "s", max_length=30)
    assert str(again) == "No entries of s to trim."
    assert trim(valkey, again, approximate=False).removed == 0


def test_a_trim_by_age_goes_by_the_time_in_the_ids(valkey: redis.Redis) -> None:
    fill(valkey, 10, since=1_700_000_000_000)
    group(valkey, "audit", read=10, acknowledge=10)
    at = datetime.fromtimestamp(1_700_000_000, UTC).replace(microsecond=4_000)
    plan = plan_trim(valkey, "s", older_than=at)
    assert plan.entries == EntryCount(4)
    assert trim(valkey, plan, approximate=False).first_id == EntryId(1_700_000_000_004, 0)


def test_the_furthest_of_several_bounds_counts(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    assert plan_trim(valkey, "s", max_length=8, min_id=EntryId(5, 0)).entries == EntryCount(4)
    assert plan_trim(valkey, "s", max_length=3, min_id=EntryId(5, 0)).entries == EntryCount(7)
    assert plan_trim(valkey, "s").entries == EntryCount(0)


def test_everything_may_go_when_everything_is_committed(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    trimmed = trim(valkey, plan_trim(valkey, "s", max_length=0), approximate=False)
    assert (trimmed.removed, trimmed.length, trimmed.first_id) == (10, 0, None)


def test_a_trim_past_a_slow_group_is_refused_with_its_name_and_the_number(valkey: redis.Redis) -> None:
    fill(valkey, 1_500)
    group(valkey, "audit", read=1_500, acknowledge=1_500)
    group(valkey, "foreign", read=300, acknowledge=300)
    assert refusal(lambda: plan_trim(valkey, "s", max_length=100)) == (
        "Group foreign has read only up to 300-0: 1,100 entries of s are blocked. "
        "Entries before 300-1 can be trimmed now."
    )
    assert plan_trim(valkey, "s", min_id=EntryId(300, 1)).entries == EntryCount(300)
    assert plan_trim(valkey, "s", max_length=1_200).entries == EntryCount(300)
    assert "1 entry of s is blocked" in refusal(lambda: plan_trim(valkey, "s", max_length=1_199))


def test_a_pending_entry_holds_what_follows_it(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=4)
    assert refusal(lambda: plan_trim(valkey, "s", max_length=2)) == (
        "Group audit has 6 pending entries (oldest 5-0): 4 entries of s are blocked. "
        "Entries before 5-0 can be trimmed now."
    )
    assert plan_trim(valkey, "s", min_id=EntryId(5, 0)).entries == EntryCount(4)


def test_a_group_that_never_read_anything_holds_everything(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    group(valkey, "idle")
    assert refusal(lambda: plan_trim(valkey, "s", max_length=4)) == (
        "Group idle has read nothing: 6 entries of s are blocked. Nothing can be trimmed now."
    )


def test_an_own_group_that_is_missing_holds_everything(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    assert plan_trim(valkey, "s", max_length=4, own_groups={"audit"}).entries == EntryCount(6)
    reason = refusal(lambda: plan_trim(valkey, "s", max_length=4, own_groups={"audit", "debug"}))
    assert reason.startswith("Group debug does not exist on s and has committed nothing: 6 entries")
    plan = plan_trim(valkey, "s", max_length=4, own_groups={"audit"})
    valkey.execute_command("XGROUP DESTROY", "s", "audit")
    assert "Group audit does not exist" in refusal(lambda: trim(valkey, plan, approximate=False))
    assert len(left(valkey)) == 10


def test_without_any_group_nothing_holds(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    assert trim(valkey, plan_trim(valkey, "s", max_length=4), approximate=False).removed == 6


def test_what_is_yet_to_come_is_never_trimmed(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    plan = plan_trim(valkey, "s", min_id=EntryId(100, 0))
    assert plan.entries == EntryCount(10)
    fill(valkey, 5, since=50)
    assert trim(valkey, plan, approximate=False).removed == 10
    assert left(valkey) == [50, 51, 52, 53, 54]


def test_a_long_trim_is_planned_in_steps(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "SCAN_MAX", 400)
    fill(valkey, 1_000)
    group(valkey, "audit", read=1_000, acknowledge=1_000)
    plan = plan_trim(valkey, "s", max_length=100)
    assert (plan.entries, plan.later) == (EntryCount(400), 500)
    assert str(plan).endswith("500 more follow in further steps.")
    steps = []
    for _ in range(3):
        steps.append(retain(valkey, "s", max_length=100, approximate=False))
    assert [(step.removed, step.more) for step in steps] == [(400, True), (400, True), (100, False)]
    assert left(valkey) == list(range(901, 1_001))


def test_retention_goes_as_far_as_is_safe_and_says_what_holds_the_rest(valkey: redis.Redis) -> None:
    fill(valkey, 100)
    group(valkey, "audit", read=100, acknowledge=100)
    debug = group(valkey, "debug", read=40, acknowledge=40)
    first = retain(valkey, "s", max_length=10, approximate=False)
    assert (first.removed, first.more) == (40, False)
    assert first.holding.startswith("Group debug has read only up to 40-0: 50 entries of s are blocked")
    second = retain(valkey, "s", max_length=10, approximate=False)
    assert (second.removed, second.more, second.holding) == (
        0,
        False,
        first.holding.replace("Entries before 40-1", "Nothing"),
    )
    ids = [entry.entry_id for entry in debug.read_new(["s"], count=100, block_ms=0)]
    debug.acknowledge("s", ids)
    third = retain(valkey, "s", max_length=10, approximate=False)
    assert (third.removed, third.more, third.holding) == (50, False, "")


def test_an_approximate_trim_tells_what_it_removed_not_what_was_asked(valkey: redis.Redis) -> None:
    fill(valkey, 250)
    group(valkey, "audit", read=250, acknowledge=250)
    few = trim(valkey, plan_trim(valkey, "s", max_length=200), approximate=True)
    assert (few.removed, few.length) == (0, 250)
    step = retain(valkey, "s", max_length=100, approximate=True)
    assert step.removed == 100  # a whole node of the stream
    assert len(left(valkey)) == 150
    assert retain(valkey, "s", max_length=100, approximate=True).more is False


def test_a_group_moved_back_since_the_plan_is_spared(valkey: redis.Redis) -> None:
    fill(valkey, 10)
    group(valkey, "audit", read=10, acknowledge=10)
    plan = plan_trim(valkey, "s", max_length=2)
    valkey.execute_command("XGROUP SETID", "s", "audit", "3-0")
    assert "Group audit has read only up to 3-0: 5 entries" in refusal(lambda: trim(valkey, plan, approximate=False))
    assert len(left(valkey)) == 10


def test_a_stream_that_is_not_there_is_told(valkey: redis.Redis) -> None:
    assert refusal(lambda: plan_trim(valkey, "none", max_length=1)) == "Stream none does not exist."
    fill(valkey, 10)
    plan = plan_trim(valkey, "s", max_length=1)
    valkey.delete("s")
    assert refusal(lambda: trim(valkey, plan, approximate=False)) == "Stream s does not exist."


def test_a_server_without_trimming_by_id_is_told(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(valkey, 10)
    plan = plan_trim(valkey, "s", max_length=1)
    call_at_once = retention.call_at_once

    def as_of_old(client: redis.Redis, xtrim: Any, *rest: Any, **options: Any) -> Any:
        return call_at_once(client, ("XTRIM", "s", "MAXIMUM", "~", "1"), *rest, **options)

    monkeypatch.setattr(retention, "call_at_once", as_of_old)
    assert refusal(lambda: trim(valkey, plan, approximate=False)).startswith("This Redis cannot trim by entry ID")
    assert len(left(valkey)) == 10


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 5)),
        st.tuples(st.just("read"), st.sampled_from("ab"), st.integers(1, 4)),
        st.tuples(st.just("acknowledge"), st.sampled_from("ab"), st.integers(1, 4)),
        st.tuples(st.just("back"), st.sampled_from("ab"), st.integers(0, 8)),
        st.tuples(st.just("plan"), st.integers(0, 4)),
        st.tuples(st.just("trim"), st.booleans()),
    ),
    min_size=15,
    max_size=50,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_of_steps_takes_an_entry_from_a_group(valkey: redis.Redis, steps: list[tuple[Any, ...]]) -> None:
    """A plan may be as old as it likes, whatever was added, read, acknowledged or moved back since."""
    valkey.flushall()
    groups = {name: group(valkey, name) for name in "ab"}
    position = dict.fromkeys("ab", 0)  # by the model: the last entry delivered
    pending: dict[str, set[int]] = {"a": set(), "b": set()}
    written = count(1)
    last = 0
    plan = None
    for step, *arguments in steps:
        if step == "add":
            for _ in range(arguments[0]):
                last = next(written)
                fill(valkey, 1, since=last)
        elif step == "read":
            name, number = arguments
            for entry in groups[name].read_new(["s"], count=number, block_ms=0):
                position[name] = entry.entry_id.ms
                pending[name].add(entry.entry_id.ms)
        elif step == "acknowledge":
            name, number = arguments
            acknowledged = sorted(pending[name], key=lambda ms: ms % 3)[:number]
            groups[name].acknowledge("s", [EntryId(ms, 0) for ms in acknowledged])
            pending[name] -= set(acknowledged)
        elif step == "back":
            name, ms = arguments
            if ms < position[name]:
                valkey.execute_command("XGROUP SETID", "s", name, f"{ms}-0")
                position[name] = ms
        elif step == "plan":
            plan = plan_safe_trim(valkey, "s", max_length=arguments[0])
        elif plan is not None:
            needed = {ms for ms in left(valkey) if any(ms > position[name] or ms in pending[name] for name in "ab")}
            with suppress(TrimRefused):
                trim(valkey, plan, approximate=arguments[0])
            assert needed <= set(left(valkey))


def test_a_trim_that_races_with_writers_and_readers_takes_nothing_from_a_group(
    valkey: redis.Redis, valkey_url: str
) -> None:
    written = 3_000
    group(valkey, "a")
    group(valkey, "b")
    done = Event()
    removed = 0

    def write() -> None:
        client = open_client(valkey_url)
        for _ in range(written):
            client.execute_command("XADD", "s", "*", "a", "1")
        client.close()

    def work(name: str) -> list[EntryId]:
        client = open_client(valkey_url)
        consumers = [GroupConsumer(client, name, f"{name}{number}") for number in range(2)]
        committed: list[EntryId] = []
        for turn in count():
            consumer = consumers[turn % 2]
            consumer.read_new(["s"], count=7, block_ms=0)
            # An entry lies pending for a few turns: the other consumer's are acknowledged.
            for delivery in consumers[(turn + 1) % 2].read_own_pending("s", EntryId.MIN, count=5):
                assert delivery.entry is not None, f"{delivery.entry_id} was taken from {name}"
                consumer.acknowledge("s", [delivery.entry_id])
                committed.append(delivery.entry_id)
            if len(committed) == written:
                break
        client.close()
        return committed

    def keep_short() -> int:
        client = open_client(valkey_url)
        total = 0
        while not done.is_set():
            total += retain(client, "s", max_length=5, approximate=False).removed
        total += retain(client, "s", max_length=5, approximate=False).removed
        client.close()
        return total

    with ThreadPoolExecutor(4) as threads:
        writer, trimmer = threads.submit(write), threads.submit(keep_short)
        workers = [threads.submit(work, name) for name in "ab"]
        try:
            writer.result(timeout=60)
            committed = [worker.result(timeout=60) for worker in workers]
        finally:
            done.set()
        removed = trimmer.result(timeout=60)
    assert all(len(set(one)) == written for one in committed)
    info = stream_info(valkey, "s")
    assert info is not None
    assert (info.length, removed) == (5, written - 5)
