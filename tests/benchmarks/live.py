"""How live carries load: many sockets of which some stop reading, then one page in a browser under very many events.

    python -m tests.benchmarks.live                        both, with and without the sockets that stop: two minutes
    python -m tests.benchmarks.live --only sockets --seconds 10 --json

Everything runs on this machine, the web server as `manage.py up` starts it, publisher and clients in processes apart
from it. Exit code 1 when an event of a filter was neither shown nor counted, whatever the times.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict

from tests.benchmarks import many_sockets, one_page
from tests.benchmarks.many_sockets import ManySockets
from tests.benchmarks.one_page import OnePage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("sockets", "page"), help="one of the two; otherwise both")
    parser.add_argument("--seconds", type=float, default=30.0, help="of publishing to the sockets, twice (%(default)s)")
    parser.add_argument("--page-seconds", type=float, default=15.0, help="of publishing to the page (%(default)s)")
    parser.add_argument("--sockets", type=int, default=200, help="open at once (%(default)s)")
    parser.add_argument("--stopped", type=int, default=20, help="of these, how many stop reading (%(default)s)")
    parser.add_argument("--rate", type=int, default=1_000, help="events a second to the sockets (%(default)s)")
    parser.add_argument("--page-rate", type=int, default=10_000, help="events a second to the page (%(default)s)")
    parser.add_argument("--json", action="store_true", help="all figures, for machines")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended then, too
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    machine += f"; load average before: {os.getloadavg()[0]:.1f}"  # times are of a machine that has nothing else to do
    figures: dict[str, object] = {"machine": machine}
    lines = [machine]
    problems: list[str] = []
    if arguments.only != "page":
        reading = arguments.sockets - arguments.stopped
        without = many_sockets.run(reading, 0, arguments.rate, arguments.seconds)
        with_stopped = many_sockets.run(reading, arguments.stopped, arguments.rate, arguments.seconds)
        figures |= {"sockets_without_stopped": asdict(without), "sockets": asdict(with_stopped)}
        lines += [*sockets_lines(with_stopped), *stopped_lines(without, with_stopped)]
        problems += [*without.problems, *with_stopped.problems]
    if arguments.only != "sockets":
        page = one_page.run(arguments.page_rate, arguments.page_seconds)
        figures["page"] = asdict(page)
        lines += page_lines(page)
        problems += page.problems
    if arguments.json:
        print(json.dumps(figures | {"problems": problems}, indent=2))
    else:
        print("\n".join(lines))
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def sockets_lines(run: ManySockets) -> Iterator[str]:
    """What a run with many sockets has shown."""
    yield ""
    yield f"{run.reading + run.stopped} sockets, {run.stopped} of them not reading; {run.published_per_s:,.0f} events/s"
    yield _line("publish to socket", run.latency)
    for kind, latency in run.latency_by_kind.items():
        yield _line(f"  {kind}", latency)
    yield _line("received", f"{run.received_per_s:,.0f} events/s, {run.received_mib:,.0f} MiB in all")
    yield _line("accounted for", f"{run.rows:,} rows + {run.skipped:,} skipped of {run.matched:,} that matched")
    yield _line(
        "server's memory",
        f"{run.rss_before_mib:,.0f} MiB before, {run.rss_peak_mib:,.0f} at its peak, {run.rss_after_mib:,.0f} after",
    )
    yield _line("CPU", f"server {cpu(run.server_cpu_s, run.server_waited_s)}, clients {run.clients_cpu_s:,.1f} s")


def stopped_lines(without: ManySockets, with_stopped: ManySockets) -> Iterator[str]:
    """What the sockets that do not read cost."""
    one, other = without.rss_publishing_mib, with_stopped.rss_publishing_mib
    each = f", {(other - one) / with_stopped.stopped:,.2f} MiB each" if with_stopped.stopped else ""
    yield _line("memory without the stopped", f"{one:,.1f} MiB; with them {other:,.1f}, {other / one:.2f} times{each}")
    if with_stopped.stopped_closed:
        yield _line("given up by the server", f"{with_stopped.stopped_closed} of them")
    yield _line("latency without the stopped", without.latency)
    yield _line("CPU without the stopped", f"server {cpu(without.server_cpu_s, without.server_waited_s)}")


def page_lines(run: OnePage) -> Iterator[str]:
    """What a run with one page has shown."""
    yield ""
    yield f"One Live page in Chromium; {run.published_per_s:,.0f} events/s"
    yield _line("accounted for", f"{run.rows:,} rows + {run.skipped:,} skipped of {run.published:,} published")
    yield _line("complete after the last", f"{run.complete_after_s:,.1f} s")
    yield _line("between two frames", run.frame_gap)
    yield _line("tasks of 50 ms and more", f"{run.long_tasks.measured}, the longest {run.long_tasks.max_ms:,.0f} ms")
    yield _line("click on Pause to its text", f"{run.pause}, of {run.pause.measured}")
    yield _line("rows in the page", f"{run.rows_in_page_max:,} at most")
    yield _line("heap of its scripts", f"{run.heap_before_mib:,.1f} MiB before, {run.heap_after_mib:,.1f} after")
    parts = f"scripts {run.scripts_s:,.1f}, styles {run.styles_s:,.1f}, layout {run.layout_s:,.1f}"
    yield _line("work of its main thread", f"{run.main_thread_s:,.1f} s: {parts}")
    memory = f"{run.server_rss_before_mib:,.0f} MiB before, {run.server_rss_after_mib:,.0f} after"
    yield _line("server", f"{memory}; CPU {cpu(run.server_cpu_s, run.server_waited_s)}")


def cpu(used_s: float, waited_s: float) -> str:
    """Seconds of CPU time, and those in which others had the processor."""
    return f"{used_s:,.1f} s (waited {waited_s:,.1f} s for a processor)"


def _line(what: str, figures: object) -> str:
    return f"  {what:<28}{figures}"


if __name__ == "__main__":
    sys.exit(main())
