"""The picture of a session: all of a short one, of a long one what lies around the place that the page is at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.entry_id import EntryId
from evdash.events.filter import EventFilter
from evdash.events.session.pairing import pairs
from evdash.events.summaries import SessionSummary
from evdash.web.listing import Listing
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
    note: str  # what part of it is drawn; "" for the whole


def picture(reader: Reader, summary: SessionSummary, shown: Listing, at: EntryId | None, query: str) -> Picture:
    """The picture around `at`, else around what the list shows. `query`: what the addresses in it keep."""
    found = _drawn(reader, summary, shown, at)
    part = len(found.events) < summary.events
    note = (
        f"{len(found.events):,} of {summary.events:,} events are drawn; the strip above shows them all." if part else ""
    )
    waiting = [call.tool or call.type for call in pairs(found.events).waiting]
    if waiting:
        names, have = ", ".join(dict.fromkeys(waiting[:5])), "has" if len(waiting) == 1 else "have"
        note = f"{note} {count(len(waiting), 'call')} drawn here {have} no return: {names}."
    drawn = timeline(found.events, _addresses(found, shown, query))
    return Picture(drawn, strip(reader.session_outline(summary), found.events, query), note.strip())


def _drawn(reader: Reader, summary: SessionSummary, shown: Listing, at: EntryId | None) -> EventPage:
    within = EventFilter().also("session", summary.session_id)
    events = shown.page.events
    if at is None and events and shown.page.older is not None:
        at = events[len(events) // 2].entry_id
    if at is None or summary.events <= DRAWN_MAX:
        return reader.first_page(within, limit=DRAWN_MAX)
    return reader.around(within, at, oldest_first=True, limit=DRAWN_MAX)


def _addresses(found: EventPage, shown: Listing, query: str) -> list[str]:
    """Where each mark leads: to its row on this page of the list, or to the page of the list around it."""
    here: Mapping[Position, bool] = {Position.of(event): True for event in shown.page.events}
    kept = f"&{query}" if query else ""
    return ["" if Position.of(event) in here else f"?at={event.entry_id}{kept}" for event in found.events]
