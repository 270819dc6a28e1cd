"""Lists of sessions and users by their last entry: the read models, and what the stream adds to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from django.db.models import QuerySet

from evdash.eventlog.models import AgentSession, AgentUser, Participation, UserDay
from evdash.eventlog.records import DayCount, SessionPage, UserPage
from evdash.eventlog.rows import session_of_row, user_of_row
from evdash.eventlog.unlogged import Unlogged
from evdash.events.duplicates import Change
from evdash.events.entry_id import EntryId
from evdash.events.summaries import SessionSummary, UserSummary, sessions_of

# More streams than this are not followed at once, and entries of one ID are in different streams.
TIES_MAX = 64


def session_page(
    unlogged: Unlogged, *, before: EntryId | None, after: EntryId | None, user_id: str | None, limit: int
) -> SessionPage:
    """Sessions by last entry; with `user_id` those in which that user took part, by the user's last entry there."""
    rows: QuerySet[Any]
    if user_id is None:
        rows = AgentSession.objects.all()
        sessions = unlogged.sessions
    else:
        rows = Participation.objects.filter(user_id=user_id)
        sessions = sessions_of(unlogged.of_user(user_id))
    touched = {session_id: summary.last_id for session_id, summary in sessions.items()}
    keys, newer, older = _page(rows, "session_id", touched, before, after, limit)
    summaries = session_summaries(unlogged, keys)
    return SessionPage(tuple(summaries[key] for key in keys), newer, older)


def user_page(unlogged: Unlogged, *, before: EntryId | None, after: EntryId | None, limit: int) -> UserPage:
    """Users by last entry."""
    touched = {user_id: summary.last_id for user_id, summary in unlogged.users.items()}
    keys, newer, older = _page(AgentUser.objects.all(), "user_id", touched, before, after, limit)
    summaries = user_summaries(unlogged, keys)
    return UserPage(tuple(summaries[key] for key in keys), newer, older)


def session_summaries(unlogged: Unlogged, session_ids: Collection[str]) -> Mapping[str, SessionSummary]:
    """The summaries of those of these sessions that have any event."""
    wanted = set(session_ids)
    known = {row.session_id: session_of_row(row) for row in AgentSession.objects.filter(session_id__in=wanted)}
    for session_id in wanted & unlogged.sessions.keys():
        addition = unlogged.sessions[session_id]
        known[session_id] = known[session_id].merged(addition) if session_id in known else addition
    return known


def user_summaries(unlogged: Unlogged, user_ids: Collection[str]) -> Mapping[str, UserSummary]:
    """The summaries of those of these users that have any event."""
    wanted = set(user_ids)
    known = {row.user_id: user_of_row(row) for row in AgentUser.objects.filter(user_id__in=wanted)}
    touched = wanted & unlogged.users.keys()
    new_sessions = _sessions_not_logged([change for user_id in touched for change in unlogged.of_user(user_id)])
    for user_id in touched:
        addition = unlogged.users[user_id]
        summary = known[user_id].merged(addition) if user_id in known else addition
        known[user_id] = replace(summary, sessions=summary.sessions + len(new_sessions[user_id]))
    return known


def user_days(unlogged: Unlogged, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
    """The user's days from `since` up to and with `until` on which anything happened (UTC)."""
    rows = UserDay.objects.filter(user_id=user_id, day__gte=since, day__lte=until)
    return days_of(
        unlogged.of_user(user_id), user_id, since, until, {row.day: DayCount(row.events, row.errors) for row in rows}
    )


def days_of(
    changes: Iterable[Change],
    user_id: str,
    since: date,
    until: date,
    counted: Mapping[date, DayCount] | None = None,
) -> Mapping[date, DayCount]:
    """The user's days of these changes, and of what is `counted` already."""
    days = dict(counted or {})
    for change in changes:
        event = change.event
        day = event.occurred_at.date()
        if event.user_id == user_id and since <= day <= until:
            count = days.get(day, DayCount(0, 0))
            days[day] = DayCount(count.events + change.counts, count.errors + change.counts * event.is_error)
    return {day: count for day, count in days.items() if count.events}


def _sessions_not_logged(changes: Sequence[Change]) -> Mapping[str, set[str]]:
    """By user, the sessions of these changes in which the log does not know the user."""
    events = [change.event for change in changes]
    pairs = {(event.user_id, event.session_id) for event in events if event.session_id}
    logged = Participation.objects.filter(
        user_id__in={user_id for user_id, _ in pairs}, session_id__in={session_id for _, session_id in pairs}
    )
    new: dict[str, set[str]] = defaultdict(set)
    for user_id, session_id in pairs - set(logged.values_list("user_id", "session_id")):
        new[user_id].add(session_id)
    return new


def _page(
    rows: QuerySet[Any],
    key_column: str,
    touched: Mapping[str, EntryId],
    before: EntryId | None,
    after: EntryId | None,
    limit: int,
) -> tuple[list[str], EntryId | None, EntryId | None]:
    """Keys by last entry, newest first, and where the neighbouring pages begin. `touched`: what the stream adds.

    Keys of one last entry ID (of different streams, so there are few) are never parted by the end of a page.
    """
    forward = after is not None
    start = after or before
    logged = dict(rows.filter(**{f"{key_column}__in": list(touched)}).values_list(key_column, "last_id"))
    found = {key: max(last_id, logged.get(key, EntryId.MIN)) for key, last_id in touched.items()}
    untouched = rows.exclude(**{f"{key_column}__in": list(touched)}) if touched else rows
    if start is not None:
        untouched = untouched.filter(**{"last_id__gt" if forward else "last_id__lt": start})
    ordered = untouched.order_by("last_id" if forward else "-last_id")
    found.update(ordered.values_list(key_column, "last_id")[: limit + TIES_MAX])
    return page_by_last_id(found, before, after, limit)


def page_by_last_id(
    found: Mapping[str, EntryId], before: EntryId | None, after: EntryId | None, limit: int
) -> tuple[list[str], EntryId | None, EntryId | None]:
    """Of these keys with their last entries those of the page, newest first, and where its neighbours begin."""
    forward = after is not None
    start = after or before
    found = {
        key: last_id
        for key, last_id in found.items()
        if start is None or (last_id > start if forward else last_id < start)
    }
    places = sorted(((last_id, key) for key, last_id in found.items()), reverse=not forward)
    end = limit
    while limit <= end < len(places) and places[end][0] == places[end - 1][0]:
        end += 1
    kept, more = places[:end], len(places) > end
    onward = kept[-1][0] if more else None
    back = (kept[0][0] if kept else start) if start is not None else None
    shown = list(reversed(kept)) if forward else kept
    return [key for _, key in shown], onward if forward else back, back if forward else onward
