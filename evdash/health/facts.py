"""The facts that health conditions follow from: of Redis, of SQL and of the disk, read once for all conditions.

Redis takes one round trip. A second one follows if entries are pending or wait for a group, or if entries are parked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from evdash.eventlog.consumer_reads import Claims, claims_on, judge
from evdash.eventlog.gaps import RemovedEntries, removed_entries
from evdash.eventlog.worker_problems import Problem, present_problems
from evdash.events.entry import EntryId
from evdash.health.disk import Disk, disk_of
from evdash.health.sql import Sql, read_sql
from evdash.ingest.projections.registry import projections
from evdash.streams import replies
from evdash.streams.client import Command, StreamsUnavailable, call_each, last_answer, open_client, refusal
from evdash.streams.dead_letters import parked_stream
from evdash.streams.group_health import GroupHealth
from evdash.streams.names import name_of
from evdash.streams.stream_info import ConsumerInfo, consumers_of, stream_info_of

WRITE_REFUSALS: Final = ("MISCONF", "OOM", "READONLY", "NOREPLICAS")
"""Codes of the errors with which a Redis that answers refuses writes."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One configured stream and its groups."""

    name: str
    problem: str = ""  # the sentence if Redis refuses to read it
    is_other_type: bool = False  # the key exists and is not a stream
    groups: tuple[GroupHealth, ...] = ()
    parked: int | None = 0  # None: this user may not read their number
    parked_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts at one moment."""

    at: datetime
    unreachable: str  # the sentence if Redis does not answer; `streams` is then empty
    answered_at: datetime | None  # when Redis last answered this process
    refuses_writes: str  # the code with which Redis refuses writes; "" if it accepts them, or if that is unknown
    sql: Sql
    streams: tuple[StreamFacts, ...]
    worker_problems: tuple[Problem, ...]
    removed: tuple[RemovedEntries, ...]
    disk: Disk


def read_facts() -> Facts:
    """Return the facts as of now. Never raises: a fact that cannot be read is unknown."""
    now, names = datetime.now(UTC), settings.EVDASH.streams
    sql = read_sql()
    problems: tuple[Problem, ...] = ()
    removed: tuple[RemovedEntries, ...] = ()
    claims: Claims = {}
    if not sql.is_unreachable:
        with suppress(DatabaseError, InterfaceError):
            problems, removed = tuple(present_problems()), tuple(removed_entries(names))
            claims = claims_on(names)
    unreachable = refuses_writes = ""
    streams: tuple[StreamFacts, ...] = ()
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            refuses_writes, streams = _redis_facts(client, names, claims, now)
        except StreamsUnavailable as outage:
            unreachable = str(outage)
        answered_at = last_answer(client)
    disk = disk_of(settings.EVDASH.data_dir)
    return Facts(now, unreachable, answered_at, refuses_writes, sql, streams, problems, removed, disk)


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    raw_name: bytes
    pending: int
    has_waiting: bool


def _redis_facts(
    client: redis.Redis, names: Sequence[str], claims: Claims, now: datetime
) -> tuple[str, tuple[StreamFacts, ...]]:
    """Return the code with which Redis refuses writes, or "", and the streams. Raise StreamsUnavailable."""
    # An XADD with an invalid ID never adds an entry. A server that refuses writes refuses it before it reads the ID.
    # PING is for users without XADD: a server that cannot save its data refuses it, too.
    first: list[Command] = [("PING",), ("XADD", parked_stream(names[0]), "never", "field", "value")]
    first += [
        command
        for name in names
        for command in (("XINFO STREAM", name), ("XINFO GROUPS", name), ("XLEN", parked_stream(name)), ("TYPE", name))
    ]
    answers = iter(call_each(client, *first))
    probes = [next(answers), next(answers)]
    codes = {refusal(client, probe).code for probe in probes if isinstance(probe, redis.ResponseError)}
    of_streams = [(name, next(answers), next(answers), next(answers), next(answers)) for name in names]
    groups = {name: list(_groups(info, listed)) for name, info, listed, _, _ in of_streams}
    busy = [(name, group) for name in names for group in groups[name] if group.pending or group.has_waiting]
    parked = [name for name, _, _, number, _ in of_streams if isinstance(number, int) and number]
    second: list[Command] = [("XINFO CONSUMERS", name, group.raw_name) for name, group in busy]
    second += [("XRANGE", parked_stream(name), "-", "+", "COUNT", 1) for name in parked]
    more = call_each(client, *second) if second else []
    consumers = dict(zip([(name, group.name) for name, group in busy], map(_consumers, more), strict=False))
    oldest = dict(zip(parked, more[len(busy) :], strict=True))
    streams = tuple(
        StreamFacts(
            name=name,
            problem=_problem(client, name, info, kind),
            is_other_type=isinstance(info, redis.ResponseError) and "WRONGTYPE" in str(info),
            groups=tuple(
                judge(
                    claims,
                    name,
                    group.name,
                    consumers.get((name, group.name), []),
                    has_waiting=group.has_waiting,
                    now=now,
                )
                for group in [*groups[name], *_missing(info, groups[name])]
            ),
            parked=number if isinstance(number, int) else None,
            parked_since=_time_of_first(oldest.get(name)),
        )
        for name, info, _, number, kind in of_streams
    )
    return next((code for code in WRITE_REFUSALS if code in codes), ""), streams


def _consumers(reply: Any) -> list[ConsumerInfo] | None:
    return consumers_of(reply) if isinstance(reply, list) else None


def _groups(info_reply: Any, groups_reply: Any) -> Iterator[_Group]:
    if isinstance(info_reply, redis.ResponseError) or isinstance(groups_reply, redis.ResponseError):
        return
    info = stream_info_of(info_reply)
    for record in map(replies.record, groups_reply):
        delivered = EntryId.parse(record["last-delivered-id"])
        waiting = info.has_entries_after(delivered)
        yield _Group(name_of(record["name"]), record["name"], int(record["pending"]), waiting)


def _missing(info_reply: Any, groups: Sequence[_Group]) -> Iterator[_Group]:
    """Yield the groups of evdash that a stream with entries does not have: no worker has read it."""
    if isinstance(info_reply, redis.ResponseError) or not stream_info_of(info_reply).has_entries_after(EntryId.MIN):
        return
    names = {group.name for group in groups}
    for projection in projections().values():
        if projection.group not in names:
            yield _Group(projection.group, projection.group.encode(), 0, True)


def _problem(client: redis.Redis, stream: str, info_reply: Any, kind_reply: Any) -> str:
    if not isinstance(info_reply, redis.ResponseError) or "no such key" in str(info_reply).lower():
        return ""
    if "WRONGTYPE" in str(info_reply):
        kind = replies.text(kind_reply) if isinstance(kind_reply, bytes) else "other key"
        return f"{stream} has the wrong type: it is a {kind}, not a stream."
    return str(refusal(client, info_reply, stream))


def _time_of_first(range_reply: Any) -> datetime | None:
    return EntryId.parse(range_reply[0][0]).time if isinstance(range_reply, list) and range_reply else None
