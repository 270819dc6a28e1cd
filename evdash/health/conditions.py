"""Health conditions: each kind is declared once. Overview, rail, Streams, /readyz and metrics show the same ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from evdash.health.facts import Facts
from evdash.ingest.projections.registry import projection_of_group
from evdash.streams.group_health import GroupHealth

Level = Literal["error", "warning", "info"]

NEW_GAP: Final = timedelta(hours=24)
"""A gap stays for ever. After this time it is a note and not a warning."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A health condition that holds now. `stream`, `group` and `shows_parked` name the page about it."""

    kind: str
    level: Level
    cause: str
    since: datetime | None  # None: unknown, or always
    remedy: str
    stream: str = ""
    group: str = ""
    shows_parked: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of health condition: its names, and how it follows from the facts."""

    name: str  # in metrics and in `data-kind`
    find: Callable[[Facts], Iterator[Condition]]
    one: str = ""  # "{n} consumer group is stuck." for /readyz, without names; "": the cause, which has none
    several: str = ""
    rail: str = "streams"  # the page whose rail entry has the badge
    check: str = ""  # the name of the check of /readyz: a process with this condition is not ready
    passed: str = ""  # the sentence of /readyz if the check has passed
    unknown_with: str = ""  # the kind of a condition without which this one cannot be found

    def in_words(self, conditions: Sequence[Condition]) -> str:
        """Return the sentence for conditions of this kind, of which there is at least one."""
        number = len(conditions)
        sentence = self.one if number == 1 else self.several
        return sentence.format(n=f"{number:,}") if sentence else conditions[0].cause


def _redis_unreachable(facts: Facts) -> Iterator[Condition]:
    if facts.unreachable:
        remedy = "Start Redis, or correct REDIS_URL. Until then, pages show the event log only."
        yield Condition("redis-unreachable", "error", facts.unreachable, facts.answered_at, remedy)


_REMEDIES: Final = {
    "NOPERM": "Give the Redis user the rights that docs/operations.md lists.",
    "READONLY": "REDIS_URL is a replica. Set it to the primary.",
    "OOM": "Redis has no memory left. Increase maxmemory, or trim streams.",
    "MISCONF": "Redis cannot save its data. Free disk space on its machine and see its log.",
    "NOREPLICAS": "Redis has fewer replicas than min-replicas-to-write. Start them.",
    "WRONGTYPE": "Remove the name from EVDASH_STREAMS, or delete the key.",
}


def _redis_writes_refused(facts: Facts) -> Iterator[Condition]:
    if code := facts.refuses_writes:
        since = min((problem.since for problem in facts.worker_problems if problem.code == code), default=None)
        yield Condition("redis-writes-refused", "error", f"Redis refuses writes ({code}).", since, _REMEDIES[code])


def _sql_unreachable(facts: Facts) -> Iterator[Condition]:
    if facts.sql.is_unreachable:
        cause = "SQL is unreachable or refuses the login."
        yield Condition("sql-unreachable", "error", cause, None, "Start the database, or correct DATABASE_URL.")


def _sql_writes_refused(facts: Facts) -> Iterator[Condition]:
    if problem := facts.sql.write_problem:
        remedy = "Free disk space of the database, or let its user write. Workers then continue automatically."
        yield Condition("sql-writes-refused", "error", problem, None, remedy)


def _migrations_missing(facts: Facts) -> Iterator[Condition]:
    if missing := facts.sql.missing_migrations:
        cause = f"{missing:,} {'migration is' if missing == 1 else 'migrations are'} not applied."
        yield Condition("migrations-missing", "error", cause, None, "Run `manage.py migrate`.")


def _workers_refused(facts: Facts) -> Iterator[Condition]:
    if facts.unreachable:
        return
    of_other_type = {stream.name for stream in facts.streams if stream.is_other_type}
    for problem in facts.worker_problems:
        if problem.stream in of_other_type:
            continue
        of = f" on {problem.stream}" if problem.stream else ""
        reason = f"Redis refuses it ({problem.code})" if problem.code else "Redis is unreachable"
        yield Condition(
            "worker-refused",
            "error",
            f"Worker {problem.consumer} of {problem.group}{of} cannot read: {reason}. {problem.cause}",
            problem.since,
            _REMEDIES.get(problem.code, "Remove the cause. The worker retries until it succeeds."),
            problem.stream,
        )


def _streams_unreadable(facts: Facts) -> Iterator[Condition]:
    for stream in facts.streams:
        if stream.problem:
            since = [problem.since for problem in facts.worker_problems if problem.stream == stream.name]
            yield Condition(
                "stream-unreadable",
                "error",
                stream.problem,
                min(since, default=None),
                _REMEDIES["WRONGTYPE" if stream.is_other_type else "NOPERM"],
                stream.name,
            )


def _groups_stuck(facts: Facts) -> Iterator[Condition]:
    refused = {problem.group for problem in facts.worker_problems if not problem.stream}
    for stream in facts.streams:
        for group in stream.groups:
            if group.is_stuck and group.group not in refused:
                yield Condition(
                    "group-stuck",
                    "warning",
                    f"{group.group} on {stream.name} is stuck. {stuck_words(group)}",
                    group.since,
                    stuck_remedy(group),
                    stream.name,
                    group.group,
                )


def _entries_parked(facts: Facts) -> Iterator[Condition]:
    for stream in facts.streams:
        if stream.parked:
            yield Condition(
                "entries-parked",
                "warning",
                f"{_entries(stream.parked)} of {stream.name} could not be applied and {_are(stream.parked)} parked.",
                stream.parked_since,
                "Remove the reason that the page names, then redeliver.",
                stream.name,
                shows_parked=True,
            )


def _gaps(facts: Facts) -> Iterator[Condition]:
    for removed in facts.removed:
        at_least = "" if removed.is_exact else "At least "
        is_new = facts.at - removed.last_noticed_at < NEW_GAP
        yield Condition(
            "gap",
            "warning" if is_new else "info",
            f"{at_least}{_entries(removed.entries)} of {removed.stream} {_are(removed.entries)} missing from the event "
            "log: removed before a worker read them.",
            removed.last_noticed_at,
            "Keep workers running, and trim less. If consumers delete entries when done, add the stream to "
            "EVDASH_QUEUES.",
            removed.stream,
        )


def _disk_full(facts: Facts) -> Iterator[Condition]:
    if facts.disk.is_full:
        reason = f" ({facts.disk.problem})" if facts.disk.problem else ""
        cause = f"The disk of the data directory is full{reason}. Nothing can be recorded."
        yield Condition("disk-full", "error", cause, None, "Free disk space. Workers then continue automatically.")


def _disk_low(facts: Facts) -> Iterator[Condition]:
    if facts.disk.is_low:
        cause = f"The disk of the data directory has {(facts.disk.free_bytes or 0) / 2**20:,.0f} MB left."
        yield Condition("disk-low", "warning", cause, None, "Free disk space before workers have to stop.")


KINDS: Final = (
    Kind(
        "redis-unreachable",
        _redis_unreachable,
        one="Redis is unreachable or refuses the login.",
        check="redis",
        passed="Redis answers.",
    ),
    Kind(
        "redis-writes-refused",
        _redis_writes_refused,
        check="redis_writes",
        passed="Redis does not refuse writes.",
        unknown_with="redis-unreachable",
    ),
    Kind("sql-unreachable", _sql_unreachable, rail="overview", check="sql", passed="SQL answers."),
    Kind(
        "sql-writes-refused",
        _sql_writes_refused,
        rail="overview",
        check="sql_writes",
        passed="SQL accepts writes.",
        unknown_with="sql-unreachable",
    ),
    Kind(
        "migrations-missing",
        _migrations_missing,
        rail="overview",
        check="migrations",
        passed="All migrations are applied.",
        unknown_with="sql-unreachable",
    ),
    Kind(
        "disk-full",
        _disk_full,
        one="The disk of the data directory is full or not writable.",
        rail="overview",
        check="disk-full",
        passed="The data directory is writable.",
    ),
    Kind("worker-refused", _workers_refused, "{n} worker cannot read.", "{n} workers cannot read."),
    Kind(
        "stream-unreadable",
        _streams_unreadable,
        "{n} stream has the wrong type or is not readable.",
        "{n} streams have the wrong type or are not readable.",
    ),
    Kind("group-stuck", _groups_stuck, "{n} consumer group is stuck.", "{n} consumer groups are stuck."),
    Kind("entries-parked", _entries_parked, "{n} stream has parked entries.", "{n} streams have parked entries."),
    Kind("gap", _gaps, "{n} stream has a new gap.", "{n} streams have new gaps."),
    Kind("disk-low", _disk_low, "The disk space is low.", rail="overview"),
)
"""All kinds, the most severe first."""


def stuck_words(group: GroupHealth) -> str:
    """Return the reasons why the group is stuck, as sentences."""
    words = [unread_words(group)] if group.is_unread else []
    if group.left_pending:
        consumers = "1 inactive consumer" if group.left_by == 1 else f"{group.left_by:,} inactive consumers"
        words.append(f"{_entries(group.left_pending)} {_are(group.left_pending)} pending with {consumers}.")
    return " ".join(words)


def unread_words(group: GroupHealth) -> str:
    """Return the sentence for a group that no consumer reads."""
    if group.last_read_at is None:
        return "No consumer has ever read."
    return f"No consumer has read since {group.last_read_at:%Y-%m-%d %H:%M:%S} UTC."


def stuck_remedy(group: GroupHealth) -> str:
    """Return the remedy for a stuck group, as sentences."""
    own = projection_of_group(group.group) is not None
    if group.active:
        return "A worker claims the entries automatically." if own else "Claim the entries for an active consumer."
    return f"{_start_hint(group.group)}{' Then claim the entries for it.' if group.left_pending and not own else ''}"


def _start_hint(group: str) -> str:
    """Return what to start for a group that no consumer reads."""
    if projection := projection_of_group(group):
        return f"Start a worker: manage.py work {projection.name}."
    return f"Start a consumer: a program that calls XREADGROUP GROUP {group} NAME."


def _entries(number: int) -> str:
    return "1 entry" if number == 1 else f"{number:,} entries"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
