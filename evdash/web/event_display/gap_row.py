"""The row of a gap in a list.

In a session's or user's list, the row states that the missing entries may or may not belong to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.template.loader import get_template
from django.urls import reverse

from evdash.eventlog.reader import Reader
from evdash.eventlog.records import UNREAD, MissingEntries
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.web.formatting import format_count

_REASONS: Final = {
    "before": "removed from the stream before evdash first read it",
    "removed": "removed from the stream before evdash had read them",
    "acknowledged": "acknowledged by an operator without being applied",
    "parked": "the log could not take it",
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
            of_it = EventFilter().also(noun, names[0])
            return ListOwner(
                noun, frozenset(name for name in streams if _has_no_events(reader, of_it.also("stream", name)))
            )
    return NO_OWNER


def _has_no_events(reader: Reader, in_stream: EventFilter) -> bool:
    found = reader.page(in_stream, limit=1)
    return not found.events and found.searched_to is None


def gap_row(gap: MissingEntries, whose: ListOwner = NO_OWNER, *, is_before_first: bool = False) -> GapRow:
    """Return the row of a gap. `is_before_first`: the gap is before the first known event of a session."""
    is_parked = gap.kind == "parked"
    entries = "An unknown number of entries" if gap.entries is None else format_count(gap.entries, "entry", "entries")
    are, why = "is" if gap.entries == 1 else "are", _REASONS.get(gap.kind, "")
    if gap.kind == UNREAD:
        entries, are, why = "Entries", "may be", "the stream was trimmed, and no worker has compared yet"
    if gap.stream in whose.strange_streams:
        words = f"{entries} of {gap.stream}, in which nothing of this {whose.noun} is known, {are} missing: {why}."
    elif is_before_first:
        words = f"Events before this one may be missing. {entries} of {gap.stream} {are} missing before it: {why}."
    else:
        words = f"{entries} of {gap.stream} {are} missing here: {why}."
    if whose.noun:
        they_were = "it was" if gap.entries == 1 else "any of them were"
        unknown = "the log does not know" if is_parked else "nobody knows"
        words += f" Whether {they_were} this {whose.noun}'s {unknown}."
    return GapRow(gap, words, reverse("stream-parked", args=[gap.stream]) if is_parked else "")


def render_gap(gap: MissingEntries, whose: ListOwner = NO_OWNER) -> str:
    """Return the gap's row as HTML, an <li>. A page load and a live push have the same bytes."""
    return get_template("event_display/_gap.html").render({"row": gap_row(gap, whose)})
