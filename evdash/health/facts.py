"""The facts that health conditions follow from: of Redis, of SQL and of the disk, read once for all conditions.

Redis takes one round trip. A second one follows if entries are pending or wait for a group, or if entries are parked.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import redis
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from evdash.eventlog.consumer_reads import last_reads
from evdash.eventlog.gaps import RemovedEntries, removed_entries
from evdash.eventlog.worker_problems import Problem, present_problems
from evdash.events.entry import EntryId
from evdash.ingest.projections.registry import projections
from evdash.streams import replies
from evdash.streams.client import Command, StreamsUnavailable, call_each, last_answer, open_client, refusal
from evdash.streams.dead_letters import parked_stream
from evdash.streams.group_health import GroupHealth, Reads, group_health
from evdash.streams.names import name_of
from evdash.streams.stream_info import StreamInfo, consumers_of, stream_info_of

PROBE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One configured stream and its groups."""

    name: str
    problem: str = ""  # the sentence if Redis refuses to read it
    is_other_type: bool = False  # the key exists and is not a stream
    groups: tuple[GroupHealth, ...] = ()
    parked: int = 0
    parked_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of the data directory."""

    free_bytes: int | None  # None: unknown
    problem: str = ""  # the reason of the operating system if nothing can be written


@dataclass(frozen=True, slots=True)
class Facts:
    """All facts at one moment."""

    at: datetime
    unreachable: str  # the sentence if Redis does not answer; `streams` is then empty
    answered_at: datetime | None  # when Redis last answered this process
    streams: tuple[StreamFacts, ...]
    worker_problems: tuple[Problem, ...]
    removed: tuple[RemovedEntries, ...]
    disk: Disk


def read_facts(*, with_sql: bool = True) -> Facts:
    """Return the facts as of now. Never raises: what cannot be read is unknown."""
    now = datetime.now(UTC)
    unreachable = ""
    streams: tuple[StreamFacts, ...] = ()
    with open_client(settings.EVDASH.redis_url) as client:
        try:
            streams = _streams(client, settings.EVDASH.streams, now, with_sql)
        except StreamsUnavailable as outage:
            unreachable = str(outage)
        answered_at = last_answer(client)
    problems: tuple[Problem, ...] = ()
    removed: tuple[RemovedEntries, ...] = ()
    with suppress(DatabaseError, InterfaceError):
        if with_sql:
            problems, removed = tuple(present_problems()), tuple(removed_entries(settings.EVDASH.streams))
    return Facts(now, unreachable, answered_at, streams, problems, removed, disk_of(settings.EVDASH.data_dir))


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    raw_name: bytes
    last_delivered: EntryId
    pending: int
    has_waiting: bool


def _streams(client: redis.Redis, names: Sequence[str], now: datetime, with_sql: bool) -> tuple[StreamFacts, ...]:
    first: list[Command] = [
        command
        for name in names
        for command in (("XINFO STREAM", name), ("XINFO GROUPS", name), ("XLEN", parked_stream(name)), ("TYPE", name))
    ]
    answers = iter(call_each(client, *first) if first else ())
    of_streams = [(name, next(answers), next(answers), next(answers), next(answers)) for name in names]
    groups = {name: list(_groups(info, listed)) for name, info, listed, _, _ in of_streams}
    busy = [(name, group) for name in names for group in groups[name] if group.pending or group.has_waiting]
    parked = [name for name, _, _, number, _ in of_streams if isinstance(number, int) and number]
    second: list[Command] = [("XINFO CONSUMERS", name, group.raw_name) for name, group in busy]
    second += [("XRANGE", parked_stream(name), "-", "+", "COUNT", 1) for name in parked]
    more = call_each(client, *second) if second else []
    consumers = dict(zip([(name, group.name) for name, group in busy], more, strict=False))
    oldest = dict(zip(parked, more[len(busy) :], strict=True))
    return tuple(
        StreamFacts(
            name=name,
            problem=_problem(client, name, info, kind),
            is_other_type=isinstance(info, redis.ResponseError) and "WRONGTYPE" in str(info),
            groups=tuple(
                _health(name, group, consumers.get((name, group.name), []), now, with_sql)
                for group in [*groups[name], *_missing(info, groups[name])]
            ),
            parked=number if isinstance(number, int) else 0,
            parked_since=_time_of_first(oldest.get(name)),
        )
        for name, info, _, number, kind in of_streams
    )


def _groups(info_reply: Any, groups_reply: Any) -> Iterator[_Group]:
    if isinstance(info_reply, redis.ResponseError) or isinstance(groups_reply, redis.ResponseError):
        return
    info = stream_info_of(info_reply)
    for record in map(replies.record, groups_reply):
        delivered = EntryId.parse(record["last-delivered-id"])
        waiting = _has_entries_after(info, delivered)
        yield _Group(name_of(record["name"]), record["name"], delivered, int(record["pending"]), waiting)


def _has_entries_after(info: StreamInfo, entry_id: EntryId) -> bool:
    return info.last_id is not None and entry_id < info.last_id


def _missing(info_reply: Any, groups: Sequence[_Group]) -> Iterator[_Group]:
    """Yield the groups of evdash that a stream with entries does not have: no worker has read it."""
    if isinstance(info_reply, redis.ResponseError) or not _has_entries_after(stream_info_of(info_reply), EntryId.MIN):
        return
    names = {group.name for group in groups}
    for projection in projections().values():
        if projection.group not in names:
            yield _Group(projection.group, projection.group.encode(), EntryId.MIN, 0, True)


def _health(stream: str, group: _Group, consumers_reply: Any, now: datetime, with_sql: bool) -> GroupHealth:
    consumers = consumers_of(consumers_reply) if isinstance(consumers_reply, list) else []
    reads: Reads = {each.name: now - timedelta(milliseconds=each.idle_ms) for each in consumers}
    if with_sql and consumers:
        with suppress(DatabaseError, InterfaceError):
            reads = last_reads(stream, group.name, consumers, now)
    return group_health(
        stream,
        group.name,
        consumers,
        reads,
        has_waiting=group.has_waiting,
        now=now,
        active_ms=settings.EVDASH.claim_idle_ms,
    )


def _problem(client: redis.Redis, stream: str, info_reply: Any, kind_reply: Any) -> str:
    if not isinstance(info_reply, redis.ResponseError) or "no such key" in str(info_reply).lower():
        return ""
    if "WRONGTYPE" in str(info_reply):
        kind = replies.text(kind_reply) if isinstance(kind_reply, bytes) else "other key"
        return f"{stream} has the wrong type: it is a {kind}, not a stream."
    return str(refusal(client, info_reply, stream))


def _time_of_first(range_reply: Any) -> datetime | None:
    return EntryId.parse(range_reply[0][0]).time if isinstance(range_reply, list) and range_reply else None


def disk_of(directory: Path) -> Disk:
    """Return the free space of a directory's disk, and the reason if a small file cannot be written to it."""
    try:
        free_bytes = shutil.disk_usage(directory).free
    except OSError:
        return Disk(None)
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"\0" * PROBE_BYTES)
            probe.flush()
    except OSError as error:
        # With PostgreSQL evdash need not write to a directory that is read-only.
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full or "sqlite" in settings.DATABASES["default"]["ENGINE"]:
            return Disk(free_bytes, os.strerror(error.errno or errno.EIO))
    return Disk(free_bytes)
