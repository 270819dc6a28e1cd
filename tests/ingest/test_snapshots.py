"""States of long sessions are kept as they grow, a little at a time, and are those that the events alone give."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import redis

from evdash.eventlog import session_snapshots
from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.models import SessionSnapshot
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.session.paths import as_data
from evdash.events.session.reducer import fold_all
from evdash.ingest import snapshots
from evdash.ingest.rebuild import rebuild
from evdash.ingest.runner import WorkerRunner
from evdash.ingest.snapshots import StateKeeping
from tests.builders import STREAM, entry, tail_of
from tests.eventlog.conftest import GROUP, MakeWorker, write
from tests.logged import logged

pytestmark = pytest.mark.django_db

TYPES = ("message.added", "tool.called", "tool.returned", "error.occurred", "summary.created", "memory.cleared")


def entry_of(number: int, session: str = "s") -> Entry:
    choose = random.Random(number)
    call_id = str(number // 3)
    return entry(
        f"{number}-0",
        type=choose.choice(TYPES),
        session_id=session,
        tool="t",
        call_id=call_id,
        content=f"text {number}",
    )


def plain(numbers: range) -> dict[str, object]:
    return as_data(fold_all(decode(entry_of(number)) for number in numbers))


def kept(session: str = "s") -> list[int]:
    rows = SessionSnapshot.objects.filter(session_id=session).order_by("entry_id")
    return list(rows.values_list("folded", flat=True))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 10)
    monkeypatch.setattr(snapshots, "KEPT_EVERY", 10)
    monkeypatch.setattr(snapshots, "BUDGET_S", 600.0)  # on a busy machine, too, one round stores all


def test_every_state_of_a_session_is_a_few_events_from_one_that_is_kept(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    worker = make_worker(streams=(STREAM, "quiet"))
    upkeep = WorkerRunner(worker, keep=StateKeeping(worker).keep)
    upkeep.connect()
    for start in (1, 36):
        write(valkey, [entry_of(number) for number in range(start, start + 35)])
        while worker.step() or upkeep.run(idle=True, all_now=True):
            pass
    assert kept() == [10, 20, 30, 40, 50, 60, 70]
    reader = LogReader(tail_of(valkey, STREAM), GROUP)
    for number in range(1, 71):
        steps = list(reader.session_steps("s", EntryId(number, 0)))
        assert len(steps) <= 10
        assert as_data(steps[-1].after) == plain(range(1, number + 1))


def test_it_goes_on_where_it_or_another_worker_was(
    valkey: redis.Redis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "BUDGET_S", 0.0)
    worker = make_worker()
    worker.connect()
    write(valkey, [entry_of(number) for number in range(1, 100)])
    while worker.step():
        pass
    keepers = [StateKeeping(worker) for _ in range(3)]
    for turn in range(150):
        keepers[turn % 2].keep()  # one event a round, and nothing is kept twice
    assert kept() == list(range(10, 80, 10))
    for _ in range(60):  # the two were killed
        keepers[2].keep()
    assert kept() == list(range(10, 100, 10))
    assert as_data(
        next(iter(LogReader(tail_of(valkey, STREAM), GROUP).session_steps("s", EntryId(91, 0)))).before
    ) == plain(range(1, 91))


def test_what_the_log_does_not_have_for_good_is_left_alone(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    worker = make_worker(batch_size=25, streams=(STREAM, "other"))
    worker.connect()
    write(valkey, [entry_of(number) for number in range(1, 100)])
    worker.step()
    keeping = StateKeeping(worker)
    keeping.keep()
    assert kept() == [10, 20]
    valkey.xadd("other", {"type": "a"}, id="30-7")  # nobody has read it yet
    another = make_worker("another")
    another.connect()
    while another.step():
        pass
    keeping.keep()
    assert kept() == [10, 20, 30]


def test_a_session_that_cannot_be_folded_stops_neither_the_others_nor_the_worker(
    valkey: redis.Redis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(reader: LogReader, session_id: str, through: EntryId) -> Iterator[None]:
        if session_id == "s":
            raise RuntimeError("no such thing")
        return session_snapshots.keep_states(reader, session_id, through)

    monkeypatch.setattr(snapshots, "keep_states", breaks)
    worker = make_worker()
    worker.connect()
    write(valkey, [entry_of(number, "s" if number % 2 else "z") for number in range(1, 50)])
    while worker.step():
        pass
    StateKeeping(worker).keep()
    assert (kept("s"), kept("z")) == ([], [10, 20])
    assert {"event": "snapshots not stored", "session_id": "s"} in logged(caplog)
    assert "RuntimeError: no such thing" in caplog.text


def test_a_rebuild_throws_kept_states_away(valkey: redis.Redis, valkey_url: str, make_worker: MakeWorker) -> None:
    worker = make_worker()
    worker.connect()
    write(valkey, [entry_of(number) for number in range(1, 30)])
    while worker.step():
        pass
    StateKeeping(worker).keep()
    assert kept() == [10, 20]
    rebuild(worker.projection, valkey_url, [STREAM])
    assert kept() == []
