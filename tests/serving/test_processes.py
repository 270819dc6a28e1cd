"""`manage.py serve` with several processes: real ones, on one port."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest
import redis
from websockets import Origin
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect

from evdash.config.environment import CHECKOUT, Configuration, declarations
from evdash.serving.processes import _empty_directory
from tests.benchmarks.served import Served
from tests.running import children_of, exists, free_port, is_listened_on, suspend, wait_until


class Serve:
    """A running `manage.py serve`."""

    def __init__(self, directory: Path, *, processes: int = 2, host: str = "127.0.0.1", **variables: str) -> None:
        self.port = free_port()
        self.host = host
        self.log = directory / "serve.log"
        self.data = directory / "data"
        left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
        self.environment = {name: value for name, value in os.environ.items() if name not in left_out} | {
            "EVDASH_DATA_DIR": str(self.data),
            "EVDASH_PORT": str(self.port),
            "EVDASH_HOST": host,
            "EVDASH_WEB_PROCESSES": str(processes),
            "REDIS_URL": "redis://127.0.0.1:1",  # nothing that these tests ask needs it
            **variables,
        }
        self._processes = processes
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(CHECKOUT / "manage.py"), "serve"],
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def children(self) -> set[int]:
        return set(children_of(self.process.pid))

    def with_sockets(self) -> int:
        """The child that has the sockets: it alone is not given the listener."""
        commands = children_of(self.process.pid)
        (found,) = (child for child, command in commands.items() if command.split()[-1].count(",") == 1)
        return found

    def ask(self, path: str = "/healthz", **headers: str) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        request = urllib.request.Request(f"http://{host}:{self.port}{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return str(answer.read().decode())

    @contextmanager
    def asking(self, path: str, cookie: str) -> Iterator[socket.socket]:
        """A connection on which the page was asked for, and from which nothing was read."""
        with socket.create_connection((self.host, self.port), timeout=20) as connection:
            head = f"GET {path} HTTP/1.0\r\nHost: {self.host}\r\nCookie: {cookie}\r\n\r\n"
            connection.sendall(head.encode())
            yield connection

    def wait_until_served(self) -> set[int]:
        """The processes that make pages, when each of them runs; their IDs."""

        def served() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            try:
                return bool(self.ask())
            except URLError:
                return False

        wait_until(served)
        wait_until(lambda: len(self.children()) == self._processes + 1)
        return self.children() - {self.with_sockets()}

    def answering(self, children: set[int]) -> set[int]:
        """Those that answer when they alone are not stopped."""
        found = set()
        for child in children:
            with self.stopped(children - {child}):
                assert self.ask() == "evdash is running.\n"
                found.add(child)
        return found

    @contextmanager
    def stopped(self, children: set[int]) -> Iterator[None]:
        """Inside, these processes do nothing, and others answer."""
        for child in children:
            suspend(child)
        try:
            yield
        finally:
            for child in children:
                os.kill(child, signal.SIGCONT)

    def site(self) -> Served:
        """As benchmarks know it: with persons who sign in."""
        address = f"http://{self.host}:{self.port}"
        return Served(address, redis_url="", link="", server_pid=self.process.pid, environment=self.environment)

    def live_page(self, cookie: str) -> ClientConnection:
        """A socket that is accepted; closed with its context."""
        address = f"{self.host}:{self.port}"
        return connect(
            f"ws://{address}/live/socket/",
            origin=Origin(f"http://{address}"),
            additional_headers={"Cookie": cookie},
            proxy=None,
        )

    def end(self) -> None:
        children = self.children()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for child in children:
            if exists(child):
                os.kill(child, signal.SIGKILL)


Start = Callable[..., Serve]


def manage(running: Serve, *arguments: str) -> str:
    """What a command prints that has the settings of this server."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), *arguments]
    return subprocess.run(command, env=running.environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Start]:
    started: list[Serve] = []

    def start(**options: str) -> Serve:
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Serve(directory, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        each.end()


def ranges_read(valkey: redis.Redis) -> int:
    """How often the server was asked for a part of a stream."""
    return int(valkey.info("commandstats").get("cmdstat_xrange", {"calls": 0})["calls"])


def subscribe(live: ClientConnection, number: int) -> None:
    """Ask for everything, and wait until that is heard."""
    live.send(json.dumps({"type": "subscribe", "number": number, "query": "", "cursor": {}}))
    while json.loads(live.recv(10)) != {"type": "subscribed", "number": number}:
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_process_answers_on_the_one_port(serve: Start, host: str) -> None:
    running = serve(host=host)
    children = running.wait_until_served()

    assert len(children) == 2
    assert running.answering(children) == children


def test_a_killed_process_is_started_again_while_the_other_answers(serve: Start) -> None:
    running = serve()
    children = running.wait_until_served()
    killed = min(children)

    os.kill(killed, signal.SIGKILL)

    wait_until(lambda: re.search(r"process=web-\d exit_code=-9 restart_in_s=1 ", running.log.read_text()))
    assert running.ask() == "evdash is running.\n"
    again = running.wait_until_served()
    assert killed not in again
    assert running.answering(again) == again


def test_json_logs_have_one_object_per_line_of_every_process(serve: Start) -> None:
    running = serve(EVDASH_LOG_FORMAT="json")
    children = running.wait_until_served()
    with pytest.raises(HTTPError):
        running.ask("/no-such-page/")
    os.kill(min(children), signal.SIGKILL)
    wait_until(lambda: "process ended" in running.log.read_text())
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 0

    records = [json.loads(line) for line in running.log.read_text().splitlines()]

    [ended] = [each for each in records if each["event"] == "process ended"]
    assert (ended["level"], ended["exit_code"], ended["restart_in_s"]) == ("warning", -9, 1)
    assert ended["logger"] == "evdash.serving.processes"
    assert {"Not Found: /no-such-page/"} <= {each["event"] for each in records if each["logger"] == "django.request"}


def test_live_pages_have_a_process_of_their_own(serve: Start) -> None:
    running = serve()
    manage(running, "migrate")
    pages = running.wait_until_served()
    cookie = running.site().cookie("ada")
    with running.live_page(cookie) as live:
        subscribe(live, 1)
        with running.stopped(pages):
            subscribe(live, 2)
        os.kill(running.with_sockets(), signal.SIGKILL)
        wait_until(lambda: live.state is State.CLOSED)
    with running.live_page(cookie):  # waits until the process has been started again
        assert running.ask() == "evdash is running.\n"
        assert "restart_in_s=1 " in running.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_ends_all_in_order(serve: Start, number: signal.Signals) -> None:
    running = serve()
    children = running.wait_until_served()

    running.process.send_signal(number)

    assert running.process.wait(10) == 0
    assert not any(exists(child) for child in children)
    assert "process ended" not in running.log.read_text()
    assert not list(running.data.glob("figures-*"))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_export_keeps_the_pace_of_its_reader_and_says_that_the_server_was_stopped(
    serve: Start, valkey: redis.Redis, valkey_url: str, processes: int
) -> None:
    pipeline = valkey.pipeline(transaction=False)
    for number in range(10_000):
        pipeline.xadd("memory:events", {"type": "message.added", "content": f"{number} " + 2_000 * "a"})
    pipeline.execute()
    running = serve(processes=processes, REDIS_URL=valkey_url)
    manage(running, "migrate")
    wait_until(lambda: is_listened_on(running.port))
    cookie = running.site().cookie("ada")
    with running.asking("/events.ndjson", cookie) as reader:
        answer = reader.recv(100)
        wait_until(lambda: ranges_read(valkey) == (time.sleep(0.5), ranges_read(valkey))[1])

        running.process.terminate()

        while received := reader.recv(2**20):
            answer += received
    assert running.process.wait(10) == 0
    assert answer.startswith(b"HTTP/1.0 200")
    assert 100_000 < len(answer) < 15_000_000
    *whole, last = answer.splitlines()
    assert json.loads(whole[-1])["stream"] == "memory:events"
    assert json.loads(last) == {"incomplete": True, "reason": "evdash was stopped."}
    assert re.search(
        r'WARNING +export incomplete +format=NDJSON reason="evdash was stopped\."', running.log.read_text()
    )


def test_a_process_that_does_not_end_is_killed(serve: Start) -> None:
    running = serve()
    children = running.wait_until_served()
    suspend(min(children))

    running.process.terminate()

    assert running.process.wait(10) == 0
    assert not any(exists(child) for child in children)


def test_the_processes_end_with_a_parent_that_is_killed(serve: Start) -> None:
    running = serve()
    children = running.wait_until_served()

    running.process.kill()
    running.process.wait()

    wait_until(lambda: not any(exists(child) for child in children))
    assert not is_listened_on(running.port)


def test_figures_that_a_killed_parent_left_go_at_the_next_start(serve: Start, tmp_path: Path) -> None:
    killed = serve()
    children = killed.wait_until_served()
    killed.process.kill()
    wait_until(lambda: not any(exists(child) for child in children))

    again = serve(EVDASH_DATA_DIR=str(killed.data), EVDASH_PORT=str(killed.port))
    again.port = killed.port
    new = again.wait_until_served()
    again.answering(new)

    files = {path.name for path in killed.data.glob("figures-*/*.db")}
    assert {f"gauge_livesum_{child}.db" for child in new} <= files
    assert not any(str(child) in name for child in children for name in files)


def test_a_data_directory_that_cannot_be_written_keeps_no_figures(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    configuration = replace(Configuration.from_environment(), data_dir=tmp_path / "data")

    directory = Path(_empty_directory(configuration))

    assert list(directory.iterdir()) == []
    assert tmp_path not in directory.parents
    directory.rmdir()


def test_a_taken_port_is_a_sentence(serve: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = serve(EVDASH_PORT=str(port))
        assert running.process.wait(20) == 1
    (line,) = running.log.read_text().splitlines()
    assert line.startswith(f"Cannot listen on 127.0.0.1 port {port}: ")


def test_settings_that_stop_a_process_stop_the_parent_and_are_reported_once(serve: Start) -> None:
    running = serve(EVDASH_STREAMS="a,a")

    assert running.process.wait(20) == 1
    assert running.log.read_text().count("evdash.E001") == 1


def test_one_process_has_no_parent(serve: Start) -> None:
    running = serve(processes=1)
    wait_until(lambda: is_listened_on(running.port))

    assert running.ask() == "evdash is running.\n"
    assert not running.children()
    running.process.terminate()
    assert running.process.wait(10) == 0


def test_metrics_are_those_of_all_processes(serve: Start) -> None:
    running = serve()

    manage(running, "migrate")
    authorized = {"Authorization": f"Bearer {manage(running, 'create_token', 'prometheus').split()[-1]}"}
    children = running.wait_until_served()
    cookie = running.site().cookie("ada")

    def open_sockets() -> list[str]:
        figures = running.ask("/metrics", **authorized)
        assert "pid=" not in figures
        return re.findall(r"^evdash_open_sockets (\S+)$", figures, re.MULTILINE)

    assert open_sockets() == ["0.0"]
    pages = re.search(r"^evdash_page_seconds_count (\S+)$", running.ask("/metrics", **authorized), re.MULTILINE)
    assert pages is not None
    assert float(pages[1]) >= 2  # the form of the sign-in, and what it leads to
    with ExitStack() as opened:
        for stopped in sorted(children):  # the other one answers, so each has two
            with running.stopped({stopped}):
                for _ in range(2):
                    opened.enter_context(running.live_page(cookie))
        assert open_sockets() == ["4.0"]
    wait_until(lambda: open_sockets() == ["0.0"])

    os.kill(min(children), signal.SIGKILL)
    wait_until(lambda: "restart_in_s=1 " in running.log.read_text())
    assert f"gauge_livesum_{min(children)}.db" not in {path.name for path in running.data.glob("figures-*/*.db")}


@pytest.mark.parametrize("processes", [1, 2])
def test_a_request_that_is_too_large_is_refused_by_every_kind_of_server(tmp_path: Path, processes: int) -> None:
    running = Serve(tmp_path, processes=processes)
    try:
        wait_until(lambda: is_listened_on(running.port))
        request = urllib.request.Request(
            f"http://127.0.0.1:{running.port}/sign-in/", data=b"x" * 3_000_000, method="POST"
        )
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        assert refused.value.code == 413
        assert refused.value.read() == b"The body of the request is larger than 2,621,440 bytes, the limit.\n"
    finally:
        running.process.terminate()
        running.process.wait(20)
