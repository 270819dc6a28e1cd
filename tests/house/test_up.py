"""`manage.py up` with real processes: it starts, serves, ends in order, and says in a sentence why it cannot."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from evdash.streams.client import open_client
from tests.house.conftest import ManagePy
from tests.running import Up, free_port


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "up.log"


@pytest.fixture
def running(environment: dict[str, str], log: Path) -> Iterator[Up]:
    up = Up(environment, log, "--port", str(free_port()), "--no-demo")
    yield up
    up.stop()


def test_it_signs_in_by_its_link_keeps_events_over_a_restart_and_stops(
    running: Up, environment: dict[str, str], tmp_path: Path
) -> None:
    link = running.wait_for(r"http://\S+/sign-in/\S+")[0]
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    redis_url = running.wait_for(r"Redis +(redis://\S+)")[1]
    open_client(redis_url).execute_command("XADD", "memory:events", "*", "type", "kept.event", "session_id", "s")
    running.wait_for("Ctrl-C stops")
    page = opener.open(link).read().decode()
    assert "/sign-in/" in page or "evdash" in page
    assert "Stopped." in running.stop()
    assert running.process.returncode == 0

    again = Up(environment, tmp_path / "again.log", "--port", str(free_port()), "--no-demo")
    try:
        redis_url = again.wait_for(r"Redis +(redis://\S+)")[1]
        assert open_client(redis_url).execute_command("XLEN", "memory:events") == 1
    finally:
        again.stop()


def test_killed_it_leaves_no_process_behind(running: Up) -> None:
    redis_url = running.wait_for(r"Redis +(redis://\S+)")[1]
    running.wait_for("Ctrl-C stops")
    running.process.kill()
    running.process.wait()
    deadline = time.monotonic() + 20
    port = int(redis_url.rsplit(":", 1)[1])
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    raise AssertionError("The embedded server is still there.")


def test_attached_it_adds_only_its_group(
    environment: dict[str, str], log: Path, valkey_url: str, valkey: object
) -> None:
    client = open_client(valkey_url)
    client.execute_command("XADD", "memory:events", "1-1", "type", "a")
    up = Up(environment | {"REDIS_URL": valkey_url.removeprefix("redis://")}, log, "--port", str(free_port()))
    try:
        up.wait_for("attached")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not client.execute_command("XINFO GROUPS", "memory:events"):
            time.sleep(0.02)
    finally:
        up.stop()
    assert client.execute_command("KEYS", "*") == [b"memory:events"]
    assert client.execute_command("XLEN", "memory:events") == 1
    assert len(client.execute_command("XINFO GROUPS", "memory:events")) == 1


def test_a_taken_port_is_a_sentence(manage_py: ManagePy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = manage_py("up", "--port", str(taken.getsockname()[1]))
    assert_one_sentence(ended, "cannot listen on 127.0.0.1 port")


def test_an_unreachable_redis_is_a_sentence(manage_py: ManagePy) -> None:
    ended = manage_py("up", "--port", str(free_port()), REDIS_URL="redis://127.0.0.1:1")
    assert_one_sentence(ended, "Redis at 127.0.0.1:1 cannot be reached")


def test_a_broken_redis_url_is_a_sentence(manage_py: ManagePy) -> None:
    assert_one_sentence(manage_py("up", REDIS_URL="ftp://x"), "REDIS_URL")


def test_a_data_directory_that_cannot_be_written_is_a_sentence(manage_py: ManagePy, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    ended = manage_py("up", "--port", str(free_port()), "--data-dir", str(file / "below"))
    assert_one_sentence(ended, str(file))


def assert_one_sentence(ended: subprocess.CompletedProcess[str], words: str) -> None:
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert words in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
