"""Lists and summaries of sessions and users, and the overview: read models joined with uncommitted stream entries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import connection
from django.db.models import Min, QuerySet, Sum

from evdash.eventlog.event_query import log_query, slots_between
from evdash.eventlog.filter_summary import SAMPLE_MAX
from evdash.eventlog.models import AgentSession, AgentUser, LoggedEvent, Participation, Tally, TypeCount, UserDay
from evdash.eventlog.records import (
    ACTIVE_WITHIN,
    Count,
    DayCount,
    EventPage,
    FacetValue,
    Histogram,
    OutcomeCounts,
    Overview,
    Trend,
)
from evdash.eventlog.row_mapping import session_of_row, user_of_row
from evdash.eventlog.selections import (
    COUNT_MAX,
    Selected,
    Span,
    active_in,
    added_in,
    is_countable,
    most_frequent,
)
from evdash.eventlog.stream_deltas import StreamDeltas
from evdash.eventlog.time_buckets import (
    ALL_TIME,
    DAY_S,
    HOUR_S,
    MINUTE_S,
    RangeUs,
    in_us,
    slot_start_s,
    weighted_histogram,
    whole_minutes,
    within,
)
from evdash.events.clock_skew import AHEAD_AT_MOST_US, bounded_time_us
from evdash.events.deduplication import CountChange
from evdash.events.entry import EntryId
from evdash.events.event import datetime_from_us, us_from_datetime
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS, USERS, SummaryKind
from evdash.events.inheritance import CallKey
from evdash.events.summaries import (
    CallStatements,
    SessionSummary,
    UserSummary,
    call_statements,
    final_summaries,
    sessions_of,
    states_call,
    users_of,
)

RECENT_ERRORS = 1
TYPES_MAX = 12
SLOTS_MAX = 3_000


def session_summaries(unlogged: StreamDeltas, session_ids: Collection[str]) -> Mapping[str, SessionSummary]:
    """Return the summaries of these sessions, without sessions that have no event."""
    ids = set(session_ids)
    summaries = {row.session_id: session_of_row(row) for row in AgentSession.objects.filter(session_id__in=ids)}
    changes = [change for session_id in ids for change in unlogged.of_session(session_id)]
    for session_id, addition in sessions_of(changes).items():
        summaries[session_id] = summaries[session_id].merged(addition) if session_id in summaries else addition
    return final_summaries(summaries, lambda mixed: call_statements(changes, _logged_statements(mixed)))


def _logged_statements(session_ids: Collection[str]) -> Mapping[CallKey, CallStatements]:
    """Return the statements of calls with an ID that the log has of these sessions."""
    found: dict[CallKey, CallStatements] = {}
    places = ", ".join(["%s"] * len(session_ids))
    with connection.cursor() as cursor:
        cursor.execute(_STATEMENTS.format(places), list(session_ids))
        for session_id, call_id, is_inside, event_type, number in cursor.fetchall():
            if is_inside or states_call(event_type):
                own, inside = found.get((session_id, call_id), CallStatements())
                added = (own, inside + number) if is_inside else (own + number, inside)
                found[session_id, call_id] = CallStatements(*added)
    return found


# The tables have no key for this join that the ORM could follow.
_STATEMENTS: Final = """
    SELECT called.session_id, called.call_id, called.is_inside, event.type, count(*)
    FROM eventlog_callentry AS called
    JOIN eventlog_loggedevent AS event ON event.stream_id = called.stream_id AND event.entry_id = called.entry_id
    WHERE called.session_id IN ({}) AND NOT event.is_duplicate
    GROUP BY called.session_id, called.call_id, called.is_inside, event.type
"""


def user_summaries(unlogged: StreamDeltas, user_ids: Collection[str]) -> Mapping[str, UserSummary]:
    """Return the summaries of these users, without users that have no event."""
    ids = set(user_ids)
    summaries = {row.user_id: user_of_row(row) for row in AgentUser.objects.filter(user_id__in=ids)}
    changes = [change for user_id in ids for change in unlogged.of_user(user_id)]
    new_sessions = _sessions_not_logged(changes)
    for user_id, addition in users_of(changes).items():
        summary = summaries[user_id].merged(addition) if user_id in summaries else addition
        summaries[user_id] = replace(summary, sessions=summary.sessions + len(new_sessions[user_id]))
    return summaries


def user_days(unlogged: StreamDeltas, user_id: str, since: date, until: date) -> Mapping[date, DayCount]:
    """Return the user's days (UTC) with events, from `since` to `until`, both included."""
    rows = UserDay.objects.filter(user_id=user_id, day__gte=since, day__lte=until)
    return days_of(
        unlogged.of_user(user_id), user_id, since, until, {row.day: DayCount(row.events, row.errors) for row in rows}
    )


def days_of(
    changes: Iterable[CountChange],
    user_id: str,
    since: date,
    until: date,
    counted: Mapping[date, DayCount] | None = None,
) -> Mapping[date, DayCount]:
    """Return the user's days of these changes, added to the days in `counted`."""
    days = dict(counted or {})
    for change in changes:
        event = change.event
        day = event.occurred_at.date()
        if event.user_id == user_id and since <= day <= until:
            count = days.get(day, DayCount(0, 0))
            days[day] = DayCount(count.events + change.counts, count.errors + change.counts * event.is_error)
    return {day: count for day, count in days.items() if count.events}


def _sessions_not_logged(changes: Sequence[CountChange]) -> Mapping[str, set[str]]:
    """Return, by user, the sessions of these changes in which the log does not contain the user."""
    events = [change.event for change in changes]
    pairs = {(event.user_id, event.session_id) for event in events if event.session_id}
    logged = Participation.objects.filter(
        user_id__in={user_id for user_id, _ in pairs}, session_id__in={session_id for _, session_id in pairs}
    )
    new: dict[str, set[str]] = defaultdict(set)
    for user_id, session_id in pairs - set(logged.values_list("user_id", "session_id")):
        new[user_id].add(session_id)
    return new


def overview(
    unlogged: StreamDeltas,
    complete: bool,
    errors_page: EventPage,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Overview:
    """Return the numbers of a range of whole minutes. Reads one database state.

    `unlogged` contains the entries that this state lacks. If it is not `complete`, it contains only the newest of them.
    """
    range_us = in_us(since, until)
    inside = within(unlogged.changes, range_us)
    span = Span.of(range_us)
    sessions = None if range_us == ALL_TIME else _sessions_in(unlogged, span)
    slots = TypeCount.objects.filter(slots_between(*range_us))
    types: Counter[str] = Counter()
    for change in inside:
        types[change.event.type] += change.counts
    errors = sum(change.counts * change.event.is_error for change in inside)
    for type_, type_events, type_errors in slots.values_list("type").annotate(Sum("events"), Sum("errors")):
        types[type_] += type_events
        errors += type_errors
    events = sum(types.values())
    first_at = _first_minute(unlogged) if complete else None
    return Overview(
        since=since,
        until=until,
        events=Count(events, complete),
        errors=Count(errors, complete),
        sessions=_at_least(_sessions(unlogged, span, sessions), complete),
        users=_at_least(_users(unlogged, span), complete),
        active_sessions=_at_least(_active_sessions(unlogged, now), complete),
        per_second=_arrived_since(unlogged, now - timedelta(minutes=1), now) / 60,
        types=_most_frequent(types),
        outcomes=_selected_in(unlogged, span, sessions).outcomes,
        histogram=_histogram(inside, events, since, until, range_us, now),
        recent_errors=errors_page.events,
        duplicates=errors_page.duplicates,
        first_at=first_at,
        last_at=_last_at(unlogged),
        trend=_trend(since, until, now, first_at, (events, errors), partial(_totals, unlogged)),
    )


def _trend(
    since: datetime | None,
    until: datetime | None,
    now: datetime,
    first_at: datetime | None,
    totals: tuple[int, int],
    totals_of: Callable[[RangeUs], tuple[int, int]],
) -> Trend | None:
    """Return the trend of a range with these events and errors; `totals_of` returns those of another range.

    Return None without a start, and if the first event, if it is known, is not before the period before.
    """
    if since is None or first_at is None:
        return None
    end = until or now
    length = end - since
    if length <= timedelta() or since - first_at < length:
        return None
    return Trend(length, *totals, *totals_of(in_us(*whole_minutes(since - length, since))))


def _totals(unlogged: StreamDeltas, range_us: RangeUs) -> tuple[int, int]:
    """Return the numbers of events and errors of a range of whole minutes."""
    inside = within(unlogged.changes, range_us)
    sums = TypeCount.objects.filter(slots_between(*range_us)).aggregate(events=Sum("events"), errors=Sum("errors"))
    return (
        (sums["events"] or 0) + sum(change.counts for change in inside),
        (sums["errors"] or 0) + sum(change.counts * change.event.is_error for change in inside),
    )


def _most_frequent(types: Mapping[str, int]) -> tuple[FacetValue, ...]:
    ordered = sorted((-number, type_) for type_, number in types.items() if number)
    return tuple(FacetValue(type_, -number) for number, type_ in ordered[:TYPES_MAX])


def _at_least(count: Count, complete: bool) -> Count:
    return Count(count.value, count.exact and complete)


def _histogram(
    inside: Sequence[CountChange],
    events: int,
    since: datetime | None,
    until: datetime | None,
    range_us: RangeUs,
    now: datetime,
) -> Histogram:
    """Return the histogram of the events themselves if they are few, else of the counts by minute, hour or day."""
    from_stream = [(c.event.occurred_us, c.counts, c.counts * c.event.is_error) for c in inside if c.counts]
    if events <= SAMPLE_MAX:
        rows = log_query(EventFilter().between(since, until), now).matching.filter(is_duplicate=False)
        logged = [(unix_us, 1, int(is_error)) for unix_us, is_error in rows.values_list("occurred_us", "is_error")]
        return weighted_histogram([*from_stream, *logged], range_us, now)
    minutes = TypeCount.objects.filter(slots_between(*range_us), width_s=MINUTE_S)
    if since is None and until is None:
        minutes = TypeCount.objects.filter(width_s=MINUTE_S)
    first_s = next(iter(minutes.order_by("start_s").values_list("start_s", flat=True)[:1]), 0)
    ahead_s = (us_from_datetime(now) + AHEAD_AT_MOST_US) // 1_000_000
    credible = minutes.filter(start_s__lte=ahead_s) if until is None else minutes
    last_s = next(iter(credible.order_by("-start_s").values_list("start_s", flat=True)[:1]), 0)
    width_s = next((w for w in (MINUTE_S, HOUR_S) if (last_s - first_s) / w <= SLOTS_MAX), DAY_S)
    slots = TypeCount.objects.filter(width_s=width_s, start_s__gte=first_s // width_s * width_s, start_s__lte=last_s)
    sums = slots.values_list("start_s").annotate(Sum("events"), Sum("errors"))
    counts = [(start_s * 1_000_000, slot_events, slot_errors) for start_s, slot_events, slot_errors in sums]
    beyond = minutes.filter(start_s__gt=last_s).aggregate(Min("start_s"), Sum("events"), Sum("errors"))
    if beyond["events__sum"]:  # these are not drawn, regardless of their distribution
        counts.append((beyond["start_s__min"] * 1_000_000, beyond["events__sum"], beyond["errors__sum"]))
    return weighted_histogram([*counts, *from_stream], range_us, now, least_width_s=width_s)


def _sessions_in(unlogged: StreamDeltas, span: Span) -> Set[str]:
    """Return the sessions with an event in the range, at most COUNT_MAX of the log."""
    return added_in(unlogged, span.us, SESSIONS) | set(active_in(span, AgentSession.objects.all(), "session_id"))


def _sessions(unlogged: StreamDeltas, span: Span, inside: Set[str] | None) -> Count:
    rows = AgentSession.objects.all()
    if inside is not None:
        return Count(len(inside), exact=is_countable(span, rows))
    return total(unlogged, SESSIONS)


def _selected_in(unlogged: StreamDeltas, span: Span, inside: Set[str] | None) -> Selected:
    """Return the sessions of a range, or all. `inside` are their IDs."""
    touched: Mapping[str, EntryId] = unlogged.last_ids_by_session
    rows = AgentSession.objects.exclude(session_id__in=list(touched))
    if inside is not None:
        touched = {session_id: last_id for session_id, last_id in touched.items() if session_id in inside}
        rows = rows.filter(session_id__in=inside)
    is_complete = is_countable(span, AgentSession.objects.all())
    return Selected(SESSIONS, rows, touched, partial(session_summaries, unlogged), is_complete)


def _users(unlogged: StreamDeltas, span: Span) -> Count:
    rows = AgentUser.objects.all()
    if span.us != ALL_TIME:
        return _counted_in(span, rows, "user_id", added_in(unlogged, span.us, USERS))
    return total(unlogged, USERS)


def _counted_in(span: Span, rows: QuerySet[Any], key: str, added: Set[str]) -> Count:
    keys = added | set(active_in(span, rows, key))
    return Count(len(keys), exact=is_countable(span, rows))


def total(unlogged: StreamDeltas, kind: SummaryKind) -> Count:
    """Return the number of all sessions, or of all users."""
    if kind is SESSIONS:
        return _tallied("sessions", AgentSession.objects.all(), kind.attribute, unlogged.last_ids_by_session)
    return _tallied("users", AgentUser.objects.all(), kind.attribute, unlogged.last_ids_by_user)


def _tallied(name: str, rows: QuerySet[Any], key: str, in_stream: Mapping[str, object]) -> Count:
    tally = Tally.objects.filter(name=name).values_list("value", flat=True).first() or 0
    logged = rows.filter(**{f"{key}__in": list(in_stream)}).count() if in_stream else 0
    return Count(tally + len(in_stream) - logged)


def _active_sessions(unlogged: StreamDeltas, now: datetime) -> Count:
    heard_since = _entry_id_at(now - ACTIVE_WITHIN)
    touched = unlogged.last_ids_by_session
    ended = {change.event.session_id for change in unlogged.changes if type_of(change.event.type).ends_session}
    ended |= set(_ids(AgentSession.objects.filter(session_id__in=list(touched), ended_id__isnull=False)))
    logged = _ids(AgentSession.objects.filter(last_id__gte=heard_since, ended_id__isnull=True))[:COUNT_MAX]
    active = {session_id for session_id, last_id in touched.items() if last_id >= heard_since} | set(logged)
    return Count(len(active - ended), exact=len(logged) < COUNT_MAX)


def _ids(sessions: QuerySet[AgentSession]) -> QuerySet[AgentSession, str]:
    return sessions.values_list("session_id", flat=True)


def _arrived_since(unlogged: StreamDeltas, moment: datetime, now: datetime) -> int:
    first_id, last_id = _entry_id_at(moment), _entry_id_at(now + timedelta(minutes=1))
    logged = LoggedEvent.objects.filter(entry_id__gte=first_id, entry_id__lte=last_id)
    return logged.count() + unlogged.arrived_between(first_id, last_id)


def _first_minute(unlogged: StreamDeltas) -> datetime | None:
    """Return the start of the minute in which the first event occurred. An earlier entry may have a later time."""
    minutes = TypeCount.objects.filter(width_s=MINUTE_S, events__gt=0).order_by("start_s")
    starts_s = list(minutes.values_list("start_s", flat=True)[:1])
    starts_s += [slot_start_s(change.event.occurred_us, MINUTE_S) for change in unlogged.changes if change.counts > 0]
    return datetime_from_us(min(starts_s) * 1_000_000) if starts_s else None


def _last_at(unlogged: StreamDeltas) -> datetime | None:
    """Return the time of the newest entry, bounded to a credible value."""
    ends = [(event.entry_id, event.occurred_us) for event in unlogged.ends()]
    ends += LoggedEvent.objects.values_list("entry_id", "occurred_us").order_by("-entry_id")[:1]
    if not ends:
        return None
    last_id, last_us = max(ends)
    return datetime_from_us(bounded_time_us(last_us, last_id))


def _entry_id_at(moment: datetime) -> EntryId:
    return EntryId(us_from_datetime(moment) // 1000, 0)


def overview_of(
    changes: Sequence[CountChange],
    errors_page: EventPage,
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Overview:
    """Return the overview of these changes alone, which are oldest first and contain no change of -1.

    It counts the sessions and users that have an event in the range.
    """
    range_us = in_us(since, until)
    inside = within(changes, range_us)
    counted = [change.event for change in inside if change.counts]
    types = Counter(event.type for event in counted)
    heard_since = _entry_id_at(now - ACTIVE_WITHIN)
    all_sessions = sessions_of(changes)
    active = sum(each.last_id >= heard_since and not each.ended for each in all_sessions.values())
    first_id, last_id = _entry_id_at(now - timedelta(minutes=1)), _entry_id_at(now + timedelta(minutes=1))
    arrived = sum(first_id <= change.event.entry_id <= last_id for change in changes)
    starts_s = [slot_start_s(change.event.occurred_us, MINUTE_S) for change in changes if change.counts]

    def totals_of(range_us: RangeUs) -> tuple[int, int]:
        own = [change.event for change in within(changes, range_us) if change.counts]
        return len(own), sum(event.is_error for event in own)

    first_at = datetime_from_us(min(starts_s) * 1_000_000) if starts_s else None
    return Overview(
        since=since,
        until=until,
        events=Count(len(counted)),
        errors=Count(sum(event.is_error for event in counted)),
        sessions=Count(len(sessions_of(inside))),
        users=Count(len(users_of(inside))),
        active_sessions=Count(active),
        per_second=arrived / 60,
        types=_most_frequent(types),
        outcomes=OutcomeCounts(most_frequent(Counter(all_sessions[each].end for each in sessions_of(inside)))),
        histogram=weighted_histogram([(e.occurred_us, 1, int(e.is_error)) for e in counted], range_us, now),
        recent_errors=errors_page.events,
        duplicates=errors_page.duplicates,
        first_at=first_at,
        last_at=datetime_from_us(changes[-1].event.credible_us) if changes else None,
        trend=_trend(since, until, now, first_at, totals_of(range_us), totals_of),
    )
