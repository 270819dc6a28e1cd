"""Redis users with exactly the rights that docs/operations.md lists: nothing that they need is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.config.environment import CHECKOUT
from evdash.ingest.retention import Retention
from evdash.ingest.runner import WorkerRunner
from evdash.ingest.worker import Worker
from evdash.streams.client import open_client
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.dead_letters import parked_count
from tests.builders import GROUPS, STREAM, entry
from tests.ingest.test_redelivery import Refuses
from tests.web.conftest import Write
from tests.web.test_optional_commands import OPTIONAL, PAGES, SANDBOX, operator

pytestmark = pytest.mark.django_db(transaction=True)

Allow = Callable[..., redis.Redis]
REPLAY = "/streams/sandboxes/replay/?q=session:s"

__all__ = ["operator"]


def documented(part: str) -> list[str]:
    """The commands in the row of this part."""
    section = (
        (CHECKOUT / "docs/operations.md").read_text().partition("## Permissions in Redis")[2].partition("\n## ")[0]
    )
    [row] = [line for line in section.splitlines() if line.startswith(f"| {part}")]
    return re.findall(r"\b[A-Z]{3,}\b", row.split("|")[2])


@pytest.fixture
def allow(valkey: redis.Redis, valkey_url: str, settings: Settings) -> Iterator[Allow]:
    """Make evdash a Redis user who has the documented rights of these parts only, and return a client of that user."""
    keys = (STREAM, f"{STREAM}:parked", "other", "other:parked", f"{settings.EVDASH.sandbox_prefix}*")
    url = valkey_url.replace("redis://", "redis://limited:secret@")

    def set_rights(*parts: str) -> redis.Redis:
        commands = [f"+{command.lower()}" for part in parts for command in documented(part)]
        rules = ["reset", "on", ">secret", *(f"~{key}" for key in keys), *commands]
        valkey.execute_command("ACL", "SETUSER", "limited", *rules)
        valkey.acl_log_reset()
        settings.EVDASH = replace(settings.EVDASH, redis_url=url)
        return open_client(url)

    yield set_rights
    valkey.execute_command("ACL", "DELUSER", "limited")


def refused(valkey: redis.Redis) -> set[str]:
    """The commands and keys that Redis has refused, without those that are optional."""
    return {record["object"] for record in valkey.acl_log()} - set(OPTIONAL) - {"client|setinfo", "memory|usage"}


def test_pages_need_no_other_rights(operator: Client, valkey: redis.Redis, allow: Allow) -> None:
    allow("pages")
    shown = {page: operator.get(page) for page in PAGES}
    assert {page: answer.status_code for page, answer in shown.items() if answer.status_code != 200} == {}
    assert [page for page, answer in shown.items() if "denies this user" in answer.content.decode()] == []
    assert refused(valkey) <= {"xadd"}  # the test of writes, which is not needed


def test_operations_need_no_other_rights(operator: Client, valkey: redis.Redis, allow: Allow) -> None:
    valkey.xgroup_create(STREAM, "billing", id="0")
    for consumer in ("a", "b"):
        valkey.execute_command("XREADGROUP", "GROUP", "billing", consumer, "COUNT", 1, "STREAMS", STREAM, ">")
    for group in GROUPS[1:]:
        valkey.xgroup_create(STREAM, group, id="$")
    valkey.xgroup_setid(STREAM, GROUPS[0], "$")
    allow("pages", "operations")
    operations = (
        "claim/?group=billing&from_consumer=a&to_consumer=b",
        "park/?group=billing&entry=1800000000000-0",
        "redeliver/?all=1",
        "park/?group=billing&entry=1800000000000-0",
        "discard/?all=1",
        "acknowledge/?group=billing&from_consumer=b&idle_over=",
        "delete-consumer/?group=billing&consumer=a&claim_first_to=",
        "set-position/?group=billing&position=start",
        "delete-group/?group=billing",
        "create-group/?name=other&at=end",
        "trim/?max_length=1",
    )
    for operation in operations:
        address = f"/streams/operations/{operation}&stream={STREAM}"
        answer = operator.post(address, {"reason": "x", "seen": "9"})
        assert answer.status_code == 302, (operation, answer.content.decode())
    assert refused(valkey) == set()


def test_sandboxes_need_no_other_rights(operator: Client, valkey: redis.Redis, allow: Allow) -> None:
    allow("pages", "sandboxes")
    for name, ids in (("sandbox:two", "new"), ("sandbox:three", "original")):
        assert operator.post(f"{REPLAY}&to={name}&ids={ids}", {"reason": "x"}).status_code == 302
    deletion = f"/streams/sandboxes/delete-sandbox/?stream={SANDBOX}"
    assert operator.post(deletion, {"reason": "x", "seen": "9"}).status_code == 302
    assert refused(valkey) == set()


def test_workers_need_no_other_rights(operator: Client, valkey: redis.Redis, allow: Allow, write: Write) -> None:
    write(entry("1800000000002-0", type="x"), entry("1800000000003-0", type="x"))
    valkey.execute_command("XREADGROUP", "GROUP", GROUPS[0], "dead", "COUNT", 1, "STREAMS", STREAM, ">")
    client = allow("workers")
    consumer = GroupConsumer(client, GROUPS[0], "c")
    projection = Refuses(GROUPS[0], "1800000000002-0")
    worker = Worker(consumer, projection, [STREAM, "other"], batch_size=9, max_deliveries=1, claim_idle_ms=0)
    runner = WorkerRunner(worker)
    runner.connect()
    while runner.worker.step() or runner.run(idle=True, all_now=True):
        pass
    retention = Retention(consumer, lambda: [STREAM], GROUPS[:1], max_length=1, exact=True, hours=0)
    retention.trim()
    assert (parked_count(valkey, STREAM), valkey.xlen(STREAM)) == (1, 1)
    assert refused(valkey) == set()
