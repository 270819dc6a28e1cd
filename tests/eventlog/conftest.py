"""A stream in Valkey, a worker that carries it over as far as a test wants, and readers of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import redis

from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.reader import Reader
from evdash.events.entry import Entry
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, tail_of

GROUP = "evdash-audit"

MakeWorker = Callable[..., Worker]
MakeReader = Callable[..., Reader]


def write(client: redis.Redis, entries: Sequence[Entry]) -> None:
    """XADD these entries as they are."""
    for entry in entries:
        flat = [part for pair in entry.pairs for part in pair]
        client.execute_command("XADD", entry.stream, str(entry.entry_id), *flat)


def make_streams(client: redis.Redis, streams: Sequence[str]) -> None:
    """Create the streams that do not exist, empty: evdash waits for them and creates none."""
    for stream in streams:
        if not client.exists(stream):
            client.xgroup_create(stream, "maker", id="0", mkstream=True)
            client.xgroup_destroy(stream, "maker")


@pytest.fixture
def make_worker(valkey: redis.Redis) -> MakeWorker:
    def make(consumer: str = "c", streams: Sequence[str] = (STREAM,), batch_size: int = 500) -> Worker:
        make_streams(valkey, streams)
        return Worker(GroupConsumer(valkey, GROUP, consumer), AuditProjection(GROUP), streams, batch_size=batch_size)

    return make


@pytest.fixture
def make_reader(valkey: redis.Redis) -> MakeReader:
    def make(streams: Sequence[str] = (STREAM,)) -> Reader:
        return LogReader(tail_of(valkey, *streams), GROUP)

    return make
