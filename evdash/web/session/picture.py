"""The picture of a session: all of a short one, of a long one what lies around the place that the page is at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.summaries import SessionSummary
from evdash.web.calls import Calls
from evdash.web.listing import Listing
from evdash.web.session.known_calls import known_calls, without_duplicates
from evdash.web.session.strip import Strip, strip
from evdash.web.timeline import Timeline, timeline
from evdash.web.wording import count

# More marks than these cover each other, and cost more than the rest of the page.
DRAWN_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Picture:
    """What the page draws of a session."""

    timeline: Timeline | None
    strip: Strip | None
    calls: Calls  # those among the events that are drawn
    note: str  # what part of it is drawn; "" for the whole


def picture(reader: Reader, summary: SessionSummary, shown: Listing, at: EntryId | None, query: str) -> Picture:
    """The picture around `at`, else around what the list shows. `query`: what the addresses in it keep."""
    found = _around(reader, summary, shown, at)
    drawn = without_duplicates(found)
    calls = known_calls(reader, summary, found)
    whole = strip(reader.session_outline(summary), drawn, query)
    return Picture(
        timeline(drawn, calls, _addresses(drawn, shown, query)),
        whole,
        calls,
        " ".join(_notes(drawn, calls, summary, len(found.duplicates), has_strip=whole is not None)),
    )


def _notes(
    drawn: Sequence[Event], calls: Calls, summary: SessionSummary, duplicates: int, *, has_strip: bool
) -> Iterator[str]:
    if len(drawn) < summary.events:
        where = "; the strip above shows them all" if has_strip else ""
        yield f"{len(drawn):,} of {summary.events:,} events are drawn{where}."
    if duplicates:
        are = "is" if duplicates == 1 else "are"
        yield f"{count(duplicates, 'duplicate')}, written again by a retry, {are} not drawn."
    if calls.open:
        have = "has" if len(calls.open) == 1 else "have"
        yield f"{count(len(calls.open), 'call')} drawn here {have} no return: {_names(calls.open)}."
    if calls.alone:
        have = "has" if len(calls.alone) == 1 else "have"
        yield f"{count(len(calls.alone), 'return')} drawn here {have} no call that is known: {_names(calls.alone)}."


def _names(calls: Sequence[Event]) -> str:
    """The tools of the first of these calls or returns."""
    return ", ".join(dict.fromkeys(call.tool or call.type for call in calls[:5]))


def _around(reader: Reader, summary: SessionSummary, shown: Listing, at: EntryId | None) -> EventPage:
    within = EventFilter().also("session", summary.session_id)
    events = shown.page.events
    if at is None and events and shown.page.older is not None:
        at = events[len(events) // 2].entry_id
    if at is None or summary.events <= DRAWN_MAX:
        return reader.first_page(within, limit=DRAWN_MAX)
    return reader.around(within, at, oldest_first=True, limit=DRAWN_MAX)


def _addresses(drawn: Sequence[Event], shown: Listing, query: str) -> list[str]:
    """Where each mark leads: to its row on this page of the list, or to the page of the list around it."""
    here: Mapping[Position, bool] = {Position.of(event): True for event in shown.page.events}
    kept = f"&{query}" if query else ""
    return ["" if Position.of(event) in here else f"?at={event.entry_id}{kept}" for event in drawn]
