"""The progress of claimed entries after the claim: a repair is finished when none of them is pending."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import redis
from django.conf import settings

from evdash.audit_log.audit_log import LISTED, Access
from evdash.eventlog.consumer_reads import claims_on, last_reads
from evdash.events.entry import EntryId
from evdash.ingest.projections.registry import projection_of_group
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.commands.entries import ENTRIES_MAX
from evdash.streams.consumer_group import GroupMissing, PendingEntry, pending_entries, pending_of
from evdash.streams.stream_info import consumer_infos
from evdash.web.formatting import format_count

WATCHED_FOR: Final = timedelta(hours=24)
OFTEN_FOR: Final = timedelta(minutes=2)
PENDING_MAX: Final = 2 * ENTRIES_MAX
HINT_AFTER: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class ClaimWatch:
    """The claimed entries that are still pending."""

    address: str
    total: int
    left: int | None  # None: unknown
    sentence: str
    hint: str  # the remedy; "" if none is needed
    level: Literal["ok", "info", "warning"]
    every_s: int  # the interval of the next looks; 0: finished


def claim_watch(entry: Access, address: str) -> ClaimWatch | None:
    """Return the progress of the entries that this operation claimed; None if it claimed none, or long ago.

    An outage of Redis is not an error: the number is then unknown.
    """
    begun, ended = entry.begun, entry.ended
    arguments = begun.detail.get("asked") or {}
    consumer = arguments.get("to_consumer") or arguments.get("claim_first_to") or ""
    listed = (ended.detail.get("done_ids") or []) if ended else []
    if ended is None or begun.action not in ("claim", "delete-consumer") or not (consumer and listed):
        return None
    now = datetime.now(UTC)
    if begun.stream not in settings.EVDASH.streams or now - ended.at > WATCHED_FOR:
        return None
    ids = frozenset(map(EntryId.parse, listed[:LISTED]))
    last_id = EntryId.parse(ended.detail.get("last_done_id") or str(max(ids)))
    total = int(ended.detail.get("done") or 0) if begun.action == "claim" else len(listed)
    claim = _Claim(begun.stream, begun.group, consumer, ids, len(listed) <= LISTED, last_id, begun.at, ended.at)
    every_s = 2 if now - ended.at < OFTEN_FOR else 10
    try:
        with open_client(settings.EVDASH.redis_url) as client:
            return _watch(client, claim, address, max(total, len(ids)), every_s, now)
    except StreamsUnavailable as outage:
        sentence = f"Pending entries unknown: {outage}"
        return ClaimWatch(address, total, None, sentence, "This page retries.", "warning", every_s)
    except GroupMissing as missing:
        return ClaimWatch(address, total, 0, f"{missing} Nothing is pending.", "", "info", 0)


@dataclass(frozen=True, slots=True)
class _Claim:
    stream: str
    group: str
    consumer: str
    ids: frozenset[EntryId]
    has_all_ids: bool
    last_id: EntryId
    begun_at: datetime
    ended_at: datetime

    def pending(self, client: redis.Redis) -> list[PendingEntry] | None:
        """Return the claimed entries that are pending; None: unknown, because too many entries are pending.

        Only the first IDs of a long list were recorded. For such a list these are the entries of its range that were
        delivered since the claim began, or are pending for the same consumer.
        """
        if self.has_all_ids:
            return list(pending_of(client, self.stream, self.group, sorted(self.ids)).values())
        since = min(self.ids).previous()
        listed = pending_entries(client, self.stream, self.group, after=since, count=PENDING_MAX)
        if len(listed) == PENDING_MAX and listed[-1].entry_id < self.last_id:
            return None
        age = datetime.now(UTC) - self.begun_at
        return [
            entry
            for entry in listed
            if entry.entry_id <= self.last_id
            and (entry.consumer == self.consumer or timedelta(milliseconds=entry.idle_ms) <= age)
        ]


def _watch(client: redis.Redis, claim: _Claim, address: str, total: int, every_s: int, now: datetime) -> ClaimWatch:
    left = claim.pending(client)
    if left is None:
        sentence = f"Pending entries unknown: more than {PENDING_MAX:,} entries of the claimed range are pending."
        return ClaimWatch(address, total, None, sentence, "", "info", every_s)
    if not left:
        sentence = f"Repaired: {format_count(total, 'claimed entry', 'claimed entries')} acknowledged, none pending."
        return ClaimWatch(address, total, 0, sentence, "", "ok", 0)
    infos = consumer_infos(client, claim.stream, claim.group)
    read_at = last_reads(claims_on([claim.stream]), claim.stream, claim.group, infos or (), now).get(claim.consumer)
    is_active = read_at is not None and now - read_at < timedelta(milliseconds=settings.EVDASH.claim_idle_ms)
    elsewhere = sum(entry.consumer != claim.consumer for entry in left)
    others = f" {elsewhere:,} of them with other consumers." if elsewhere else ""
    sentence = f"Waiting for {claim.consumer} to acknowledge: {len(left):,} of {total:,} left.{others}"
    if elsewhere == len(left) or infos is None:
        return ClaimWatch(address, total, len(left), sentence, "", "info", every_s)
    if not is_active:
        read = f"since {read_at:%Y-%m-%d %H:%M:%S} UTC" if read_at else "yet"
        hint = f"{claim.consumer} has not read {read}. Start it, or claim the entries for a consumer that reads."
        return ClaimWatch(address, total, len(left), sentence, hint, "warning", every_s)
    hint = ""
    if len(left) == total and now - claim.ended_at > HINT_AFTER and not projection_of_group(claim.group):
        hint = (
            f"{claim.consumer} is active, but has not read these entries. It must read its pending entries (XREADGROUP "
            f"with 0 instead of >). Most programs do this at start: restart {claim.consumer}."
        )
    return ClaimWatch(address, total, len(left), sentence, hint, "warning" if hint else "info", every_s)
