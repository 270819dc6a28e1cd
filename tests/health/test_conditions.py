"""Health conditions: Overview, rail, Streams, /readyz and metrics find the same."""

from __future__ import annotations

import errno
import os
import shutil
from collections import namedtuple
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from evdash.eventlog.models import Gap, GroupPosition, Stream, WorkerProblem
from evdash.eventlog.worker_problems import note_problem
from evdash.events.entry import EntryId
from evdash.health import disk, facts
from evdash.health.conditions import KINDS
from evdash.health.current import health_of_now
from evdash.streams.client import open_client
from evdash.streams.dead_letters import park
from evdash.streams.embedded_server import EmbeddedServer
from tests.builders import GROUPS, STREAM, entry
from tests.health.test_readiness import measured_metric, refused_updates
from tests.running import wait_until
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("mia"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def healthy(valkey: redis.Redis) -> None:
    """Two entries that all groups of evdash have acknowledged, and a worker that has just read."""
    for number in (1, 2):
        valkey.xadd(STREAM, {"type": "x"}, id=f"{number}-1")
    for group in GROUPS:
        valkey.xgroup_create(STREAM, group, id="0")
        valkey.execute_command("XREADGROUP", "GROUP", group, "w", "STREAMS", STREAM, ">")
        valkey.xack(STREAM, group, "1-1", "2-1")


def kinds(page: Page) -> list[str]:
    return page.values("data-kind", ".condition")


def agree(browser: Client, **expected: int) -> Page:
    """Check that every place has these conditions, and return Overview."""
    numbers = {kind.name: expected.get(kind.name.replace("-", "_"), 0) for kind in KINDS}
    health = health_of_now()
    assert health.numbers == numbers
    overview = parse_page(browser.get("/"))
    assert sorted(kinds(overview)) == sorted(
        name for name, number in numbers.items() for _ in range(number) if name != "redis-unreachable"
    )
    assert overview.has(".no-problems") == (not health.conditions)
    streams = parse_page(browser.get("/streams/"))
    shown = [group for each in health.conditions if each.kind == "group-stuck" for group in [(each.stream, each.group)]]
    rows = [
        (stream, group) for stream in streams.values("data-key", ".stream") for group in stuck_rows(streams, stream)
    ]
    assert sorted(rows) == sorted(shown)
    for stream, group in shown:
        assert parse_page(browser.get(f"/streams/{stream}/groups/{group}/")).has(".stuck")
    for page in (overview, streams, parse_page(browser.get("/state/"))):
        for rail in ("streams", "overview"):
            number = sum(numbers[kind.name] for kind in KINDS if kind.rail == rail)
            [badge] = page.texts(f"#badge-{rail}")
            assert badge == (f"{number} , {number} {'problem' if number == 1 else 'problems'}" if number else "")
    ready = browser.get("/readyz")
    lines = ready.content.decode().splitlines()
    assert ready.status_code == (503 if any(numbers[kind.name] for kind in KINDS if kind.check) else 200)
    expected_lines = {
        f"{'not ready' if kind.check else 'warning'}: {kind.in_words(found)}"
        for kind in KINDS
        if (found := health.of_kind(kind.name))
    }
    assert {line for line in lines if not line.startswith("ok: ")} == expected_lines
    metrics = [
        sample
        for family in text_string_to_metric_families(browser.get("/metrics").content.decode())
        for sample in family.samples
    ]
    assert numbers == {each.labels["kind"]: each.value for each in metrics if each.name == "evdash_health_conditions"}
    checks = {each.labels["check"]: each.value for each in metrics if each.name == "evdash_ready"}
    assert {check for check, passed in checks.items() if not passed} == {
        kind.check for kind in KINDS if kind.check and numbers[kind.name]
    }
    return overview


def stuck_rows(page: Page, stream: str) -> list[str]:
    return page.values("data-key", f'.stream[data-key="{stream}"] tr.is-stuck')


@pytest.mark.usefixtures("healthy")
def test_a_healthy_installation_has_one_line(browser: Client) -> None:
    page = agree(browser)
    assert page.texts(".no-problems") == [
        "No problems: 2 streams, 3 consumer groups, none stuck, no parked entries, no gaps."
    ]


@pytest.mark.usefixtures("healthy")
def test_a_stuck_group_is_shown_with_cause_time_remedy_and_link(
    browser: Client, valkey: redis.Redis, settings: Settings
) -> None:
    valkey.xgroup_create(STREAM, "billing", id="0")
    page = agree(browser, group_stuck=1)
    assert page.texts(".condition-cause") == [f"billing on {STREAM} is stuck. No consumer has ever read."]
    assert page.texts(".condition-remedy") == ["Start a consumer: a program that calls XREADGROUP GROUP billing NAME."]
    assert page.links["Open group"] == f"/streams/{STREAM}/groups/billing/"

    valkey.execute_command("XREADGROUP", "GROUP", "billing", "b", "COUNT", 1, "STREAMS", STREAM, ">")
    agree(browser)
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=0)
    page = agree(browser, group_stuck=1)
    [cause] = page.texts(".condition-cause")
    assert "No consumer has read since " in cause
    assert cause.endswith("1 entry is pending with 1 inactive consumer.")
    assert page.values("datetime", ".condition time")


def test_without_a_worker_each_group_of_evdash_is_stuck(browser: Client, valkey: redis.Redis) -> None:
    agree(browser)
    valkey.xadd(STREAM, {"type": "x"})
    page = agree(browser, group_stuck=3)
    assert "Start a worker: manage.py work audit." in page.texts(".condition-remedy")
    notice = parse_page(browser.get(page.links["Open group"])).texts(".stuck")
    assert notice == ["Stuck. No consumer has ever read. Start a worker: manage.py work audit."]


@pytest.mark.usefixtures("healthy")
def test_parked_entries_lead_to_their_page(browser: Client, valkey: redis.Redis) -> None:
    park(valkey, entry("1-1"), group=GROUPS[0], consumer="w", deliveries=5, reason="ValueError")
    page = agree(browser, entries_parked=1)
    assert page.texts(".condition-cause") == [f"1 entry of {STREAM} could not be applied and is parked."]
    assert page.links["Open parked entries"] == f"/streams/{STREAM}/parked/"
    assert page.values("datetime", ".condition time")
    valkey.delete(f"{STREAM}:parked")
    agree(browser)


def add_gap(noticed_ago: timedelta, kind: str = Gap.Kind.REMOVED) -> None:
    stream, _ = Stream.objects.get_or_create(name=STREAM)
    position, _ = GroupPosition.objects.get_or_create(
        group=GROUPS[0], stream=stream, defaults={"watermark": EntryId(2, 1)}
    )
    Gap.objects.create(
        position=position,
        kind=kind,
        first_id=EntryId(1, 2),
        last_id=EntryId(1, 9),
        entries=5,
        noticed_at=timezone.now() - noticed_ago,
    )


@pytest.mark.usefixtures("healthy")
def test_a_new_gap_is_a_warning_and_an_old_one_a_note(browser: Client, settings: Settings) -> None:
    add_gap(timedelta(minutes=5))
    page = agree(browser, gap=1)
    assert page.texts(".condition-cause")[0].startswith(f"5 entries of {STREAM} are missing from the event log")
    settings.EVDASH = replace(settings.EVDASH, queues=(STREAM,))
    agree(browser)
    assert parse_page(browser.get("/streams/")).facts["Deleted by consumers"].startswith("5 ")
    settings.EVDASH = replace(settings.EVDASH, queues=())
    Gap.objects.update(noticed_at=timezone.now() - timedelta(days=3))
    assert health_of_now().numbers["gap"] == 0
    assert parse_page(browser.get("/")).has(".condition-info[data-kind=gap]")


@pytest.mark.usefixtures("healthy")
def test_entries_from_before_evdash_and_acknowledged_ones_are_no_warning(browser: Client) -> None:
    add_gap(timedelta(), Gap.Kind.BEFORE)
    add_gap(timedelta(), Gap.Kind.ACKNOWLEDGED)
    agree(browser)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("code", "remedy"), [("NOPERM", "rights"), ("READONLY", "replica"), ("OOM", "maxmemory"), ("MISCONF", "disk space")]
)
def test_a_refused_worker_is_named_with_its_remedy(browser: Client, code: str, remedy: str) -> None:
    note_problem(GROUPS[0], "host-1", "", code, "Redis at 10.0.0.5:6379 refused the request: no.")
    page = agree(browser, worker_refused=1)
    [cause] = page.texts(".condition-cause")
    assert cause.startswith(f"Worker host-1 of {GROUPS[0]} cannot read: Redis refuses it ({code}). Redis at")
    assert remedy in page.texts(".condition-remedy")[0]
    assert parse_page(browser.get(page.links["Open Streams"])).texts(".condition-cause") == [cause]
    assert page.values("datetime", ".condition time")
    WorkerProblem.objects.update(noted_at=timezone.now() - timedelta(minutes=2))  # it has ended
    agree(browser)


@pytest.mark.usefixtures("healthy")
def test_a_stream_of_another_type_is_named_and_the_others_go_on(browser: Client, valkey: redis.Redis) -> None:
    valkey.set("other", "hello")
    note_problem(GROUPS[0], "w", "other", "WRONGTYPE", "Key other is not a stream.")
    page = agree(browser, stream_unreadable=1)
    assert page.texts(".condition-cause") == ["other has the wrong type: it is a string, not a stream."]
    assert page.values("datetime", ".condition time")  # since the worker noted it
    valkey.xadd(STREAM, {"type": "needle"}, id="3-1")
    events = parse_page(browser.get("/events/"))
    assert events.rows == [f"{STREAM} {number}-1" for number in (3, 2, 1)]
    assert [level for level, text in events.notices if "other" in text] == ["warning"]
    streams = parse_page(browser.get("/streams/"))
    assert streams.values("data-key", ".stream:has(.notice-error)") == ["other"]


@pytest.mark.usefixtures("redis_is_gone")
def test_an_outage_of_redis_is_one_notice_and_not_ready(browser: Client) -> None:
    page = parse_page(browser.get("/"))
    assert not page.has(".conditions, .no-problems")
    assert kinds(page) == []
    agree(browser, redis_unreachable=1)


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("refuse", "accept", "code"),
    [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY"),
        ("CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0", "NOREPLICAS"),
    ],
)
def test_a_redis_that_refuses_writes_is_not_ready(
    browser: Client, valkey: redis.Redis, refuse: str, accept: str, code: str
) -> None:
    try:
        valkey.execute_command(*refuse.split())
        page = agree(browser, redis_writes_refused=1)
        shown_on_streams = parse_page(browser.get(page.links["Open Streams"])).texts(".condition-cause")
    finally:
        valkey.execute_command(*accept.split())
    assert page.texts(".condition-cause") == shown_on_streams == [f"Redis refuses writes ({code})."]
    assert len(page.texts(".condition-remedy")[0]) > 20
    agree(browser)
    assert not valkey.exists(f"{STREAM}:parked")  # the test of writes has written nothing


def test_a_valkey_that_cannot_save_refuses_writes_since_a_worker_noted_it(
    browser: Client, settings: Settings, tmp_path: Path
) -> None:
    directory = tmp_path / "gone"
    with EmbeddedServer(directory) as server:
        settings.EVDASH = replace(settings.EVDASH, redis_url=server.url)
        agree(browser)
        with open_client(server.url) as valkey:
            valkey.config_set("appendonly", "no")
            valkey.config_set("save", "3600 1")
            shutil.rmtree(directory)
            valkey.bgsave()
            wait_until(lambda: valkey.info("persistence")["rdb_last_bgsave_status"] == "err")
            page = agree(browser, redis_writes_refused=1)
            assert not page.has(".condition time")
            assert measured_metric("evdash_redis_up") == 1
            note_problem(GROUPS[0], "w", "", "MISCONF", "Redis at 10.0.0.5:6379 refused the request: no.")
            page = agree(browser, redis_writes_refused=1, worker_refused=1)
            assert len(page.values("datetime", "[data-kind=redis-writes-refused] time")) == 1
            # A user without XADD gets the same refusal of PING.
            valkey.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "~*", "+@all", "-xadd")
            limited = server.url.replace("redis://", "redis://reader:secret@")
            settings.EVDASH = replace(settings.EVDASH, redis_url=limited)
            agree(browser, redis_writes_refused=1, worker_refused=1)


@pytest.mark.usefixtures("healthy")
def test_a_database_that_refuses_writes_is_a_condition(browser: Client) -> None:
    agree(browser)
    with refused_updates("database or disk is full"):
        page = agree(browser, sql_writes_refused=1)
    assert page.texts(".condition-cause") == ["The disk of the database is full."]


@pytest.mark.usefixtures("healthy")
def test_a_missing_migration_is_a_condition(browser: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name = '0002_audit_log'")
    page = agree(browser, migrations_missing=1)
    assert page.texts(".condition-remedy") == ["Run `manage.py migrate`."]


Usage = namedtuple("Usage", "total used free")


@pytest.mark.usefixtures("healthy")
def test_a_full_disk_stops_and_a_low_one_warns(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 10**8, 10**8))
    agree(browser, disk_low=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 0))
    page = agree(browser, disk_full=1)
    assert page.texts(".condition-cause") == ["The disk of the data directory is full. Nothing can be recorded."]


def test_a_disk_that_takes_no_file_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.disk_of(tmp_path).problem == ""

    def refuse(**options: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(disk.tempfile, "TemporaryFile", refuse)
    assert disk.disk_of(tmp_path).problem == os.strerror(errno.EDQUOT)


@pytest.mark.usefixtures("healthy")
def test_a_healthy_server_gets_one_round_trip(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    round_trips: list[int] = []
    call_each = facts.call_each
    monkeypatch.setattr(
        facts, "call_each", lambda client, *commands: round_trips.append(1) or call_each(client, *commands)
    )
    health_of_now()
    assert len(round_trips) == 1
