"""NUL in any field of an entry: applied by every group, shown as ␀, found by filters; the raw bytes keep it.

PostgreSQL's text type rejects NUL and SQLite's does not. `make test-database` runs these tests on PostgreSQL.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import fields

import pytest
import redis

from evdash.eventlog.models import ErrorGroup, Gap, LatencyCount, LoggedEvent
from evdash.events.entry import Entry
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.wire_profile import DEFAULT_PROFILE
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.registry import projections
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.dead_letters import parked_count
from tests.builders import STREAM, raw_entry
from tests.eventlog.conftest import GROUP, MakeReader, write

pytestmark = pytest.mark.django_db

NUL = "a\x00b"
NAMES = sorted({name for each in fields(DEFAULT_PROFILE) for name in getattr(DEFAULT_PROFILE, each.name)
                if isinstance(name, str)})  # fmt: skip
TYPES = ("message.added", "tool.called", "tool.returned", "error.occurred", "session.ended")


def entries_with_nul() -> Iterator[Entry]:
    """Entries with NUL in each field that evdash reads: flat, in a JSON object, in nested JSON, and in a name."""
    number = 0
    for name in NAMES:
        for type_ in TYPES:
            for pairs in (
                ((name, NUL),),
                (("data", json.dumps({name: NUL})),),
                ((name, json.dumps({"message": NUL, "code": NUL, NUL: NUL, "list": [NUL]})),),
                ((f"{name}\x00", NUL),),
            ):
                number += 1
                kept = [] if name in DEFAULT_PROFILE.type else [("type", type_)]
                others = [("session_id", "s"), ("user_id", "u"), ("latency_ms", "5")]
                given = [pair for pair in (*kept, *others) if pair[0] != name]
                yield raw_entry(*given, *pairs, entry_id=f"{number}-1")


def apply_everywhere(valkey: redis.Redis) -> None:
    for projection in projections().values():
        worker = Worker(
            GroupConsumer(valkey, projection.group, "c"), projection, [STREAM], batch_size=500, max_deliveries=1
        )
        run(WorkerRunner(worker), threading.Event(), block_ms=0, until_caught_up=True)


def test_no_entry_with_nul_is_parked(valkey: redis.Redis) -> None:
    entries = list(entries_with_nul())
    write(valkey, entries)

    apply_everywhere(valkey)

    assert parked_count(valkey, STREAM) == 0
    assert LoggedEvent.objects.count() == len(entries)
    texts = [
        *LoggedEvent.objects.values_list(
            "type", "session_id", "user_id", "severity", "tool", "model", "agent", "code", "event_id", "search_text"
        ),
        *ErrorGroup.objects.values_list("type", "code", "tool", "masked"),
        *LatencyCount.objects.values_list("operation"),
    ]
    assert not any("\x00" in text for row in texts for text in row)


ERROR = raw_entry(
    ("type", "tool.failed"), ("session_id", f"s{NUL}"), ("user_id", f"u{NUL}"), ("tool", f"t{NUL}"),
    ("error_code", f"E{NUL}"), ("error", f"disk {NUL} full"), ("model", f"m{NUL}"), ("agent", f"g{NUL}"),
    ("severity", f"v{NUL}"), ("note", NUL), ("data", json.dumps({"deep": {"key": NUL}})), entry_id="1-1",
)  # fmt: skip


def test_the_texts_show_nul_and_the_entry_keeps_it(valkey: redis.Redis, make_reader: MakeReader) -> None:
    write(valkey, [ERROR])
    apply_everywhere(valkey)
    valkey.delete(STREAM)

    [group] = ErrorGroup.objects.all()
    assert (group.code, group.tool, group.masked) == ("Ea␀b", "ta␀b", "disk a␀b full")
    reader = make_reader()
    [event] = reader.page(EventFilter(), limit=5).events
    assert [session.session_id for session in reader.sessions().sessions] == ["sa␀b"]
    assert event.entry.pairs == ERROR.pairs
    assert (event.session_id, event.user_id, event.tool, event.code) == ("sa␀b", "ua␀b", "ta␀b", "Ea␀b")
    assert "NUL characters in tool are shown as ␀." in event.remarks


@pytest.mark.parametrize(
    "query",
    [
        "session:sa␀b", "user:ua␀b", "tool:ta␀b", "code:Ea␀b", "model:ma␀b", "agent:ga␀b", "severity:va␀b", "tool:ta␀*",
        '"disk a␀b full"', "field.note:a␀b", "field.data.deep.key:a␀b",
    ],
)  # fmt: skip
def test_a_filter_finds_the_shown_text_in_the_stream_and_in_the_log(
    valkey: redis.Redis, make_reader: MakeReader, query: str
) -> None:
    write(valkey, [ERROR, raw_entry(("type", "x"), ("tool", "t"), entry_id="2-1")])

    def found() -> list[Event]:
        return list(make_reader().page(EventFilter.parse(query), limit=5).events)

    in_stream = found()
    apply_everywhere(valkey)
    valkey.delete(STREAM)

    assert [event.entry.pairs for event in in_stream] == [event.entry.pairs for event in found()] == [ERROR.pairs]


def test_nul_in_the_reason_of_a_gap_is_shown(valkey: redis.Redis) -> None:
    write(valkey, [ERROR])
    worker = Worker(GroupConsumer(valkey, GROUP, "c"), AuditProjection(GROUP), [STREAM], batch_size=500)
    worker.connect()

    worker.projection.record_parked(STREAM, ERROR.entry_id, f"ValueError: {NUL}")

    assert Gap.objects.get().reason == "ValueError: a␀b"
