"""Streams and their consumer groups as the pages show them: what Redis tells, beside what the tables know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

import redis
from django.conf import settings
from django.urls import reverse

from evdash.configuration import Configuration
from evdash.eventlog.positions import MadeAnew, made_anew
from evdash.eventlog.throughput import Throughput, throughput
from evdash.eventlog.totals import GroupTotals, group_totals
from evdash.events.entry_id import EntryId
from evdash.projections.all import projections
from evdash.streams.arrivals import Arrivals, arrivals
from evdash.streams.client import Refused, StreamsUnavailable
from evdash.streams.info import ConsumerInfo, GroupInfo, StreamInfo, group_infos, stream_info
from evdash.streams.parked import parked_count
from evdash.streams.pending import PendingEntry, pending_entries
from evdash.streams.retention import TrimRefused, plan_safe_trim
from evdash.web.gaps import GapList, gap_list
from evdash.web.sparkline import Sparkline, sparkline
from evdash.web.stream_addresses import group_address, parked_address
from evdash.web.wording import count

# What the group of each projection fills.
FEEDS: Final = {
    "audit": "event log, sessions, users, counts",
    "analytics": "latency of operations",
    "debug": "error groups",
}
GAP_ROWS: Final = 5
# The pending entries in which ages and deliveries are counted.
AGES_OF: Final = 1_000
AGES: Final = (("1m", 60_000), ("10m", 600_000), ("1h", 3_600_000), ("1d", 86_400_000))


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group of a stream; `info` is None for one of evdash's own that is not there."""

    stream: str
    name: str
    info: GroupInfo | None
    feeds: str  # "" for a group of somebody else
    throughput: Throughput | None
    sparkline: Sparkline | None
    totals: GroupTotals | None
    address: str

    @property
    def committed(self) -> str:
        """Up to where everything was delivered and acknowledged, in words."""
        if self.info is None or self.info.watermark == EntryId.MIN:
            return "nothing"
        if self.info.oldest_pending and self.info.oldest_pending <= self.info.last_delivered:
            return f"all before {self.info.oldest_pending}"
        return "all that was delivered"

    @property
    def query(self) -> str:
        """Names the group in the address of an operation."""
        return urlencode({"stream": self.stream, "group": self.name})

    @property
    def consumers(self) -> tuple[ConsumerView, ...]:
        """Those with the most pending entries first, then those that asked last."""
        found = sorted(self.info.consumers, key=lambda each: (-each.pending, each.idle_ms)) if self.info else ()
        return tuple(ConsumerView(consumer) for consumer in found)

    @property
    def is_stuck(self) -> bool:
        """Whether entries lie with consumers that have been silent for so long that they should have been claimed."""
        return bool(self.silent)

    @property
    def silent(self) -> tuple[ConsumerView, ...]:
        """Those consumers."""
        return tuple(consumer for consumer in self.consumers if consumer.is_silent)

    @property
    def left_lying(self) -> int:
        """How many entries lie with them."""
        return sum(consumer.info.pending for consumer in self.silent)


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """One consumer."""

    info: ConsumerInfo

    @property
    def is_silent(self) -> bool:
        """Whether it has entries and has not asked for more for longer than entries are left with a consumer."""
        return self.info.pending > 0 and self.info.idle_ms >= settings.EVDASH.claim_idle_ms


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream; `info` is None when there is none of that name, `problem` says why it could not be asked."""

    name: str
    info: StreamInfo | None
    arrivals: Arrivals | None
    groups: tuple[GroupView, ...]
    parked: int
    gaps: GapList
    made_anew: MadeAnew | None
    retention: str
    held: str  # the sentence, when a group holds what retention would remove
    problem: str
    events_address: str
    parked_address: str

    @property
    def removed(self) -> int | None:
        """Entries that were added once and are no longer in the stream; None when Redis does not know."""
        if self.info is None or self.info.entries_added is None:
            return None
        return max(0, self.info.entries_added - self.info.length)


@dataclass(frozen=True, slots=True)
class Ages:
    """The pending entries of a group by how long they have been idle and how often they were delivered."""

    idle_over: tuple[tuple[str, str], ...]  # as a filter says it, and how many
    deliveries: str
    longest_idle_ms: int
    counted: int
    is_all: bool


def stream_view(client: redis.Redis, name: str) -> StreamView:
    """The stream, asked now. Redis out of reach is no error here."""
    problem = ""
    info: StreamInfo | None = None
    arrived: Arrivals | None = None
    groups: tuple[GroupView, ...] = ()
    parked = 0
    held = ""
    try:
        info = stream_info(client, name)
        arrived = arrivals(client, name, info) if info else None
        groups = group_views(client, name, info)
        parked = _parked(client, name)
        held = _held(client, name, settings.EVDASH) if info else ""
    except StreamsUnavailable as outage:
        info, groups, problem = None, (), str(outage)
    return StreamView(
        name=name,
        info=info,
        arrivals=arrived,
        groups=groups,
        parked=parked,
        gaps=gap_list(settings.EVDASH.audit_group, name, rows=GAP_ROWS),
        made_anew=made_anew(settings.EVDASH.audit_group, name),
        retention=retention_in_words(settings.EVDASH),
        held=held,
        problem=problem,
        events_address=f"{reverse('events')}?{urlencode({'stream': name})}",
        parked_address=parked_address(name),
    )


def group_views(client: redis.Redis, stream: str, info: StreamInfo | None) -> tuple[GroupView, ...]:
    """The stream's groups, evdash's own first, those that should be there and are not among them."""
    found = {group.name: group for group in group_infos(client, stream)} if info else {}
    names = [*own_groups(), *(name for name in found if name not in own_groups())]
    speeds = throughput(stream, datetime.now(UTC))
    totals = {each.group: each for each in group_totals() if each.stream == stream}
    return tuple(_group_view(stream, name, found.get(name), speeds, totals) for name in names) if info else ()


def group_view(client: redis.Redis, stream: str, name: str) -> GroupView | None:
    """One group; None when there is no such group and it is none of evdash's own."""
    views = group_views(client, stream, stream_info(client, stream))
    return next((view for view in views if view.name == name), None)


def own_groups() -> Mapping[str, str]:
    """The groups of evdash's own projections, and what each fills."""
    return {projection.group: FEEDS.get(name, name) for name, projection in projections().items()}


def retention_in_words(configuration: Configuration) -> str:
    """What is kept of a stream by the settings."""
    bounds = []
    if configuration.max_length:
        about = "" if configuration.max_length_exact else "about "
        bounds.append(f"{about}{count(configuration.max_length, 'entry', 'entries')}")
    if configuration.retention_hours:
        bounds.append(count(configuration.retention_hours, "hour"))
    return f"{' and '.join(bounds)} at most, once every group has committed them" if bounds else "everything is kept"


def ages(client: redis.Redis, stream: str, group: str) -> Ages | None:
    """Of the group's first pending entries; None when there is none. Raises GroupMissing."""
    entries = pending_entries(client, stream, group, count=AGES_OF)
    if not entries:
        return None
    more = "+" if len(entries) == AGES_OF else ""
    over = ((label, sum(entry.idle_ms >= least_ms for entry in entries)) for label, least_ms in AGES)
    return Ages(
        idle_over=tuple((label, f"{number:,}{more}") for label, number in over if number),
        deliveries=_deliveries_in_words(entries),
        longest_idle_ms=max(entry.idle_ms for entry in entries),
        counted=len(entries),
        is_all=not more,
    )


def _deliveries_in_words(entries: Sequence[PendingEntry]) -> str:
    most = (("1", 1), ("2 to 4", 4), ("5 and more", None))
    counted = Counter(next(words for words, up_to in most if up_to is None or e.deliveries <= up_to) for e in entries)
    return ", ".join(f"{words}: {counted[words]:,}" for words, _ in most if counted[words])


def _group_view(
    stream: str,
    name: str,
    info: GroupInfo | None,
    speeds: Mapping[str, Throughput],
    totals: Mapping[str, GroupTotals],
) -> GroupView:
    speed = speeds.get(name)
    return GroupView(
        stream=stream,
        name=name,
        info=info,
        feeds=own_groups().get(name, ""),
        throughput=speed,
        sparkline=sparkline(speed) if speed else None,
        totals=totals.get(name),
        address=group_address(stream, name),
    )


def _held(client: redis.Redis, stream: str, configuration: Configuration) -> str:
    """What the workers' retention waits for, if it does."""
    if not configuration.max_length and not configuration.retention_hours:
        return ""
    older_than = datetime.now(UTC) - timedelta(hours=configuration.retention_hours)
    try:
        return plan_safe_trim(
            client,
            stream,
            max_length=configuration.max_length or None,
            older_than=older_than if configuration.retention_hours else None,
            own_groups=own_groups(),
        ).holding
    except TrimRefused as refusal:
        return str(refusal)


def _parked(client: redis.Redis, stream: str) -> int:
    try:
        return parked_count(client, stream)
    except Refused:  # a key of that name that is no stream, or this user may not ask
        return 0
