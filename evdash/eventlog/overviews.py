"""The overview's numbers: sums of counts kept by minute, hour and day, and what the stream adds to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, QuerySet, Sum

from evdash.eventlog.activity import session_summaries
from evdash.eventlog.filter_summary import SAMPLE_MAX
from evdash.eventlog.histograms import weighted_histogram
from evdash.eventlog.models import AgentSession, AgentUser, LoggedEvent, Tally, TypeCount
from evdash.eventlog.query import id_range, log_query, slots_between
from evdash.eventlog.ranges import RangeUs, in_us, within
from evdash.eventlog.records import ACTIVE_WITHIN, Count, FacetValue, Histogram, Overview
from evdash.eventlog.time_slots import DAY_S, HOUR_S, MINUTE_S
from evdash.eventlog.unlogged import Unlogged
from evdash.events.clocks import AHEAD_AT_MOST_US, credible_us
from evdash.events.duplicates import Change
from evdash.events.entry_id import EntryId
from evdash.events.event import Event, datetime_from_us, us_from_datetime
from evdash.events.filter import EventFilter
from evdash.events.summaries import sessions_of, users_of

COUNT_MAX = 10_000
TYPES_MAX = 12
RECENT_ERRORS = 8
SLOTS_MAX = 3_000


def overview(
    unlogged: Unlogged,
    complete: bool,
    recent_errors: tuple[Event, ...],
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Overview:
    """The numbers of a range of whole minutes. Reads one database state; `unlogged` is what it does not have, or the
    newest of that, where it is not `complete`."""
    range_us = in_us(since, until)
    inside = within(unlogged.changes, range_us)
    slots = TypeCount.objects.filter(slots_between(*range_us))
    types: Counter[str] = Counter()
    for change in inside:
        types[change.event.type] += change.counts
    errors = sum(change.counts * change.event.is_error for change in inside)
    for type_, type_events, type_errors in slots.values_list("type").annotate(Sum("events"), Sum("errors")):
        types[type_] += type_events
        errors += type_errors
    events = sum(types.values())
    all_time = since is None and until is None
    first_at, last_at = _ends(unlogged)
    return Overview(
        since=since,
        until=until,
        events=Count(events, complete),
        errors=Count(errors, complete),
        sessions=_at_least(_sessions(unlogged, inside, all_time, range_us), complete),
        users=_at_least(_users(unlogged, inside, all_time, range_us), complete),
        active_sessions=_at_least(_active_sessions(unlogged, now), complete),
        per_second=_arrived_since(unlogged, now - timedelta(minutes=1), now) / 60,
        types=_most_frequent(types),
        histogram=_histogram(inside, events, since, until, range_us, now),
        recent_errors=recent_errors,
        first_at=first_at if complete else None,
        last_at=last_at,
    )


def _most_frequent(types: Mapping[str, int]) -> tuple[FacetValue, ...]:
    ordered = sorted((-number, type_) for type_, number in types.items() if number)
    return tuple(FacetValue(type_, -number) for number, type_ in ordered[:TYPES_MAX])


def _at_least(count: Count, complete: bool) -> Count:
    return Count(count.value, count.exact and complete)


def _histogram(
    inside: Sequence[Change],
    events: int,
    since: datetime | None,
    until: datetime | None,
    range_us: RangeUs,
    now: datetime,
) -> Histogram:
    """From the events themselves where they are few, else from the counts by minute, hour or day."""
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
    if beyond["events__sum"]:  # however far they are spread, they are not drawn
        counts.append((beyond["start_s__min"] * 1_000_000, beyond["events__sum"], beyond["errors__sum"]))
    return weighted_histogram([*counts, *from_stream], range_us, now, least_width_s=width_s)


def _under_way(range_us: RangeUs, rows: QuerySet[Any], key: str, added: Set[str]) -> Count:
    """How many sessions or users have their first entry before the range's end and their last after its start."""
    first_id, last_id = id_range(*range_us)
    recent = rows.filter(last_id__gte=first_id or EntryId.MIN).order_by("last_id")
    found = recent.values_list(key, "first_id")[:COUNT_MAX]
    keys = {name for name, began in found if last_id is None or began <= last_id}
    return Count(len(keys | added), exact=len(found) < COUNT_MAX)


def _sessions(unlogged: Unlogged, inside: Sequence[Change], all_time: bool, range_us: RangeUs) -> Count:
    if not all_time:
        added = {change.event.session_id for change in inside if change.event.session_id}
        return _under_way(range_us, AgentSession.objects.all(), "session_id", added)
    return _tallied("sessions", AgentSession.objects.all(), "session_id", unlogged.sessions)


def _users(unlogged: Unlogged, inside: Sequence[Change], all_time: bool, range_us: RangeUs) -> Count:
    if not all_time:
        added = {change.event.user_id for change in inside if change.event.user_id}
        return _under_way(range_us, AgentUser.objects.all(), "user_id", added)
    return _tallied("users", AgentUser.objects.all(), "user_id", unlogged.users)


def _tallied(name: str, rows: QuerySet[Any], key: str, in_stream: Mapping[str, object]) -> Count:
    tally = Tally.objects.filter(name=name).values_list("value", flat=True).first() or 0
    logged = rows.filter(**{f"{key}__in": list(in_stream)}).count() if in_stream else 0
    return Count(tally + len(in_stream) - logged)


def _active_sessions(unlogged: Unlogged, now: datetime) -> Count:
    heard_since = _entry_id_at(now - ACTIVE_WITHIN)
    touched = session_summaries(unlogged, unlogged.sessions.keys())
    active = {key for key, summary in touched.items() if summary.last_id >= heard_since and not summary.ended}
    rows = AgentSession.objects.filter(last_id__gte=heard_since, ended_id__isnull=True)
    found = rows.values_list("session_id", flat=True)[:COUNT_MAX]
    return Count(len(active | (set(found) - set(touched))), exact=len(found) < COUNT_MAX)


def _arrived_since(unlogged: Unlogged, moment: datetime, now: datetime) -> int:
    first_id, last_id = _entry_id_at(moment), _entry_id_at(now + timedelta(minutes=1))
    logged = LoggedEvent.objects.filter(entry_id__gte=first_id, entry_id__lte=last_id)
    return logged.count() + unlogged.arrived_between(first_id, last_id)


def _ends(unlogged: Unlogged) -> tuple[datetime | None, datetime | None]:
    """When the oldest and the newest entry say that they occurred, as far as that is credible."""
    rows = LoggedEvent.objects.values_list("entry_id", "occurred_us")
    ends = [(event.entry_id, event.occurred_us) for event in unlogged.ends()]
    ends += [*rows.order_by("entry_id")[:1], *rows.order_by("-entry_id")[:1]]
    if not ends:
        return None, None
    (first_id, first_us), (last_id, last_us) = min(ends), max(ends)
    return datetime_from_us(credible_us(first_us, first_id)), datetime_from_us(credible_us(last_us, last_id))


def _entry_id_at(moment: datetime) -> EntryId:
    return EntryId(us_from_datetime(moment) // 1000, 0)


def overview_of(
    changes: Sequence[Change],
    recent_errors: tuple[Event, ...],
    since: datetime | None,
    until: datetime | None,
    now: datetime,
) -> Overview:
    """The same of these changes alone, oldest first, which take nothing back. Sessions and users are those with an
    event in the range."""
    range_us = in_us(since, until)
    inside = within(changes, range_us)
    counted = [change.event for change in inside if change.counts]
    types = Counter(event.type for event in counted)
    heard_since = _entry_id_at(now - ACTIVE_WITHIN)
    active = sum(each.last_id >= heard_since and not each.ended for each in sessions_of(changes).values())
    first_id, last_id = _entry_id_at(now - timedelta(minutes=1)), _entry_id_at(now + timedelta(minutes=1))
    arrived = sum(first_id <= change.event.entry_id <= last_id for change in changes)
    ends = (changes[0].event, changes[-1].event) if changes else None
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
        histogram=weighted_histogram([(e.occurred_us, 1, int(e.is_error)) for e in counted], range_us, now),
        recent_errors=recent_errors,
        first_at=datetime_from_us(ends[0].credible_us) if ends else None,
        last_at=datetime_from_us(ends[1].credible_us) if ends else None,
    )
