"""The calls in the part of a session that is shown. Their returns are looked for past its end, as far as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from evdash.eventlog.gaps import GAPS_MAX
from evdash.eventlog.reader import Reader
from evdash.eventlog.records import EventPage, Position
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.session.pairing import CALLS, Paired, pairs
from evdash.events.summaries import SessionSummary
from evdash.web.calls import Calls, KnownEnd, calls_among
from evdash.web.session_status import session_status

# A call that waits longer is told nothing of: it would cost more than the rest of the page.
READ_ON_MAX: Final = 1_000
_STEP: Final = 200


def known_calls(reader: Reader, summary: SessionSummary, shown: EventPage) -> Calls:
    """The calls among these events of the session, which lie beside each other and stand oldest first."""
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
        no_return_before=_sound_from(reader, paired, EntryId.MAX if status == "running" else last.entry_id),
        no_call_from=_sound_up_to(reader, paired, events[0]) if shown.older is None else EntryId.MIN,
    )


def calls_in_filtered(reader: Reader, summary: SessionSummary, listed: Sequence[Event], drawn: Calls) -> Calls:
    """What is known of the calls that a filter lists, beside those that are `drawn`: the picture does not go where the
    filter leads. A call that is further from the end than is read on has nothing to be told of."""
    if not any(event.type in CALLS and not drawn.note(event) for event in listed):
        return drawn
    last = reader.page(EventFilter().also("session", summary.session_id), limit=READ_ON_MAX)
    at_end = known_calls(reader, summary, replace(last, events=last.events[::-1]))
    return replace(drawn, notes={**at_end.notes, **drawn.notes})


def without_duplicates(page: EventPage) -> list[Event]:
    """The events of a page that count."""
    return [event for event in page.events if Position.of(event) not in page.duplicates]


def _following(
    reader: Reader, summary: SessionSummary, shown: EventPage, events: Sequence[Event]
) -> tuple[list[Event], bool]:
    """What came after these events, up to the last return of their calls, and whether that is up to the end."""
    within = EventFilter().also("session", summary.session_id)
    here = {Position.of(event) for event in events}
    following: list[Event] = []
    page = shown
    while page.newer is not None and len(following) < READ_ON_MAX:
        if not any(Position.of(call) in here for call in pairs([*events, *following]).waiting):
            break
        page = reader.page(within, after=page.newer, oldest_first=True, limit=_STEP, reads_on=False)
        if not page.events:  # what comes next lies between the log and the tail
            break
        following += without_duplicates(page)
    return following, page.newer is None and reader.has_read_all


def _sound_from(reader: Reader, paired: Paired, through: EntryId) -> EntryId:
    """The entry from which on, to the end, nothing is missing that could be the return of a waiting call."""
    if not paired.waiting:
        return EntryId.MIN
    gaps = reader.gaps(paired.waiting[0].entry_id, through)
    if len(gaps) >= GAPS_MAX:  # there may be later ones
        return EntryId.MAX
    return max((gap.last_id for gap in gaps), default=EntryId.MIN)


def _sound_up_to(reader: Reader, paired: Paired, first: Event) -> EntryId:
    """The entry up to which, from the session's beginning, nothing is missing that could be a lone return's call."""
    if not paired.alone:
        return EntryId.MIN
    begins_here = first.type == "session.started"
    gaps = reader.gaps(first.entry_id if begins_here else EntryId.MIN, paired.alone[-1].entry_id)
    return gaps[0].first_id if gaps else EntryId.MAX
