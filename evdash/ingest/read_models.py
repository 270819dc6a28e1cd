"""Updates of the read models. The caller holds the lock of the group and passes each change exactly once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from evdash.eventlog.bulk import Follow, Merge, Rule, With, existing, upsert
from evdash.eventlog.models import (
    AgentSession,
    AgentUser,
    CallEntry,
    Participation,
    SessionSnapshot,
    Tally,
    TypeCount,
    UserDay,
)
from evdash.eventlog.row_mapping import DECLARED, SESSION_COLUMNS, USER_COLUMNS, session_values, user_values
from evdash.eventlog.time_buckets import DAY_S, MINUTE_S, WIDTHS_S, slot_start_s
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import datetime_from_us
from evdash.events.summaries import sessions_of, users_of

_COUNTS: Final = (("events", Merge.SUM), ("errors", Merge.SUM))
_ID_RANGE: Final = (("first_id", Merge.LEAST), ("last_id", Merge.GREATEST))
# The database merges as SessionSummary.merged and UserSummary.merged do.
_AGENT: Final = Follow("declared_agent_at", "least", empty_loses=True)
_SESSION_RULES: Final[tuple[tuple[str, Rule], ...]] = (
    ("user_id", Follow("user_at", "least", empty_loses=True)),
    ("user_at", Merge.LEAST),
    ("agent", Follow("agent_at", "least", empty_loses=True)),
    ("agent_at", Merge.LEAST),
    ("model", Follow("model_at", "least", empty_loses=True)),
    ("model_at", Merge.LEAST),
    *((text, Follow(at, "least", empty_loses=True)) for text, at in DECLARED if text != "declared_version"),
    *((at, Merge.LEAST) for text, at in DECLARED if text != "declared_version"),
    # A version is that of the entry whose agent counts (events/inheritance.py).
    ("declared_version", With("declared_agent", _AGENT, Follow("declared_version_at", "least", empty_loses=True))),
    ("declared_version_at", With("declared_agent", _AGENT, Merge.LEAST)),
    *_ID_RANGE,
    ("started_us", Merge.LEAST),
    ("last_us", Merge.GREATEST),
    ("ended_id", Follow("ended_id", "greatest")),
    ("outcome", Follow("ended_id", "greatest")),
    *_COUNTS,
    ("tokens", Merge.SUM),
    ("messages", Merge.SUM),
    ("tool_calls", Merge.SUM),
    ("calls_inside", Merge.SUM),
    ("searches", Merge.SUM),
)
_USER_RULES: Final = (
    *_ID_RANGE,
    ("first_us", Merge.LEAST),
    ("last_us", Merge.GREATEST),
    *_COUNTS,
    ("tokens", Merge.SUM),
    ("sessions", Merge.SUM),
)
_DAY_US: Final = DAY_S * 1_000_000
_TYPE_COUNT_KEY: Final = ("width_s", "start_s", "type", "stream_id")


def clear() -> None:
    """Delete all rows of the read models."""
    for model in (AgentSession, AgentUser, CallEntry, Participation, UserDay, TypeCount, Tally, SessionSnapshot):
        model._default_manager.all().delete()


def add_to_sessions(changes: Sequence[CountChange]) -> None:
    """Add the changes to the summaries of their sessions."""
    additions = sessions_of(changes)
    existing_sessions = existing(AgentSession, ("session_id",), [(session_id,) for session_id in additions])
    rows = [session_values(addition) for addition in additions.values()]
    upsert(AgentSession, SESSION_COLUMNS, rows, key=("session_id",), merge=_SESSION_RULES)
    _add_to_tally("sessions", len(additions) - len(existing_sessions))


def add_to_users(changes: Sequence[CountChange]) -> None:
    """Add the changes to the summaries, sessions and days of their users."""
    additions = users_of(changes)
    new_sessions = _add_to_participations(changes)
    existing_users = existing(AgentUser, ("user_id",), [(user_id,) for user_id in additions])
    rows = [user_values(replace(each, sessions=new_sessions[user_id])) for user_id, each in additions.items()]
    upsert(AgentUser, USER_COLUMNS, rows, key=("user_id",), merge=_USER_RULES)
    _add_to_tally("users", len(additions) - len(existing_users))
    _add_to_user_days(changes)


def _add_to_participations(changes: Sequence[CountChange]) -> Counter[str]:
    """Record the sessions of each user; return how many sessions each user took part in for the first time."""
    last_ids: dict[tuple[str, str], EntryId] = {}
    for change in changes:
        event = change.event
        if event.user_id and event.session_id:
            key = (event.user_id, event.session_id)
            last_ids[key] = max(event.entry.entry_id, last_ids.get(key, EntryId.MIN))
    columns = ("user_id", "session_id", "last_id")
    existing_pairs = existing(Participation, columns[:2], last_ids.keys())
    rows = [(user_id, session_id, last_id.to_bytes()) for (user_id, session_id), last_id in last_ids.items()]
    upsert(Participation, columns, rows, key=columns[:2], merge=(("last_id", Merge.GREATEST),))
    return Counter(user_id for user_id, session_id in last_ids.keys() - existing_pairs)


def _add_to_user_days(changes: Sequence[CountChange]) -> None:
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for change in changes:
        event = change.event
        if event.user_id:
            count = counts[event.user_id, _day(event.occurred_us // _DAY_US)]
            count[0] += change.counts
            count[1] += change.counts * event.is_error
    rows = [(*key, *count) for key, count in counts.items()]
    upsert(UserDay, ("user_id", "day", "events", "errors"), rows, key=("user_id", "day"), merge=_COUNTS)


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    """Return the ISO text of a day (UTC), by its number since 1970."""
    return datetime_from_us(number * _DAY_US).date().isoformat()


def add_to_type_counts(changes: Sequence[CountChange], stream_numbers: Mapping[str, int]) -> None:
    """Add the changes to the event counts of their minutes, hours and days."""
    by_minute: dict[tuple[int, str, int], list[CountChange]] = defaultdict(list)
    for change in changes:
        event = change.event
        minute_s = slot_start_s(event.occurred_us, MINUTE_S)
        by_minute[minute_s, event.type, stream_numbers[event.entry.stream]].append(change)
    counts: dict[tuple[int, int, str, int], tuple[int, int, EntryId, EntryId]] = {}
    for (minute_s, type_, number), same in by_minute.items():
        ids = [change.event.entry.entry_id for change in same]
        events = sum(change.counts for change in same)
        errors = sum(change.counts for change in same if change.event.is_error)
        for width_s in WIDTHS_S:
            key = (width_s, minute_s // width_s * width_s, type_, number)
            before = counts.get(key, (0, 0, ids[0], ids[0]))
            first, last = min(before[2], *ids), max(before[3], *ids)
            counts[key] = (before[0] + events, before[1] + errors, first, last)
    rows = [
        (*key, events, errors, first.to_bytes(), last.to_bytes())
        for key, (events, errors, first, last) in counts.items()
    ]
    columns = (*_TYPE_COUNT_KEY, "events", "errors", "first_id", "last_id")
    upsert(TypeCount, columns, rows, key=_TYPE_COUNT_KEY, merge=(*_COUNTS, *_ID_RANGE))


def _add_to_tally(name: str, number: int) -> None:
    if number:
        upsert(Tally, ("name", "value"), [(name, number)], key=("name",), merge=(("value", Merge.SUM),))
