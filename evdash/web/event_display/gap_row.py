"""The row of a gap in a list.

In a session's or user's list, the row states that the missing entries may or may not belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.template.loader import get_template
from django.urls import reverse
from django.utils.safestring import SafeString

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import UNREAD, MissingEntries
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.web.formatting import format_count

_REASONS: Final = {
    "before": "removed before evdash first read the stream",
    "removed": "removed before evdash read {them}",
    "acknowledged": "acknowledged by an operator without being applied",
    "parked": "parked, because the event log could not apply {them}",
}


@dataclass(frozen=True, slots=True)
class ListOwner:
    """The session or user whose events a list has."""

    noun: str = ""  # "session" or "user"; "" for a list of several
    strange_streams: frozenset[str] = frozenset()  # the streams without a known event of the owner


NO_OWNER: Final = ListOwner()


@dataclass(frozen=True, slots=True)
class GapRow:
    """The context of templates/event_display/_gap.html: entries in the list's range that neither log nor stream has."""

    gap: MissingEntries
    words: str
    parked_address: str  # "" if the entries are not dead-lettered

    def html(self, view: str = "events") -> SafeString:
        """Return the row as HTML, an <li>: the same in every view mode, on a page and pushed to one."""
        return SafeString(get_template("event_display/_gap.html").render({"row": self}))


def list_owner(
    reader: Reader, filter: EventFilter, events: Iterable[Event], gaps: Sequence[MissingEntries]
) -> ListOwner:
    """Return the owner of a list by its filter, with the facts that its gap rows need.

    `events` are some of the list's events. Their streams are known to have the owner's events and are not queried.
    """
    for noun in ("session", "user"):
        names = filter.values(noun)
        if len(names) == 1:
            streams = {gap.stream for gap in gaps} - {event.stream for event in events}
            owner_filter = EventFilter().also(noun, names[0])
            return ListOwner(
                noun, frozenset(name for name in streams if _has_no_events(reader, owner_filter.also("stream", name)))
            )
    return NO_OWNER


def _has_no_events(reader: Reader, in_stream: EventFilter) -> bool:
    page = reader.page(in_stream, limit=1)
    return not page.events and page.searched_to is None


def gap_row(gap: MissingEntries, owner: ListOwner = NO_OWNER, *, is_before_first: bool = False) -> GapRow:
    """Return the row of a gap. `is_before_first`: the gap is before the first known event of a session."""
    is_one = gap.entries == 1
    why = _REASONS.get(gap.kind, "missing").format(them="it" if is_one else "them")
    if gap.kind == UNREAD:
        words = f"Possible gap in {gap.stream}: the stream was trimmed, and no worker has compared it yet."
    elif gap.entries is None:
        words = f"Gap of unknown size in {gap.stream}: entries were {why}."
    else:
        entries = format_count(gap.entries, "entry", "entries")
        words = f"Gap: {entries} of {gap.stream} {'was' if is_one else 'were'} {why}."
    if is_before_first:
        words = f"Earlier events may be missing. {words}"
    if owner.noun:
        may_be = "It may be an event" if is_one else "They may include events"
        if gap.kind == UNREAD:
            may_be = "It may include events"
        words += f" {may_be} of this {owner.noun}."
    if gap.stream in owner.strange_streams:
        words += f" This {owner.noun} has no known event in {gap.stream}."
    return GapRow(gap, words, reverse("stream-parked", args=[gap.stream]) if gap.kind == "parked" else "")


def render_gap(gap: MissingEntries, owner: ListOwner = NO_OWNER) -> str:
    """Return the gap's row as HTML."""
    return gap_row(gap, owner).html()
