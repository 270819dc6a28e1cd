"""`manage.py up` with real processes: it starts, serves, ends in order, and says in a sentence why it cannot."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from evdash.config.environment import CHECKOUT
from evdash.streams.client import StillLoading, call, call_all, open_client
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.stream_info import group_infos
from tests.conftest import ManagePy
from tests.running import Up, exists, free_port, is_listened_on, suspend, wait_until


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
    redis_port = int(running.wait_for(r"Redis +redis://127.0.0.1:(\d+)")[1])
    web_port = int(running.wait_for(r"http://127.0.0.1:(\d+)/sign-in/")[1])
    running.wait_for("Ctrl-C stops")
    children = running.children()
    assert len(children) >= 3  # web server, worker, Valkey

    running.process.kill()
    running.process.wait()

    wait_until(lambda: not any(exists(pid) for pid in children.values()))
    assert not is_listened_on(redis_port)
    assert not is_listened_on(web_port)


def test_a_worker_that_dies_is_started_again(running: Up) -> None:
    running.wait_for("Ctrl-C stops")
    first = running.children()["manage.py work"]
    os.kill(first, signal.SIGKILL)

    running.wait_for(r"WARNING +process ended +process=worker exit_code=-9 restart_in_s=1 ")

    wait_until(lambda: running.children().get("manage.py work", first) != first)


@pytest.mark.parametrize(
    ("child", "sentence"),
    [
        ("manage.py serve", "Web server ended (exit code -9). All processes stopped"),
        ("valkey-server", "Embedded server ended. All processes stopped"),
    ],
)
def test_without_a_web_server_or_valkey_it_ends_and_says_so(running: Up, child: str, sentence: str) -> None:
    running.wait_for("Ctrl-C stops")
    children = running.children()

    os.kill(children[child], signal.SIGKILL)

    assert running.process.wait(30) == 1
    assert sentence in running.log.read_text()
    wait_until(lambda: not any(exists(pid) for pid in children.values()))


def test_a_second_ctrl_c_kills_what_does_not_end(running: Up) -> None:
    running.wait_for("Ctrl-C stops")
    web_port = int(running.wait_for(r"http://127.0.0.1:(\d+)/sign-in/")[1])
    worker = running.children()["manage.py work"]
    suspend(worker)

    running.process.send_signal(signal.SIGINT)
    wait_until(lambda: not is_listened_on(web_port))
    assert exists(worker)
    running.process.send_signal(signal.SIGINT)

    assert running.process.wait(10) == 0
    assert not exists(worker)


def groups_of(client: redis.Redis, stream: str) -> set[str]:
    return {group.name for group in group_infos(client, stream)}


def test_attached_it_adds_only_its_groups(
    environment: dict[str, str], log: Path, valkey_url: str, valkey: object
) -> None:
    client = open_client(valkey_url)
    client.execute_command("XADD", "memory:events", "1-1", "type", "a")
    own = {"evdash-audit", "evdash-analytics", "evdash-debug"}
    up = Up(environment | {"REDIS_URL": valkey_url.removeprefix("redis://")}, log, "--port", str(free_port()))
    try:
        up.wait_for("attached")
        wait_until(lambda: groups_of(client, "memory:events") >= own)
    finally:
        up.stop()
    assert client.execute_command("KEYS", "*") == [b"memory:events"]
    assert client.execute_command("XLEN", "memory:events") == 1
    assert groups_of(client, "memory:events") == own


def test_a_redis_that_is_still_loading_is_waited_for(
    environment: dict[str, str], log: Path, tmp_path: Path, slowly_loading: None
) -> None:
    with EmbeddedServer(tmp_path / "theirs") as server:
        call_all(open_client(server.url), *[("XADD", "memory:events", "*", "a", "x")] * 60_000)
    url = server.start(lambda progress: False)
    with pytest.raises(StillLoading):
        call(open_client(url), "PING")
    up = Up(environment | {"REDIS_URL": url}, log, "--port", str(free_port()))
    try:
        # A loading server may not answer INFO in time. Then the report has no sizes.
        up.wait_for(r"Waiting for Redis to load( \(\d+ of \d+ MB\))?\.")
        up.wait_for("attached", seconds=60)
        assert call(open_client(url), "XLEN", "memory:events") == 60_000
    finally:
        up.stop()
        server.stop()


def test_a_sign_in_link_leads_to_where_the_server_is(environment: dict[str, str], log: Path) -> None:
    port = free_port()
    up = Up(environment, log, "--port", str(port), "--no-demo")
    try:
        up.wait_for("Ctrl-C")
        command = [sys.executable, str(CHECKOUT / "manage.py"), "sign_in_link"]
        finished = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert finished.stdout.startswith(f"http://127.0.0.1:{port}/sign-in/")
    finally:
        up.stop()


def test_a_taken_port_is_a_sentence(manage_py: ManagePy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = manage_py("up", "--port", str(taken.getsockname()[1]))
    assert_one_sentence(ended, "Cannot listen on 127.0.0.1 port")


def test_the_web_server_alone_says_the_same_of_a_taken_port(manage_py: ManagePy) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = manage_py("serve", "--port", str(taken.getsockname()[1]))
    assert_one_sentence(ended, "Cannot listen on 127.0.0.1 port")


def test_every_command_refuses_in_the_same_form(manage_py: ManagePy) -> None:
    manage_py("migrate")
    ended = manage_py("revoke_token", "nobody's")
    assert_one_sentence(ended, "No active token named nobody's.")
    assert "Traceback" in manage_py("revoke_token", "nobody's", "--traceback").stderr


def test_an_unreachable_redis_is_a_sentence(manage_py: ManagePy) -> None:
    ended = manage_py("up", "--port", str(free_port()), REDIS_URL="redis://127.0.0.1:1")
    assert_one_sentence(ended, "Redis at 127.0.0.1:1 is unreachable")


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
    assert "Error:" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
