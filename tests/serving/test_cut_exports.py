"""An export that a stop or an outage of Redis cuts ends within seconds, and says that it is incomplete."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from evdash.config.environment import CHECKOUT
from evdash.streams.embedded_server import EmbeddedServer
from tests.builders import STREAM
from tests.conftest import ManagePy
from tests.running import free_port, is_listened_on, wait_until

EVENTS = 40_000
READ_AT_ONCE = 1 << 16


@contextmanager
def serving(environment: dict[str, str], redis_url: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A running `manage.py serve` and its port."""
    port = free_port()
    web = subprocess.Popen(
        [sys.executable, str(CHECKOUT / "manage.py"), "serve"],
        env=environment | {"REDIS_URL": redis_url, "EVDASH_PORT": str(port), "EVDASH_WEB_PROCESSES": "1"},
        start_new_session=True,
    )
    try:
        wait_until(lambda: is_listened_on(port))
        yield web, port
    finally:
        web.terminate()
        web.wait(30)


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        ("stop", "evdash was stopped."),
        ("Redis dies", "is unreachable: connection refused."),
        ("Redis hangs", "did not answer in time."),
    ],
)
def test_an_export_that_is_cut_says_so_in_its_last_line_and_in_the_audit_log(
    environment: dict[str, str], manage_py: ManagePy, tmp_path: Path, cut: str, reason: str
) -> None:
    manage_py("migrate").check_returncode()
    token = manage_py("create_token", "exporter").stdout.split()[-1]
    with EmbeddedServer(tmp_path) as server:
        client = redis.Redis.from_url(server.url)
        with client.pipeline(transaction=False) as pipeline:
            for number in range(EVENTS):
                pipeline.xadd(STREAM, {"type": "message.added", "session_id": "s", "content": f"{number} " + "y" * 300})
            pipeline.execute()
        pid = int(client.info("server")["process_id"])
        client.close()
        with serving(environment, server.url) as (web, port):
            # A reader that waited for more than 10 s would fail with a time-out.
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
                connection.request("GET", "/events.ndjson", headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                assert answer.status == 200
                body = answer.read(READ_AT_ONCE)
                if cut == "stop":
                    web.send_signal(signal.SIGTERM)
                else:
                    _signal(pid, signal.SIGKILL if cut == "Redis dies" else signal.SIGSTOP)
                while part := answer.read(READ_AT_ONCE):  # a torn connection would raise IncompleteRead
                    body += part
            if cut == "Redis hangs":
                _signal(pid, signal.SIGCONT)
            if cut == "stop":
                web.wait(30)
            *lines, last = map(json.loads, body.splitlines())
            assert 0 < len(lines) < EVENTS
            assert all("entry_id" in line for line in lines)
            assert (last["incomplete"], last["reason"].endswith(reason)) == (True, True), last
            wait_until(lambda: any(outcomes(environment)))
            [ended] = filter(None, outcomes(environment))
            assert ended.startswith(f"Interrupted after {len(lines):,} events (")
            assert ended.endswith(reason)


def outcomes(environment: dict[str, str]) -> list[str]:
    """The outcomes in the audit log."""
    with closing(sqlite3.connect(Path(environment["EVDASH_DATA_DIR"]) / "evdash.sqlite3")) as database:
        return [row[0] for row in database.execute("SELECT outcome FROM audit_auditlogentry ORDER BY id")]


def _signal(pid: int, number: int) -> None:
    subprocess.run(["kill", f"-{number}", str(pid)], check=True)
