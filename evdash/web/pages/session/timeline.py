"""The timeline of a session: all of a short one, the part around the page's position of a long one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from evdash.eventlog.gaps import GAPS_MAX
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.session.call_matching import Paired, call_steps, pairs
from evdash.events.summaries import SessionSummary
from evdash.events.text import one_line
from evdash.web.charts.overview_strip import Strip, strip
from evdash.web.charts.timeline import Timeline, timeline
from evdash.web.control_characters import escape_control_chars_text
from evdash.web.event_display.calls import Calls, KnownEnd, calls_among
from evdash.web.event_list.listing import Listing
from evdash.web.formatting import format_count
from evdash.web.pages.session.query import SessionPageQuery
from evdash.web.session_status import session_status, session_times

# Events that are read on to find returns. A call that waits longer has no note: finding its return would cost more
# than the rest of the page.
READ_ON_MAX: Final = 1_000
_STEP: Final = 200


def match_calls_in_view(reader: Reader, summary: SessionSummary, shown: EventPage) -> Calls:
    """Return the calls among these events of the session. The events are consecutive and oldest first."""
    events = without_duplicates(shown)
    if not events:
        return Calls()
    following, is_to_end = _following(reader, summary, shown, events)
    paired = pairs([*events, *following])
    last = following[-1] if following else events[-1]
    status = session_status(summary, reader.now)
    return calls_among(
        events,
        following,
        end=KnownEnd(last, reader.now, status) if is_to_end else None,
        no_return_before=_gap_free_from(reader, paired, EntryId.MAX if status == "running" else last.entry_id),
        no_call_from=_gap_free_up_to(reader, paired, events[0]) if shown.older is None else EntryId.MIN,
    )


def calls_in_filtered(reader: Reader, summary: SessionSummary, listed: Sequence[Event], drawn: Calls) -> Calls:
    """Return the calls of `drawn`, with notes on the other calls that a filter lists.

    The timeline does not follow the filter. A call further from the session's end than READ_ON_MAX events has no note.
    """
    if not any(step.kind == "call" for event in listed if not drawn.note(event) for step in call_steps(event)):
        return drawn
    last = reader.page(EventFilter().also("session", summary.session_id), limit=READ_ON_MAX)
    at_end = match_calls_in_view(reader, summary, replace(last, events=last.events[::-1]))
    return replace(drawn, notes={**at_end.notes, **drawn.notes})


def without_duplicates(page: EventPage) -> list[Event]:
    """Return the events of a page without the duplicates."""
    return [event for event in page.events if Position.of(event) not in page.duplicates]


def _following(
    reader: Reader, summary: SessionSummary, shown: EventPage, events: Sequence[Event]
) -> tuple[list[Event], bool]:
    """Return the events after these, up to their last return or call, and whether they reach the session's end."""
    within = EventFilter().also("session", summary.session_id)
    here = {Position.of(event) for event in events}
    no_call_from = EntryId.MAX if shown.older is None else EntryId.MIN
    following: list[Event] = []
    page = shown
    while page.newer is not None and len(following) < READ_ON_MAX:
        paired = pairs([*events, *following], no_call_from)
        # Without the session's beginning, the call of a return may be before these events.
        unmatched = _unmatched(paired) if shown.older is None else paired.waiting
        if not any(Position.of(event) in here for event in unmatched):
            break
        page = reader.page(within, after=page.newer, oldest_first=True, limit=_STEP, reads_on=False)
        if not page.events:  # the next events are between the log and the tail
            break
        following += without_duplicates(page)
    return following, page.newer is None and reader.has_read_all


def _unmatched(paired: Paired) -> list[Event]:
    """Return the calls and returns whose other half may follow."""
    return [*paired.waiting, *(event for event in paired.alone if event.call_id)]


def _gap_free_from(reader: Reader, paired: Paired, through: EntryId) -> EntryId:
    """Return the entry ID after which, to the end, no gap can contain the other half of a call or return."""
    if not (unmatched := _unmatched(paired)):
        return EntryId.MIN
    gaps = reader.gaps(min(event.entry_id for event in unmatched), through)
    if len(gaps) >= GAPS_MAX:  # there may be later gaps
        return EntryId.MAX
    return max((gap.last_id for gap in gaps), default=EntryId.MIN)


def _gap_free_up_to(reader: Reader, paired: Paired, first: Event) -> EntryId:
    """Return the entry ID before which, from the session's beginning, no gap can contain the call of a lone return."""
    if not paired.alone:
        return EntryId.MIN
    begins_here = type_of(first.type).starts_session
    gaps = reader.gaps(first.entry_id if begins_here else EntryId.MIN, paired.alone[-1].entry_id)
    return gaps[0].first_id if gaps else EntryId.MAX


# More marks than these would cover each other, and would cost more than the rest of the page.
DRAWN_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class TimelinePanel:
    """The timeline of a session page, with its overview strip."""

    timeline: Timeline | None
    strip: Strip | None
    calls: Calls  # those among the drawn events
    note: str  # sentences about undrawn events and unmatched calls; "" for none


def timeline_panel(
    reader: Reader,
    summary: SessionSummary,
    shown: Listing,
    query: SessionPageQuery,
    *,
    lists_all: bool,
    traced: Sequence[Event] = (),
) -> TimelinePanel:
    """Return the timeline around the query's position, else around the listed events.

    `lists_all`: the list has every event of the session. `traced`: the events with the query's traced value.
    """
    events_page = shown.page if lists_all else _around(reader, summary, shown, query.list.cursor.at)
    drawn = without_duplicates(events_page)
    calls = match_calls_in_view(reader, summary, events_page)
    reason = escape_control_chars_text(one_line(f"contains {query.trace}", 80))
    whole = strip(reader.session_outline(summary), drawn, query.search_time, [(event, reason) for event in traced])
    is_to_end = events_page.newer is None
    picture = timeline(
        drawn,
        calls,
        _addresses(drawn, shown, query),
        agent=summary.agent.text,
        now=_producers_now(summary, reader.now) if is_to_end else None,
        found={Position.of(event): reason for event in traced},
    )
    notes = _notes(drawn, calls, summary, len(events_page.duplicates), has_strip=whole is not None)
    others = picture.other_tools if picture else ()
    other_tools = [f"Other tools: {escape_control_chars_text(one_line(', '.join(others), 200))}."] if others else []
    return TimelinePanel(picture, whole, calls, " ".join([*notes, *other_tools]))


def _producers_now(summary: SessionSummary, now: datetime) -> datetime | None:
    """Return the present by the producers' clocks, as of the session's last event; None unless the session runs."""
    if session_status(summary, now) != "running":
        return None
    return summary.last_at + max(now - session_times(summary, now).last.value, timedelta())


def _notes(
    drawn: Sequence[Event], calls: Calls, summary: SessionSummary, duplicates: int, *, has_strip: bool
) -> Iterator[str]:
    if len(drawn) < summary.events:
        whole = " The overview strip shows all." if has_strip else ""
        yield f"Timeline: {len(drawn):,} of {summary.events:,} events.{whole}"
    if duplicates:
        retries = "retry" if duplicates == 1 else "retries"
        yield f"Not drawn: {format_count(duplicates, 'duplicate')} (producer {retries})."
    if calls.open:
        yield f"{format_count(len(calls.open), 'drawn call')} without a return: {_names(calls.open)}."
    if calls.alone:
        yield f"{format_count(len(calls.alone), 'drawn return')} without a known call: {_names(calls.alone)}."


def _names(calls: Sequence[Event]) -> str:
    """Return the tools of the first five of these calls or returns."""
    return ", ".join(dict.fromkeys(call.tool or call.type for call in calls[:5]))


def _around(reader: Reader, summary: SessionSummary, shown: Listing, at: EntryId | None) -> EventPage:
    within = EventFilter().also("session", summary.session_id)
    events = shown.page.events
    if at is None and events and shown.page.older is not None:
        at = events[len(events) // 2].entry_id
    if at is None or summary.events <= DRAWN_MAX:
        return reader.first_page(within, limit=DRAWN_MAX)
    return reader.around(within, at, oldest_first=True, limit=DRAWN_MAX)


def _addresses(drawn: Sequence[Event], shown: Listing, query: SessionPageQuery) -> list[str]:
    """Return the target of each mark: "" for its row on this page of the list, else the page around its event."""
    here = {Position.of(event) for event in shown.page.events}
    around = query.around_each(event.entry_id for event in drawn)
    return ["" if Position.of(event) in here else address for event, address in zip(drawn, around, strict=True)]
