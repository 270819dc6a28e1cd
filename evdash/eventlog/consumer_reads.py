"""When consumers last read. Redis counts a claim as activity of its target, so the claims of evdash are left out.

XCLAIM sets the time that XINFO CONSUMERS reports as `idle` (Redis and Valkey, all versions). evdash records its claims
in SQL, and takes the time before them for a consumer that has not read since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import redis
from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from evdash.eventlog.models import ConsumerClaim
from evdash.streams.group_health import GroupHealth, Reads, group_health
from evdash.streams.stream_info import ConsumerInfo, consumer_infos

# A claim and the reply about it take this long at most, and a clock may be set by this much. A read within this time
# after a claim counts from the next read on.
_TOLERANCE: Final = timedelta(milliseconds=250)
# Longest duration of a claim. Only after a crash during a claim it remains as the time of the claim.
_CLAIM_TAKES: Final = timedelta(seconds=60)
_KEPT: Final = timedelta(days=30)

Receiver = tuple[str, str]
"""A group, and a consumer of it that gets entries."""


Claims = Mapping[tuple[str, str, str], ConsumerClaim]
"""The last claim of evdash for a consumer, by stream, group and consumer."""


def claims_on(streams: Collection[str]) -> Claims:
    """Return the last claims of evdash on these streams, with one query. Raise a database's error."""
    rows = ConsumerClaim.objects.filter(stream__in=streams)
    return {(row.stream, row.group, row.consumer): row for row in rows}


def judge(
    claims: Claims,
    stream: str,
    group: str,
    consumers: Sequence[ConsumerInfo] | None,
    *,
    has_waiting: bool,
    now: datetime,
) -> GroupHealth:
    """Return the judgement of a group, by the settings. `consumers` is None if they are unknown."""
    return group_health(
        stream,
        group,
        consumers,
        last_reads(claims, stream, group, consumers or (), now),
        has_waiting=has_waiting,
        now=now,
        active_ms=settings.EVDASH.claim_idle_ms,
    )


def last_reads(claims: Claims, stream: str, group: str, consumers: Iterable[ConsumerInfo], now: datetime) -> Reads:
    """Return when each of these consumers last read, without the claims of evdash."""
    return {each.name: _read_at(each, claims.get((stream, group, each.name)), now) for each in consumers}


def _read_at(consumer: ConsumerInfo, claim: ConsumerClaim | None, now: datetime) -> datetime | None:
    seen_at = now - timedelta(milliseconds=consumer.idle_ms)
    return claim.read_at if claim and seen_at <= claim.claimed_at + _TOLERANCE else seen_at


@contextmanager
def claiming(client: redis.Redis, stream: str, receivers: Collection[Receiver]) -> Iterator[None]:
    """Record that evdash claims entries for these consumers inside the block. Raises a database's error before it."""
    claims = claims_on([stream])
    for group, consumer in receivers:
        infos = consumer_infos(client, stream, group)
        if infos is None:  # the reads of this group are unknown, so the claim does not falsify them
            continue
        read_at = last_reads(claims, stream, group, infos, timezone.now()).get(consumer)
        _note(stream, group, consumer, claimed_at=timezone.now() + _CLAIM_TAKES, read_at=read_at)
    try:
        yield
    finally:
        with suppress(DatabaseError):  # the row then has a later time, until the next claim
            for group, consumer in receivers:
                rows = ConsumerClaim.objects.filter(stream=stream, group=group, consumer=consumer)
                rows.update(claimed_at=timezone.now())


def _note(stream: str, group: str, consumer: str, *, claimed_at: datetime, read_at: datetime | None) -> None:
    ConsumerClaim.objects.update_or_create(
        stream=stream, group=group, consumer=consumer, defaults={"claimed_at": claimed_at, "read_at": read_at}
    )
    ConsumerClaim.objects.filter(claimed_at__lt=timezone.now() - _KEPT).delete()
