"""Writing the simulation: to an empty stream or to its own, never among the events of others."""

import threading
import time
from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from evdash.demo.simulation import HISTORY_S
from evdash.demo.writing import OTHERS_MAX, Watch, may_write, run, with_entry_ids, write_live
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.streams.publisher import NewEvent, Publisher
from evdash.streams.reads import read_forward

STREAM = "memory:events"


@pytest.fixture
def publisher(valkey: redis.Redis, valkey_url: str) -> Publisher:
    return Publisher(valkey_url, STREAM)


def test_it_writes_to_an_empty_stream_and_goes_on_with_its_own(valkey: redis.Redis, publisher: Publisher) -> None:
    assert may_write(valkey, STREAM)
    publisher.publish("session.started", "s", "u", simulated="1")
    publisher.publish("session.started", "s", "u", simulated="1")

    assert may_write(valkey, STREAM)


def test_it_goes_on_after_a_few_entries_of_others_only(valkey: redis.Redis, publisher: Publisher) -> None:
    publisher.publish("session.started", "s", "u", simulated="1")
    for _ in range(OTHERS_MAX - 1):
        publisher.publish("session.started", "s", "u")
    assert may_write(valkey, STREAM)
    publisher.publish("session.started", "s", "u")
    publisher.publish("session.started", "s", "u", simulated="1")

    assert not may_write(valkey, STREAM)


def test_it_stops_when_another_producer_writes(valkey: redis.Redis, publisher: Publisher) -> None:
    publisher.publish("session.started", "s", "u", simulated="1")
    now_s = time.time()

    def events() -> Iterator[NewEvent]:
        yield NewEvent("a", "s", "u", {"simulated": "1"}, timestamp=now_s)
        yield NewEvent("b", "s", "u", {"simulated": "1"}, timestamp=now_s)
        for _ in range(OTHERS_MAX - 1):
            valkey.xadd(STREAM, {"type": "message.added"})
        yield NewEvent("b", "s", "u", {"simulated": "1"}, timestamp=now_s)
        valkey.xadd(STREAM, {"type": "message.added"})
        yield NewEvent("c", "s", "u", {"simulated": "1"}, timestamp=now_s)

    with capture_logs() as lines:
        write_live(events(), publisher, threading.Event(), Watch(valkey, STREAM, EntryId.MIN))

    written = [decode(entry).type for entry in read_forward(valkey, STREAM, after=None, count=100)]
    assert written == ["session.started", "a", "b", *["message.added"] * 9, "b", "message.added"]
    assert [(line["event"], line["stream"]) for line in lines] == [("demonstration stopped", STREAM)]
    assert not may_write(valkey, STREAM)


def test_it_leaves_the_stream_of_others_alone(valkey: redis.Redis, publisher: Publisher) -> None:
    publisher.publish("session.started", "s", "u")

    assert not may_write(valkey, STREAM)


def test_a_new_stream_gets_a_history_under_the_ids_of_its_time_and_then_live_events(
    valkey: redis.Redis, publisher: Publisher
) -> None:
    valkey.xgroup_create(STREAM, "evdash-audit", id="0", mkstream=True)  # another program was quicker
    stop = threading.Event()
    before_s = time.time()
    thread = threading.Thread(target=run, args=(valkey, publisher), kwargs={"seed": 3, "stop": stop})
    thread.start()
    deadline = time.monotonic() + 30
    entries: list[Entry] = []
    while time.monotonic() < deadline and not [e for e in entries if e.entry_id.ms > before_s * 1000 + 500]:
        entries = read_forward(valkey, STREAM, after=None, count=10_000)
        time.sleep(0.05)
    stop.set()
    thread.join(10)

    assert len(entries) > 2_500
    events = [decode(entry) for entry in entries]
    assert all(event.simulated and not event.remarks for event in events)
    assert events[0].occurred_us / 1e6 == pytest.approx(before_s - HISTORY_S, abs=1800)
    for event in events:
        assert event.occurred_us / 1e3 == pytest.approx(event.entry_id.ms, abs=1000)


def test_started_again_it_writes_no_second_history(valkey: redis.Redis, publisher: Publisher) -> None:
    publisher.publish("session.started", "s", "u", simulated="1")
    stop = threading.Event()
    stop.set()

    run(valkey, publisher, seed=3, stop=stop)

    assert len(read_forward(valkey, STREAM, after=None, count=100)) == 1


def test_entries_of_one_millisecond_are_numbered() -> None:
    events = [NewEvent("a", "s", "u", timestamp=1.5), NewEvent("b", "s", "u", timestamp=1.5002)]

    assert [event.entry_id for event in with_entry_ids(events)] == [EntryId(1500, 0), EntryId(1500, 1)]


def test_after_the_machine_slept_the_missed_hours_are_not_made_up_for(
    valkey: redis.Redis, publisher: Publisher
) -> None:
    now_s = time.time()
    own = {"simulated": "1"}
    due = [NewEvent("a", "s", "u", own, timestamp=now_s - 7200), NewEvent("b", "s", "u", own, timestamp=now_s - 7199.9)]

    write_live(due, publisher, threading.Event(), Watch(valkey, STREAM, EntryId.MIN))

    written = [decode(entry) for entry in read_forward(valkey, STREAM, after=None, count=10)]
    assert [event.type for event in written] == ["a", "b"]
    assert written[0].occurred_us / 1e6 == pytest.approx(now_s, abs=5)
