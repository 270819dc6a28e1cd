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
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from evdash.eventlog.models import Gap, GroupPosition, Stream, WorkerProblem
from evdash.eventlog.worker_problems import note_problem
from evdash.events.entry import EntryId
from evdash.health import facts
from evdash.health.conditions import KINDS
from evdash.health.current import current_health, health_of_now
from evdash.streams.dead_letters import park
from tests.builders import GROUPS, STREAM, entry
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("mia"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def calm(valkey: redis.Redis) -> None:
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
    assert health_of_now().numbers == numbers
    overview = parse_page(browser.get("/"))
    assert sorted(kinds(overview)) == sorted(
        name for name, number in numbers.items() for _ in range(number) if name != "redis-unreachable"
    )
    for page in (overview, parse_page(browser.get("/streams/")), parse_page(browser.get("/state/"))):
        for rail in ("streams", "overview"):
            number = sum(numbers[kind.name] for kind in KINDS if kind.rail == rail)
            [badge] = page.texts(f"#badge-{rail}")
            assert badge == (f"{number} , {number} {'problem' if number == 1 else 'problems'}" if number else "")
    ready = browser.get("/readyz")
    lines = ready.content.decode().splitlines()
    assert ready.status_code == (503 if any(numbers[kind.name] for kind in KINDS if kind.stops_pages) else 200)
    for kind in KINDS:
        prefix = "not ready" if kind.stops_pages else "warning"
        said = any(line in (f"{prefix}: {kind.in_words(n)}" for n in range(1, 9)) for line in lines)
        assert said == bool(numbers[kind.name])
    text = browser.get("/metrics").content.decode()
    found = {
        sample.labels["kind"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "evdash_health_conditions"
    }
    assert found == numbers
    return overview


@pytest.mark.usefixtures("calm")
def test_a_healthy_installation_has_one_calm_line(browser: Client) -> None:
    page = agree(browser)
    assert page.texts(".calm") == ["No problems: 2 streams, 3 consumer groups, none stuck, no parked entries, no gaps."]


@pytest.mark.usefixtures("calm")
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


@pytest.mark.usefixtures("calm")
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


@pytest.mark.usefixtures("calm")
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


@pytest.mark.usefixtures("calm")
def test_entries_from_before_evdash_and_acknowledged_ones_are_no_warning(browser: Client) -> None:
    add_gap(timedelta(), Gap.Kind.BEFORE)
    add_gap(timedelta(), Gap.Kind.ACKNOWLEDGED)
    agree(browser)


@pytest.mark.usefixtures("calm")
@pytest.mark.parametrize(
    ("code", "remedy"), [("NOPERM", "rights"), ("READONLY", "replica"), ("OOM", "maxmemory"), ("MISCONF", "disk space")]
)
def test_a_refused_worker_is_named_with_its_remedy(browser: Client, code: str, remedy: str) -> None:
    note_problem(GROUPS[0], "host-1", "", code, "Redis at 10.0.0.5:6379 refused the request: no.")
    page = agree(browser, worker_refused=1)
    [cause] = page.texts(".condition-cause")
    assert cause.startswith(f"Worker host-1 of {GROUPS[0]} does not read, Redis refuses it ({code}): Redis at")
    assert remedy in page.texts(".condition-remedy")[0]
    assert parse_page(browser.get(page.links["Open Streams"])).texts(".condition-cause") == [cause]
    assert page.values("datetime", ".condition time")
    WorkerProblem.objects.update(noted_at=timezone.now() - timedelta(minutes=2))  # it has ended
    agree(browser)


@pytest.mark.usefixtures("calm")
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
    page = agree(browser, redis_unreachable=1)
    assert not page.has(".conditions, .calm")


Usage = namedtuple("Usage", "total used free")


@pytest.mark.usefixtures("calm")
def test_a_full_disk_stops_and_a_low_one_warns(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9 - 10**8, 10**8))
    agree(browser, disk_low=1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 10**9, 0))
    page = agree(browser, disk_full=1)
    assert page.texts(".condition-cause") == ["The disk of the data directory is full. Nothing can be recorded."]


def test_a_disk_that_takes_no_file_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts.disk_of(tmp_path).problem == ""

    def refuse(**options: object) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(facts.tempfile, "TemporaryFile", refuse)
    assert facts.disk_of(tmp_path).problem == os.strerror(errno.EDQUOT)


@pytest.mark.usefixtures("calm")
def test_pages_share_one_reading(browser: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evdash.health.current.KEPT_S", 60.0)
    first = current_health()
    valkey.xgroup_create(STREAM, "billing", id="0")
    browser.get("/")
    assert current_health() is first


@pytest.mark.usefixtures("calm")
def test_a_calm_server_is_asked_once(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    call_each = facts.call_each
    monkeypatch.setattr(facts, "call_each", lambda client, *commands: asked.append(1) or call_each(client, *commands))
    health_of_now()
    assert len(asked) == 1
