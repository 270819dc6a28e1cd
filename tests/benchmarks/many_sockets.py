"""Many sockets with mixed filters, of which some stop reading: how late rows come, and what the server needs for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from statistics import median

from tests.benchmarks.figures import Spread, spread
from tests.benchmarks.load import Load, Published, Wanted, event, everything, mixed_filters
from tests.benchmarks.served import Cost, Served, served
from tests.benchmarks.sockets import Received, Result, SocketRequest, Sockets

SOCKETS_OF_A_PERSON = 40  # the server allows 50
LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class ManySockets:
    """What one run has shown. Memory in MiB of the web server's process."""

    reading: int
    stopped: int
    published: int
    published_per_s: float
    matched: int  # by filters of reading sockets
    rows: int
    skipped: int
    received_per_s: float  # rows and skipped ones, of reading sockets
    received_mib: float
    latency: Spread  # from right before XADD to having the message with the row
    latency_by_kind: dict[str, Spread]
    rss_before_mib: float
    rss_publishing_mib: float  # median of the second half, when everything that fills is full
    rss_peak_mib: float
    rss_after_mib: float
    stopped_closed: int  # of those that stopped: the server gives up on them after 50 s without an answer to its ping
    server_cpu_s: float
    server_waited_s: float  # for a processor; 0 where the system does not say
    clients_cpu_s: float
    problems: tuple[str, ...]


def run(reading: int, stopped: int, rate: int, seconds: float) -> ManySockets:
    """Publishes for so long on an evdash of its own. The sockets that stop want everything: that costs most."""
    wanted = [*islice(mixed_filters(), reading), *(everything() for _ in range(stopped))]
    with served() as evdash:
        cookies = [evdash.cookie(f"person-{number}") for number in range(len(wanted) // SOCKETS_OF_A_PERSON + 1)]
        requests = [
            SocketRequest(each.query, cookies[number // SOCKETS_OF_A_PERSON], stops=number >= reading)
            for number, each in enumerate(wanted)
        ]
        before = evdash.cost()
        sockets = Sockets(evdash.address, requests)
        try:
            published, costs = _publish(evdash, rate, seconds)
            matching = [_matching(each, published) for each in wanted]
            result = sockets.result([len(numbers) for numbers in matching])
        finally:
            sockets.end()
        after = evdash.cost()
    problems = _problems(wanted, matching, published, result, reading)
    latencies = _latencies(wanted[:reading], published, result)
    own = result.received[:reading]
    memory = [cost.rss_mib for cost in costs]
    return ManySockets(
        reading=reading,
        stopped=stopped,
        published=len(published.entry_ids),
        published_per_s=published.rate,
        matched=sum(map(len, matching[:reading])),
        rows=sum(len(each.rows) for each in own),
        skipped=sum(each.skipped for each in own),
        received_per_s=sum(each.accounted for each in own) / published.took_s,
        received_mib=sum(each.size for each in own) / 2**20,
        latency=spread([latency for kind in latencies.values() for latency in kind]),
        latency_by_kind={kind: spread(measured) for kind, measured in latencies.items()},
        rss_before_mib=before.rss_mib,
        rss_publishing_mib=median(memory[len(memory) // 2 :]),
        rss_peak_mib=max(memory),
        rss_after_mib=after.rss_mib,
        stopped_closed=sum(each.is_closed for each in result.received[reading:]),
        server_cpu_s=costs[-1].cpu_s - costs[0].cpu_s,
        server_waited_s=costs[-1].waited_s - costs[0].waited_s,
        clients_cpu_s=result.cpu_s,
        problems=tuple(problems),
    )


def _publish(evdash: Served, rate: int, seconds: float) -> tuple[Published, list[Cost]]:
    """What was published, and the server's costs from beginning to end."""
    load = Load(evdash.redis_url, rate, seconds)
    try:
        costs = [evdash.cost()]
        load.start()
        while not load.is_over(LOOK_EVERY_S):
            costs.append(evdash.cost())
        costs.append(evdash.cost())
        return load.published(), costs
    finally:
        load.end()


def _matching(wanted: Wanted, published: Published) -> list[int]:
    """The numbers of the published events that this filter lets through."""
    return [number for number in range(len(published.entry_ids)) if wanted.matches(event(number))]


def _problems(
    wanted: Sequence[Wanted], matching: Sequence[Sequence[int]], published: Published, result: Result, reading: int
) -> list[str]:
    number_of = {entry_id: number for number, entry_id in enumerate(published.entry_ids)}
    numbers = [number_of.get(entry_id, -1) for entry_id in result.entry_ids]
    problems = []
    for socket, (each, expected, received) in enumerate(zip(wanted, matching, result.received, strict=True)):
        if socket >= reading and received.is_closed:
            continue
        if problem := problem_of(received, [numbers[row] for row in received.rows], expected):
            problems.append(f"Socket {socket} ({each.kind}): {problem}.")
    return problems


def problem_of(received: Received, rows: Sequence[int], expected: Sequence[int]) -> str:
    """What is wrong with what a socket was sent, "" when nothing is.

    Each event of its filter is a row, once and in order, or is counted as skipped.
    """
    if received.problem:
        return received.problem
    if received.is_closed:
        return "the server closed it"
    if strangers := len(set(rows) - set(expected)):
        return f"{strangers} rows are not of its filter"
    if any(one >= other for one, other in pairwise(rows)):
        return "rows came twice or not in order"
    if received.accounted != len(expected):
        return f"{len(expected)} events match, {len(rows)} rows and {received.skipped} skipped ones came"
    return ""


def _latencies(wanted: Sequence[Wanted], published: Published, result: Result) -> dict[str, list[float]]:
    """Milliseconds, by kind of filter."""
    sent_ns = dict(zip(published.entry_ids, published.sent_ns, strict=True))
    sent_ns_of_row = [sent_ns.get(entry_id, 0) for entry_id in result.entry_ids]
    latencies: dict[str, list[float]] = {}
    for each, received in zip(wanted, result.received, strict=False):
        rows = zip(received.rows, received.rows_ns, strict=True)
        latencies.setdefault(each.kind, []).extend((now_ns - sent_ns_of_row[row]) / 1e6 for row, now_ns in rows)
    return latencies
