"""What goes wrong with single entries and consumers is mended, parked or told, and holds up nothing else."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import pytest
import redis
from django.db import DatabaseError, OperationalError

from evdash.eventlog.group_progress import set_attempts, watermark
from evdash.eventlog.models import AgentSession, AppliedEntry, EntryTries, Gap, GroupMinute, GroupPosition, LoggedEvent
from evdash.events.decoding import decode
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest import batch
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.rebuild import rebuild
from evdash.ingest.redelivery import RedeliverParked, record_operation_gaps
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.worker import Worker
from evdash.streams.commands import AcknowledgeEntries, OperationRefused
from evdash.streams.consumer_group import Delivery, GroupConsumer
from evdash.streams.dead_letters import parked_entries
from tests.builders import STREAM, raw_entry
from tests.eventlog.conftest import GROUP, MakeWorker, write

pytestmark = pytest.mark.django_db

ENTRIES = [raw_entry(("type", "a"), ("session_id", "s"), ("user_id", "u"), entry_id=f"{i}-1") for i in range(1, 11)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "FIRST_RETRY_S", 0.01)


class Refuses(AuditProjection):
    """Cannot apply certain entries, as often as is said."""

    def __init__(self, group: str, *entry_ids: str, times: int = 1000) -> None:
        super().__init__(group)
        self.left = {EntryId.parse(entry_id): times for entry_id in entry_ids}

    def apply(self, events: Sequence[Event]) -> int:
        for event in events:
            if self.left.get(event.entry_id, 0):
                self.left[event.entry_id] -= len(events) == 1
                raise DatabaseError("value too long")
        return super().apply(events)


def refusing(worker: Worker, *entry_ids: str, times: int = 1000) -> Worker:
    projection = Refuses(GROUP, *entry_ids, times=times)
    worker.projection = worker.carrier.projection = projection
    return worker


def catch_up(worker: Worker) -> int:
    return run(WorkerRunner(worker), threading.Event(), block_ms=0, until_caught_up=True)


def logged() -> list[int]:
    return [entry_id.ms for entry_id in LoggedEvent.objects.order_by("entry_id").values_list("entry_id", flat=True)]


def pending(valkey: redis.Redis) -> int:
    return int(valkey.execute_command("XPENDING", STREAM, GROUP)[0])


def test_a_bad_entry_is_parked_after_some_tries_and_holds_up_no_other(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    catch_up(refusing(make_worker(), "4-1", "5-1"))
    assert logged() == [1, 2, 3, 6, 7, 8, 9, 10]
    assert pending(valkey) == 0
    parked = parked_entries(valkey, STREAM, count=10)
    assert [each.entry for each in parked] == ENTRIES[3:5]
    assert {each.deliveries for each in parked} == {5}
    assert {each.reason for each in parked} == {"DatabaseError: value too long"}
    gaps = Gap.objects.order_by("first_id")
    assert [(gap.kind, gap.first_id.ms, gap.entries) for gap in gaps] == [("parked", 4, 1), ("parked", 5, 1)]
    assert GroupPosition.objects.get().parked == 2
    assert watermark(GROUP, STREAM) == EntryId(10, 1)


def test_an_entry_that_fails_for_a_while_is_applied_in_the_end(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    catch_up(refusing(make_worker(), "4-1", times=3))
    assert logged() == list(range(1, 11))
    assert parked_entries(valkey, STREAM, count=1) == []
    assert AgentSession.objects.get().events == 10


class Ended(BaseException):
    """The process, as far as a test can have that."""


class Ends(AuditProjection):
    """Certain entries end the process that applies them."""

    def __init__(self, group: str, *entry_ids: str) -> None:
        super().__init__(group)
        self.deadly = {EntryId.parse(entry_id) for entry_id in entry_ids}

    def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
        if self.deadly & {change.event.entry_id for change in changed}:
            raise Ended
        super()._add(changed, numbers)


def test_what_ends_the_worker_again_and_again_is_tried_alone_and_then_parked_unseen(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    ends = 0
    while True:
        worker = make_worker()
        worker.projection = worker.carrier.projection = Ends(GROUP, "4-1", "5-1")
        try:
            catch_up(worker)
            break
        except Ended:
            ends += 1
    assert ends == 5 + 5 + 5  # together with others, and each of the two alone
    assert logged() == [1, 2, 3, 6, 7, 8, 9, 10]
    parked = parked_entries(valkey, STREAM, count=5)
    assert [each.entry.entry_id.ms for each in parked] == [4, 5]
    assert {each.reason for each in parked} == {"Tried 5 times and never finished. The entry may crash the worker."}
    assert not EntryTries.objects.exists()


def test_a_database_that_takes_small_writes_only_is_an_outage_however_long_and_parks_nothing(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)

    class Locked(AuditProjection):
        def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
            raise OperationalError("canceling statement due to lock timeout")

    for _ in range(40):
        worker = make_worker()
        worker.projection = worker.carrier.projection = Locked(GROUP)
        with pytest.raises(OperationalError):
            catch_up(worker)
    catch_up(make_worker())
    assert logged() == list(range(1, 11))
    assert parked_entries(valkey, STREAM, count=1) == []
    assert not EntryTries.objects.exists()


def test_answers_of_redis_that_were_lost_park_nothing(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    worker = make_worker()
    worker.connect()
    worker.consumer.read_new([STREAM], 10, 0)
    for _ in range(40):
        worker.consumer.read_own_pending(STREAM, EntryId.MIN, 10)
    catch_up(worker)
    assert logged() == list(range(1, 11))
    assert parked_entries(valkey, STREAM, count=1) == []


def test_a_try_that_an_outage_ended_is_taken_back_even_when_that_fails_at_first(
    valkey: redis.Redis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(valkey, ENTRIES)
    worker = make_worker()
    worker.connect()
    worker.consumer.read_new([STREAM], 10, 0)
    for _ in range(10):
        worker.consumer.read_own_pending(STREAM, EntryId.MIN, 10)

    def written_and_answer_lost(group: str, stream: str, entry_id: EntryId, tries_so_far: int) -> None:
        set_attempts(group, stream, entry_id, tries_so_far)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(batch, "set_attempts", written_and_answer_lost)
        for _ in range(20):
            with pytest.raises(OperationalError):
                catch_up(worker)
    catch_up(worker)
    assert logged() == list(range(1, 11))
    assert parked_entries(valkey, STREAM, count=1) == []
    assert not EntryTries.objects.exists()


def test_a_value_that_no_index_takes_is_the_entrys_fault_and_no_outage(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)

    class TooLong(Exception):
        sqlstate = "54000"  # as PostgreSQL says of a value past a third of a page

    class Indexes(AuditProjection):
        def _add(self, changed: Sequence[CountChange], numbers: Mapping[str, int]) -> None:
            if any(change.event.entry_id.ms == 4 for change in changed):
                raise OperationalError("index row size 4016 exceeds maximum 2712") from TooLong()
            super()._add(changed, numbers)

    worker = make_worker()
    worker.projection = worker.carrier.projection = Indexes(GROUP)
    catch_up(worker)
    assert [each.entry.entry_id.ms for each in parked_entries(valkey, STREAM, count=5)] == [4]
    assert len(logged()) == 9


def test_a_database_that_takes_nothing_is_an_outage_and_parks_nothing(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    worker = make_worker()

    class Broken(AuditProjection):
        def apply(self, events: Sequence[Event]) -> int:
            raise DatabaseError("database disk image is malformed")

        def probe(self) -> None:
            raise DatabaseError("database disk image is malformed")

    worker.projection = worker.carrier.projection = Broken(GROUP)
    with pytest.raises(DatabaseError, match="malformed"):
        catch_up(worker)
    assert pending(valkey) == 10
    assert Gap.objects.count() == 0
    catch_up(make_worker())
    assert logged() == list(range(1, 11))


def test_the_entries_of_a_dead_consumer_are_claimed(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    dead = make_worker("dead")
    dead.connect()
    dead.consumer.read_new([STREAM], 4, 0)
    living = make_worker("living")
    catch_up(living)
    assert logged() == [5, 6, 7, 8, 9, 10]  # they may be in work still
    living.claim_idle_ms = 0
    assert living.claim() == 4
    assert logged() == list(range(1, 11))
    assert pending(valkey) == 0


def test_what_is_claimed_from_a_consumer_that_lives_after_all_counts_once(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    slow = make_worker("slow")
    slow.connect()
    entries = slow.consumer.read_new([STREAM], 10, 0)
    quick = make_worker("quick")
    quick.claim_idle_ms = 0
    catch_up(quick)
    slow.process(STREAM, [Delivery(STREAM, entry.entry_id, entry) for entry in entries], first_time=True)
    assert AgentSession.objects.get().events == 10
    assert GroupPosition.objects.get().applied == 10


def test_two_workers_of_one_name_count_nothing_twice(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    one, other = make_worker("same", batch_size=3), make_worker("same", batch_size=3)
    one.connect()
    one.consumer.read_new([STREAM], 3, 0)  # in hand
    other.connect()
    while other.step():
        pass
    one.connect()
    while one.step():
        pass
    assert AgentSession.objects.get().events == 10
    assert pending(valkey) == 0


def test_entries_trimmed_before_they_were_read_are_a_gap_where_they_were(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES[:4])
    catch_up(make_worker())
    write(valkey, ENTRIES[4:])
    valkey.execute_command("XTRIM", STREAM, "MINID", "8-0")
    catch_up(make_worker())
    assert logged() == [1, 2, 3, 4, 8, 9, 10]
    gap = Gap.objects.get()
    assert (gap.kind, gap.entries) == ("removed", 3)
    assert EntryId(4, 1) < gap.first_id
    assert gap.last_id < EntryId(8, 1)
    catch_up(make_worker())
    assert Gap.objects.count() == 1


def test_entries_deleted_in_the_middle_before_they_were_read_are_counted(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES[:4])
    catch_up(make_worker())
    write(valkey, ENTRIES[4:])
    valkey.execute_command("XDEL", STREAM, "6-1", "8-1")
    catch_up(make_worker())
    gap = Gap.objects.get()
    assert (gap.kind, gap.entries) == ("removed", 2)
    assert gap.first_id <= EntryId(6, 1)
    assert gap.last_id >= EntryId(8, 1)


def test_what_was_gone_before_the_first_reading_is_told(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    valkey.execute_command("XTRIM", STREAM, "MINID", "4-0")
    catch_up(make_worker())
    gap = Gap.objects.get()
    assert (gap.kind, gap.entries) == ("before", 3)
    assert gap.last_id == EntryId(4, 1).previous()


def test_entries_that_others_acknowledged_are_applied_all_the_same(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES[:4])
    worker = make_worker()
    catch_up(worker)
    write(valkey, ENTRIES[4:])
    valkey.execute_command("XREADGROUP", "GROUP", GROUP, "somebody", "COUNT", 3, "STREAMS", STREAM, ">")
    valkey.execute_command("XACK", STREAM, GROUP, "5-1", "6-1", "7-1")
    while worker.step():
        pass
    assert 6 not in logged()
    assert WorkerRunner(worker).account() == 3
    assert worker.step() == 3
    assert logged() == list(range(1, 11))
    assert Gap.objects.count() == 0


def test_an_emptied_stream_is_no_gap_and_what_comes_then_is_logged(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    catch_up(make_worker())
    valkey.flushall()
    write(valkey, ENTRIES[2:5])  # some of it restored
    write(valkey, [raw_entry(("type", "a"), entry_id="7-5")])  # an ID below what was applied, and new
    catch_up(make_worker())
    assert LoggedEvent.objects.count() == 11
    assert Gap.objects.count() == 0
    assert AgentSession.objects.get().events == 10


def test_entries_of_a_recreated_stream_that_were_trimmed_unread_are_a_gap(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    catch_up(make_worker())
    valkey.flushall()
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{ms}-1") for ms in range(11, 19)])
    valkey.execute_command("XTRIM", STREAM, "MINID", "15-0")
    catch_up(make_worker())
    assert [(gap.kind, gap.first_id, gap.last_id, gap.entries) for gap in Gap.objects.all()] == [
        ("removed", EntryId(10, 2), EntryId(15, 1).previous(), 4)
    ]
    position = GroupPosition.objects.get()
    assert position.recreated_at is not None
    assert position.former_entries == 10


def test_a_recreated_stream_that_is_longer_than_the_former_one_is_detected(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES[:3])
    catch_up(make_worker())
    valkey.flushall()
    write(valkey, [raw_entry(("type", "a"), entry_id=f"{ms}-1") for ms in range(11, 19)])
    valkey.execute_command("XTRIM", STREAM, "MINID", "13-0")
    catch_up(make_worker())
    assert [gap.entries for gap in Gap.objects.all()] == [2]
    assert GroupPosition.objects.get().former_entries == 3


def test_a_gap_lies_between_the_last_entry_applied_and_the_first_one_left(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    """The worker ended before it had compared anything."""
    write(valkey, ENTRIES[:2])
    worker = make_worker()
    worker.connect()
    assert worker.step() == 2
    write(valkey, ENTRIES[2:])
    valkey.execute_command("XTRIM", STREAM, "MINID", "7-0")
    upkeep = WorkerRunner(make_worker())
    upkeep.connect()
    assert upkeep.account() == 0  # not caught up yet, and what was seen at the beginning is not forgotten
    while upkeep.worker.step():
        pass
    upkeep.account()
    assert [(gap.kind, gap.first_id, gap.last_id, gap.entries) for gap in Gap.objects.all()] == [
        ("removed", EntryId(2, 2), EntryId(7, 1).previous(), 4)
    ]


def test_a_gap_ends_with_the_last_entry_that_was_deleted(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES[:2])
    catch_up(make_worker())
    write(valkey, ENTRIES[2:])
    valkey.execute_command("XDEL", STREAM, "4-1", "6-1")
    catch_up(make_worker())
    gap = Gap.objects.get()
    assert (gap.first_id, gap.last_id, gap.entries) == (EntryId(2, 2), EntryId(6, 1), 2)


def test_the_throughput_is_written_down(valkey: redis.Redis, make_worker: MakeWorker) -> None:
    write(valkey, ENTRIES)
    catch_up(make_worker(batch_size=4))
    position = GroupPosition.objects.get()
    assert (position.applied, position.batches) == (10, 3)
    assert position.apply_us > 0
    assert sum(GroupMinute.objects.values_list("events", flat=True)) == 10


def test_a_parked_entry_is_applied_when_it_is_redelivered_and_its_gap_is_gone(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    catch_up(refusing(make_worker(), "4-1", "5-1"))
    first, second = parked_entries(valkey, STREAM, count=10)
    operation = RedeliverParked(stream=STREAM, parked_ids=(first.parked_id, EntryId(1, 1)))
    assert operation.preview(valkey).sentence.startswith("Applies 1 parked entry of memory:events to evdash-audit now.")
    outcome = operation.execute(valkey)
    assert outcome.done_ids == (EntryId(4, 1),)
    assert outcome.failed == ((EntryId(1, 1), "No longer parked."),)
    assert (outcome.before, outcome.after) == ({"parked": 2}, {"parked": 1})
    assert logged() == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert AgentSession.objects.get().events == 9
    assert [gap.first_id for gap in Gap.objects.all()] == [second.entry.entry_id]
    with pytest.raises(OperationRefused, match="are no longer parked"):
        operation.execute(valkey)


def test_what_an_operator_acknowledges_unapplied_is_a_gap_and_stays_out(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    dead = make_worker("dead")
    dead.connect()
    dead.consumer.read_new([STREAM], 4, 0)
    operation = AcknowledgeEntries(stream=STREAM, group=GROUP, entry_ids=(EntryId(2, 1), EntryId(3, 1)))
    record_operation_gaps(operation, operation.execute(valkey), "garbage of a test run")
    living = make_worker("living")
    living.claim_idle_ms = 0
    catch_up(living)
    assert logged() == [1, 4, 5, 6, 7, 8, 9, 10]
    gaps = Gap.objects.order_by("first_id")
    assert [(gap.kind, gap.first_id.ms, gap.reason) for gap in gaps] == [
        ("acknowledged", 2, "garbage of a test run"),
        ("acknowledged", 3, "garbage of a test run"),
    ]


def test_a_projection_that_came_too_late_takes_from_the_log_what_the_stream_no_longer_has(
    valkey: redis.Redis, valkey_url: str, make_worker: MakeWorker
) -> None:
    write(valkey, ENTRIES)
    catch_up(make_worker())
    valkey.execute_command("XTRIM", STREAM, "MINID", "8-0")
    late = AnalyticsProjection("evdash-analytics")
    catch_up(Worker(GroupConsumer(valkey, late.group, "c"), late, [STREAM], batch_size=100))
    assert Gap.objects.get().entries == 7
    assert rebuild(late, valkey_url, [STREAM]) == 10
    assert AppliedEntry.objects.count() == 10
    assert not Gap.objects.exists()


def gaps_of(group: str) -> list[tuple[object, ...]]:
    rows = Gap.objects.filter(position__group=group).order_by("first_id", "last_id", "kind")
    return [(gap.kind, gap.first_id, gap.last_id, gap.entries, gap.noticed_at, gap.reason) for gap in rows]


@pytest.mark.parametrize("projection", [AuditProjection(GROUP), DebugProjection("d"), AnalyticsProjection("a")])
def test_gaps_are_the_same_after_a_rebuild(
    valkey: redis.Redis, valkey_url: str, make_worker: MakeWorker, projection: Projection
) -> None:
    def carry_over() -> None:
        catch_up(Worker(GroupConsumer(valkey, projection.group, "c"), projection, [STREAM], batch_size=100))

    write(valkey, ENTRIES[:2])
    carry_over()
    write(valkey, ENTRIES[2:])
    valkey.execute_command("XDEL", STREAM, "4-1", "6-1")  # unread: nobody can say which they were
    carry_over()
    projection.record_parked(STREAM, EntryId(11, 1), "ValueError: 12,50")
    projection.record_removed(STREAM, [EntryId(12, 1), EntryId(14, 1)])
    before = gaps_of(projection.group)
    assert sum(gap[3] for gap in before if isinstance(gap[3], int)) == 5
    rebuild(projection, valkey_url, [STREAM])
    assert gaps_of(projection.group) == before


def test_what_is_applied_between_entries_that_are_gone_was_none_of_them(
    valkey: redis.Redis, make_worker: MakeWorker
) -> None:
    """Two consumers have parts of the same range: what one lost the other has not found."""
    write(valkey, ENTRIES)
    one, other = make_worker("one"), make_worker("other")
    one.connect()
    other.connect()
    one.consumer.read_new([STREAM], 2, 0)
    other.consumer.read_new([STREAM], 3, 0)
    one.consumer.read_new([STREAM], 1, 0)
    valkey.execute_command("XDEL", STREAM, "2-1", "6-1")
    catch_up(one)
    assert [(gap.first_id.ms, gap.last_id.ms, gap.entries) for gap in Gap.objects.all()] == [(2, 6, 2)]
    catch_up(other)
    assert logged() == [1, 3, 4, 5, 7, 8, 9, 10]
    assert [(gap.first_id.ms, gap.last_id.ms, gap.entries) for gap in Gap.objects.all()] == [(2, 6, 2)]
    AuditProjection(GROUP).apply([decode(ENTRIES[5])])  # found after all
    assert [gap.entries for gap in Gap.objects.all()] == [1]
