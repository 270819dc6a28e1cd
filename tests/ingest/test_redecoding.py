"""After a change of the decoder, rows and read models become those of the present one, whatever happens meanwhile."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from django.db import DataError, connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from evdash.eventlog import session_snapshots
from evdash.eventlog.decoders import decoder_number, redecoding_progress
from evdash.eventlog.event_query import log_query
from evdash.eventlog.models import Decoder, GroupPosition, LoggedEvent, SessionSnapshot
from evdash.eventlog.records import RedecodingProgress
from evdash.eventlog.row_mapping import DECODED_COLUMNS, decoded_values
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.inheritance import inherit_among
from evdash.ingest import redecoding as redecoding_module
from evdash.ingest import snapshots
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.rebuild import rebuild
from evdash.ingest.redecoding import Redecoding
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.snapshots import StateKeeping
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from tests.builders import STREAM, entry
from tests.conftest import ManagePy
from tests.eventlog.conftest import GROUP, MakeWorker, write
from tests.eventlog.test_event_query import NOW, entries
from tests.events.filters.test_event_filter import filters
from tests.ingest.folds import actual, applied, assert_equal, expected
from tests.ingest.older_decoder import all_workers_stop, decode_as_before, older_decoder
from tests.ingest.test_exactly_once import STREAMS, entry_of, stream_contents
from tests.logged import logged

PROJECTIONS: tuple[type[Projection], ...] = (AuditProjection, AnalyticsProjection, DebugProjection)
GROUPS = tuple(f"evdash-{projection.name}" for projection in PROJECTIONS)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch of three rows a step, and the next attempt at once."""
    for name, value in (("BUDGET_S", 0.0), ("BATCH", 3), ("RETRY_AFTER_S", 0.0), ("CONTINUE_AFTER_S", 0.0)):
        monkeypatch.setattr(redecoding_module, name, value)


def write_as_before(found: Sequence[Entry]) -> None:
    """Apply the entries as workers with the older decoder, which then stop."""
    with older_decoder():
        for projection, group in zip(PROJECTIONS, GROUPS, strict=True):
            projection(group).apply([decode_as_before(each) for each in found])
    all_workers_stop()


def until_done(work: Redecoding) -> int:
    """Return the number of steps until nothing is left to do at once."""
    steps = 1
    while work.step() or work.has_more:
        steps += 1
    return steps


def assert_rows_are_decoded(found: Sequence[Entry]) -> None:
    rows = LoggedEvent.objects.values_list("stream__name", "entry_id", "decoder_id", *DECODED_COLUMNS)
    number = decoder_number()
    written = {
        (stream, entry_id): (by, *(bytes(value) if isinstance(value, memoryview) else value for value in values))
        for stream, entry_id, by, *values in rows
    }
    events = inherit_among([decode(each) for each in found])
    assert written == {(each.stream, each.entry_id): (number, *decoded_values(each)) for each in events}


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries, filters)
def test_a_filter_finds_what_the_predicate_lets_through_in_rows_of_an_older_decoder(
    entries: list[Entry], event_filter: EventFilter
) -> None:
    with transaction.atomic():
        with older_decoder():
            AuditProjection(GROUP).apply([decode_as_before(each) for each in entries])
        all_workers_stop()
        left = redecoding_progress([GROUP])
        assert (left.rows_left, left.rows) == (len(entries), len(entries)) if left else not entries
        until_done(Redecoding(AuditProjection(GROUP), "", ["memory:events", "other", "a"]))
        assert redecoding_progress([GROUP]) is None
        rows = log_query(event_filter, NOW).matching.values_list("stream__name", "entry_id")
        found: set[tuple[str, EntryId]] = set(rows)
        assert actual()["log"] == expected(entries)["log"]
        transaction.set_rollback(True)
    events = [decode(each) for each in entries]
    assert found == {(event.stream, event.entry_id) for event in events if event_filter.matches(event, NOW)}


class Upgrade(RuleBasedStateMachine):
    """Workers of two decoders, which start, stop and die in any order, over the same streams and tables."""

    valkey: redis.Redis
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.valkey.flushall()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.entries: list[Entry] = []
        self.projections = {projection.name: projection(f"evdash-{projection.name}") for projection in PROJECTIONS}
        self.work: dict[tuple[str, bool, str], Redecoding] = {}
        for name in self.projections:
            for older in (False, True):
                for consumer in ("one", "two"):
                    self._start(name, older, consumer)

    def _start(self, name: str, older: bool, consumer: str) -> Redecoding:
        self.work[name, older, consumer] = Redecoding(self.projections[name], self.url, STREAMS)
        return self.work[name, older, consumer]

    def _worker(self, name: str, older: bool, batch_size: int = 4) -> Worker:
        projection = self.projections[name]
        return Worker(
            GroupConsumer(self.valkey, projection.group, "older" if older else "newer"),
            projection,
            STREAMS,
            batch_size=batch_size,
            decode=decode_as_before if older else decode,
        )

    def teardown(self) -> None:
        try:
            self.everything_is_decoded_again_in_the_end()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @initialize(stream=st.sampled_from(STREAMS), contents=st.lists(stream_contents, min_size=5, max_size=12))
    def entries_were_applied_by_the_older_decoder(self, stream: str, contents: list[tuple[str, ...]]) -> None:
        self.entries_are_added(stream, contents)
        for name in self.projections:
            for _ in range(2):
                self.a_batch_is_applied(name, older=True)

    @rule(stream=st.sampled_from(STREAMS), contents=st.lists(stream_contents, min_size=1, max_size=4))
    def entries_are_added(self, stream: str, contents: list[tuple[str, ...]]) -> None:
        for content in contents:
            added = entry_of(stream, len(self.entries) + 1, content)  # type: ignore[arg-type]
            write(self.valkey, [added])
            self.entries.append(added)

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), older=st.booleans())
    def a_batch_is_applied(self, name: str, older: bool) -> None:
        worker = self._worker(name, older)
        self._as(older, worker.connect)
        with suppress(GroupMissing):
            self._as(older, worker.step)

    @rule(
        name=st.sampled_from([p.name for p in PROJECTIONS]),
        older=st.booleans(),
        consumer=st.sampled_from(["one", "two"]),
    )
    def a_part_is_decoded_again(self, name: str, older: bool, consumer: str) -> None:
        self._as(older, self.work[name, older, consumer].step)

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), older=st.booleans(), committed=st.booleans())
    def a_worker_dies_over_a_part(self, name: str, older: bool, committed: bool) -> None:
        point = transaction.savepoint()
        self._as(older, self.work[name, older, "one"].step)
        if not committed:
            transaction.savepoint_rollback(point)
        self._start(name, older, "one")

    @rule()
    def all_workers_stop_for_a_while(self) -> None:
        all_workers_stop()

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), older=st.booleans())
    def a_projection_is_rebuilt_by_hand(self, name: str, older: bool) -> None:
        if not older:  # `rebuild` of an older version decodes as that version did
            rebuild(self.projections[name], self.url, STREAMS)

    def _as(self, older: bool, do: Callable[[], object]) -> None:
        if not older:
            do()
            return
        # What the older version decodes again it decodes as before.
        with older_decoder(), pytest.MonkeyPatch.context() as patch:
            patch.setattr("evdash.eventlog.row_mapping.decode", decode_as_before)
            patch.setattr("evdash.ingest.rebuild.decode", decode_as_before)
            do()

    def everything_is_decoded_again_in_the_end(self) -> None:
        for name in self.projections:
            worker = self._worker(name, older=False)
            worker.claim_idle_ms = 0
            worker.connect()
            while worker.step() or worker.claim():
                pass
        all_workers_stop()
        for name in ("audit", "analytics", "debug"):
            until_done(self._start(name, False, "last"))
        assert redecoding_progress(GROUPS) is None
        assert_rows_are_decoded(self.entries)
        assert_equal(actual(), expected(self.entries))
        for group in ("evdash-analytics", "evdash-debug"):
            assert applied(group) == {(each.stream, each.entry_id) for each in self.entries}
        assert dict(Decoder.objects.exclude(rows=0).values_list("pk", "rows")) == (
            {decoder_number(): len(self.entries)} if self.entries else {}
        )


@pytest.mark.django_db
def test_every_table_is_the_fold_of_the_present_decoder_whatever_happens(valkey: redis.Redis, valkey_url: str) -> None:
    class OnThisServer(Upgrade):
        pass

    OnThisServer.valkey, OnThisServer.url = valkey, valkey_url
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes; by hand it may
        ),
    )


def ten(**fields: str) -> list[Entry]:
    return [
        entry(f"{number}-1", type="tool.called", session_id="s", tool="t", id=str(number), **fields)
        for number in range(1, 11)
    ]


@pytest.mark.django_db
def test_a_worker_decodes_again_while_it_applies_entries(valkey: redis.Redis, valkey_url: str) -> None:
    write(valkey, ten())
    write_as_before(ten()[:8])
    projection = AuditProjection(GROUP)
    worker = Worker(GroupConsumer(valkey, GROUP, "c"), projection, [STREAM], batch_size=2)
    upkeep = WorkerRunner(worker, redecoding=Redecoding(projection, valkey_url, [STREAM]))
    assert run(upkeep, threading.Event(), block_ms=60_000, until_caught_up=True) == 10
    assert_rows_are_decoded(ten())
    assert redecoding_progress([GROUP]) is None


@pytest.mark.django_db
def test_a_worker_with_rows_left_does_not_wait_for_entries(valkey: redis.Redis, valkey_url: str) -> None:
    write_as_before(ten())
    projection = AuditProjection(GROUP)
    waits_ms: list[int] = []

    class Noted(Worker):
        def step(self, block_ms: int = 0) -> int:
            waits_ms.append(block_ms)
            if block_ms:
                stop.set()
            return super().step(min(block_ms, 1))

    stop = threading.Event()
    worker = Noted(GroupConsumer(valkey, GROUP, "c"), projection, [STREAM], batch_size=2)
    upkeep = WorkerRunner(worker, redecoding=Redecoding(projection, valkey_url, [STREAM]))
    upkeep.redecoding.step()  # type: ignore[union-attr]
    run(upkeep, stop, block_ms=5_000)
    assert waits_ms[-1] == 5_000
    assert len(waits_ms) > 1
    assert_rows_are_decoded(ten())


@pytest.mark.django_db
def test_read_models_that_counted_by_rows_of_another_decoder_are_rebuilt() -> None:
    """A worker of the older version decodes a row as before while one of the newer version counts its duplicate."""
    found = [entry(f"{number}-1", type="message.added", session_id="s", id=id_) for number, id_ in ((1, "a"), (2, "b"))]
    write_as_before(found)
    rebuild(AuditProjection(GROUP), "", [STREAM])
    all_workers_stop()
    with older_decoder(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("evdash.eventlog.row_mapping.decode", decode_as_before)
        work = Redecoding(AuditProjection(GROUP), "", [STREAM])
        work._limit = 1
        work.step()
    assert LoggedEvent.objects.filter(identity=None).count() == 1
    found.append(entry("3-1", type="message.added", session_id="s", id="a"))
    AuditProjection(GROUP).apply([decode(found[-1])])
    all_workers_stop()
    until_done(Redecoding(AuditProjection(GROUP), "", [STREAM]))
    assert redecoding_progress([GROUP]) is None
    for table in ("log", "sessions", "type counts"):
        assert actual()[table] == expected(found)[table]


@pytest.mark.django_db
def test_what_is_left_is_counted_down_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    write_as_before(ten())
    work = Redecoding(AuditProjection(GROUP), "", [STREAM])
    with caplog.at_level("INFO", "evdash.ingest"):
        left: list[RedecodingProgress | None] = [redecoding_progress([GROUP])]
        while left[-1] is not None:
            work.step()
            left.append(redecoding_progress([GROUP]))
    assert [each.rows_left for each in left if each] == [10, 7, 4, 1, 0]
    assert [each.is_running for each in left if each] == [False, True, True, True, True]
    assert {(each.rows, each.read_models_left) for each in left if each} == {(10, True)}
    assert logged(caplog) == [
        {
            "event": "re-decoding started",
            "entries": 10,
            "reason": "Another decoder wrote these rows of the event log.",
        },
        {"event": "re-decoding finished", "entries": 10, "changed_entries": 10},
        {"event": "rebuild started", "group": GROUP, "reason": "Another decoder wrote some of the read models."},
        {"event": "rebuild finished", "group": GROUP, "entries": 10},
    ]


@pytest.mark.django_db
def test_a_log_of_this_decoder_is_not_read(django_assert_max_num_queries: Callable[[int], object]) -> None:
    AuditProjection(GROUP).apply([decode(each) for each in ten()])
    work = Redecoding(AuditProjection(GROUP), "", [STREAM])
    with django_assert_max_num_queries(4) as context:  # type: ignore[attr-defined]
        work.step()
    assert not any("eventlog_loggedevent" in query["sql"] for query in context.captured_queries)
    assert not work.has_more
    assert redecoding_progress([GROUP]) is None


@pytest.mark.django_db
def test_rows_of_a_newer_decoder_are_left_alone_while_it_is_in_use() -> None:
    AuditProjection(GROUP).apply([decode(each) for each in ten()])  # the first decoder is the older one here
    with older_decoder():
        AuditProjection(GROUP).apply([decode_as_before(entry("20-1", type="x"))])
    work = Redecoding(AuditProjection(GROUP), "", [STREAM])
    until_done(work)
    assert LoggedEvent.objects.exclude(decoder_id=decoder_number()).count() == 1
    all_workers_stop()  # the newer version was not good
    until_done(work)
    assert_rows_are_decoded([*ten(), entry("20-1", type="x")])


@pytest.mark.django_db
def test_duplicates_are_events_of_their_own_for_a_decoder_without_their_ids() -> None:
    found = [entry(f"{number}-1", type="a", id=str(number % 2)) for number in range(1, 8)]
    AuditProjection(GROUP).apply([decode(each) for each in found])
    assert LoggedEvent.objects.filter(is_duplicate=True).count() == 5
    all_workers_stop()
    with older_decoder(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("evdash.eventlog.row_mapping.decode", decode_as_before)
        until_done(Redecoding(AuditProjection(GROUP), "", [STREAM]))
    assert not LoggedEvent.objects.filter(is_duplicate=True).exists()
    assert sum(row[0] for row in actual()["type counts"].values()) == 3 * 7  # minutes, hours and days


@pytest.mark.django_db
def test_read_models_wait_until_no_worker_of_another_decoder_runs() -> None:
    write_as_before(ten())
    with older_decoder():
        AuditProjection(GROUP).apply([decode_as_before(entry("20-1", type="x"))])
        Decoder.objects.update(last_used_at=datetime.now(UTC))
    work = Redecoding(AuditProjection(GROUP), "", [STREAM])
    until_done(work)
    assert_rows_are_decoded([*ten(), entry("20-1", type="x")])
    assert redecoding_progress([GROUP]) == RedecodingProgress(
        rows_left=0, rows=11, read_models_left=True, is_running=True
    )
    all_workers_stop()
    until_done(work)
    assert redecoding_progress([GROUP]) is None


@pytest.mark.django_db
@pytest.mark.parametrize("failing", [1, 5, 10])
def test_a_row_that_cannot_be_written_is_left_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, failing: int
) -> None:
    write_as_before(ten())
    good = redecoding_module.decoded_values

    def bad(event: object) -> object:
        if event.entry_id.ms == failing:  # type: ignore[attr-defined]
            raise DataError("too long")
        return good(event)  # type: ignore[arg-type]

    monkeypatch.setattr(redecoding_module, "decoded_values", bad)
    monkeypatch.setattr(redecoding_module, "RETRY_AFTER_S", 600.0)
    until_done(Redecoding(AuditProjection(GROUP), "", [STREAM]))
    rows = LoggedEvent.objects.exclude(decoder_id=decoder_number())
    assert [row.entry_id.ms for row in rows] == [failing]
    assert redecoding_progress([GROUP]) == RedecodingProgress(
        rows_left=1, rows=10, read_models_left=False, is_running=True
    )
    assert {"event": "rows not re-decoded", "entries": 1, "retry_in_s": 600.0} in logged(caplog)
    monkeypatch.setattr(redecoding_module, "decoded_values", good)
    until_done(Redecoding(AuditProjection(GROUP), "", [STREAM]))  # the process was started again
    assert_rows_are_decoded(ten())


@pytest.mark.django_db
def test_read_models_that_cannot_be_counted_stop_neither_worker_nor_rows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> int:
        raise DataError("too long")

    monkeypatch.setattr(redecoding_module, "rebuild_read_models", fails)
    monkeypatch.setattr(redecoding_module, "RETRY_AFTER_S", 600.0)
    write_as_before(ten())
    until_done(Redecoding(AuditProjection(GROUP), "", [STREAM]))
    assert_rows_are_decoded(ten())
    assert redecoding_progress([GROUP]) == RedecodingProgress(
        rows_left=0, rows=10, read_models_left=True, is_running=True
    )
    assert {"event": "rebuild failed", "group": GROUP, "retry_in_s": 600.0} in logged(caplog)


@pytest.mark.django_db
def test_entries_that_the_log_lacks_are_counted_again_from_the_stream(valkey: redis.Redis, valkey_url: str) -> None:
    found = ten(latency_ms="7")
    write(valkey, found)
    with older_decoder():
        AnalyticsProjection("evdash-analytics").apply([decode_as_before(each) for each in found])
    all_workers_stop()
    AuditProjection(GROUP).apply([decode(each) for each in found[:4]])
    work = Redecoding(AnalyticsProjection("evdash-analytics"), valkey_url, [STREAM])
    until_done(work)
    wanted = expected(found)
    assert actual()["latencies"] == wanted["latencies"] != {}
    assert applied("evdash-analytics") == {(each.stream, each.entry_id) for each in found}


@pytest.mark.django_db
def test_states_of_sessions_are_those_of_the_present_decoder(
    valkey: redis.Redis, valkey_url: str, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_snapshots, "KEPT_EVERY", 5)
    monkeypatch.setattr(snapshots, "KEPT_EVERY", 5)
    write(valkey, ten())
    worker = make_worker()
    with older_decoder():
        worker.connect()
        while worker.step():
            pass
        StateKeeping(worker).keep()
    before = {row.entry_id: bytes(row.state) for row in SessionSnapshot.objects.all()}
    all_workers_stop()
    keeping = StateKeeping(worker)
    upkeep = WorkerRunner(
        worker, keep=keeping.keep, redecoding=Redecoding(worker.projection, valkey_url, [STREAM], keeping.start_over)
    )
    run(upkeep, threading.Event(), block_ms=0, until_caught_up=True)
    upkeep.run(idle=True, all_now=True)
    after = {row.entry_id: bytes(row.state) for row in SessionSnapshot.objects.all()}
    assert before.keys() == after.keys() != set()
    assert all(before[entry_id] != after[entry_id] for entry_id in before)


@pytest.mark.django_db(transaction=True)
def test_several_workers_decode_every_row_once(caplog: pytest.LogCaptureFixture) -> None:
    found = [entry(f"{number}-1", type="a", agent="x", id=str(number % 7)) for number in range(1, 101)]
    write_as_before(found)
    works = [Redecoding(AuditProjection(GROUP), "", [STREAM]) for _ in range(3)]
    failures: list[Exception] = []

    def work_on(work: Redecoding) -> None:
        try:
            while redecoding_progress([GROUP]) is not None:
                work.step()
        except Exception as error:  # noqa: BLE001 - shown below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work_on, args=[work]) for work in works]
    with caplog.at_level("INFO", "evdash.ingest"):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failures == []
    assert_rows_are_decoded(found)
    assert actual()["log"] == expected(found)["log"]
    assert actual()["type counts"] == expected(found)["type counts"]
    assert Decoder.objects.aggregate(total=Sum("rows"))["total"] == 100
    assert logged(caplog).count({"event": "rebuild finished", "group": GROUP, "entries": 100}) == 1


def test_other_upcasters_are_noticed_by_the_next_worker(
    manage_py: ManagePy, environment: dict[str, str], valkey: redis.Redis, valkey_url: str, tmp_path: Path
) -> None:
    step = '@upcaster("order.placed", from_version=1)\ndef step(data):\n    return {**data, "agent": "NAME"}\n'
    text = f"from evdash.events.upcasters import upcaster\n\n\n{step}"
    variables = {"REDIS_URL": valkey_url, "PYTHONPATH": str(tmp_path), "EVDASH_UPCASTERS": "own_steps"}
    assert manage_py("migrate").returncode == 0
    for number in range(1, 4):
        valkey.xadd(STREAM, {"type": "order.placed", "schema_version": "1", "session_id": "s"}, id=f"{number}-0")
    database = next(Path(environment["EVDASH_DATA_DIR"]).glob("*.sqlite3"))

    def rows_of(statement: str) -> list[tuple[object, ...]]:
        with sqlite3.connect(database) as connected:
            return connected.execute(statement).fetchall()

    for name in ("first", "second"):
        (tmp_path / "own_steps.py").write_text(text.replace("NAME", name))
        worked = manage_py("work", "--until-caught-up", **variables)
        assert worked.returncode == 0, worked.stderr
        assert rows_of("SELECT DISTINCT agent FROM eventlog_loggedevent") == [(name,)]
        rows_of("UPDATE eventlog_decoder SET last_used_at = '2020-01-01 00:00:00'")
    assert manage_py("work", "--until-caught-up", **variables).returncode == 0
    assert rows_of("SELECT agent FROM eventlog_agentsession") == [("second",)]
    assert rows_of("SELECT rows FROM eventlog_decoder ORDER BY id") == [(0,), (3,)]
    assert "re-decoding finished       entries=3 changed_entries=3" in worked.stderr


@pytest.mark.django_db
def test_a_group_records_the_decoder_of_its_read_models() -> None:
    projection = AuditProjection(GROUP)
    projection.apply([decode(each) for each in ten()[:3]])
    assert GroupPosition.objects.get().decoder_id == decoder_number()
    with older_decoder():
        projection.apply([decode_as_before(each) for each in ten()[3:5]])
    assert GroupPosition.objects.get().decoder_id == 0
    projection.apply([decode(each) for each in ten()[5:]])
    assert GroupPosition.objects.get().decoder_id == 0
