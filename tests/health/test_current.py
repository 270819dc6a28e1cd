"""The kept health conditions: how long, for whom, and at which cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import redis
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from evdash.health import current
from evdash.health.current import KEPT_MAX_S, KEPT_S, Health, KeptHealth, current_health
from evdash.health.facts import Facts, read_facts
from evdash.streams.budget import redis_budget
from tests.builders import STREAM

pytestmark = pytest.mark.django_db


class Readings:
    """A clock that a test moves, and the number of readings. Each reading takes `took_s`."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.took_s = 0.0
        self.number = 0

    def monotonic(self) -> float:
        return self.now_s

    def read(self) -> Facts:
        self.number += 1
        self.now_s += self.took_s
        return read_facts()


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Readings:
    readings = Readings()
    monkeypatch.setattr(current, "time", readings)
    monkeypatch.setattr(current, "read_facts", readings.read)  # also for a page that does not use the kept reading
    monkeypatch.setattr(current, "_kept", KeptHealth())
    return readings


@pytest.fixture
def browser() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("mia"), backend="django.contrib.auth.backends.ModelBackend")
    return client


def kept_for(readings: Readings, took_s: float) -> float:
    """The seconds after which a reading that took this long is repeated."""
    readings.took_s = took_s
    current_health()
    before, since_s = readings.number, readings.now_s
    readings.took_s = 0.0
    while current_health() and readings.number == before:
        readings.now_s += 0.5
        assert readings.now_s < since_s + 100
    kept_s = readings.now_s - since_s
    readings.now_s += 100
    return kept_s


def test_pages_and_probes_share_one_reading(browser: Client, valkey: redis.Redis, readings: Readings) -> None:
    addresses = ("/", "/streams/", "/state/", "/audit-log/", "/readyz", "/metrics")
    for address in addresses:
        assert browser.get(address).status_code == 200
    assert readings.number == 1
    readings.now_s += KEPT_S
    for address in addresses:
        browser.get(address)
    assert readings.number == 2


def test_a_reading_is_kept_for_longer_if_it_took_long_but_only_for_some_seconds(
    valkey: redis.Redis, readings: Readings
) -> None:
    assert [kept_for(readings, took_s) for took_s in (0.0, 0.125, 3.0, 60.0)] == [KEPT_S, 2.5, KEPT_MAX_S, KEPT_MAX_S]


@pytest.mark.usefixtures("redis_is_gone")
def test_an_outage_is_not_kept_for_longer_because_it_took_long_to_find(readings: Readings) -> None:
    assert kept_for(readings, 2.0) == KEPT_S


def test_a_process_that_loses_redis_is_not_ready_as_soon_as_the_reading_is_repeated(
    client: Client, valkey: redis.Redis, readings: Readings, settings: Settings
) -> None:
    assert client.get("/readyz").status_code == 200
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    readings.now_s += KEPT_MAX_S
    assert client.get("/readyz").status_code == 503


def test_the_reading_does_not_depend_on_the_budget_of_the_page(valkey: redis.Redis, readings: Readings) -> None:
    with redis_budget(0) as budget:
        assert current_health().facts.unreachable == ""
    assert budget.left_s == 0


@pytest.mark.django_db(transaction=True)
def test_other_threads_use_the_previous_conditions_while_one_reads(
    valkey: redis.Redis, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = current_health()
    readings.now_s += KEPT_MAX_S
    is_reading, may_end = threading.Event(), threading.Event()

    def read() -> Health:
        is_reading.set()
        assert may_end.wait(20)
        return first

    monkeypatch.setattr(current, "health_of_now", read)
    thread = threading.Thread(target=current_health)
    thread.start()
    assert is_reading.wait(20)
    assert current_health() is first  # it does not wait for the other thread
    may_end.set()
    thread.join()


def add_groups(valkey: redis.Redis, count: int) -> None:
    valkey.xadd(STREAM, {"type": "x"})
    for number in range(count):
        valkey.xgroup_create(STREAM, f"group-{number}", id="0")
        valkey.execute_command("XREADGROUP", "GROUP", f"group-{number}", "c", "STREAMS", STREAM, ">")


def statements(action: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as queries:
        action()
    return len(queries)


@pytest.mark.parametrize("address", ["/", "/streams/", "/audit-log/", f"/streams/{STREAM}/groups/group-0/", "/readyz"])
def test_the_number_of_sql_statements_does_not_grow_with_groups(
    browser: Client, valkey: redis.Redis, address: str
) -> None:
    add_groups(valkey, 1)
    browser.get(address)  # reads what a process keeps
    few = statements(lambda: browser.get(address))
    valkey.flushall()
    add_groups(valkey, 20)
    assert statements(lambda: browser.get(address)) == few
