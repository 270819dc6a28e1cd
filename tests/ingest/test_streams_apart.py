"""One bad name affects itself only: keys of another type, streams that come later, rights of the Redis user."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis
from pytest_django.fixtures import Settings

from evdash.eventlog.gaps import (
    deleted_by_consumers,
    fold_deletions,
    gaps_between,
    record_gap,
    removed_entries,
    total_missing,
)
from evdash.eventlog.group_progress import lock_positions
from evdash.eventlog.models import Gap, LoggedEvent, Stream, WorkerProblem
from evdash.eventlog.worker_problems import note_problem, present_problems
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.worker import Worker
from evdash.streams.client import Refused, open_blocking_client
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM
from tests.running import wait_until

GROUP = "evdash-audit"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def worker_of(client: redis.Redis, *streams: str) -> Worker:
    return Worker(GroupConsumer(client, GROUP, "c"), AuditProjection(GROUP), streams, batch_size=10)


def logged() -> list[str]:
    return sorted(f"{event.stream.name} {event.entry_id}" for event in LoggedEvent.objects.select_related("stream"))


def work_off(worker: Worker) -> None:
    worker._look_again_s = 0.0
    while worker.step():
        pass


@pytest.mark.parametrize("first", [True, False])
def test_a_key_of_another_type_does_not_stop_the_other_streams(valkey: redis.Redis, first: bool) -> None:
    valkey.set("x", "hello")
    valkey.xadd(STREAM, {"type": "a"}, id="1-1")
    worker = worker_of(valkey, *(("x", STREAM) if first else (STREAM, "x")))
    worker.connect()
    work_off(worker)
    assert logged() == [f"{STREAM} 1-1"]
    assert [(stream, refusal.code) for stream, refusal in worker.refused.items()] == [("x", "WRONGTYPE")]

    valkey.delete("x")
    valkey.xadd("x", {"type": "a"}, id="2-1")
    work_off(worker)
    assert logged() == [f"{STREAM} 1-1", "x 2-1"]
    assert not worker.refused


def test_a_key_whose_type_changes_stops_only_itself(valkey: redis.Redis) -> None:
    for stream in ("x", STREAM):
        valkey.xadd(stream, {"type": "a"}, id="1-1")
    runner = WorkerRunner(worker_of(valkey, "x", STREAM))
    runner.connect()
    work_off(runner.worker)
    valkey.delete("x")
    valkey.set("x", "hello")
    valkey.xadd(STREAM, {"type": "a"}, id="2-1")
    with pytest.raises(Refused):
        runner.worker.step()  # the loop connects again
    runner.connect()
    work_off(runner.worker)
    assert logged() == [f"{STREAM} 1-1", f"{STREAM} 2-1", "x 1-1"]
    assert list(runner.worker.refused) == ["x"]


def test_only_keys_of_another_type_are_waited_for(valkey: redis.Redis) -> None:
    valkey.set("x", "hello")
    worker = worker_of(valkey, "x")
    worker.connect()
    assert worker.step() == 0
    valkey.delete("x")
    valkey.xadd("x", {"type": "a"}, id="2-1")
    assert worker.step() == 1


def test_no_stream_is_created(valkey: redis.Redis) -> None:
    worker = worker_of(valkey, STREAM, "a2a:*")
    WorkerRunner(worker).connect()
    assert worker.step() == 0
    assert valkey.keys("*") == []
    valkey.xadd(STREAM, {"type": "a"}, id="1-1")
    assert worker.step() == 1  # with nothing to read, each step looks again
    assert valkey.keys("*") == [STREAM.encode()]
    valkey.delete(STREAM)
    run(WorkerRunner(worker), threading.Event(), block_ms=1, until_caught_up=True)
    assert valkey.keys("*") == []


def test_a_stream_that_comes_later_is_read_beside_the_others(valkey: redis.Redis) -> None:
    valkey.xadd(STREAM, {"type": "a"}, id="1-1")
    worker = worker_of(valkey, STREAM, "later")
    worker.connect()
    work_off(worker)
    valkey.xadd("later", {"type": "a"}, id="5-1")
    work_off(worker)
    assert logged() == ["later 5-1", f"{STREAM} 1-1"]


@contextmanager
def limited(valkey: redis.Redis, url: str, *rules: str) -> Iterator[redis.Redis]:
    """A client of a Redis user with these rights."""
    valkey.execute_command("ACL", "SETUSER", "limited", "on", "nopass", "allkeys", "+@all", *rules)
    client = open_blocking_client(url.replace("redis://", "redis://limited:x@"), 100)
    try:
        yield client
    finally:
        client.close()
        valkey.execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize("rights", ["~{0}", "%R~x ~{0}"])
def test_a_stream_that_the_user_may_not_read_stops_only_itself(
    valkey: redis.Redis, valkey_url: str, rights: str
) -> None:
    for stream in ("x", STREAM):
        valkey.xadd(stream, {"type": "a"}, id="1-1")
        valkey.xgroup_create(stream, GROUP, id="0")
    with limited(valkey, valkey_url, "resetkeys", *rights.format(f"{STREAM}*").split()) as client:
        worker = worker_of(client, "x", STREAM)
        worker.connect()
        work_off(worker)
        # A user who may read x but not acknowledge there has its entry in the log, and again at each look.
        assert logged() == [f"{STREAM} 1-1", *(["x 1-1"] if rights.startswith("%R") else [])]
        assert [(stream, refusal.code) for stream, refusal in worker.refused.items()] == [("x", "NOPERM")]


@pytest.mark.django_db(transaction=True)
def test_a_refused_worker_reports_and_takes_it_back(valkey: redis.Redis, valkey_url: str, settings: Settings) -> None:
    valkey.xadd(STREAM, {"type": "a"}, id="1-1")
    note_problem(GROUP, "c", "", "OOM", "of an earlier process with the same name")
    stop = threading.Event()
    with limited(valkey, valkey_url, "-xreadgroup") as client:
        thread = threading.Thread(
            target=run, args=(WorkerRunner(worker_of(client, STREAM)), stop), kwargs={"block_ms": 1}
        )
        thread.start()
        try:
            wait_until(lambda: [problem.code for problem in present_problems()] == ["NOPERM"])
            [problem] = present_problems()
            assert (problem.group, problem.consumer, problem.stream) == (GROUP, "c", "")
            assert "denies this user a command that evdash needs" in problem.cause
            valkey.execute_command("ACL", "SETUSER", "limited", "+@all")
            wait_until(lambda: not WorkerProblem.objects.exists())
            wait_until(lambda: LoggedEvent.objects.exists())
        finally:
            stop.set()
            thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_worker_reports_a_stream_of_another_type(valkey: redis.Redis) -> None:
    valkey.set("x", "hello")
    valkey.xadd(STREAM, {"type": "a"}, id="1-1")
    stop = threading.Event()
    thread = threading.Thread(
        target=run, args=(WorkerRunner(worker_of(valkey, "x", STREAM)), stop), kwargs={"block_ms": 1}
    )
    thread.start()
    try:
        wait_until(lambda: [(each.stream, each.code) for each in present_problems()] == [("x", "WRONGTYPE")])
        valkey.delete("x")
        wait_until(lambda: not WorkerProblem.objects.exists())
    finally:
        stop.set()
        thread.join()


@pytest.mark.django_db
def test_entries_that_a_queue_deletes_are_counted_and_are_no_gap(valkey: redis.Redis, settings: Settings) -> None:
    worker = worker_of(valkey, STREAM, "jobs")

    def round_of(first: int) -> None:
        for stream in (STREAM, "jobs"):
            for number in range(first, first + 4):
                valkey.xadd(stream, {"type": "a"}, id=f"{number}-1")
            valkey.xdel(stream, f"{first + 1}-1", f"{first + 2}-1")
        run(WorkerRunner(worker), threading.Event(), block_ms=1, until_caught_up=True)

    settings.EVDASH = replace(settings.EVDASH, streams=(STREAM, "jobs"), queues=("jobs",))
    for first in (10, 20, 30):
        round_of(first)
    assert [(gap.stream, gap.entries) for gap in removed_entries((STREAM, "jobs"))] == [
        (STREAM, 4)
    ]  # the first round was before evdash
    assert deleted_by_consumers(GROUP, "jobs") == 6
    assert deleted_by_consumers(GROUP, STREAM) is None
    kinds = Gap.objects.filter(position__stream__name="jobs").values_list("kind", flat=True)
    assert sorted(kinds) == [Gap.Kind.BEFORE, Gap.Kind.REMOVED]  # one row of each kind, however often
    assert {gap.stream for gap in gaps_between(EntryId.MIN, EntryId.MAX, EventFilter(), NOW, oldest_first=True)} == {
        STREAM
    }
    assert total_missing((STREAM, "jobs")).entries == 6
    settings.EVDASH = replace(settings.EVDASH, queues=())  # it is a stream again
    assert total_missing((STREAM, "jobs")).entries == 12
    assert [(gap.stream, gap.entries) for gap in removed_entries((STREAM, "jobs"))] == [("jobs", 4), (STREAM, 4)]


@pytest.mark.django_db
def test_an_unknown_number_of_deleted_entries_stays_unknown(settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, queues=("jobs",))
    position = lock_positions(GROUP, ["jobs"])["jobs"]
    position.checked_through = EntryId(90, 0)
    for number, entries in ((10, 3), (20, None), (30, 4), (40, None)):
        record_gap(position, Gap.Kind.REMOVED, EntryId(number, 0), EntryId(number + 1, 0), entries)
    fold_deletions(position)
    assert sorted(Gap.objects.values_list("first_id", "last_id", "entries")) == [
        (EntryId(10, 0), EntryId(31, 0), 7),
        (EntryId(20, 0), EntryId(41, 0), None),
    ]


@pytest.mark.django_db
def test_deletions_of_a_queues_former_incarnation_are_no_gap(valkey: redis.Redis, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, streams=("jobs",), queues=("jobs",))
    worker = worker_of(valkey, "jobs")
    for content in ("a", "b"):
        valkey.delete("jobs")
        for number in range(1, 5):
            valkey.xadd("jobs", {"type": "x", "content": content}, id=f"{number}-1")
        run(WorkerRunner(worker), threading.Event(), block_ms=1, until_caught_up=True)
        record_gap(lock_positions(GROUP, ["jobs"])["jobs"], Gap.Kind.REMOVED, EntryId(2, 2), EntryId(2, 8), 6)
    assert Stream.objects.count() == 2
    assert gaps_between(EntryId.MIN, EntryId.MAX, EventFilter(), NOW, oldest_first=True) == ()
    settings.EVDASH = replace(settings.EVDASH, queues=())
    assert len(gaps_between(EntryId.MIN, EntryId.MAX, EventFilter(), NOW, oldest_first=True)) == 2
