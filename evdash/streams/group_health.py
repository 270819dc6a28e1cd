"""The judgement of a consumer group by its readers, and by the entries pending with consumers that no longer read.

A consumer is active if it has read within `active_ms`. A read is any XREADGROUP, with or without entries. Redis reports
the time since the last read or claim as `idle`. Claims of evdash are therefore left out by the caller (`reads`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from evdash.streams.stream_info import ConsumerInfo

Reads = Mapping[str, datetime | None]
"""By consumer: when it last read; None: never."""


@dataclass(frozen=True, slots=True)
class GroupHealth:
    """The state of one group at one moment."""

    stream: str
    group: str
    has_waiting: bool  # the stream has entries that were not delivered to the group
    has_known_consumers: bool  # False: this user may not list them, and the group never counts as stuck
    reads: Reads
    active: tuple[str, ...]  # the consumers that have read lately, the last reader first
    last_read_at: datetime | None  # of any consumer; None: never
    left_pending: int  # pending entries of inactive consumers
    left_by: int  # the number of these consumers
    left_since: datetime | None  # when the first of them last read; None: one of them never did

    @property
    def is_unread(self) -> bool:
        """True if entries wait for the group and no consumer reads."""
        return self.has_known_consumers and self.has_waiting and not self.active

    @property
    def is_stuck(self) -> bool:
        """True if entries do not progress: no consumer reads them, or inactive consumers have them."""
        return self.is_unread or self.left_pending > 0

    @property
    def since(self) -> datetime | None:
        """When a stuck group last progressed; None: unknown, or it never did."""
        return self.last_read_at if not self.active else self.left_since


def group_health(
    stream: str,
    group: str,
    consumers: Sequence[ConsumerInfo] | None,
    reads: Reads,
    *,
    has_waiting: bool,
    now: datetime,
    active_ms: int,
) -> GroupHealth:
    """Return the judgement of a group from its consumers (None: unknown) and the times of their last reads."""
    since = now - timedelta(milliseconds=active_ms)
    known = sorted(((at, name) for name, at in reads.items() if at is not None), reverse=True)
    active = tuple(name for at, name in known if at > since)
    is_active = set(active)
    left = [each for each in consumers or () if each.pending and each.name not in is_active]
    left_times = [reads.get(each.name) for each in left]
    return GroupHealth(
        stream=stream,
        group=group,
        has_waiting=has_waiting,
        has_known_consumers=consumers is not None,
        reads=reads,
        active=active,
        last_read_at=known[0][0] if known else None,
        left_pending=sum(consumer.pending for consumer in left),
        left_by=len(left),
        left_since=None if None in left_times else min((at for at in left_times if at), default=None),
    )
