"""A tail that has been kept for long equals one that is read again, whatever has happened to the streams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from evdash.eventlog.log_reader import LogReader
from evdash.events.decoding import decode
from evdash.events.filters.event_filter import EventFilter
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.worker import Worker
from evdash.streams import shared_tail
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.shared_tail import SharedTail
from tests.builders import STREAM, tail_of
from tests.eventlog.conftest import GROUP, MakeWorker
from tests.eventlog.test_reader import all_pages

STREAMS = (STREAM, "other")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
FILTERS = [
    EventFilter.parse(text)
    for text in ("", "is:error", "session:s1", "user:u1", "-user:u1", "model:m1", "tool:t1", "type:a", "-type:a", '"x"')
]


@dataclass(frozen=True)
class Written:
    """An entry to be added at the end of a stream."""

    stream: str
    type: str
    session: str
    user: str
    own_id: str
    more: tuple[str, ...] = ()


RETRIED = Written(STREAM, "a", "s1", "", "e2", ("call_id", "c1", "tool", "t1"))
DECLARED_LATER = (
    Written(STREAM, "a", "s1", "", ""),
    "audit",
    "debug",
    Written(STREAM, "session.started", "s1", "", "e2", ("model", "m1")),
    Written(STREAM, "error.occurred", "s1", "", "e1"),
    "audit",
    Written("other", "a", "", "", "e2"),
)
_STEPS = st.one_of(
    st.builds(
        Written,
        st.sampled_from(STREAMS),
        st.sampled_from(["a", "b", "error.occurred", "session.started"]),
        st.sampled_from(["", "s1", "s2"]),
        st.sampled_from(["", "u1"]),
        st.sampled_from(["", "e1", "e2"]),
        st.sampled_from([(), (), ("model", "m1"), ("call_id", "c1"), ("call_id", "c1", "tool", "t1")]),
    ),
    st.sampled_from(
        [
            "audit",
            "audit",
            "debug",
            "read and die",
            "read and hang",
            "trim",
            "delete one",
            "delete the stream",
            "empty the stream",
        ]
    ),
)


class Site:
    """A server with a producer and workers, each taking one step when it is told."""

    def __init__(self, valkey: redis.Redis, make_worker: MakeWorker) -> None:
        self.valkey = valkey
        self.audit = make_worker(streams=STREAMS, batch_size=3)
        self.debug = Worker(
            GroupConsumer(valkey, "evdash-debug", "c"), DebugProjection("evdash-debug"), STREAMS, batch_size=4
        )
        self.clock_ms = 1_767_312_000_000
        self.connected: set[Worker] = set()

    def do(self, step: Written | str) -> None:
        self.clock_ms += 1
        if isinstance(step, Written):
            fields = {"type": step.type, "session_id": step.session, "user_id": step.user, "id": step.own_id}
            flat = [part for pair in (fields | {"content": "x" if step.session else "y"}).items() for part in pair]
            self.valkey.execute_command("XADD", step.stream, f"{self.clock_ms}-1", *flat, *step.more)
        elif step in ("audit", "debug"):
            self._work(self.audit if step == "audit" else self.debug)
        elif step == "read and die":
            self._connect(self.audit)
            self.audit.projection.apply(
                [decode(each) for each in self.audit.consumer.read_new(self.audit.streams, 2, 0)]
            )
            self.connected.discard(self.audit)
        elif step == "read and hang":
            self._connect(self.audit)
            GroupConsumer(self.valkey, GROUP, "hanging").read_new(self.audit.streams, 1, 0)
        elif step == "trim":
            self.valkey.execute_command("XTRIM", STREAM, "MAXLEN", 2)
        elif step == "delete one":
            for entry_id, _ in self.valkey.execute_command("XRANGE", STREAM, "-", "+", "COUNT", 2)[1:]:
                self.valkey.execute_command("XDEL", STREAM, entry_id)
        else:
            self.valkey.execute_command(
                "DEL" if step == "delete the stream" else "XTRIM",
                STREAM,
                *(() if step == "delete the stream" else ("MAXLEN", 0)),
            )
            if step == "delete the stream":
                self.connected.clear()

    def _connect(self, worker: Worker) -> None:
        if worker not in self.connected:
            worker.connect()
            self.connected.add(worker)

    def _work(self, worker: Worker) -> None:
        self._connect(worker)
        worker.step()


def answers(tail: SharedTail) -> dict[str, Any]:
    """Everything that pages ask of a reader."""
    reader = LogReader(tail, GROUP, NOW)
    sessions, users = reader.sessions(), reader.users()
    return {
        "coverage": reader.coverage,
        "pages": [
            [reader.page(each, oldest_first=oldest_first, limit=4) for oldest_first in (True, False)]
            for each in FILTERS
        ],
        "summaries": [reader.summary(each) for each in FILTERS],
        "sessions": sessions,
        "of one": [reader.session(each.session_id) for each in sessions.sessions],
        "outlines": [reader.session_outline(each) for each in sessions.sessions],
        "users": users,
        "user": [reader.user(each.user_id) for each in users.users],
        "overview": reader.overview(),
        "latencies": reader.latencies(),
        "error groups": [reader.error_groups(each) for each in FILTERS[:5]],
        "through": reader.logged_through,
        "ends": reader.last_entry_ids(),
    }


def later_answers(reader: LogReader) -> list[Any]:
    """What a page may ask of its reader after others have read more."""
    found = [
        reader.coverage,
        reader.sessions(),
        reader.users(),
        reader.overview(),
        [reader.error_groups(each) for each in FILTERS[:5]],
    ]
    return [*found, *(reader.summary(each) for each in FILTERS[:4])]


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    steps=st.lists(_STEPS, max_size=16),
    looks=st.integers(2, 5),
    bound=st.sampled_from([3, 10_000]),
    dropped_from=st.sampled_from([1, 1_000]),
)
@example(
    steps=["audit", Written(STREAM, "a", "", "", ""), RETRIED, "delete the stream", RETRIED, "audit"],
    looks=2,
    bound=10_000,
    dropped_from=1,
)
@example(steps=DECLARED_LATER, looks=2, bound=10_000, dropped_from=1)
def test_a_kept_tail_gives_what_a_new_one_gives(
    valkey: redis.Redis,
    make_worker: MakeWorker,
    steps: Sequence[Written | str],
    looks: int,
    bound: int,
    dropped_from: int,
) -> None:
    valkey.flushall()
    with transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_tail, "TAIL_ENTRIES", bound)
        patch.setattr(shared_tail, "_DROP_COMMITTED", dropped_from)
        site = Site(valkey, make_worker)
        kept = tail_of(valkey, *STREAMS)
        earlier: list[tuple[LogReader, LogReader]] = []
        for number, step in enumerate(steps):
            site.do(step)
            if number % looks == 0 or number == len(steps) - 1:
                new = tail_of(valkey, *STREAMS)
                if bound > len(steps):
                    assert answers(kept) == answers(new)
                    # Pages take a while: readers of several moments alternate.
                    for of_kept, of_new in earlier:
                        assert later_answers(of_kept) == later_answers(of_new)
                    earlier.append((LogReader(kept, GROUP, NOW), LogReader(new, GROUP, NOW)))
                    assert later_answers(earlier[-1][0]) == later_answers(earlier[-1][1])
                # What a session declares may lie between the log and a small tail.
                for each in FILTERS[: 4 if bound > len(steps) else 3]:
                    for oldest_first in (True, False):
                        listed = [
                            all_pages(LogReader(tail, GROUP, NOW), each, oldest_first=oldest_first, limit=4)
                            for tail in (kept, new)
                        ]
                        assert listed[0] == listed[1]
        transaction.set_rollback(True)
