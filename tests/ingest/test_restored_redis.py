"""A Redis that comes back from an older append-only file takes nothing from the log and counts nothing twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import redis

from evdash.events.entry import Entry, EntryId
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.runner import WorkerRunner
from evdash.ingest.worker import Worker
from evdash.streams.client import open_client
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.embedded_server import EmbeddedServer
from tests.builders import STREAM
from tests.ingest.folds import actual, assert_equal, expected

PROJECTIONS = (AuditProjection, AnalyticsProjection, DebugProjection)


def publish(client: redis.Redis, numbers: range) -> list[Entry]:
    entries = []
    for number in numbers:
        pairs = tuple(
            (name.encode(), value.encode())
            for name, value in {
                "id": f"e{number}", "type": "error.occurred" if number % 7 == 0 else "tool.called", "tool": "t",
                "session_id": f"s{number % 3}", "user_id": "u", "latency_ms": str(number),
            }.items()
        )  # fmt: skip
        raw_id = client.execute_command("XADD", STREAM, "*", *(part for pair in pairs for part in pair))
        entries.append(Entry(STREAM, EntryId.parse(raw_id), pairs))
    return entries


def catch_up(client: redis.Redis, *, batches: int | None = None) -> None:
    """Everything, or so many batches of the log's worker alone."""
    for projection in PROJECTIONS if batches is None else PROJECTIONS[:1]:
        consumer = GroupConsumer(client, f"evdash-{projection.name}", "c")
        upkeep = WorkerRunner(Worker(consumer, projection(consumer.group), [STREAM], batch_size=10))
        upkeep.connect()
        for _ in range(batches or 0):
            upkeep.worker.step()
        while batches is None and (upkeep.worker.step() or upkeep.run(idle=True, all_now=True)):
            pass


@pytest.mark.django_db
def test_a_redis_from_an_older_append_only_file_loses_and_doubles_nothing(tmp_path: Path) -> None:
    directory, older = tmp_path / "data", tmp_path / "older"
    with EmbeddedServer(directory) as server, open_client(server.url) as client:
        entries = publish(client, range(50))
        catch_up(client, batches=2)  # some of it is logged, the rest is not
        client.execute_command("XREADGROUP", "GROUP", "evdash-audit", "dead", "COUNT", 5, "STREAMS", STREAM, ">")
    shutil.copytree(directory, older)
    with EmbeddedServer(directory) as server, open_client(server.url) as client:
        entries += publish(client, range(50, 90))
        for projection in PROJECTIONS:
            assert client.xlen(STREAM) == 90, projection
        catch_up(client)
    shutil.rmtree(directory)
    shutil.copytree(older, directory)
    with EmbeddedServer(directory) as server, open_client(server.url) as client:
        assert client.xlen(STREAM) == 50
        entries += publish(client, range(90, 120))
        catch_up(client)
        forgotten = GroupConsumer(client, "evdash-audit", "c").claim_idle(STREAM, 0, 100)
        assert len(forgotten) == 5  # the dead consumer's, pending again since the older file
        catch_up(client)
        assert client.execute_command("XPENDING", STREAM, "evdash-audit")[0] == 0
    assert len(entries) == 120
    assert_equal(actual(), expected(entries))
