"""What Prometheus is told: figures that are known, and none that are not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from evdash import metrics
from evdash.accounts.tokens import create_token
from evdash.config.environment import CHECKOUT
from evdash.eventlog.models import Gap, GroupPosition, Stream
from evdash.events.entry import EntryId
from evdash.health.metrics import Metrics
from evdash.ingest.projections.event_log import AuditProjection
from evdash.streams.consumer_group import GroupConsumer
from evdash.streams.dead_letters import park
from tests.builders import STREAM, entry
from tests.ingest.older_decoder import decode_as_before, older_decoder

pytestmark = pytest.mark.django_db

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def sample(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


@pytest.fixture
def scrape(client: Client) -> Scrape:
    return Scrape(client, create_token("prometheus"))


class Scrape:
    """Prometheus, reading with a token."""

    def __init__(self, client: Client, token: str) -> None:
        self.client = client
        self.token = token

    def __call__(self) -> Samples:
        answer = self.client.get("/metrics", headers={"Authorization": f"Bearer {self.token}"})
        assert answer.status_code == 200
        assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
        return {
            (found.name, frozenset(found.labels.items())): found.value
            for family in text_string_to_metric_families(answer.content.decode())
            for found in family.samples
        }


@pytest.fixture
def log() -> None:
    """What SQL knows of a group that has worked."""
    stream = Stream.objects.create(name=STREAM)
    position = GroupPosition.objects.create(
        group="evdash-audit",
        stream=stream,
        watermark=EntryId(2, 0),
        applied=1000,
        batches=4,
        apply_us=2_500_000,
        parked=3,
    )
    for number, entries in enumerate((7, 5, None)):
        Gap.objects.create(
            position=position,
            kind=Gap.Kind.REMOVED,
            first_id=EntryId(number, 1),
            last_id=EntryId(number, 9),
            entries=entries,
            noticed_at=timezone.now(),
        )


def test_strangers_are_told_nothing(client: Client) -> None:
    assert client.get("/metrics").status_code == 401

    client.force_login(User.objects.create_user("mia"), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get("/metrics").status_code == 200


@pytest.mark.usefixtures("log")
def test_what_a_group_has_done_is_told(valkey: redis.Redis, scrape: Scrape) -> None:
    figures = scrape()

    of_group = {"group": "evdash-audit", "stream": STREAM}
    assert figures[sample("evdash_applied_events_total", **of_group)] == 1000
    assert figures[sample("evdash_applied_batches_total", **of_group)] == 4
    assert figures[sample("evdash_apply_seconds_total", **of_group)] == 2.5
    assert figures[sample("evdash_parked_entries_total", **of_group)] == 3
    assert figures[sample("evdash_gaps", stream=STREAM, kind="removed")] == 3
    assert figures[sample("evdash_gap_entries", stream=STREAM, kind="removed")] == 12
    assert figures[sample("evdash_redis_up")] == 1


def test_what_is_left_to_do_is_told(valkey: redis.Redis, scrape: Scrape) -> None:
    for number in range(1, 6):
        valkey.xadd(STREAM, {"type": "x"}, id=f"{number}-0")
    consumer = GroupConsumer(valkey, "evdash-audit", "audit-1")
    consumer.ensure(STREAM, EntryId.MIN)
    consumer.read_new([STREAM], 2, 0)
    park(valkey, entry("1-0"), group="evdash-audit", consumer="audit-1", deliveries=5, reason="It cannot be.")

    figures = scrape()

    of_group = {"group": "evdash-audit", "stream": STREAM}
    assert figures[sample("evdash_group_lag_entries", **of_group)] == 3
    assert figures[sample("evdash_group_lag_exact", **of_group)] == 1
    assert figures[sample("evdash_group_pending_entries", **of_group)] == 2
    assert figures[sample("evdash_stream_length", stream=STREAM)] == 5
    assert figures[sample("evdash_stream_length", stream="other")] == 0
    assert figures[sample("evdash_parked_stream_length", stream=STREAM)] == 1
    assert figures[sample("evdash_parked_stream_length", stream="other")] == 0


@pytest.mark.usefixtures("log", "redis_is_gone")
def test_without_redis_what_sql_knows_is_told_and_nothing_is_zero(scrape: Scrape) -> None:
    figures = scrape()

    assert figures[sample("evdash_redis_up")] == 0
    assert figures[sample("evdash_applied_events_total", group="evdash-audit", stream=STREAM)] == 1000
    assert not any(name.startswith(("evdash_group_", "evdash_stream_")) for name, _ in figures)


def test_events_of_another_decoder_are_told(valkey: redis.Redis, scrape: Scrape) -> None:
    assert scrape()[sample("evdash_events_to_redecode")] == 0
    with older_decoder():
        AuditProjection("evdash-audit").apply([decode_as_before(entry(f"{number}-0")) for number in range(1, 4)])

    assert scrape()[sample("evdash_events_to_redecode")] == 3


def test_a_key_that_is_no_stream_keeps_the_others_figures(valkey: redis.Redis, scrape: Scrape) -> None:
    valkey.set(STREAM, "text")
    valkey.xadd("other", {"type": "x"})

    figures = scrape()

    assert figures[sample("evdash_redis_up")] == 1
    assert figures[sample("evdash_stream_length", stream="other")] == 1
    assert sample("evdash_stream_length", stream=STREAM) not in figures


def test_what_this_process_pushes_is_told(valkey: redis.Redis, scrape: Scrape) -> None:
    before = scrape()
    metrics.OPEN_SOCKETS.inc(2)
    metrics.ROWS_PUSHED.inc(300)

    figures = scrape()
    metrics.OPEN_SOCKETS.dec(2)

    for name, added in (("evdash_open_sockets", 2), ("evdash_rows_pushed_total", 300)):
        assert figures[sample(name)] == before[sample(name)] + added
    assert not any(name.endswith("_created") for name, _ in figures)


PRINT_FIGURES = "for each in figures.collect(): print(*[(s.name, s.labels, s.value) for s in each.samples], sep='\\n')"


def test_figures_of_processes_that_share_a_directory_are_summed(tmp_path: Path) -> None:
    def run(lines: str) -> str:
        command = [sys.executable, "-c", f"from evdash import metrics as figures\n{lines}"]
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        return subprocess.run(
            command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True
        ).stdout  # fmt: skip

    for number in (3, 5):
        run(
            f"figures.OPEN_SOCKETS.inc({number}); figures.ROWS_PUSHED.inc(10)\n"
            "figures.REQUESTS_REFUSED.labels('queue full').inc()"
        )

    figures = run(PRINT_FIGURES)

    assert "('evdash_open_sockets', {}, 8.0)" in figures
    assert "('evdash_rows_pushed_total', {}, 20.0)" in figures
    assert "('evdash_requests_refused_total', {'reason': 'queue full'}, 2.0)" in figures
    assert "('evdash_requests_refused_total', {'reason': 'waited too long'}, 0.0)" in figures


def test_the_age_of_the_last_answer_is_that_of_any_process_and_grows(tmp_path: Path) -> None:
    def run(lines: str) -> list[float]:
        environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        command = [
            sys.executable,
            "-c",
            f"import time\nfrom evdash import metrics as figures\n{lines}\n{PRINT_FIGURES}",
        ]
        figures = subprocess.run(
            command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=True
        ).stdout
        assert ("evdash_redis_answered_timestamp_seconds" in figures) == bool(lines)
        return [float(age) for age in re.findall(r"'evdash_tail_contact_age_seconds', {}, (\S+)\)", figures)]

    assert run("") == []  # Redis has answered no process
    (first,) = run("figures.REDIS_ANSWERED.note(time.time() - 100)")
    (second,) = run("figures.REDIS_ANSWERED.note(time.time() - 500)")

    assert second > first > 100


def test_a_newer_prometheus_is_answered_in_its_format(client: Client) -> None:
    token = create_token("prometheus")

    answer = client.get(
        "/metrics",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/openmetrics-text; version=1.0.0"},
    )

    assert answer["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.content.endswith(b"# EOF\n")


def test_the_documentation_explains_every_metric(valkey: redis.Redis) -> None:
    figures = {f"{family.name}_total" if family.type == "counter" else family.name for family in Metrics().collect()}

    assert set(re.findall(r"`(evdash_[a-z_]+)`", (CHECKOUT / "docs/operations.md").read_text())) == figures
