"""What a worker carries over counts once, whatever happens between its steps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest
import redis
from django.db import OperationalError

from evdash.eventlog.group_progress import watermark
from evdash.eventlog.models import AgentSession, Gap, LoggedEvent, TypeCount
from evdash.eventlog.time_buckets import DAY_S
from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from tests.builders import STREAM, raw_entry
from tests.eventlog.conftest import GROUP, MakeWorker, write
from tests.logged import logged

pytestmark = pytest.mark.django_db

ENTRIES = [raw_entry(("type", "a"), ("session_id", "s"), ("user_id", "u"), entry_id=f"{i}-1") for i in range(1, 11)]


def assert_counted_once(number: int = 10) -> None:
    assert LoggedEvent.objects.count() == number
    assert AgentSession.objects.get(session_id="s").events == number
    assert sum(TypeCount.objects.filter(width_s=DAY_S).values_list("events", flat=True)) == number


def catch_up(worker: Worker) -> int:
    return run(WorkerRunner(worker), threading.Event(), block_ms=0, until_caught_up=True)


def test_everything_is_carried_over_and_acknowledged(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    worker = make_worker(batch_size=3)
    assert catch_up(worker) == 10
    assert_counted_once()
    assert watermark(GROUP, STREAM) == EntryId(10, 1)
    assert valkey.execute_command("XPENDING", STREAM, GROUP)[0] == 0
    assert catch_up(make_worker("another")) == 0


def test_a_batch_committed_and_not_acknowledged_is_not_counted_twice(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    dying = make_worker(batch_size=4)
    dying.connect()
    entries = dying.consumer.read_new([STREAM], 4, 0)
    dying.projection.apply([decode(entry) for entry in entries])
    assert watermark(GROUP, STREAM) == EntryId.MIN
    assert catch_up(make_worker()) == 10  # the same consumer, started again: its pending entries come first
    assert_counted_once()
    assert valkey.execute_command("XPENDING", STREAM, GROUP)[0] == 0


def test_a_commit_that_fails_leaves_the_batch_to_be_delivered_again(
    valkey: redis.Redis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(valkey, ENTRIES)
    worker = make_worker(batch_size=4)
    worker.connect()

    class FailsAtCommit(AuditProjection):
        def apply(self, events: Sequence[Event]) -> int:
            raise OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(worker.carrier, "projection", FailsAtCommit(GROUP))
        with pytest.raises(OperationalError):
            worker.step()
    assert LoggedEvent.objects.count() == 0
    assert catch_up(worker) == 10
    assert_counted_once()


def test_a_deleted_group_is_made_again_and_nothing_counts_twice(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES[:5])
    worker = make_worker()
    catch_up(worker)
    valkey.execute_command("XGROUP", "DESTROY", STREAM, GROUP)
    write(valkey, ENTRIES[5:])
    with pytest.raises(GroupMissing):
        worker.step()
    catch_up(worker)
    assert_counted_once()


def test_an_emptied_log_is_filled_again_from_a_group_that_stands_at_the_end(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    """A new data directory beside an old Redis: the group says that all is read, the log knows nothing."""
    write(valkey, ENTRIES)
    consumer = GroupConsumer(valkey, GROUP, "earlier")
    consumer.ensure(STREAM, EntryId.MIN)
    consumer.acknowledge(STREAM, [entry.entry_id for entry in consumer.read_new([STREAM], 100, 0)])
    catch_up(make_worker())
    assert_counted_once()


def test_a_group_created_at_the_end_by_others_misses_nothing(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    valkey.execute_command("XGROUP", "CREATE", STREAM, GROUP, "$")
    catch_up(make_worker())
    assert_counted_once()


def test_two_workers_share_the_work(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    one, other = make_worker("one", batch_size=2), make_worker("other", batch_size=2)
    one.connect()
    other.connect()
    handled = [one.step() + other.step() for _ in range(4)]
    assert sum(handled) == 10
    assert_counted_once()
    one.step()
    assert watermark(GROUP, STREAM) == EntryId(10, 1)


def test_an_outage_is_one_line_although_the_worker_connects_in_between(
    valkey: redis.Redis, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    class StopsAfterPauses(threading.Event):
        pauses = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses += 1
            if self.pauses == 30:
                self.set()
            return self.is_set()

    class Locked(AuditProjection):
        def apply(self, events: Sequence[Event]) -> int:
            if any(event.entry_id.ms == 7 for event in events):
                raise OperationalError("canceling statement due to lock timeout")
            return super().apply(events)

    write(valkey, ENTRIES)
    worker = make_worker(batch_size=2)  # some batches succeed between two failures
    worker.projection = worker.carrier.projection = Locked(GROUP)
    with caplog.at_level("INFO", logger="evdash.ingest"):
        run(WorkerRunner(worker), StopsAfterPauses(), block_ms=0)
    assert logged(caplog, logging.WARNING) == [
        {
            "event": "database error",
            "group": GROUP,
            "reason": "canceling statement due to lock timeout",
            "hint": "The worker retries until it succeeds.",
        }
    ]
    assert "worker recovered" not in {each["event"] for each in logged(caplog)}


def test_entries_deleted_while_pending_are_told_and_do_not_stop_the_worker(
    valkey: redis.Redis, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    write(valkey, ENTRIES)
    dying = make_worker()
    dying.connect()
    dying.consumer.read_new([STREAM], 4, 0)
    valkey.execute_command("XDEL", STREAM, "2-1", "3-1")
    with caplog.at_level("WARNING", logger="evdash.ingest"):
        catch_up(make_worker())
    [recorded] = logged(caplog, logging.WARNING)
    assert (recorded["event"], recorded["group"], recorded["stream"]) == ("gap recorded", GROUP, STREAM)
    assert (recorded["entries"], recorded["first_id"], recorded["last_id"]) == (2, EntryId(2, 1), EntryId(3, 1))
    gap = Gap.objects.get()
    assert (gap.kind, gap.first_id, gap.last_id, gap.entries) == ("removed", EntryId(2, 1), EntryId(3, 1), 2)
    assert_counted_once(8)
    assert watermark(GROUP, STREAM) == EntryId(10, 1)


def test_each_batch_is_logged_at_debug_with_its_time_and_not_at_info(
    valkey: redis.Redis, make_worker: MakeWorker, caplog: pytest.LogCaptureFixture
) -> None:
    write(valkey, ENTRIES)
    worker = make_worker(batch_size=6)
    with caplog.at_level("DEBUG", logger="evdash.ingest"):
        catch_up(worker)
    batches = [each for each in logged(caplog, logging.DEBUG) if each["event"] == "batch applied"]
    assert [(each["group"], each["stream"], each["applied"]) for each in batches] == [
        (GROUP, STREAM, 6),
        (GROUP, STREAM, 4),
    ]
    assert all(each["ms"] >= 0 for each in batches)

    caplog.clear()
    write(valkey, [raw_entry(("type", "a"), entry_id="11-1")])
    with caplog.at_level("INFO", logger="evdash.ingest"):
        catch_up(worker)
    assert logged(caplog) == []


def test_an_entry_of_anything_is_carried_over(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(
        valkey,
        [
            raw_entry(("", ""), entry_id="0-1"),
            raw_entry(("type", b"\xff\x00"), ("type", "\x00"), ("session_id", "x" * 10_000), entry_id="1-1"),
            raw_entry(("content", "long " * 200_000), ("timestamp", "9999-12-31T23:59:59.999999Z"), entry_id="2-1"),
            raw_entry(("data", '{"session_id": "\\ud800"}'), entry_id=str(EntryId.MAX)),
        ],
    )
    catch_up(make_worker())
    assert LoggedEvent.objects.count() == 4
    assert watermark(GROUP, STREAM) == EntryId.MAX
