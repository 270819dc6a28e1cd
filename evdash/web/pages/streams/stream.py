"""Streams and their consumer groups as data for the pages: facts of Redis, joined with facts of the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self

import redis
from django.conf import settings
from django.http import HttpRequest

from evdash.config.environment import Configuration
from evdash.eventlog.consumer_reads import Claims, claims_on, judge
from evdash.eventlog.gaps import deleted_by_consumers, missing_entries, total_missing
from evdash.eventlog.group_progress import (
    GroupTotals,
    StreamRecreated,
    Throughput,
    group_totals,
    last_recreated,
    throughput,
)
from evdash.eventlog.models import Gap
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import MissingEntries
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of, describe_event
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.events.one_line import OneLineText
from evdash.health.conditions import stuck_remedy, stuck_words
from evdash.ingest.projections.registry import projections
from evdash.streams.client import Refused, StreamsUnavailable
from evdash.streams.consumer_group import PendingEntry, pending_entries
from evdash.streams.dead_letters import ParkedEntry, parked_count
from evdash.streams.group_health import GroupHealth
from evdash.streams.reads import read_entries
from evdash.streams.retention import TrimRefused, plan_safe_trim
from evdash.streams.stream_info import Arrivals, ConsumerInfo, GroupInfo, StreamInfo, arrivals, group_infos, stream_info
from evdash.web.charts.sparkline import Sparkline, throughput_sparkline
from evdash.web.event_list.list_query import InvalidQuery, entry_cursor_in
from evdash.web.formatting import format_count
from evdash.web.links import (
    event_address,
    filtered_address,
    group_address,
    operation_address,
    parked_address,
    with_query,
)

# Consecutive single-entry gaps of one kind and reason share a row, if noticed within this time of their neighbour.
ONE_TIME: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class GapView:
    """A gap in words; or consecutive single-entry gaps, for example several entries parked for one reason."""

    gaps: tuple[MissingEntries, ...]  # the newest first

    @property
    def number(self) -> str:
        """The number of missing entries, or "unknown"."""
        known = [gap.entries for gap in self.gaps if gap.entries is not None]
        return f"{sum(known):,}" if len(known) == len(self.gaps) else "unknown"

    @property
    def why(self) -> str:
        """The kind of the gap, in words."""
        return str(Gap.Kind(self.gaps[0].kind).label)

    @property
    def reason(self) -> str:
        return self.gaps[0].reason

    @property
    def first_id(self) -> EntryId:
        return min(gap.first_id for gap in self.gaps)

    @property
    def last_id(self) -> EntryId:
        return max(gap.last_id for gap in self.gaps)

    @property
    def noticed_at(self) -> datetime:
        return max(gap.noticed_at for gap in self.gaps)


@dataclass(frozen=True, slots=True)
class GapList:
    """The newest gaps, and the total number of gaps."""

    rows: tuple[GapView, ...]
    gaps: int
    entries: str  # in words

    @property
    def more(self) -> int:
        """The number of gaps that are not listed."""
        return self.gaps - sum(len(row.gaps) for row in self.rows)

    @property
    def in_all(self) -> str:
        """The total in words."""
        return f"{self.entries} in {format_count(self.gaps, 'gap')}"


def gap_list(group: str, stream: str, *, rows: int | None = None) -> GapList:
    """Return the gaps of a group in a stream, the newest ones in at most `rows` rows."""
    merged: list[list[MissingEntries]] = []
    for gap in missing_entries(group, stream):
        if merged and _belong_together(merged[-1][-1], gap):
            merged[-1].append(gap)
        else:
            merged.append([gap])
    in_all = total_missing([stream], group)
    more = "" if in_all.is_exact else "at least "
    return GapList(
        rows=tuple(GapView(tuple(gaps)) for gaps in merged[:rows]),
        gaps=in_all.gaps,
        entries=f"{more}{format_count(in_all.entries, 'entry', 'entries')}",
    )


def _belong_together(one: MissingEntries, next_one: MissingEntries) -> bool:
    return (
        (one.kind, one.reason) == (next_one.kind, next_one.reason)
        and all(gap.first_id == gap.last_id for gap in (one, next_one))
        and abs(one.noticed_at - next_one.noticed_at) <= ONE_TIME
    )


# Tables that the group of each projection fills.
FEEDS: Final = {
    "audit": "event log, sessions, users, counts",
    "analytics": "latency of operations",
    "debug": "error groups",
}
GAP_ROWS: Final = 5
# Maximum number of pending entries for the counts of ages and deliveries.
AGES_OF: Final = 1_000
AGES: Final = (("1m", 60_000), ("10m", 600_000), ("1h", 3_600_000), ("1d", 86_400_000))


@dataclass(frozen=True, slots=True)
class GroupView:
    """One group of a stream; `info` is None for a group of evdash's own that does not exist."""

    stream: str
    name: str
    info: GroupInfo | None
    feeds: str  # "" for a group that is not evdash's own
    throughput: Throughput | None
    sparkline: Sparkline | None
    totals: GroupTotals | None
    address: str
    health: GroupHealth

    @property
    def committed(self) -> str:
        """The part of the delivered entries that is completely acknowledged, in words."""
        if self.info is None or self.info.watermark == EntryId.MIN:
            return "none"
        return "before oldest pending" if self.uncommitted else "equals last delivered"

    @property
    def uncommitted(self) -> EntryId | None:
        """The oldest entry that is delivered and not acknowledged; None if there is none."""
        oldest = self.info.oldest_pending if self.info else None
        return oldest if self.info and oldest and oldest <= self.info.last_delivered else None

    def operation(self, kind: str, **arguments: str) -> str:
        """Return the address of the page that previews and runs an operation on this group."""
        return operation_address(kind, self.stream, self.name, **arguments)

    @property
    def actions(self) -> tuple[tuple[str, str], ...]:
        """The operations on this group, each with the address of the page that previews and runs it.

        A claim is left out if the notice of a stuck group offers it.
        """
        can_claim = self.info and self.info.pending and not self.notice_offers_claim
        claims = (("Claim idle entries", "claim"),) if can_claim else ()
        kinds = (*claims, ("Set position", "set-position"), ("Delete group", "delete-group"))
        return tuple((label, self.operation(kind)) for label, kind in kinds)

    @property
    def diagnosis(self) -> str:
        """A sentence on the readers of a group that is not stuck, and on the entries that wait for them."""
        if self.info is None:
            return ""
        if not self.health.has_known_consumers:
            return "Consumers are unknown: this Redis user may not list them."
        if not self.health.active:
            return "No entry waits, and no consumer reads."
        readers = format_count(len(self.health.active), "consumer reads", "consumers read")
        pending = format_count(self.info.pending, "entry is", "entries are")
        return f"{readers}. {pending} pending, lag {self.info.lag}."

    def pending_of(self, consumer: ConsumerView) -> str:
        """Return the address of the consumer's pending entries."""
        return with_query(self.address, [("consumer", consumer.info.name)])

    def deletion(self, consumer: ConsumerView) -> str:
        """Return the address of the page that deletes a consumer. Without pending entries it shows the preview."""
        nothing_to_claim = {} if consumer.info.pending else {"claim_first_to": ""}
        return self.operation("delete-consumer", consumer=consumer.info.name, **nothing_to_claim)

    @property
    def consumer_infos(self) -> list[ConsumerInfo]:
        """The consumers: those with the most pending entries first, then the last readers."""
        if self.info is None:
            return []
        return sorted(self.info.consumers, key=lambda each: (-each.pending, -_unix_s(self.health.reads.get(each.name))))

    def consumers(self, count: int, skipped: int = 0) -> tuple[ConsumerView, ...]:
        """Return at most `count` consumers of that order after the first `skipped`."""
        active = frozenset(self.health.active)
        return tuple(
            ConsumerView(consumer, self.health.reads.get(consumer.name), consumer.name in active)
            for consumer in self.consumer_infos[skipped : skipped + count]
        )

    @property
    def is_stuck(self) -> bool:
        """True if entries of the group do not progress."""
        return self.health.is_stuck

    @property
    def notice_offers_claim(self) -> bool:
        """True if inactive consumers have pending entries that an active one can claim."""
        return self.health.left_pending > 0 and bool(self.health.active)

    @property
    def stuck_words(self) -> str:
        """The reasons why the group is stuck."""
        return stuck_words(self.health)

    @property
    def stuck_remedy(self) -> str:
        """The remedy for a stuck group."""
        return stuck_remedy(self.health)


@dataclass(frozen=True, slots=True)
class ConsumerView:
    """One consumer."""

    info: ConsumerInfo
    read_at: datetime | None  # None: never
    is_active: bool

    @property
    def is_silent(self) -> bool:
        """True if it has pending entries and does not read."""
        return self.info.pending > 0 and not self.is_active


@dataclass(frozen=True, slots=True)
class ConsumerList:
    """A page of a group's consumers."""

    rows: tuple[ConsumerView, ...]
    total: int
    with_pending: int
    active: int
    first: str  # address of the first page; "" on that page
    next: str  # address of the next page; "" on the last one


def consumer_list(group: GroupView, skipped: int) -> ConsumerList:
    """Return the page of consumers after the first `skipped`."""
    infos = group.info.consumers if group.info else ()
    more = skipped + ROWS < len(infos)
    return ConsumerList(
        rows=group.consumers(ROWS, skipped),
        total=len(infos),
        with_pending=sum(info.pending > 0 for info in infos),
        active=len(group.health.active),
        first=f"{group.address}#consumers" if skipped else "",
        next=f"{with_query(group.address, [('consumers', str(skipped + ROWS))])}#consumers" if more else "",
    )


def _unix_s(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


@dataclass(frozen=True, slots=True)
class StreamMark:
    """A problem of a stream, in two words, with its cause."""

    text: str
    title: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class StreamView:
    """One stream; `info` is None if it does not exist, `problem` is the sentence if Redis did not answer."""

    name: str
    info: StreamInfo | None
    arrivals: Arrivals | None
    groups: tuple[GroupView, ...]
    parked: int | None  # None: unknown
    gaps: GapList
    recreated: StreamRecreated | None
    retention: str
    held: str  # the sentence, if a group holds entries that retention would remove
    problem: str
    events_address: str
    parked_address: str
    deleted: int | None  # entries that the consumers of a queue deleted before evdash read them; None: not a queue

    @property
    def actions(self) -> tuple[tuple[str, str], ...]:
        """The operations on this stream, each with the address of the page that previews and runs it."""
        kinds = (("Create group", "create-group"), ("Trim", "trim"))
        return tuple((label, operation_address(kind, self.name)) for label, kind in kinds)

    @property
    def marks(self) -> tuple[StreamMark, ...]:
        """The problems of the stream, the worst first; none if it is healthy."""
        marks = [StreamMark("Not readable", self.problem, True)] if self.problem else []
        for group in self.groups:
            if group.is_stuck and group.info:
                number = group.info.pending or group.info.lag.count
                words = f"Stuck {number:,}" if number else "Stuck"
                marks.append(StreamMark(words, f"Group {group.name}: {group.stuck_words}"))
            elif not group.info:
                marks.append(StreamMark("Group missing", f"Group {group.name}. A worker recreates it."))
        if self.parked:
            marks.append(StreamMark(f"Parked {self.parked:,}", "Entries that a group could not apply"))
        if self.gaps.gaps:
            marks.append(StreamMark(format_count(self.gaps.gaps, "gap"), self.gaps.in_all))
        if self.held:
            marks.append(StreamMark("Retention blocked", self.held))
        return tuple(marks)

    @property
    def removed(self) -> int | None:
        """The number of added entries that are no longer in the stream; None if Redis does not report it."""
        if self.info is None or self.info.entries_added is None:
            return None
        return max(0, self.info.entries_added - self.info.length)


@dataclass(frozen=True, slots=True)
class Ages:
    """The pending entries of a group by idle time and number of deliveries."""

    idle_over: tuple[tuple[str, str], ...]  # the value of the filter, and the number of entries
    deliveries: str
    longest_idle_ms: int
    counted: int
    is_all: bool


def stream_view(client: redis.Redis, name: str) -> StreamView:
    """Return the stream as of now. If Redis does not answer, `problem` states it; there is no error."""
    problem = ""
    info: StreamInfo | None = None
    arrived: Arrivals | None = None
    groups: tuple[GroupView, ...] = ()
    parked: int | None = None
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
        recreated=last_recreated(settings.EVDASH.audit_group, name),
        retention=retention_in_words(settings.EVDASH),
        held=held,
        problem=problem,
        events_address=filtered_address("events", EventFilter().also("stream", name)),
        parked_address=parked_address(name),
        deleted=deleted_by_consumers(settings.EVDASH.audit_group, name),
    )


def group_views(client: redis.Redis, stream: str, info: StreamInfo | None) -> tuple[GroupView, ...]:
    """Return the groups of an existing stream: evdash's own first, also those that are missing."""
    if info is None:
        return ()
    infos = {group.name: group for group in group_infos(client, stream)}
    names = [*own_groups(), *(name for name in infos if name not in own_groups())]
    speeds = throughput(stream, datetime.now(UTC))
    totals = {total.group: total for total in group_totals() if total.stream == stream}
    claims = claims_on([stream])
    return tuple(_group_view(stream, info, name, infos.get(name), speeds, totals, claims) for name in names)


def group_view(client: redis.Redis, stream: str, name: str) -> GroupView | None:
    """Return one group; None if it does not exist and is not one of evdash's own.

    Return None for every group of a stream that does not exist.
    """
    views = group_views(client, stream, stream_info(client, stream))
    return next((view for view in views if view.name == name), None)


def own_groups() -> Mapping[str, str]:
    """Return the groups of evdash's own projections, each with the tables that it fills."""
    return {projection.group: FEEDS.get(name, name) for name, projection in projections().items()}


def retention_in_words(configuration: Configuration) -> str:
    """Return the retention of a stream by the settings, in words."""
    bounds = []
    if configuration.max_length:
        approximately = "" if configuration.max_length_exact else "about "
        bounds.append(f"{approximately}{format_count(configuration.max_length, 'entry', 'entries')}")
    if configuration.retention_hours:
        bounds.append(format_count(configuration.retention_hours, "hour"))
    return f"At most {' and '.join(bounds)}, after all groups have committed" if bounds else "Unlimited"


def ages(client: redis.Redis, stream: str, group: str) -> Ages | None:
    """Return the ages of the group's first AGES_OF pending entries; None without any. Raise GroupMissing."""
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
    most = (("once", 1), ("2 to 4 times", 4), ("5 times or more", None))
    counted = Counter(next(words for words, up_to in most if up_to is None or e.deliveries <= up_to) for e in entries)
    return ", ".join(f"{words}: {counted[words]:,}" for words, _ in most if counted[words])


def _group_view(
    stream: str,
    stream_info: StreamInfo,
    name: str,
    info: GroupInfo | None,
    speeds: Mapping[str, Throughput],
    totals: Mapping[str, GroupTotals],
    claims: Claims,
) -> GroupView:
    speed = speeds.get(name)
    return GroupView(
        stream=stream,
        name=name,
        info=info,
        feeds=own_groups().get(name, ""),
        throughput=speed,
        sparkline=throughput_sparkline(speed) if speed else None,
        totals=totals.get(name),
        address=group_address(stream, name),
        health=health_of(claims, stream, stream_info, name, info),
    )


def health_of(claims: Claims, stream: str, info: StreamInfo, name: str, group: GroupInfo | None) -> GroupHealth:
    """Return the judgement of a group. One that does not exist has read nothing."""
    consumers = () if group is None else group.consumers if group.has_known_consumers else None
    has_waiting = info.has_entries_after(group.last_delivered if group else EntryId.MIN)
    return judge(claims, stream, name, consumers, has_waiting=has_waiting, now=datetime.now(UTC))


def _held(client: redis.Redis, stream: str, configuration: Configuration) -> str:
    """Return the sentence about the group that holds back the workers' retention; "" if none does."""
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


def _parked(client: redis.Redis, stream: str) -> int | None:
    try:
        return parked_count(client, stream)
    except Refused:  # the key is not a stream, or evdash's Redis user lacks permission
        return None


@dataclass(frozen=True, slots=True)
class EntryLine:
    """The data of one entry in templates/pages/streams/_entry.html."""

    entry_id: EntryId
    address: str
    event: Event | None  # None: neither the stream nor the log has it
    is_gone: bool  # from the stream

    @property
    def category(self) -> EventCategory | None:
        return category_of(self.event.type) if self.event else None

    @property
    def one_line(self) -> OneLineText | None:
        return describe_event(self.event) if self.event else None


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A pending entry, or one that is only named by its ID, with its event."""

    line: EntryLine
    pending: PendingEntry | None


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A dead-lettered entry with its event."""

    line: EntryLine
    parked: ParkedEntry


def pending_rows(
    client: redis.Redis, reader: Reader, stream: str, entries: Sequence[PendingEntry | EntryId]
) -> tuple[PendingRow, ...]:
    """Return these entries, each with its event."""
    ids = [entry.entry_id if isinstance(entry, PendingEntry) else entry for entry in entries]
    entries_by_id = read_entries(client, stream, ids)
    return tuple(
        PendingRow(_line(reader, stream, entry_id, entries_by_id), entry if isinstance(entry, PendingEntry) else None)
        for entry_id, entry in zip(ids, entries, strict=True)
    )


def parked_rows(client: redis.Redis, stream: str, entries: Sequence[ParkedEntry]) -> tuple[ParkedRow, ...]:
    """Return these dead-lettered entries, each with its event, and whether its own stream still has it."""
    entries_by_id = read_entries(client, stream, [parked.entry.entry_id for parked in entries])
    return tuple(
        ParkedRow(
            EntryLine(
                parked.entry.entry_id,
                event_address(stream, parked.entry.entry_id),
                decode(parked.entry),
                parked.entry.entry_id not in entries_by_id,
            ),
            parked,
        )
        for parked in entries
    )


def _line(reader: Reader, stream: str, entry_id: EntryId, entries_by_id: Mapping[EntryId, Entry]) -> EntryLine:
    entry = entries_by_id.get(entry_id)
    event = decode(entry) if entry else reader.event(stream, entry_id)
    return EntryLine(entry_id, event_address(stream, entry_id), event, entry is None)


ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class PendingQuery:
    """The query of a group's pending entries: by consumer, by minimum idle time, and after an entry."""

    path: str  # the group's page
    consumer: str  # "" for all
    idle_over: str  # as written; "" for any idle time
    idle_over_ms: int
    after: EntryId | None
    consumers_skipped: int  # of the list of consumers, which has pages of its own

    @classmethod
    def from_request(cls, request: HttpRequest, stream: str, group: str) -> Self:
        """Return the query in `consumer=`, `idle_over=`, `after=` and `consumers=`. Raise InvalidQuery."""
        params = request.GET
        idle_over = params.get("idle_over", "").strip()
        return cls(
            group_address(stream, group),
            params.get("consumer", ""),
            idle_over,
            _milliseconds(idle_over) if idle_over else 0,
            entry_cursor_in(params)[1],
            _number(params.get("consumers", "")),
        )

    @property
    def is_set(self) -> bool:
        """True if the query excludes entries by consumer or idle time."""
        return bool(self.consumer or self.idle_over)

    def url(self, *, after: EntryId | None = None) -> str:
        """Return the URL of the entries after one, of the first ones by default."""
        parameters = {"consumer": self.consumer, "idle_over": self.idle_over, "after": str(after or "")}
        return with_query(self.path, [(name, value) for name, value in parameters.items() if value])

    @property
    def selection(self) -> dict[str, str]:
        """The filter as arguments of an operation."""
        parameters = {"from_consumer": self.consumer, "idle_over": self.idle_over}
        return {name: value for name, value in parameters.items() if value}


@dataclass(frozen=True, slots=True)
class PendingList:
    """A page of pending entries in stream order."""

    query: PendingQuery
    rows: tuple[PendingRow, ...]
    first: str  # address of the first page; "" on that page
    next: str  # address of the next page; "" on the last one


def pending_list(client: redis.Redis, reader: Reader, stream: str, group: str, query: PendingQuery) -> PendingList:
    """Return the page that the query selects. Raise StreamsUnavailable and GroupMissing."""
    entries = pending_entries(
        client,
        stream,
        group,
        after=query.after,
        idle_over_ms=query.idle_over_ms,
        consumer=query.consumer or None,
        count=ROWS + 1,
    )
    return PendingList(
        query=query,
        rows=pending_rows(client, reader, stream, entries[:ROWS]),
        first=query.url() if query.after else "",
        next=query.url(after=entries[ROWS - 1].entry_id) if len(entries) > ROWS else "",
    )


def _milliseconds(text: str) -> int:
    try:
        ago = TimeBound.parse(text).ago
    except InvalidTimeBound as error:
        raise InvalidQuery(f"idle_over= {error}.") from None
    if ago is None:
        raise InvalidQuery(f"idle_over= {text[:60]!r} is not a duration. Write 90s, 5m, 2h or 7d.")
    return int(ago.total_seconds() * 1000)


def _number(text: str) -> int:
    if text and (not text.isascii() or not text.isdecimal() or len(text) > 9):
        raise InvalidQuery(f"consumers= {text[:40]!r} is not the number of consumers before the page.")
    return int(text or 0)
