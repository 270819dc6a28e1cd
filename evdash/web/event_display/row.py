"""The row of an event: one template per view mode, used by every page and by live push."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal

from django.template.loader import get_template
from django.utils.safestring import SafeString

from evdash.eventlog.records import MissingEntries, Position
from evdash.events.conversation import ConversationTurn
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.events.event_types import EventCategory, category_of, describe_event, turn_of, type_of
from evdash.events.filters.event_filter import EventFilter
from evdash.events.message_parts import PICTURE_MAX_BYTES, picture_size, picture_type
from evdash.events.one_line import OneLineText
from evdash.web.event_display.calls import CallStatus
from evdash.web.event_display.fields import ValueQueries, field_address, value_queries
from evdash.web.event_display.gap_row import NO_OWNER, GapRow, ListOwner, gap_row
from evdash.web.formatting import format_duration, format_size
from evdash.web.links import element_id, event_address, session_address, user_address
from evdash.web.text_display.shown_text import TURN, ShownText, shown_text

ViewMode = Literal["events", "conversation", "raw"]
"""The view mode of a list."""

ROW_TEMPLATES: Final[Mapping[ViewMode, str]] = {
    "events": "event_display/_row.html",
    "conversation": "event_display/_turn.html",
    "raw": "event_display/_raw.html",
}
RAW_CHARS: Final = 400
RAW_FIELDS: Final = 60


@dataclass(frozen=True, slots=True)
class Row:
    """An event in the context of the templates in ROW_TEMPLATES."""

    event: Event
    category: EventCategory
    one_line: OneLineText
    element_id: str
    address: str
    session_address: str  # "" for no session
    user_address: str  # "" for no user
    is_open: bool = False
    is_duplicate: bool = False
    more_duplicates: int = 0  # the number of folded duplicates that follow this one
    is_folded: bool = False
    clock: str = ""  # the sentence if the producer's time is before that of the previous event, else ""
    printed: tuple[PrintedField, ...] = ()  # for paper: fields that the row does not have in full
    call_note: str = ""  # the note on a call without a return, or on a return without a call
    call_status: CallStatus = ""  # of a call; of a return, that of its call if the call is inside a message
    call_duration: str = ""  # the time from the call to its end; "" if it is not known
    returns: tuple[Row, ...] = ()  # the ends of the calls that the event states, in a conversation: one card
    is_of_card: bool = False  # True: an end within the card of its call
    other_halves: tuple[OtherHalf, ...] = ()  # ends of its calls, or the calls that it ends, which the page lacks
    shows_whole: bool = False  # True: the text is not folded, for paper

    @property
    def entry(self) -> str:
        """Stream and entry ID: the row's identity in a page."""
        return f"{self.event.stream} {self.event.entry_id}"

    @property
    def classes(self) -> str:
        """The CSS classes that a row has in each view mode."""
        states = {
            "is-error": self.event.is_error,
            "is-failed": self.call_status == "failed",
            "is-duplicate": self.is_duplicate,
            "is-folded": self.is_folded,
        }
        return " ".join([f"category-{self.category.name}", *(name for name, holds in states.items() if holds)])

    @property
    def is_call(self) -> bool:
        """True if the navigation to the next tool call stops at this row."""
        return type_of(self.event.type).is_call

    @property
    def pictures(self) -> tuple[str, ...]:
        """The addresses of the pictures in the message."""
        return tuple(
            f"{self.address}?picture={number}"
            for number, part in enumerate(self.event.parts)
            if picture_type(part) and picture_size(part) <= PICTURE_MAX_BYTES
        )

    @property
    def large_pictures(self) -> tuple[str, ...]:
        """The sizes of the pictures that are too large to be shown."""
        sizes = [picture_size(part) for part in self.event.parts if picture_type(part)]
        return tuple(format_size(size) for size in sizes if size > PICTURE_MAX_BYTES)

    @property
    def turn(self) -> ConversationTurn:
        """The event as a turn of a conversation."""
        return turn_of(self.event)

    def text_of(self, turn: ConversationTurn) -> ShownText | None:
        """Return the text below the heading of the turn; None if the heading has it, or if there is none."""
        if turn.is_inline or not turn.text or (turn.brief and not self.shows_whole):
            return None
        return shown_text(turn.text, kind=turn.kind, end=None if self.shows_whole else TURN.end(turn.text))

    def html(self, view: ViewMode = "events") -> SafeString:
        """Return the row as HTML, an <li>. A page load and a live push have the same bytes."""
        return SafeString(get_template(ROW_TEMPLATES[view]).render({"row": self}))

    @property
    def raw_fields(self) -> tuple[RawField, ...]:
        """The entry's first RAW_FIELDS fields in their order, with values cut at RAW_CHARS characters."""
        fields, within = self.event.fields, EventFilter().also("session", self.event.session_id)
        return tuple(
            RawField(
                f.name,
                f.value[:RAW_CHARS],
                len(f.value) > RAW_CHARS,
                format_size(len(f.raw)),
                field_address(self.event, index),
                None if self.shows_whole else value_queries(self.event, f, within),
            )
            for index, f in enumerate(fields[:RAW_FIELDS])
        )

    @property
    def more_raw_fields(self) -> int:
        """The number of fields that `raw_fields` leaves out."""
        return max(0, len(self.event.fields) - RAW_FIELDS)


@dataclass(frozen=True, slots=True)
class OtherHalf:
    """A call, or the end of one, whose other half is in the row that names it."""

    event: Event
    is_call: bool
    page_address: str  # of the page around the event

    @property
    def address(self) -> str:
        """The address of the event."""
        return event_address(self.event.stream, self.event.entry_id)


@dataclass(frozen=True, slots=True)
class PrintedField:
    """A whole field in the context of templates/event_display/_printed.html."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RawField:
    """A field in the context of templates/event_display/_raw.html."""

    name: str
    shown: str
    is_cut: bool
    size: str
    address: str  # of the whole value
    queries: ValueQueries | None  # within the session, because a pushed row does not know the filter of its list


def row_of(event: Event, *, is_duplicate: bool = False) -> Row:
    """Return the event's row."""
    return Row(
        event=event,
        category=category_of(event.type),
        one_line=describe_event(event),
        element_id=element_id(event.stream, event.entry_id),
        address=event_address(event.stream, event.entry_id),
        session_address=session_address(event.session_id),
        user_address=user_address(event.user_id),
        is_duplicate=is_duplicate,
    )


def rows_of(events: tuple[Event, ...], duplicates: Collection[Position] = ()) -> tuple[Row, ...]:
    """Return the rows of a page of events."""
    return tuple(row_of(event, is_duplicate=Position.of(event) in duplicates) for event in events)


def fold_duplicates(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return a session's rows, oldest first, with each run of duplicates folded into its first row.

    A row whose producer's time is before that of the previous event, duplicates aside, gets a sentence on it. The
    order stays that of the stream.
    """
    folded: list[Row] = []
    run_start = -1
    latest: Event | None = None
    for row in rows:
        if row.is_duplicate and folded and folded[-1].is_duplicate:
            folded[run_start] = replace(folded[run_start], more_duplicates=folded[run_start].more_duplicates + 1)
            row = replace(row, is_folded=True)
        elif row.is_duplicate:
            run_start = len(folded)
        else:
            row = replace(row, clock=_clock_sentence(row.event, latest))
            latest = row.event
        folded.append(row)
    return tuple(folded)


def _clock_sentence(event: Event, before: Event | None) -> str:
    if before is None or "timestamp" not in (event.time_source, before.time_source):
        return ""
    if event.time_source != before.time_source or event.occurred_us >= before.occurred_us:
        return ""
    behind = format_duration(timedelta(microseconds=before.occurred_us - event.occurred_us))
    return f"Producer time is {behind} before the previous entry."


def with_gaps(
    rows: tuple[Row, ...],
    gaps: Sequence[MissingEntries],
    owner: ListOwner = NO_OWNER,
    *,
    oldest_first: bool,
    first_id: EntryId | None = None,
) -> tuple[Row | GapRow, ...]:
    """Return the rows merged with the gaps of their range.

    `first_id` is the entry ID of the session's first event, if the page has it.
    """

    def place(item: Row | GapRow) -> EntryId:
        if isinstance(item, Row):
            return item.event.entry_id
        return item.gap.first_id if oldest_first else item.gap.last_id

    gap_rows = (gap_row(gap, owner, is_before_first=first_id is not None and gap.last_id < first_id) for gap in gaps)
    items: list[Row | GapRow] = [*rows, *gap_rows]
    return tuple(sorted(items, key=place, reverse=not oldest_first)) if gaps else rows


def render_row(event: Event, view: ViewMode = "events", *, is_duplicate: bool = False) -> str:
    """Return the row of the event as HTML.

    The row depends only on the event, the view mode and the duplicate flag. An opened row narrows the filter in
    `hx-vals` of the list around the rows. A row rendered for one page therefore serves every page.
    """
    return row_of(event, is_duplicate=is_duplicate).html(view)
