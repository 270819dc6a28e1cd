"""Whatever happens between Redis and the tables, every table is the fold over the entries."""

from __future__ import annotations

import itertools

import pytest
import redis
from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.rebuild import rebuild
from evdash.ingest.runner import WorkerRunner
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer, GroupMissing
from tests.builders import raw_entry
from tests.eventlog.conftest import write
from tests.ingest.folds import Tables, actual, applied, assert_equal, expected

STREAMS = ("memory:events", "other")
PROJECTIONS: tuple[type[Projection], ...] = (AuditProjection, AnalyticsProjection, DebugProjection)

stream_contents = st.one_of(
    # What a producer's retry writes again.
    st.sampled_from(
        [
            ("message.added", "s1", "u1", "e1", "1"),
            ("error.occurred", "s2", "u1", "e2", "20"),
            ("tool.called", "s1", "", "e3", "3"),
        ]
    ),
    st.tuples(
        st.sampled_from(["session.started", "message.added", "tool.called", "error.occurred"]),
        st.sampled_from(["", "s1", "s2"]),
        st.sampled_from(["", "u1", "u2"]),
        st.just(""),
        st.sampled_from(["1", "20", "-"]),
    ),
)


def entry_of(stream: str, ms: int, content: tuple[str, str, str, str, str]) -> Entry:
    type_, session, user, own_id, latency = content
    return raw_entry(
        ("type", type_), ("session_id", session), ("user_id", user), ("id", own_id), ("latency_ms", latency),
        *((("call_id", "c1"), ("tool", "t" if latency == "1" else "")) if type_ == "tool.called" else ()),
        ("error", f"no seat on flight {own_id or ms % 3}" if type_ == "error.occurred" else ""),
        ("timestamp", str(1_700_000_000 + ms * 37)), entry_id=f"{ms}-1", stream=stream,
    )  # fmt: skip


class Delivery(RuleBasedStateMachine):
    """Producers, workers that die anywhere, operators and a Redis that forgets, in any order."""

    valkey: redis.Redis
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.valkey.flushall()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.entries: dict[tuple[str, EntryId], Entry] = {}
        self.workers = {
            (projection.name, consumer): self._worker(projection(f"evdash-{projection.name}"), consumer)
            for projection in PROJECTIONS
            for consumer in ("one", "two")
        }

    def _worker(self, projection: Projection, consumer: str) -> WorkerRunner:
        worker = Worker(
            GroupConsumer(self.valkey, projection.group, consumer), projection, STREAMS, batch_size=3, claim_idle_ms=1
        )
        return WorkerRunner(worker)

    def teardown(self) -> None:
        try:
            self.everything_is_carried_over_in_the_end()
        finally:
            transaction.set_rollback(True)
            self.atomic.__exit__(None, None, None)

    @rule(stream=st.sampled_from(STREAMS), contents=st.lists(stream_contents, min_size=1, max_size=4))
    def entries_are_added(self, stream: str, contents: list[tuple[str, str, str, str, str]]) -> None:
        for content in contents:
            entry = entry_of(stream, self._newest(stream) + 1, content)
            write(self.valkey, [entry])
            self.entries[stream, entry.entry_id] = entry

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), consumer=st.sampled_from(["one", "two"]))
    def a_worker_does_a_batch(self, name: str, consumer: str) -> None:
        upkeep = self.workers[name, consumer]
        try:
            upkeep.worker.step()
        except GroupMissing:
            upkeep.connect()

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), consumer=st.sampled_from(["one", "two"]))
    def a_worker_restarts(self, name: str, consumer: str) -> None:
        self.workers[name, consumer].connect()

    @rule(
        name=st.sampled_from([p.name for p in PROJECTIONS]),
        consumer=st.sampled_from(["one", "two"]),
        dies=st.sampled_from(["before the commit", "after the commit", "at the commit"]),
    )
    def a_worker_dies_over_a_batch(self, name: str, consumer: str, dies: str) -> None:
        worker = self.workers[name, consumer].worker
        try:
            entries = worker.consumer.read_new(worker.streams, 3, 0)
        except GroupMissing:
            return
        events = [decode(entry) for entry in entries]
        if dies == "after the commit":
            worker.projection.apply(events)
        elif dies == "at the commit":
            point = transaction.savepoint()
            worker.projection.apply(events)
            transaction.savepoint_rollback(point)

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), consumer=st.sampled_from(["one", "two"]))
    def a_worker_claims(self, name: str, consumer: str) -> None:
        upkeep = self.workers[name, consumer]
        upkeep.worker.claim_idle_ms = 0
        try:
            upkeep.worker.claim()
        except GroupMissing:
            upkeep.connect()

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), stream=st.sampled_from(STREAMS))
    def a_group_is_deleted(self, name: str, stream: str) -> None:
        if self.valkey.exists(stream):
            self.valkey.execute_command("XGROUP", "DESTROY", stream, f"evdash-{name}")

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]), stream=st.sampled_from(STREAMS), ms=st.integers(0, 20))
    def a_group_is_moved_back(self, name: str, stream: str, ms: int) -> None:
        if self.valkey.exists(stream):
            self.workers[name, "one"].worker.consumer.ensure(stream, EntryId(ms, 0))

    @rule(stream=st.sampled_from(STREAMS), share=st.floats(0, 1))
    def entries_that_all_projections_have_are_trimmed(self, stream: str, share: float) -> None:
        everywhere = self._applied_everywhere()
        ids = [EntryId.parse(row[0]) for row in self.valkey.execute_command("XRANGE", stream, "-", "+")]
        applied_first = list(itertools.takewhile(lambda entry_id: (stream, entry_id) in everywhere, ids))
        if applied_first:
            cut = applied_first[int((len(applied_first) - 1) * share)]
            self.valkey.execute_command("XTRIM", stream, "MINID", str(cut))

    @rule(stream=st.sampled_from(STREAMS), kept=st.floats(0, 1))
    def redis_comes_back_from_an_older_file(self, stream: str, kept: float) -> None:
        """With fewer entries, without its groups; the next ones get IDs that were in use, or that lay between."""
        everywhere = self._applied_everywhere()
        raw = self.valkey.execute_command("XRANGE", stream, "-", "+")
        lost = [EntryId.parse(row[0]) for row in raw[int(len(raw) * kept) :]]
        if not raw or any((stream, entry_id) not in everywhere for entry_id in lost):
            return  # what nobody read before it was lost is another matter
        self.valkey.delete(stream)
        for raw_id, pairs in raw[: int(len(raw) * kept)]:
            self.valkey.execute_command("XADD", stream, raw_id, *pairs)

    @rule(stream=st.sampled_from(STREAMS), content=stream_contents, ms=st.integers(1, 20))
    def an_entry_is_added_below_what_was_applied(self, stream: str, content: tuple[str, ...], ms: int) -> None:
        """As after a restored file: possible only where the stream itself ends below it."""
        entry_id = EntryId(ms, 2)
        entry = raw_entry(*entry_of(stream, ms, content).pairs, entry_id=str(entry_id), stream=stream)  # type: ignore[arg-type]
        if (stream, entry_id) in self.entries:
            return
        try:
            write(self.valkey, [entry])
        except redis.ResponseError:
            return
        self.entries[stream, entry_id] = entry

    @rule(name=st.sampled_from([p.name for p in PROJECTIONS]))
    def a_projection_is_rebuilt(self, name: str) -> None:
        before = actual()
        if self._applied_everywhere() != set(self.entries):
            return
        rebuild(self.workers[name, "one"].worker.projection, self.url, STREAMS)
        assert_equal(actual(), before)

    def _newest(self, stream: str) -> int:
        """The newest millisecond in use, in the stream or, where it came back shorter, before that."""
        used = [entry_id.ms for name, entry_id in self.entries if name == stream]
        return max(used, default=0)

    def _applied_everywhere(self) -> set[tuple[str, EntryId]]:
        logged = set(actual()["log"])
        return logged & applied("evdash-analytics") & applied("evdash-debug")

    @invariant()
    def nothing_counts_that_was_not_written(self) -> None:
        assert set(actual()["log"]) <= set(self.entries)

    def everything_is_carried_over_in_the_end(self) -> None:
        for upkeep in self.workers.values():
            upkeep.connect()
        for upkeep in self.workers.values():
            upkeep.worker.claim_idle_ms = 0
            while upkeep.worker.step() or upkeep.run(idle=True, all_now=True):
                pass
        wanted: Tables = expected(list(self.entries.values()))
        assert_equal(actual(), wanted)
        for group in ("evdash-analytics", "evdash-debug"):
            assert applied(group) == set(self.entries)
        for projection in PROJECTIONS:
            for stream in STREAMS:
                if self.valkey.exists(stream):
                    assert self.valkey.execute_command("XPENDING", stream, f"evdash-{projection.name}")[0] == 0


@pytest.mark.django_db
def test_every_table_is_the_fold_over_the_entries_whatever_happens(valkey: redis.Redis, valkey_url: str) -> None:
    class OnThisServer(Delivery):
        pass

    OnThisServer.valkey, OnThisServer.url = valkey, valkey_url
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking takes minutes; by hand it may
        ),
    )
