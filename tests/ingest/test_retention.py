"""The streams are kept as short as configured, and nothing goes that is not certainly in every table."""

from __future__ import annotations

import pytest
import redis

from evdash.eventlog.models import LoggedEvent
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection
from evdash.ingest.retention import Retention
from evdash.ingest.runner import WorkerRunner
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, raw_entry
from tests.eventlog.conftest import write
from tests.logged import logged

pytestmark = pytest.mark.django_db

ENTRIES = [raw_entry(("type", "a"), entry_id=f"{i}-1") for i in range(1, 11)]
GROUPS = ("evdash-audit", "evdash-analytics")


def retention(valkey: redis.Redis, **more: int) -> Retention:
    settings = {"max_length": 0, "hours": 0} | more
    return Retention(GroupConsumer(valkey, GROUPS[0], "c"), lambda: [STREAM], GROUPS, exact=True, **settings)  # type: ignore[arg-type]


def catch_up(valkey: redis.Redis, projection: Projection) -> None:
    upkeep = WorkerRunner(Worker(GroupConsumer(valkey, projection.group, "c"), projection, [STREAM], batch_size=100))
    upkeep.connect()
    while upkeep.worker.step() or upkeep.run(idle=True, all_now=True):
        pass


def test_a_stream_is_trimmed_to_its_length_once_every_group_has_it(valkey: redis.Redis) -> None:
    write(valkey, ENTRIES)
    catch_up(valkey, AuditProjection(GROUPS[0]))
    keeping = retention(valkey, max_length=4)
    keeping.trim()
    assert valkey.xlen(STREAM) == 10  # the other group has read nothing
    catch_up(valkey, AnalyticsProjection(GROUPS[1]))
    keeping.trim()
    assert valkey.xlen(STREAM) == 4
    assert LoggedEvent.objects.count() == 10


def test_what_a_group_was_moved_past_stays_until_it_was_applied(valkey: redis.Redis) -> None:
    write(valkey, ENTRIES[:5])
    for projection in (AuditProjection(GROUPS[0]), AnalyticsProjection(GROUPS[1])):
        catch_up(valkey, projection)
    write(valkey, ENTRIES[5:])
    for group in GROUPS:
        valkey.execute_command("XGROUP", "SETID", STREAM, group, "10-1")
    retention(valkey, max_length=1).trim()
    assert [int(raw_id.split(b"-")[0]) for raw_id, _ in valkey.execute_command("XRANGE", STREAM, "-", "+")] == [
        6, 7, 8, 9, 10,
    ]  # fmt: skip


def test_entries_past_their_hours_go(valkey: redis.Redis) -> None:
    write(valkey, ENTRIES)
    valkey.execute_command("XADD", STREAM, "*", "type", "a")
    for projection in (AuditProjection(GROUPS[0]), AnalyticsProjection(GROUPS[1])):
        catch_up(valkey, projection)
    retention(valkey, hours=1).trim()
    assert valkey.xlen(STREAM) == 1


def test_who_holds_what_should_go_is_said_once(valkey: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    write(valkey, ENTRIES)
    for projection in (AuditProjection(GROUPS[0]), AnalyticsProjection(GROUPS[1])):
        catch_up(valkey, projection)
    valkey.execute_command("XGROUP", "CREATE", STREAM, "billing", "0")
    keeping = retention(valkey, max_length=4)
    caplog.clear()
    with caplog.at_level("INFO", logger="evdash.ingest"):
        keeping.trim()
        keeping.trim()
    [blocked] = logged(caplog)
    assert (blocked["event"], blocked["stream"]) == ("retention blocked", STREAM)
    assert "Group billing has read nothing" in blocked["reason"]
    assert valkey.xlen(STREAM) == 10
