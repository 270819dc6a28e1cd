"""The row of an event: one presentation, one template, for every page and for live."""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import get_template

from evdash.events.event import Event
from evdash.web.addresses import element_id, event_address, session_address, user_address
from evdash.web.kinds import Kind, kind_of
from evdash.web.readings import Reading, reading


@dataclass(frozen=True, slots=True)
class Row:
    """What templates/events/_row.html shows of an event."""

    event: Event
    kind: Kind
    reading: Reading
    element_id: str
    address: str
    session_address: str  # "" for no session
    user_address: str  # "" for no user
    is_open: bool = False

    @property
    def entry(self) -> str:
        """Stream and entry ID, the row's identity in a page."""
        return f"{self.event.stream} {self.event.entry_id}"


def row_of(event: Event) -> Row:
    """The event's row."""
    return Row(
        event=event,
        kind=kind_of(event.type),
        reading=reading(event),
        element_id=element_id(event.stream, event.entry_id),
        address=event_address(event.stream, event.entry_id),
        session_address=session_address(event.session_id),
        user_address=user_address(event.user_id),
    )


def rows_of(events: tuple[Event, ...]) -> tuple[Row, ...]:
    """The rows of a page of events."""
    return tuple(row_of(event) for event in events)


def render_row(event: Event) -> str:
    """The row as HTML, an <li>: the same bytes in a page and pushed to it.

    It depends on the event alone. The filter that its opened part narrows stands once in the list around the rows
    (`hx-vals`), so a row rendered for one page serves every page.
    """
    return get_template("events/_row.html").render({"row": row_of(event)})
