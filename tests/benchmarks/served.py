"""An evdash that is measured: `manage.py up` in a directory of its own, persons who are signed in, what it costs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

from evdash.config.environment import CHECKOUT, declarations
from tests.running import Up, children_of, free_port


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process has at the moment, and what it has used since it started."""

    rss_mib: float
    cpu_s: float
    waited_s: float  # for a processor that was busy with others; 0 where the system does not say


@dataclass(frozen=True, slots=True)
class Served:
    """A running evdash."""

    address: str
    redis_url: str
    link: str  # signs the first person in, once
    server_pid: int
    environment: dict[str, str]

    def cookie(self, person: str) -> str:
        """The Cookie header of this person, who signs in as with any browser."""
        link = subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), "sign_in_link", person],
            env=self.environment, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        cookies = CookieJar()
        browser = build_opener(HTTPCookieProcessor(cookies))
        form = browser.open(link).read().decode()
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token is not None, form
        browser.open(link, urlencode({"csrfmiddlewaretoken": token[1]}).encode()).read()
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)

    def cost(self) -> Cost:
        """Of all processes of the web server. The CPU time is exact to a second only where `ps` is no better."""
        costs = [self._cost_of(pid) for pid in (self.server_pid, *children_of(self.server_pid))]
        return Cost(
            sum(cost.rss_mib for cost in costs), sum(cost.cpu_s for cost in costs), sum(cost.waited_s for cost in costs)
        )

    def _cost_of(self, pid: int) -> Cost:
        columns = ["ps", "-o", "rss=", "-o", "time=", "-p", str(pid)]
        rss_kib, time = subprocess.run(columns, capture_output=True, text=True, check=True).stdout.split()
        # https://docs.kernel.org/scheduler/sched-stats.html: of the thread that runs the event loop, in ns
        waits = Path(f"/proc/{pid}/schedstat")
        waited_ns = int(waits.read_text().split()[1]) if waits.exists() else 0
        return Cost(int(rss_kib) / 1024, seconds_of(time), waited_ns / 1e9)


def seconds_of(time: str) -> float:
    """Seconds of what `ps` says: [[days-]hours:]minutes:seconds, on macOS with hundredths."""
    days, _, clock = time.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + int(days or 0) * 86_400


@contextmanager
def served() -> Iterator[Served]:
    """An evdash with a worker and an embedded Valkey of its own; all of it ends with the context."""
    left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
    with TemporaryDirectory(prefix="evdash-bench-") as directory:
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment["EVDASH_DATA_DIR"] = str(Path(directory) / "data")
        up = Up(environment, Path(directory) / "up.log", "--port", str(free_port()), "--no-demo")
        try:
            up.wait_for("Ctrl-C stops")
            link = up.wait_for(r"http://\S+/sign-in/\S+")[0]
            yield Served(
                address=link.partition("/sign-in/")[0],
                redis_url=up.wait_for(r"Redis +(redis://\S+)")[1],
                link=link,
                server_pid=up.children()["manage.py serve"],
                environment=environment,
            )
        finally:
            up.stop()
