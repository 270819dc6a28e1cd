"""The tail that a process keeps: read once, decoded once, bounded, and quick to say that Redis does not answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redis

from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.streams import contact, shared_tail
from evdash.streams.budget import redis_budget
from evdash.streams.client import TooSlow, _address, call, open_client
from evdash.streams.contact import contact_with
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.reads import read_forward
from evdash.streams.shared_tail import SharedTail, TailReading
from tests.builders import GROUPS, STREAM, entry, tail_of
from tests.running import suspend

AUDIT = GROUPS[0]


def add(client: redis.Redis, *ids: str, stream: str = STREAM, **fields: str) -> None:
    for entry_id in ids:
        written = {"type": "message.added", "session_id": "s1"} | fields
        client.execute_command("XADD", stream, entry_id, *(part for pair in written.items() for part in pair))


def ids_of(reading: TailReading) -> list[str]:
    return [str(held.entry_id) for held in reading.uncommitted(AUDIT).values()]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The IDs of the entries that the tail decodes, as often as it does."""
    found: list[str] = []
    decode = shared_tail.decode

    def counted(entry: Entry) -> Event:
        found.append(str(entry.entry_id))
        return decode(entry)

    monkeypatch.setattr(shared_tail, "decode", counted)
    return found


def test_each_entry_is_decoded_once_whoever_wants_it(valkey: redis.Redis, decoded: list[str]) -> None:
    add(valkey, "1-1", "2-1")
    tail = tail_of(valkey)
    assert ids_of(tail.read({})) == ["1-1", "2-1"]
    add(valkey, "3-1")
    first = tail.read({})
    assert ids_of(first) == ids_of(tail.read({})) == ["1-1", "2-1", "3-1"]
    add(valkey, "4-1")
    new = read_forward(valkey, STREAM, after=EntryId(2, 1), count=10)
    events = tail.take(new, {STREAM: EntryId(2, 1)})
    assert [str(event.entry_id) for event in events] == ["3-1", "4-1"]
    assert ids_of(tail.read({})) == ["1-1", "2-1", "3-1", "4-1"]
    assert sorted(decoded) == ["1-1", "2-1", "3-1", "4-1"]
    assert ids_of(first) == ["1-1", "2-1", "3-1"]  # a reading stays as it is


def test_what_comes_from_elsewhere_after_a_gap_is_not_held(valkey: redis.Redis) -> None:
    add(valkey, "1-1")
    tail = tail_of(valkey)
    tail.read({})
    add(valkey, "2-1", "3-1")
    later = read_forward(valkey, STREAM, after=EntryId(2, 1), count=10)
    assert [str(event.entry_id) for event in tail.take(later, {STREAM: EntryId(2, 1)})] == ["3-1"]
    assert ids_of(tail.read({})) == ["1-1", "2-1", "3-1"]


def test_the_index_finds_what_a_plain_look_finds(valkey: redis.Redis) -> None:
    for number in range(1, 30):
        error = {"error": "no"} if number % 5 == 0 else {}
        add(valkey, f"{number}-1", session_id=f"s{number % 3}", user_id=f"u{number % 2}", **error)
    tail = tail_of(valkey)
    tail.read({})
    add(valkey, "30-1", session_id="s1", user_id="u1")
    reading = tail.read({})
    every = [held.event for held in reading.uncommitted(AUDIT).values()]
    for key, fits in {
        ("session", "s1"): lambda event: event.session_id == "s1",
        ("user", "u1"): lambda event: event.user_id == "u1",
        ("type", "message.added"): lambda event: event.type == "message.added",
        ("is", "error"): lambda event: event.is_error,
        ("session", "nowhere"): lambda event: False,
    }.items():
        assert {held.entry_id for held in reading.with_key(key, AUDIT)} == {e.entry_id for e in every if fits(e)}


def test_the_oldest_go_when_there_are_too_many_or_too_large_ones(valkey: redis.Redis) -> None:
    add(valkey, *(f"{number}-1" for number in range(1, 41)))
    tail = SharedTail(valkey, (STREAM,), GROUPS, entries_max=10)
    reading = tail.read({})
    assert ids_of(reading) == [f"{number}-1" for number in range(31, 41)]
    assert not reading.reaches(AUDIT)
    for number in range(41, 60):
        add(valkey, f"{number}-1")
        tail.read({})
    assert tail.figures().entries <= 12
    assert ids_of(tail.read({}))[-1] == "59-1"
    small = SharedTail(valkey, (STREAM,), GROUPS, bytes_max=300)
    small.read({})
    assert 0 < small.figures().bytes <= 300 * 1.1 + 40


def test_what_live_pages_bring_stays_within_the_bound_while_no_page_is_asked_for(valkey: redis.Redis) -> None:
    add(valkey, "1-1")
    tail = SharedTail(valkey, (STREAM,), GROUPS, entries_max=10)
    before = tail.read({})
    for number in range(2, 60):
        taken = [entry(f"{number}-1", content=str(number))]
        tail.take(taken, {STREAM: EntryId(number - 1, 1)})
        assert tail.figures().entries <= 11
    assert ids_of(before) == ["1-1"]
    add(valkey, *(f"{number}-1" for number in range(2, 61)))
    assert ids_of(tail.read({})) == [f"{number}-1" for number in range(51, 61)]


def test_a_stream_that_was_written_again_with_the_same_ids_is_read_again(valkey: redis.Redis) -> None:
    add(valkey, "1-1", "2-1", content="old")
    tail = tail_of(valkey)
    tail.read({})
    valkey.delete(STREAM)
    add(valkey, "1-1", "2-1", content="new")
    held = list(tail.read({}).uncommitted(AUDIT).values())
    assert [each.event.data["content"] for each in held] == ["new", "new"]


@dataclass(frozen=True)
class Hanging:
    """A server that hangs, and a client of it."""

    client: redis.Redis
    pid: int

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
def hanging(server: EmbeddedServer) -> Iterator[Hanging]:
    """A server whose process hangs: it takes connections and answers nothing."""
    client = open_client(server.url)
    add(client, "1-1")
    pid = int(client.info("server")["process_id"])
    suspend(pid)
    try:
        yield Hanging(client, pid)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_redis_that_hangs_is_waited_for_once_and_heard_again(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_tail, "PAGE_BUDGET_S", 0.1)
    monkeypatch.setattr(contact, "TRY_S", 0.1)
    monkeypatch.setattr(contact, "HOLD_OFF_S", 3_600.0)
    waited = contact_with(_address(hanging.client))
    waits: list[float] = []
    silent = waited.silent
    monkeypatch.setattr(waited, "silent", lambda waited_s: waits.append(waited_s) or silent(waited_s))
    tail = tail_of(hanging.client)
    assert "did not answer in time" in tail.read({}).unreachable
    assert "did not answer in time" in tail.read({}).unreachable
    with redis_budget(5), pytest.raises(TooSlow):  # nor does anything else of a page wait
        call(hanging.client, "XLEN", STREAM)
    assert len(waits) == 1
    hanging.go_on()
    assert "did not answer in time" in tail.read({}).unreachable
    monkeypatch.setattr(waited, "_ask_again_s", 0.0)
    assert ids_of(tail.read({})) == ["1-1"]


def test_one_call_at_a_time_tries_a_redis_that_was_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact, "HOLD_OFF_S", 0.0)
    tried = contact.Contact()
    with tried.call() as at_most_s:
        assert at_most_s is None
        tried.silent(waited_s=2.0)
    with tried.call() as first:
        assert first == contact.TRY_S
        with tried.call() as second:
            assert second == 0
        tried.silent(waited_s=contact.TRY_S)
    with tried.call() as first:
        assert first == contact.TRY_S
        tried.answered()
    with tried.call() as at_most_s:
        assert at_most_s is None
    assert tried.answered_at is not None


def test_a_short_wait_says_nothing_about_the_server() -> None:
    silent_contact = contact.Contact()
    silent_contact.silent(waited_s=0.01)
    with silent_contact.call() as at_most_s:
        assert at_most_s is None


def test_the_calls_of_a_page_share_one_budget(hanging: Hanging) -> None:
    with redis_budget(0.1) as budget:
        with pytest.raises(TooSlow):
            call(hanging.client, "XLEN", STREAM)
        assert budget.is_spent
        with pytest.raises(TooSlow, match=r"did not answer in time\."):
            call(hanging.client, "XLEN", STREAM)


def test_an_inner_budget_is_part_of_the_outer_one(hanging: Hanging) -> None:
    with redis_budget(0.1) as outer:
        with redis_budget(10), pytest.raises(TooSlow):
            call(hanging.client, "XLEN", STREAM)
        assert outer.is_spent


def test_a_burst_of_large_entries_is_not_read_as_a_whole(valkey: redis.Redis) -> None:
    add(valkey, "1-1")
    tail = tail_of(valkey, bytes_max=200_000)
    tail.read({})
    before = valkey.info("stats")["total_net_output_bytes"]
    for number in range(2, 402):
        add(valkey, f"{number}-1", text="x" * 20_000)
    reading = tail.read({})
    assert ids_of(reading)[-1] == "401-1"
    assert len(ids_of(reading)) <= 12
    # The first step cannot know how large they are, the next one does.
    assert valkey.info("stats")["total_net_output_bytes"] - before < 6_000_000


def test_what_the_bound_left_out_is_not_read_again_and_again(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 31):
        add(valkey, f"{number}-1", text="x" * 1_000)
    tail = tail_of(valkey, bytes_max=20_000)
    tail.read({})
    for number in range(31, 36):
        add(valkey, f"{number}-1", text="x" * 1_000)
    tail.read({})
    monkeypatch.setattr(shared_tail, "read_backward", None)
    first = tail.read({})
    add(valkey, "36-1", text="x" * 1_000)
    second = tail.read({})
    assert 17 <= len(ids_of(first)) <= 22
    assert ids_of(second)[-1] == "36-1"
    assert tail.figures().bytes <= 20_000 * 1.1


def test_what_was_deleted_in_the_middle_goes_in_any_order(valkey: redis.Redis) -> None:
    for number in range(1, 10):
        add(valkey, f"{number}-1")
    tail = tail_of(valkey)
    for deleted in ("8-1", "5-1", "3-1"):
        valkey.xdel(STREAM, deleted)
        assert deleted not in ids_of(tail.read({}))
    assert len(ids_of(tail.read({}))) == 6


def test_another_history_of_a_restored_redis_takes_the_place_of_the_first(valkey: redis.Redis) -> None:
    for number in range(1, 11):
        add(valkey, f"{number}-1")
    tail = tail_of(valkey)
    tail.read({})
    valkey.delete(STREAM)
    expected = [f"{number}-1" for number in (*range(1, 9), *range(11, 16))]
    for entry_id in expected:
        add(valkey, entry_id)
    assert ids_of(tail.read({})) == expected
