"""Trimming of a stream, never past the committed position of any of its consumer groups.

Only XTRIM MINID is sent. Its ID is never past the lowest watermark of all groups, foreign ones included. Concurrent
readers and writers are therefore safe: an added entry gets an ID above every watermark, and a delivered entry is above
the watermark of its group. A second check before the trim finds a group that was created or moved back after the plan.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import redis

from evdash.events.entry import EntryId
from evdash.streams import replies
from evdash.streams import stream_info as counts
from evdash.streams.client import Refused, call_at_once
from evdash.streams.stream_info import EntryCount, GroupInfo, StreamInfo, group_infos, scan, stream_info


class TrimRefused(Exception):
    """A trim that would remove uncommitted entries of a group, or that is impossible.

    The message is the sentence to show.
    """


@dataclass(frozen=True, slots=True)
class TrimPlan:
    """One step of a trim: the entries to remove, and the entries that a group still holds."""

    stream: str
    requested_min_id: EntryId  # entries below it are to be removed
    safe_min_id: EntryId  # every group has committed the entries below it
    entries: EntryCount  # that this step removes
    later: int  # entries for further steps; only a trim to a length needs any
    held_entries: EntryCount
    held_by: str  # the group; empty if nothing is held, or if `through` is the limit
    holding: str  # the sentence with the reason
    own_groups: frozenset[str]

    @property
    def min_id(self) -> EntryId:
        """The ID of the trim. It is never above `safe_min_id`, even if no entry is between the two yet."""
        return min(self.requested_min_id, self.safe_min_id)

    def __str__(self) -> str:
        if not self.entries.number:
            return f"No entries of {self.stream} to trim."
        steps = f" {self.later:,} more follow in further steps." if self.later else ""
        return f"Trims the oldest {self.entries.entries()} of {self.stream} (before {self.min_id}).{steps}"


@dataclass(frozen=True, slots=True)
class Trimmed:
    """The result of a trim, as Redis reports it afterwards."""

    removed: int
    length: int
    first_id: EntryId | None  # None: the stream is empty


@dataclass(frozen=True, slots=True)
class Retained:
    """The result of automatic retention. `more`: another step may remove more at once."""

    removed: int
    more: bool
    holding: str  # the sentence with the reason why entries are held; empty if none are


def committed_by_all(client: redis.Redis, stream: str) -> tuple[EntryId | None, GroupInfo | None]:
    """Return the lowest watermark of the stream's groups and its group; None, None without groups."""
    group = min(group_infos(client, stream), key=lambda group: group.watermark, default=None)
    return (group.watermark, group) if group else (None, None)


def plan_trim(
    client: redis.Redis,
    stream: str,
    *,
    max_length: int | None = None,
    older_than: datetime | None = None,
    min_id: EntryId | None = None,
    own_groups: Collection[str] = (),
) -> TrimPlan:
    """Return the plan of a trim to these bounds, and change nothing. The bound that removes most counts.

    `older_than` is compared with the time in the entry IDs. `own_groups` must exist: a missing one has committed
    nothing. Raises TrimRefused if a group holds any of the entries to remove.
    """
    plan = plan_safe_trim(
        client, stream, max_length=max_length, older_than=older_than, min_id=min_id, own_groups=own_groups
    )
    if plan.held_entries.number:
        raise TrimRefused(plan.holding)
    return plan


def plan_safe_trim(
    client: redis.Redis,
    stream: str,
    *,
    max_length: int | None = None,
    older_than: datetime | None = None,
    min_id: EntryId | None = None,
    own_groups: Collection[str] = (),
    through: EntryId | None = None,
) -> TrimPlan:
    """Return the plan as `plan_trim` does, but keep held entries and report them in the plan.

    Entries past `through` are held as well. Raises TrimRefused if the stream does not exist.
    """
    info = _existing(client, stream)
    requested, later = EntryId.MIN, 0
    if max_length is not None and info.length > max_length:
        oldest = scan(client, stream, at_most=min(info.length - max_length, counts.SCAN_MAX))
        requested = oldest.ids[-1].next() if oldest.ids else requested
        later = max(0, info.length - max_length - len(oldest.ids))
    if older_than is not None:
        requested = max(requested, EntryId(max(0, int(older_than.timestamp() * 1000)), 0))
    requested = max(requested, min_id or requested)
    hold = _hold(client, stream, info, own_groups)
    if through is not None and through.next() < hold.safe_min_id:
        hold = _Hold(through.next(), "", f"Entries after {through} are not yet compared with the tables")
    safe = hold.safe_min_id
    held = _below(client, stream, requested, since=safe)
    return TrimPlan(
        stream=stream,
        requested_min_id=requested,
        safe_min_id=safe,
        entries=_below(client, stream, min(requested, safe)),
        later=later,
        held_entries=held,
        held_by=hold.group if held.number else "",
        holding=_holding(info, stream, held, hold) if held.number else "",
        own_groups=frozenset(own_groups),
    )


def trim(client: redis.Redis, plan: TrimPlan, *, approximate: bool) -> Trimmed:
    """Trim the stream as planned.

    An approximate trim is cheaper, keeps up to some hundred entries more, and may remove nothing.

    Raises TrimRefused if a group was moved back or created below the planned ID since. Raises it as well without
    the stream, and for servers before Redis 6.2, which lack XTRIM MINID.
    """
    info = _existing(client, plan.stream)
    hold = _hold(client, plan.stream, info, plan.own_groups)
    held = _below(client, plan.stream, plan.min_id, since=hold.safe_min_id)
    if held.number:
        raise TrimRefused(_holding(info, plan.stream, held, hold))
    xtrim = ("XTRIM", plan.stream, "MINID", "~" if approximate else "=", str(plan.min_id))
    try:
        removed, info_reply = call_at_once(client, xtrim, ("XINFO STREAM", plan.stream), stream=plan.stream)
    except Refused as refusal:
        if "no such key" in refusal.answer.lower():
            raise TrimRefused(f"Stream {plan.stream} no longer exists.") from refusal
        if "syntax error" in refusal.answer:
            raise TrimRefused(
                "This Redis cannot trim by entry ID (XTRIM MINID requires Redis 6.2). Other trims may delete entries "
                "that a group has not committed."
            ) from refusal
        raise
    after = replies.record(info_reply)
    first = after.get("first-entry")
    return Trimmed(int(removed), int(after["length"]), EntryId.parse(first[0]) if first else None)


def retain(
    client: redis.Redis,
    stream: str,
    *,
    max_length: int | None = None,
    older_than: datetime | None = None,
    approximate: bool,
    own_groups: Collection[str] = (),
    through: EntryId | None = None,
) -> Retained:
    """Trim as far as is wanted and safe, in one step, and remove nothing past `through`.

    Raises TrimRefused if nothing can be trimmed at all.
    """
    plan = plan_safe_trim(
        client, stream, max_length=max_length, older_than=older_than, own_groups=own_groups, through=through
    )
    if not plan.entries.number:
        return Retained(0, more=False, holding=plan.holding)
    removed = trim(client, plan, approximate=approximate).removed
    return Retained(removed, more=plan.later > 0 and removed > 0 and not plan.holding, holding=plan.holding)


@dataclass(frozen=True, slots=True)
class _Hold:
    """The limit of a safe trim and its cause, usually the group with the lowest watermark.

    Entries below `safe_min_id` are committed by all groups.
    """

    safe_min_id: EntryId
    group: str
    why: str


def _hold(client: redis.Redis, stream: str, info: StreamInfo, own_groups: Collection[str]) -> _Hold:
    groups = group_infos(client, stream)
    for name in sorted(set(own_groups) - {group.name for group in groups}):
        return _Hold(EntryId.MIN, name, f"Group {name} does not exist on {stream} and has committed nothing")
    # Future entries are never trimmed, regardless of the groups' positions.
    group = min(groups, key=lambda group: group.watermark, default=None)
    if group is None:
        return _Hold(info.last_generated_id.next(), "", "Later entries do not exist yet")
    return _Hold(min(group.watermark, info.last_generated_id).next(), group.name, _why(group))


def _why(group: GroupInfo) -> str:
    if group.last_delivered == EntryId.MIN:
        return f"Group {group.name} has read nothing"
    if group.oldest_pending:
        pending = "1 pending entry" if group.pending == 1 else f"{group.pending:,} pending entries"
        return f"Group {group.name} has {pending} (oldest {group.oldest_pending})"
    return f"Group {group.name} has read only up to {group.last_delivered}"


def _holding(info: StreamInfo, stream: str, held: EntryCount, hold: _Hold) -> str:
    nothing = info.first_id is None or hold.safe_min_id <= info.first_id
    now = "Nothing can be trimmed now." if nothing else f"Entries before {hold.safe_min_id} can be trimmed now."
    are = "is" if held == EntryCount(1) else "are"
    return f"{hold.why}: {held.entries()} of {stream} {are} blocked. {now}"


def _existing(client: redis.Redis, stream: str) -> StreamInfo:
    info = stream_info(client, stream)
    if info is None:
        raise TrimRefused(f"Stream {stream} does not exist.")
    return info


def _below(client: redis.Redis, stream: str, min_id: EntryId, since: EntryId = EntryId.MIN) -> EntryCount:
    if min_id <= since:
        return EntryCount(0)
    return scan(client, stream, since=since, through=min_id.previous()).count
