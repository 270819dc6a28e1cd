"""The row of a gap, and what it says where the events of one session or one user are listed: whether the entries that
are missing were theirs nobody knows."""

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
    """Whose events a list has."""

    noun: str = ""  # session or user; "" for those of several
    strange_streams: frozenset[str] = frozenset()  # in which nothing of it is known


NO_OWNER: Final = ListOwner()


@dataclass(frozen=True, slots=True)
class GapRow:
    """What templates/event_display/_gap.html shows: entries of the list's range that neither log nor stream has."""

    gap: MissingEntries
    words: str
    parked_address: str  # "" where the entries are not parked


def list_owner(
    reader: Reader, filter: EventFilter, events: Iterable[Event], gaps: Sequence[MissingEntries]
) -> ListOwner:
    """Whose list this is, by its filter, as far as the gaps in it need to know; `events` are some of it."""
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
    """The row of a gap. `is_before_first`: it lies before the first event that is known of a session."""
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
    """The gap's row as HTML, an <li>: the same bytes in a page and pushed to it."""
    return get_template("event_display/_gap.html").render({"row": gap_row(gap, whose)})
