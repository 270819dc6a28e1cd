"""Events in, faults all the while, and in the end every table is the fold over the events: one run, or on and on.

    python -m tests.faults.run --seed 1 --events 3000 --seconds 15     one run
    python -m tests.faults.run --hours 2                               runs of other seeds, until the time is over

The faults: workers killed and started again, under their old name or another; claims between them; entries written
twice, as a producer's retry does; Valkey killed and ended and started again; groups deleted; commits that fail or whose
answer is lost; retention that trims the stream meanwhile. Exit code 1 and the seed when anything differs.

Each run has a database of its own: a file, or where DATABASE_URL names PostgreSQL a new database on that server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from evdash.config.environment import CHECKOUT, declarations
from evdash.events.entry import Entry, EntryId
from evdash.streams.client import StreamsUnavailable, call, open_client
from evdash.streams.embedded_server import EmbeddedServer
from evdash.streams.stream_info import group_infos

STREAMS = ("memory:events", "tools")
GROUPS = ("evdash-audit", "evdash-analytics", "evdash-debug")
CATCH_UP_WITHIN_S = 180.0


@dataclass
class Run:
    """One run in a directory of its own."""

    seed: int
    events: int
    seconds: float
    directory: Path
    database_url: str = ""  # "": SQLite in the directory
    written: list[Entry] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.server = EmbeddedServer(self.directory)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.names = 0

    def count(self, what: str) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def environment(self, commit_share: float) -> dict[str, str]:
        own = {declared.name for _, _, declared in declarations()}
        return {
            # Nothing of whoever runs this: pytest has settings of its own.
            **{name: value for name, value in os.environ.items() if name not in own | {"DJANGO_SETTINGS_MODULE"}},
            "PYTHONPATH": str(CHECKOUT),
            "EVDASH_DATA_DIR": str(self.directory),
            "REDIS_URL": self.server.url,
            "EVDASH_STREAMS": ",".join(STREAMS),
            "EVDASH_BATCH_SIZE": str(self.chance.choice([7, 50, 200])),
            "EVDASH_BLOCK_MS": "200",
            "EVDASH_CLAIM_IDLE_MS": "1000",
            "EVDASH_MAX_LENGTH": str(self.events // 4),
            "FAULTS_COMMIT_SHARE": str(commit_share),
            "FAULTS_SEED": str(self.chance.randrange(10**6)),
            **({"DATABASE_URL": self.database_url} if self.database_url else {}),
        }

    def start_worker(self, name: str, commit_share: float = 0.05) -> None:
        with (self.directory / "workers.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.worker", "--consumer", name],
                env=self.environment(commit_share), cwd=CHECKOUT, stdout=log, stderr=log,
            )  # fmt: skip

    def end_worker(self, name: str, how: signal.Signals) -> None:
        process = self.workers.pop(name)
        process.send_signal(how)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise AssertionError(f"the worker {name} did not end within 30 s of {how.name}") from None

    def publish(self, number: int) -> None:
        """Some entries at once; now and then one twice, or a batch of which nobody knows whether it was written."""
        with open_client(self.server.url) as client:
            for _ in range(number):
                pairs = self._event()
                for _ in range(2 if self.chance.random() < 0.05 else 1):
                    stream = pairs[0]
                    flat = [part for pair in pairs[1] for part in pair]
                    raw_id = call(client, "XADD", stream, "*", *flat)
                    self.written.append(Entry(stream, EntryId.parse(raw_id), pairs[1]))

    def _event(self) -> tuple[str, tuple[tuple[bytes, bytes], ...]]:
        number = len(self.written)
        chance = self.chance
        type_ = chance.choice(["message.added", "tool.called", "search.performed", "error.occurred", "session.ended"])
        fields = {
            "id": f"event-{number}" if chance.random() < 0.9 else "",
            "type": type_,
            "session_id": f"session-{chance.randrange(40)}",
            "user_id": f"user-{chance.randrange(7)}",
            "timestamp": f"{1_790_000_000 + number * 3 + chance.randrange(600)}",
            "latency_ms": str(chance.randrange(2000)),
            "tokens": str(chance.randrange(100)),
        }
        if type_ == "error.occurred":
            fields["error"] = f"seat {chance.randrange(90)}{chance.choice('ABC')} of flight HAT{number} is taken"
            fields["error_code"] = chance.choice(["taken", "gone"])
        pairs = tuple((name.encode(), value.encode()) for name, value in fields.items())
        return chance.choice(STREAMS), pairs

    def fault(self) -> None:
        name = self.chance.choice(sorted(self.workers))
        what = self.chance.choices(
            ["kill", "kill and rename", "end", "restart valkey", "kill valkey", "delete group", "publish"],
            [6, 3, 2, 1, 1, 1, 4],
        )[0]
        self.count(what)
        if what in ("kill", "kill and rename", "end"):
            self.end_worker(name, signal.SIGTERM if what == "end" else signal.SIGKILL)
            if what == "kill and rename":
                self.names += 1
                name = f"worker-{self.names}"
            self.start_worker(name)
        elif what == "restart valkey":
            self.server.stop()
            time.sleep(self.chance.random())
            self.server.start()
        elif what == "kill valkey":
            os.kill(self.valkey_pid(), signal.SIGKILL)
            self.server.stop()
            self.server.start()
        elif what == "delete group":
            with open_client(self.server.url) as client:
                stream, group = self.chance.choice(STREAMS), self.chance.choice(GROUPS)
                self.delete_group(client, stream, group)

    def delete_group(self, client: object, stream: str, group: str) -> None:
        """Only together with its retention: a stream that is trimmed holds nothing for a group that is not there."""
        try:
            call(client, "XGROUP", "DESTROY", stream, group)  # type: ignore[arg-type]
        except StreamsUnavailable:
            self.count("no such group")

    def valkey_pid(self) -> int:
        with open_client(self.server.url) as client:
            info = call(client, "INFO", "server")
            return int(info["process_id"] if isinstance(info, dict) else _info_value(info, "process_id"))

    def go(self) -> None:
        """The run; raises AssertionError when anything differs in the end."""
        self.server.start()
        _manage("migrate", self.environment(0))
        self.start_worker("worker-a")
        self.start_worker("worker-b")
        try:
            self.suffer()
            self.calm_down()
        finally:
            for process in self.workers.values():
                process.kill()
                process.wait()
            problem = _manage_check(self.environment(0), self.written, self.directory)
            self.server.stop()
        if problem:
            raise AssertionError(problem)

    def suffer(self) -> None:
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline or len(self.written) < self.events:
            left = max(0, self.events - len(self.written))
            self.publish(min(left, self.chance.randrange(1, max(2, self.events // 20))))
            time.sleep(self.chance.random() * 0.5)
            if self.chance.random() < 0.6:
                self.fault()

    def calm_down(self) -> None:
        """No more faults: everything must be carried over, by workers of which one name is new."""
        for name in list(self.workers):
            self.end_worker(name, self.chance.choice([signal.SIGKILL, signal.SIGTERM]))
        self.start_worker("worker-a", commit_share=0)
        self.start_worker("worker-z", commit_share=0)
        deadline = time.monotonic() + CATCH_UP_WITHIN_S
        with open_client(self.server.url) as client:
            while not all(self.is_through(client, stream) for stream in STREAMS):
                if time.monotonic() > deadline:
                    raise AssertionError(f"nothing more to do, and still: {[group_infos(client, s) for s in STREAMS]}")
                time.sleep(0.3)
        time.sleep(7)  # the comparison with what was ever added comes every five seconds
        with open_client(self.server.url) as client:
            while not all(self.is_through(client, stream) for stream in STREAMS):
                assert time.monotonic() < deadline, "entries became pending and stayed so"
                time.sleep(0.3)
        for name in list(self.workers):
            self.end_worker(name, signal.SIGTERM)

    def is_through(self, client: object, stream: str) -> bool:
        infos = {info.name: info for info in group_infos(client, stream)}  # type: ignore[arg-type]
        return all(
            name in infos and infos[name].pending == 0 and infos[name].lag.count == 0 and infos[name].lag.exact
            for name in GROUPS
        )


@contextmanager
def database_of_its_own(seed: int) -> Iterator[str]:
    """Give the URL of a new database beside that of DATABASE_URL, or "" without one. It stays where the run fails."""
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        yield ""
        return
    import psycopg  # only this database needs it

    name = f"evdash_faults_{seed}"
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _info_value(raw: bytes, name: str) -> str:
    return next(line.split(":")[1] for line in raw.decode().splitlines() if line.startswith(f"{name}:"))


def _manage(command: str, environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, str(CHECKOUT / "manage.py"), command], env=environment, check=True, capture_output=True
    )


def _manage_check(environment: dict[str, str], written: list[Entry], directory: Path) -> str:
    """Compare the tables with the fold, in a process that knows that database; returns what differs."""
    lines = [
        json.dumps([entry.stream, str(entry.entry_id), [[n.decode(), v.decode()] for n, v in entry.pairs]])
        for entry in written
    ]
    (directory / "written.ndjson").write_text("\n".join(lines))
    checked = subprocess.run(
        [sys.executable, "-m", "tests.faults.check", str(directory / "written.ndjson")],
        env=environment, cwd=CHECKOUT, capture_output=True, text=True,
    )  # fmt: skip
    return "" if checked.returncode == 0 else (checked.stdout + checked.stderr)[-3000:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--events", type=int, default=3_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of faults, in each run")
    parser.add_argument("--hours", type=float, default=0.0, help="go on with other seeds for so long")
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.hours * 3600
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    while True:
        directory = Path(tempfile.mkdtemp(prefix=f"evdash-faults-{seed}-"))
        started = time.monotonic()
        try:
            with database_of_its_own(seed) as database_url:
                run = Run(seed, arguments.events, arguments.seconds, directory, database_url)
                run.go()
        except AssertionError as problem:
            print(f"seed {seed}: {problem}\nfaults: {run.done}; everything of the run is in {directory}", flush=True)
            return 1
        took_s = time.monotonic() - started
        print(f"seed {seed}: {len(run.written)} entries, {took_s:.0f} s, {run.done}: every table is right.", flush=True)
        shutil.rmtree(directory)
        if time.monotonic() > end:
            return 0
        seed = random.SystemRandom().randrange(10**6)


if __name__ == "__main__":
    sys.exit(main())
