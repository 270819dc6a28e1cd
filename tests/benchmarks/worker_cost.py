"""The cost of workers: the CPU time of `manage.py work` when idle and at two rates, and how late the event log is.

    python -m tests.benchmarks.worker_cost                 one minute; prints JSON
    python -m tests.benchmarks.worker_cost --seconds 5
    EVDASH_BATCH_MS=0 python -m tests.benchmarks.worker_cost    without gathering

Cores are CPU time of the process, of all its threads, divided by the seconds measured. The kernel counts it whatever
else the machine does, so it is steadier than any duration. Latency is from right before XADD until a reader of the
database sees the row, and includes up to 5 ms between two looks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from evdash.config.environment import CHECKOUT, declarations
from evdash.streams.embedded_server import EmbeddedServer
from tests.benchmarks.figures import Spread, spread
from tests.benchmarks.load import Load

LOW_RATE = 50
HIGH_RATE = 1_000
# The first seconds of a rate are not measured: a cold cache, and the rows of a new minute, hour and day.
WARM_UP_S = 2.0
LOOK_EVERY_S = 0.005
CAUGHT_UP_WITHIN_S = 20.0
# Cores at 50 events/s as a share of those at 1,000 events/s, and cores when idle.
LOW_SHARE_MAX = 0.25
IDLE_CORES_MAX = 0.02


@dataclass(frozen=True, slots=True)
class Measured:
    """The workers under one rate, or idle."""

    events_per_s: float
    applied_per_s: float  # mean of the groups; less than `events_per_s` where they fall behind
    cores: float
    batches_per_s: float  # of the audit group
    latency: Spread

    @property
    def cores_needed(self) -> float:
        """The cores that keeping up takes: as many as were used, where the workers did keep up."""
        return self.cores * max(1.0, self.events_per_s / self.applied_per_s) if self.applied_per_s else self.cores


class Work:
    """A running `manage.py work`, and the database that it fills."""

    def __init__(self, environment: dict[str, str], database: Path) -> None:
        manage = [sys.executable, str(CHECKOUT / "manage.py")]
        subprocess.run([*manage, "migrate", "--verbosity", "0"], env=environment, check=True)
        self._process = subprocess.Popen([*manage, "work"], env=environment)
        self._log = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)

    def cpu_s(self) -> float:
        """CPU time of all threads since the process began. Raises FileNotFoundError when it has ended."""
        # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: utime and stime are fields 14 and 15. Those
        # before are counted from the last parenthesis, since the name of the program may have spaces.
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rows(self) -> int:
        """How many rows the event log has: a single worker numbers them from 1, in the order of the stream."""
        newest: int | None = self._log.execute("SELECT max(id) FROM eventlog_loggedevent").fetchone()[0]
        return newest or 0

    def batches(self) -> int:
        """How many batches the audit group has applied."""
        question = "SELECT sum(batches) FROM eventlog_groupposition WHERE \"group\" = 'evdash-audit'"
        batches: int | None = self._log.execute(question).fetchone()[0]
        return batches or 0

    def applied(self) -> float:
        """How many events the groups have applied on average."""
        applied: float | None = self._log.execute("SELECT avg(applied) FROM eventlog_groupposition").fetchone()[0]
        return applied or 0.0

    def groups(self) -> int:
        """How many groups have begun."""
        return int(self._log.execute("SELECT count(*) FROM eventlog_groupposition").fetchone()[0])

    def end(self) -> None:
        """End the workers in order."""
        self._log.close()
        self._process.terminate()
        self._process.wait(30)


@contextmanager
def working() -> Iterator[tuple[Work, str]]:
    """Workers of all groups on a Valkey of their own, and its URL; all of it ends with the context."""
    left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {name: value for name, value in os.environ.items() if name in {"EVDASH_BATCH_MS"}}
    with TemporaryDirectory(prefix="evdash-bench-") as directory, EmbeddedServer(Path(directory)) as server:
        environment |= {"EVDASH_DATA_DIR": directory, "REDIS_URL": server.url}
        work = Work(environment, Path(directory) / "evdash.sqlite3")
        with closing_work(work):
            yield work, server.url


@contextmanager
def closing_work(work: Work) -> Iterator[None]:
    """Ends the workers whatever happens."""
    try:
        deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
        while work.groups() < 3:
            assert time.monotonic() < deadline, "the workers did not begin"
            time.sleep(0.1)
        yield
    finally:
        work.end()


def idle(work: Work, seconds: float) -> Measured:
    """Measure the workers while nothing is written."""
    time.sleep(WARM_UP_S)
    batches, cpu_s, began_s = work.batches(), work.cpu_s(), time.monotonic()
    time.sleep(seconds)
    took_s = time.monotonic() - began_s
    return Measured(0.0, 0.0, (work.cpu_s() - cpu_s) / took_s, (work.batches() - batches) / took_s, spread([]))


def under_load(work: Work, redis_url: str, rate: int, seconds: float) -> Measured:
    """Measure the workers while `rate` events a second are written."""
    before = seen = work.rows()
    seen_ns: list[int] = []
    load = Load(redis_url, rate, WARM_UP_S + seconds)
    try:
        load.start()
        began_s = time.monotonic()
        measured: tuple[float, int, float, float] | None = None  # CPU time, batches, events and the moment of the start
        while not load.is_over(LOOK_EVERY_S):
            now_s = time.monotonic()
            if measured is None and now_s - began_s >= WARM_UP_S:
                measured = work.cpu_s(), work.batches(), work.applied(), now_s
            rows = work.rows()
            seen_ns += [time.monotonic_ns()] * (rows - seen)
            seen = rows
        assert measured is not None
        cpu_s, batches, applied, measured_s = measured
        took_s = time.monotonic() - measured_s
        cores, batches_per_s = (work.cpu_s() - cpu_s) / took_s, (work.batches() - batches) / took_s
        applied_per_s = (work.applied() - applied) / took_s
        published = load.published()
    finally:
        load.end()
    deadline = time.monotonic() + CAUGHT_UP_WITHIN_S
    while len(seen_ns) < len(published.sent_ns):
        assert time.monotonic() < deadline, f"{len(published.sent_ns) - len(seen_ns)} events are not in the event log"
        rows = work.rows()
        seen_ns += [time.monotonic_ns()] * (rows - seen)
        seen = rows
        time.sleep(LOOK_EVERY_S)
    assert seen - before == len(published.sent_ns)
    first = int(WARM_UP_S * rate)
    late = [(then - sent) / 1e6 for sent, then in zip(published.sent_ns[first:], seen_ns[first:], strict=True)]
    return Measured(published.rate, applied_per_s, cores, batches_per_s, spread(late))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=12.0, help="of measuring, three times (%(default)s)")
    arguments = parser.parse_args()
    with working() as (work, redis_url):
        at_rest = idle(work, arguments.seconds)
        low = under_load(work, redis_url, LOW_RATE, arguments.seconds)
        high = under_load(work, redis_url, HIGH_RATE, arguments.seconds)
    low_share = low.cores / high.cores_needed
    problems = []
    if at_rest.cores > IDLE_CORES_MAX:
        problems.append(f"Idle workers use {at_rest.cores:.3f} cores, more than {IDLE_CORES_MAX}.")
    if low_share > LOW_SHARE_MAX:
        problems.append(f"{LOW_RATE} events/s cost {low_share:.2f} of {HIGH_RATE} events/s, not {LOW_SHARE_MAX}.")
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    figures = {
        "machine": f"{machine}; load average {os.getloadavg()[0]:.1f}",
        "idle": asdict(at_rest),
        f"{LOW_RATE} events/s": asdict(low),
        f"{HIGH_RATE} events/s": asdict(high),
        "cores_needed": high.cores_needed,
        "idle_share": at_rest.cores / high.cores_needed,
        "low_share": low_share,
        "problems": problems,
    }
    print(json.dumps(figures, indent=2, default=str))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
