"""A stream that was deleted and filled again with the same IDs: both contents are kept and told apart."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import redis
from django.conf import settings

from evdash.eventlog.group_progress import group_totals, last_recreated
from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.models import LoggedEvent, Stream
from evdash.events.filters.event_filter import EventFilter
from evdash.ingest.projections.registry import projections
from evdash.ingest.rebuild import rebuild
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import GROUPS, STREAM, tail_of

pytestmark = pytest.mark.django_db


def work(valkey: redis.Redis) -> None:
    """Let the worker of each group catch up."""
    for projection in projections().values():
        consumer = GroupConsumer(valkey, projection.group, "c")
        run(
            WorkerRunner(Worker(consumer, projection, [STREAM], batch_size=10)),
            threading.Event(),
            block_ms=1,
            until_caught_up=True,
        )


def fill(valkey: redis.Redis, content: str, *numbers: int) -> None:
    for number in numbers:
        fields = {"type": "message.added", "session_id": "s", "content": content, "latency_ms": "7"}
        valkey.xadd(STREAM, fields, id=f"{number}-1")


def recreate(valkey: redis.Redis, content: str, *numbers: int) -> None:
    valkey.delete(STREAM)
    fill(valkey, content, *numbers)


def contents(valkey: redis.Redis) -> list[tuple[str, str]]:
    """The content of each event that pages list, with its stream, oldest first."""
    page = LogReader(tail_of(valkey, STREAM), GROUPS[0]).page(EventFilter(), oldest_first=True)
    return [
        (dict(event.entry.pairs)[b"content"].decode(), "now" if event.stream == STREAM else "former")
        for event in page.events
    ]


def test_both_contents_are_kept_and_told_apart(valkey: redis.Redis) -> None:
    fill(valkey, "alpha", 1, 2, 3)
    work(valkey)
    recreate(valkey, "beta", 1, 2, 3)
    work(valkey)
    found = contents(valkey)
    assert sorted(found) == [("alpha", "former")] * 3 + [("beta", "now")] * 3
    [former] = Stream.objects.exclude(name=STREAM)
    assert former.name.startswith(f"{STREAM} (until {datetime.now(UTC):%Y-%m-}")
    recreated = last_recreated(GROUPS[0], STREAM)
    assert recreated is not None
    assert recreated.former_entries == 3
    reader = LogReader(tail_of(valkey, STREAM), GROUPS[0])
    assert reader.count(EventFilter().also("stream", former.name)).value == 3
    assert reader.count(EventFilter()).value == 6
    session = reader.session("s")
    assert session is not None
    assert session.events == 6
    assert {(totals.group, totals.stream == STREAM): totals.applied for totals in group_totals()} == {
        (group, is_now): 3 for group in GROUPS for is_now in (True, False)
    }
    latencies = reader.latencies()
    assert latencies.all is not None
    assert latencies.all.events == 6


def test_it_happens_as_often_as_the_stream_is_recreated(valkey: redis.Redis) -> None:
    fill(valkey, "a", 1, 2)
    work(valkey)
    for content in ("b", "c"):
        recreate(valkey, content, 1, 2)
        work(valkey)
    assert sorted(content for content, _ in contents(valkey)) == ["a", "a", "b", "b", "c", "c"]
    assert Stream.objects.count() == 3


def test_the_same_entries_again_are_the_same_stream(valkey: redis.Redis) -> None:
    fill(valkey, "alpha", 1, 2, 3)
    work(valkey)
    recreate(valkey, "alpha", 1, 2)  # as restored from an older file
    fill(valkey, "beta", 9)
    work(valkey)
    assert contents(valkey) == [("alpha", "now")] * 3 + [("beta", "now")]
    assert Stream.objects.count() == 1


def test_a_deleted_group_alone_begins_nothing(valkey: redis.Redis) -> None:
    fill(valkey, "alpha", 1, 2, 3)
    work(valkey)
    for group in GROUPS:
        valkey.xgroup_destroy(STREAM, group)
    work(valkey)
    assert (LoggedEvent.objects.count(), Stream.objects.count()) == (3, 1)


def test_one_other_entry_among_the_same_ones_proves_it(valkey: redis.Redis) -> None:
    fill(valkey, "alpha", 1, 2, 3)
    work(valkey)
    recreate(valkey, "alpha", 1)
    fill(valkey, "beta", 2)
    work(valkey)
    assert sorted(contents(valkey)) == [("alpha", "former")] * 3 + [("alpha", "now"), ("beta", "now")]


def test_a_rebuild_keeps_them_apart(valkey: redis.Redis, valkey_url: str) -> None:
    fill(valkey, "alpha", 1, 2, 3)
    work(valkey)
    recreate(valkey, "beta", 1, 2, 3)
    work(valkey)
    for projection in projections().values():
        rebuild(projection, valkey_url, settings.EVDASH.streams)
    assert sorted(contents(valkey)) == [("alpha", "former")] * 3 + [("beta", "now")] * 3
    session = LogReader(tail_of(valkey, STREAM), GROUPS[0]).session("s")
    assert session is not None
    assert session.events == 6


def test_an_event_written_again_to_a_recreated_stream_is_no_duplicate(valkey: redis.Redis, valkey_url: str) -> None:
    retried = {"type": "tool.called", "session_id": "s", "tool": "find", "call_id": "c", "id": "e2", "latency_ms": "7"}
    other = {"type": "message.added", "session_id": "s", "content": "a", "latency_ms": "9"}
    valkey.xadd(STREAM, other, id="1-1")
    valkey.xadd(STREAM, retried, id="2-1")
    work(valkey)
    valkey.delete(STREAM)
    valkey.xadd(STREAM, other | {"content": "b"}, id="1-1")
    valkey.xadd(STREAM, retried, id="3-1")

    def totals() -> tuple[int, int, int]:
        reader = LogReader(tail_of(valkey, STREAM), GROUPS[0])
        session, latencies = reader.session("s"), reader.latencies().all
        assert session is not None
        assert latencies is not None
        page = reader.page(EventFilter(), oldest_first=True)
        return session.events, latencies.events, len(page.duplicates)

    work(valkey)
    before = totals()
    assert before == (4, 4, 0)
    for projection in projections().values():
        rebuild(projection, valkey_url, settings.EVDASH.streams)
    assert totals() == before
    valkey.xadd(STREAM, retried, id="4-1")
    work(valkey)
    assert totals() == (4, 4, 1)
