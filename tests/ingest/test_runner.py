"""Between two batches entries gather in Redis: for a time, or until a full batch is there, and never without need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import redis

from evdash.eventlog.group_progress import set_watermark, watermark
from evdash.eventlog.models import LoggedEvent
from evdash.events.entry import Entry, EntryId
from evdash.ingest import runner
from evdash.ingest import worker as worker_module
from evdash.ingest.runner import WorkerRunner, gather, run
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from tests.builders import STREAM, raw_entry
from tests.eventlog.conftest import GROUP, MakeWorker, write

pytestmark = pytest.mark.django_db

BATCH_MS = 200


class Clock(threading.Event):
    """A stop event and the clock that its waits advance. `at_s`: what happens when the clock passes these moments."""

    def __init__(self, at_s: dict[float, Callable[[], object]] | None = None) -> None:
        super().__init__()
        self.now_s = 1_000.0
        self.waits_s: list[float] = []
        self._at_s = {self.now_s + moment_s: do for moment_s, do in (at_s or {}).items()}

    def __call__(self) -> float:
        return self.now_s

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits_s.append(timeout)
        self.now_s += timeout
        for moment_s in [moment_s for moment_s in self._at_s if moment_s <= self.now_s]:
            self._at_s.pop(moment_s)()
        return self.is_set()

    @property
    def waited_s(self) -> float:
        """How long it was waited altogether."""
        return sum(self.waits_s)


def entries(first: int, last: int) -> list[Entry]:
    return [raw_entry(("type", "a"), ("session_id", "s"), entry_id=f"{i}-1") for i in range(first, last + 1)]


def after_a_batch(worker: Worker, clock: Clock, took_s: float = 0.0) -> Worker:
    """The worker, connected and with a step done that read at the clock's time and took so long."""
    worker.connect()
    assert worker.step() > 0
    assert worker.read_at_s is not None
    worker.read_at_s = clock.now_s - took_s
    return worker


def test_entries_gather_for_the_time_set_less_what_the_batch_took_and_the_next_one_will(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 3))
    clock = Clock()
    gather(after_a_batch(make_worker(), clock, took_s=0.03), clock, BATCH_MS, clock)
    # Read at 0 and applied at 0.03 s: what came at 0 is read at 0.17 and applied at 0.2.
    assert clock.waited_s == pytest.approx(0.14)


def test_a_batch_that_takes_half_of_the_time_or_longer_is_followed_by_the_next_one_at_once(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 3))
    clock = Clock()
    gather(after_a_batch(make_worker(), clock, took_s=0.1), clock, BATCH_MS, clock)
    assert clock.waits_s == []


def test_without_a_time_nothing_gathers(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 3))
    clock = Clock()
    gather(after_a_batch(make_worker(), clock), clock, 0, clock)
    assert clock.waits_s == []


def test_entries_that_gather_are_pending_for_nobody_and_make_one_batch(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 1))
    pending: list[int] = []
    clock = Clock(
        {
            0.01: lambda: write(valkey, entries(2, 3)),
            0.12: lambda: write(valkey, entries(4, 5)),
            0.16: lambda: pending.append(valkey.execute_command("XPENDING", STREAM, GROUP)[0]),
        }
    )
    worker = after_a_batch(make_worker(), clock)
    gather(worker, clock, BATCH_MS, clock)
    assert pending == [0]
    assert worker.step() == 4
    assert LoggedEvent.objects.count() == 5


def test_a_full_batch_that_is_there_ends_the_wait_at_the_next_look(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 1))
    clock = Clock({0.06: lambda: write(valkey, entries(2, 4))})
    worker = after_a_batch(make_worker(batch_size=3), clock)
    gather(worker, clock, BATCH_MS, clock)
    assert clock.waited_s == pytest.approx(2 * runner.LOOK_EVERY_S)
    assert worker.step() == 3


def test_a_full_batch_that_came_while_the_last_one_was_applied_does_not_wait(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 1))
    clock = Clock()
    worker = after_a_batch(make_worker(batch_size=3), clock, took_s=runner.LOOK_EVERY_S)
    write(valkey, entries(2, 4))
    gather(worker, clock, BATCH_MS, clock)
    assert clock.waits_s == []


def test_nothing_gathers_behind_a_full_batch_or_a_step_that_read_nothing_new(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 5))
    worker = make_worker(batch_size=2)
    worker.connect()
    worker.consumer.read_new([STREAM], 1, 0)  # pending, as after a crash
    read: list[tuple[int, bool]] = []
    for _ in range(4):
        read.append((worker.step(), worker.read_at_s is not None))
    assert read == [(1, False), (2, False), (2, False), (0, False)]
    write(valkey, entries(6, 6))
    assert (worker.step(), worker.read_at_s is not None) == (1, True)
    worker.connect()
    assert worker.read_at_s is None


def test_of_several_streams_one_that_fills_a_batch_is_enough(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    other = [raw_entry(("type", "a"), entry_id=f"{i}-1", stream="other") for i in range(1, 4)]
    worker = make_worker(streams=(STREAM, "other"), batch_size=3)
    worker.connect()
    write(valkey, entries(1, 1))
    assert not worker.has_full_batch()
    write(valkey, other)
    assert worker.has_full_batch()
    assert worker.consumer.lags([STREAM, "other"]) == [1, 3]
    assert worker.step() == 4
    assert worker.read_at_s is None
    assert worker.consumer.lags([STREAM, "other"]) == [0, 0]


def test_a_lag_that_redis_does_not_know_ends_no_wait(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    worker = make_worker(batch_size=2)
    worker.connect()
    write(valkey, entries(1, 5))
    valkey.execute_command("XDEL", STREAM, "3-1")
    assert worker.consumer.lags([STREAM]) == [None]
    assert not worker.has_full_batch()


def test_a_stop_ends_the_wait_at_once(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 1))
    clock = Clock({0.0: lambda: clock.set()})
    gather(after_a_batch(make_worker(), clock), clock, BATCH_MS, clock)
    assert len(clock.waits_s) == 1


def test_a_group_deleted_during_the_wait_is_told(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 1))
    clock = Clock({0.0: lambda: valkey.execute_command("XGROUP", "DESTROY", STREAM, GROUP)})
    worker = after_a_batch(make_worker(), clock)
    with pytest.raises(GroupMissing):
        gather(worker, clock, BATCH_MS, clock)


class StopsAtFirstWait(threading.Event):
    """Ends the loop when it waits, and notes that it did."""

    waited = False

    def wait(self, timeout: float | None = None) -> bool:
        self.waited = True
        self.set()
        return True


def test_the_loop_gathers_only_when_it_has_caught_up(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 7))
    stop = StopsAtFirstWait()
    assert run(WorkerRunner(make_worker(batch_size=3)), stop, block_ms=1, batch_ms=10_000) == 7
    assert stop.waited
    assert LoggedEvent.objects.count() == 7


def test_until_caught_up_never_waits(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 7))
    stop = StopsAtFirstWait()
    assert run(WorkerRunner(make_worker(batch_size=3)), stop, block_ms=1, batch_ms=10_000, until_caught_up=True) == 7
    assert not stop.waited


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[EntryId]:
    """The watermarks that are written to SQL."""
    ids: list[EntryId] = []

    def write_and_note(group: str, stream: str, entry_id: EntryId) -> None:
        set_watermark(group, stream, entry_id)
        ids.append(entry_id)

    monkeypatch.setattr(worker_module, "set_watermark", write_and_note)
    return ids


def test_a_watermark_is_written_when_it_has_changed_only(
    valkey: redis.Redis,
    make_worker: MakeWorker,
    written: list[EntryId],
    django_assert_num_queries: Callable[..., AbstractContextManager[object]],
) -> None:
    write(valkey, entries(1, 2))
    worker = make_worker()
    worker.connect()
    assert worker.step() == 2
    assert written == [EntryId(2, 1)]
    with django_assert_num_queries(0):
        assert worker.step() == 0
    assert written == [EntryId(2, 1)]


def test_a_watermark_that_another_worker_has_set_back_is_noticed_at_the_next_look_at_what_is_pending(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, entries(1, 2))
    worker = make_worker()
    worker.connect()
    worker.step()
    set_watermark(GROUP, STREAM, EntryId(1, 1))  # it was slower, and so was what it had read
    worker.recheck_pending()
    worker.step()
    assert watermark(GROUP, STREAM) == EntryId(2, 1)


def test_a_watermark_is_read_again_when_the_worker_connects(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, entries(1, 2))
    worker = make_worker()
    worker.connect()
    worker.step()
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", 0)  # so that connecting does not move the group back
    set_watermark(GROUP, STREAM, EntryId(1, 1))
    worker.connect()
    assert watermark(GROUP, STREAM) == EntryId(2, 1)


def test_a_watermark_of_a_stream_new_to_the_log_is_written(valkey: redis.Redis) -> None:
    set_watermark("another", "never seen", EntryId(3, 0))
    assert watermark("another", "never seen") == EntryId(3, 0)
    assert GroupConsumer(valkey, "another", "c").watermark("never seen") is None
