"""How quick pages are while many people read and events arrive, as ratios to the same pages at rest.

    python -m tests.benchmarks.pages                  readers at rest, then with events arriving: two minutes
    python -m tests.benchmarks.pages --readers 50 --seconds 30 --rate 1000 --history 30000 --json

Everything runs on this machine: `manage.py up` with its workers, a publisher, and readers that think for a second
between two pages. Exit code 1 when an answer was neither a page nor the stated 503.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlsplit

from tests.benchmarks import load
from tests.benchmarks.load import Load
from tests.benchmarks.served import Served, served

THINK_S = 1.0
TIMEOUT_S = 60.0
QUIET_S = 2.0
_INDEXED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Read:
    """One page that was asked for."""

    page: str
    status: int  # 0: there was no answer
    took_ms: float


@dataclass(frozen=True, slots=True)
class Phase:
    """What the readers got over some seconds."""

    pages_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    statuses: dict[str, int]
    server_cpu_cores: float
    server_rss_mib: float


def addresses(number: int) -> Iterator[tuple[str, str]]:
    """Page after page that a reader opens, on and on; each reader begins with another one."""
    chance = random.Random(number)
    pages = ("overview", "events", "sessions", "session", "errors", "user")
    while True:
        page = pages[number % len(pages)]
        number += 1
        session = chance.randrange(load.SESSIONS)
        path = {
            "overview": "/",
            "session": f"/sessions/session-{session}/",
            "user": f"/users/user-{session % load.USERS}/",
        }
        yield page, path.get(page, f"/{page}/")


def _readers(address: str, cookie: str, count: int, seconds: float, pipe: Connection) -> None:
    """Read pages with `count` threads, each over a connection of its own. For a process of its own."""
    parts = urlsplit(address)
    reads: list[Read] = []

    def read(number: int) -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        end_s = time.monotonic() + seconds
        time.sleep(random.Random(number).random() * THINK_S)
        for page, path in addresses(number):
            if time.monotonic() >= end_s:
                break
            started_s, status = time.monotonic(), 0
            try:
                connection.request("GET", path, headers={"Cookie": cookie})
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
            reads.append(Read(page, status, (time.monotonic() - started_s) * 1000))
            time.sleep(THINK_S)
        connection.close()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipe.send(reads)


def phase(site: Served, cookie: str, readers: int, seconds: float) -> Phase:
    """Let the readers read for so long."""
    context = get_context("spawn")
    pipe, other = context.Pipe()
    process = context.Process(target=_readers, args=(site.address, cookie, readers, seconds, other))
    before, started_s = site.cost(), time.monotonic()
    process.start()
    reads: list[Read] = pipe.recv()
    process.join()
    after, took_s = site.cost(), time.monotonic() - started_s
    times = sorted(each.took_ms for each in reads) or [0.0]
    return Phase(
        pages_per_s=len(reads) / took_s,
        p50_ms=_at(times, 0.5),
        p95_ms=_at(times, 0.95),
        p99_ms=_at(times, 0.99),
        statuses={str(status): number for status, number in sorted(Counter(each.status for each in reads).items())},
        server_cpu_cores=(after.cpu_s - before.cpu_s) / took_s,
        server_rss_mib=after.rss_mib,
    )


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def fill(site: Served, events: int) -> None:
    """Write a history, and wait until the workers have put all of it into the log."""
    import redis

    published = Load(site.redis_url, events, 1.0)
    published.start()
    published.published()
    client = redis.Redis.from_url(site.redis_url)
    end_s = time.monotonic() + _INDEXED_WITHIN_S
    while time.monotonic() < end_s:
        groups = client.xinfo_groups("memory:events")
        if groups and all(group["lag"] == 0 and group["pending"] == 0 for group in groups):
            return
        time.sleep(0.2)
    raise TimeoutError("The workers did not catch up with the history.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=10, help="people who read at once (%(default)s)")
    parser.add_argument("--seconds", type=float, default=25.0, help="of each phase (%(default)s)")
    parser.add_argument("--rate", type=int, default=1_000, help="events a second in the second phase (%(default)s)")
    parser.add_argument("--history", type=int, default=20_000, help="events before the first phase (%(default)s)")
    parser.add_argument("--json", action="store_true", help="all figures, for machines")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended then, too
    with served() as site:
        cookie = site.cookie("reader")
        fill(site, arguments.history)
        time.sleep(QUIET_S)
        rest = phase(site, cookie, arguments.readers, arguments.seconds)
        writing = Load(site.redis_url, arguments.rate, arguments.seconds)
        writing.start()
        busy = phase(site, cookie, arguments.readers, arguments.seconds)
        rate = writing.published().rate
    ratios = {
        "pages a second": busy.pages_per_s / rest.pages_per_s,
        "p50": busy.p50_ms / rest.p50_ms,
        "p95": busy.p95_ms / rest.p95_ms,
    }
    odd = {status for each in (rest, busy) for status in each.statuses if status not in ("200", "404", "503")}
    if arguments.json:
        figures = {"rest": asdict(rest), "busy": asdict(busy), "events_per_s": rate, "busy_to_rest": ratios}
        print(json.dumps(figures, indent=2))
    else:
        print(f"{arguments.readers} readers, at rest and with {rate:,.0f} events/s arriving")
        for name, each in (("at rest", rest), ("arriving", busy)):
            print(
                f"  {name:<9} {each.pages_per_s:5.1f} pages/s  p50 {each.p50_ms:6.0f}  p95 {each.p95_ms:6.0f}  "
                f"p99 {each.p99_ms:6.0f} ms  {each.server_cpu_cores:.2f} cores  {each.server_rss_mib:.0f} MiB  "
                f"answers {each.statuses}"
            )
        print("  ratio     " + "  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items()))
    for status in sorted(odd):
        print(f"Answers with status {status} (0: none)", file=sys.stderr)
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main())
