"""System checks: every combination that cannot work is told, and nothing else."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.core.checks import run_checks
from pytest_django import Settings

from evdash.config.environment import Configuration
from evdash.streams import embedded_server
from evdash.streams.embedded_server import EmbeddedServer
from tests.conftest import ManagePy
from tests.running import free_port


def found(settings: Settings, **values: Any) -> list[str | None]:
    settings.EVDASH = replace(settings.EVDASH, **values)
    messages = run_checks(tags=["evdash"])
    assert all(message.hint for message in messages)
    return [message.id for message in messages]


def test_the_defaults_work() -> None:
    assert run_checks() == []
    assert settings.EVDASH.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"streams": ("a", "b", "a")}, ["evdash.E001"]),
        ({"host": "0.0.0.0", "https": True}, ["evdash.E002"]),
        ({"host": "0.0.0.0", "https": True, "allowed_hosts": ("evdash.example",)}, []),
        ({"host": "192.0.2.7", "https": True}, []),
        ({"host": "::1"}, []),
        ({"embedded": True}, ["evdash.E003"]),
        ({"embedded": True, "redis_url": "redis://localhost:7000"}, []),
        ({"debug": True}, []),
        ({"debug": True, "host": "192.0.2.7", "https": True}, ["evdash.E004"]),
        ({"secret_key": "too short"}, ["evdash.E005"]),
        ({"host": "192.0.2.7"}, ["evdash.W001"]),
        ({"debug_group": "evdash-audit"}, ["evdash.E006"]),
        ({"analytics_group": "one", "debug_group": "one", "audit_group": "one"}, ["evdash.E006"]),
        ({"streams": ("a", "b", "a:parked")}, ["evdash.E007"]),
        ({"streams": ("a:parked",)}, []),
        ({"block_ms": 2000, "claim_idle_ms": 5999}, ["evdash.E008"]),
        ({"block_ms": 2000, "claim_idle_ms": 6000}, []),
        ({"max_length_exact": True}, ["evdash.E009"]),
        ({"max_length_exact": True, "max_length": 1000}, []),
    ],
)
def test_what_cannot_work_together_is_told(settings: Settings, values: dict[str, Any], expected: list[str]) -> None:
    assert found(settings, **values) == expected


def test_groups_of_one_name_are_told_with_their_variables(settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, debug_group="evdash-audit")

    [message] = run_checks(tags=["evdash"])

    assert message.msg.startswith("EVDASH_AUDIT_GROUP and EVDASH_DEBUG_GROUP are both 'evdash-audit'")


def test_a_pattern_is_refused_with_the_streams_that_match(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, valkey: redis.Redis, valkey_url: str
) -> None:
    for stream in ("a2a:one", "a2a:t*o,o", "other"):
        valkey.xadd(stream, {"type": "x"})
    valkey.set("a2a:text", "not a stream")
    monkeypatch.setenv("EVDASH_STREAMS", "memory:events,a2a:*")
    settings.EVDASH = replace(Configuration.from_environment(), redis_url=valkey_url)
    [message] = run_checks(tags=["evdash"])
    assert message.id == "evdash.E010"
    assert message.msg == "EVDASH_STREAMS has a2a:*, which is a pattern. evdash reads streams by their names."
    suggested = r"memory:events,a2a:one,a2a:t\x2ao\x2co"
    assert f"EVDASH_STREAMS={suggested}." in str(message.hint)
    assert r"\x2a for *" in str(message.hint)

    monkeypatch.setenv("EVDASH_STREAMS", suggested)
    settings.EVDASH = replace(Configuration.from_environment(), redis_url=valkey_url)
    assert run_checks(tags=["evdash"]) == []
    assert settings.EVDASH.streams == ("memory:events", "a2a:one", "a2a:t*o,o")


@pytest.mark.parametrize("written", ["a2a:?", os.fsdecode(b"\xff*")])
def test_a_pattern_is_refused_without_redis_too(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("EVDASH_STREAMS", written)
    settings.EVDASH = replace(Configuration.from_environment(), redis_url="redis://127.0.0.1:1")
    assert [message.id for message in run_checks(tags=["evdash"])] == ["evdash.E010"]


def test_a_stream_that_is_named_twice_in_two_forms_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVDASH_STREAMS", r"é,\xc3\xa9")
    settings.EVDASH = Configuration.from_environment()
    [message] = run_checks(tags=["evdash"])
    assert message.msg == "EVDASH_STREAMS names é more than once."


def test_a_queue_is_one_of_the_streams(settings: Settings) -> None:
    assert found(settings, streams=("a", "jobs"), queues=("jobs",)) == []
    assert found(settings, streams=("a",), queues=("jobs",)) == ["evdash.E012"]


@pytest.fixture
def cluster_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server with cluster mode on. It has no slots, so that every key is refused."""
    options = embedded_server._options
    monkeypatch.setattr(
        embedded_server,
        "_options",
        # Without a port of its own, the bus of the cluster needs one that is 10,000 higher.
        lambda port: [
            *options(port),
            *("--cluster-enabled", "yes", "--cluster-config-file", str(tmp_path / "nodes")),
            *("--cluster-port", str(free_port())),
        ],
    )
    with EmbeddedServer(tmp_path) as server:
        yield server.url


def test_a_cluster_is_refused_at_the_start(settings: Settings, cluster_url: str, manage_py: ManagePy) -> None:
    assert found(settings, redis_url=cluster_url) == ["evdash.E011"]
    for command in ("work", "up"):
        done = manage_py(command, REDIS_URL=cluster_url)
        assert done.returncode == 1
        assert "is a node of a Redis Cluster. evdash does not support clusters yet." in done.stderr
