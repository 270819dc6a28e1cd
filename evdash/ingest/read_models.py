"""Updates of the read models. The caller holds the lock of the group and passes each change exactly once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.db.models import F, Model

from evdash.eventlog.models import AgentSession, AgentUser, Participation, SessionCheckpoint, Tally, TypeCount, UserDay
from evdash.eventlog.row_mapping import session_of_row, session_values, user_of_row, user_values
from evdash.eventlog.time_buckets import WIDTHS_S, slot_start_s
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.summaries import sessions_of, users_of


def clear() -> None:
    """Delete all rows of the read models."""
    for model in (AgentSession, AgentUser, Participation, UserDay, TypeCount, Tally, SessionCheckpoint):
        model._default_manager.all().delete()


def add_to_sessions(changes: Sequence[CountChange]) -> None:
    """Add the changes to the summaries of their sessions."""
    additions = sessions_of(changes)
    known = {row.session_id: session_of_row(row) for row in AgentSession.objects.filter(session_id__in=additions)}
    rows = []
    for session_id, addition in additions.items():
        summary = known[session_id].merged(addition) if session_id in known else addition
        rows.append(AgentSession(session_id=session_id, **session_values(summary)))
    save(AgentSession, ["session_id"], rows)
    _add_to_tally("sessions", len(additions) - len(known))


def add_to_users(changes: Sequence[CountChange]) -> None:
    """Add the changes to the summaries, sessions and days of their users."""
    additions = users_of(changes)
    new_sessions = _add_to_participations(changes)
    known = {row.user_id: user_of_row(row) for row in AgentUser.objects.filter(user_id__in=additions)}
    rows = []
    for user_id, addition in additions.items():
        summary = known[user_id].merged(addition) if user_id in known else addition
        summary = replace(summary, sessions=summary.sessions + new_sessions[user_id])
        rows.append(AgentUser(user_id=user_id, **user_values(summary)))
    save(AgentUser, ["user_id"], rows)
    _add_to_tally("users", len(additions) - len(known))
    _add_to_user_days(changes)


def _add_to_participations(changes: Sequence[CountChange]) -> Counter[str]:
    """Record the sessions of each user; return how many sessions each user took part in for the first time."""
    last_ids: dict[tuple[str, str], EntryId] = {}
    for change in changes:
        event = change.event
        if event.user_id and event.session_id:
            key = (event.user_id, event.session_id)
            last_ids[key] = max(event.entry_id, last_ids.get(key, EntryId.MIN))
    found = Participation.objects.filter(
        user_id__in={user_id for user_id, _ in last_ids}, session_id__in={session_id for _, session_id in last_ids}
    )
    known = {
        (user_id, session_id): last_id
        for user_id, session_id, last_id in found.values_list("user_id", "session_id", "last_id")
    }
    rows = [
        Participation(user_id=key[0], session_id=key[1], last_id=max(last_id, known.get(key, EntryId.MIN)))
        for key, last_id in last_ids.items()
    ]
    save(Participation, ["user_id", "session_id"], rows)
    return Counter(user_id for user_id, session_id in last_ids if (user_id, session_id) not in known)


def _add_to_user_days(changes: Sequence[CountChange]) -> None:
    counts: dict[tuple[str, date], list[int]] = defaultdict(lambda: [0, 0])
    for change in changes:
        event = change.event
        if event.user_id:
            count = counts[event.user_id, event.occurred_at.date()]
            count[0] += change.counts
            count[1] += change.counts * event.is_error
    found = UserDay.objects.filter(
        user_id__in={user_id for user_id, _ in counts}, day__in={day for _, day in counts}
    ).values_list("user_id", "day", "events", "errors")
    for user_id, day, events, errors in found:
        if (user_id, day) in counts:
            counts[user_id, day][0] += events
            counts[user_id, day][1] += errors
    rows = [
        UserDay(user_id=user_id, day=day, events=events, errors=errors)
        for (user_id, day), (events, errors) in counts.items()
    ]
    save(UserDay, ["user_id", "day"], rows)


def add_to_type_counts(changes: Sequence[CountChange], stream_numbers: Mapping[str, int]) -> None:
    """Add the changes to the event counts of their minutes, hours and days."""
    rows: dict[tuple[int, int, str, int], TypeCount] = {}
    for change in changes:
        event = change.event
        number = stream_numbers[event.stream]
        for width_s in WIDTHS_S:
            key = (width_s, slot_start_s(event.occurred_us, width_s), event.type, number)
            row = rows.get(key)
            if row is None:
                row = rows[key] = TypeCount(
                    width_s=key[0], start_s=key[1], type=key[2], stream_id=number, events=0, errors=0,
                    first_id=event.entry_id, last_id=event.entry_id,
                )  # fmt: skip
            row.events += change.counts
            row.errors += change.counts * event.is_error
            row.first_id = min(row.first_id, event.entry_id)
            row.last_id = max(row.last_id, event.entry_id)
    known = TypeCount.objects.filter(
        width_s__in=WIDTHS_S,
        start_s__in={key[1] for key in rows},
        type__in={key[2] for key in rows},
        stream_id__in=set(stream_numbers.values()),
    ).values_list("width_s", "start_s", "type", "stream_id", "events", "errors", "first_id", "last_id")
    for width_s, start_s, type_, number, events, errors, first_id, last_id in known:
        row = rows.get((width_s, start_s, type_, number))
        if row is not None:
            row.events += events
            row.errors += errors
            row.first_id = min(row.first_id, first_id)
            row.last_id = max(row.last_id, last_id)
    save(TypeCount, ["width_s", "start_s", "type", "stream"], list(rows.values()))


def _add_to_tally(name: str, number: int) -> None:
    if number and not Tally.objects.filter(name=name).update(value=F("value") + number):
        Tally.objects.create(name=name, value=number)


def save(model: type[Model], key: list[str], rows: Sequence[Any]) -> None:
    """Insert the rows, or overwrite existing rows that have the same key."""
    if rows:
        columns = [field.name for field in model._meta.concrete_fields if not field.primary_key]
        model._default_manager.bulk_create(
            rows, update_conflicts=True, unique_fields=key, update_fields=[name for name in columns if name not in key]
        )
