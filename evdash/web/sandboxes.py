"""Sandboxes as the pages show them: by themselves, read from Redis alone, in no number of the watched streams."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import redis
from django.conf import settings

from evdash.eventlog.records import EventPage, Position
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.profile import decode
from evdash.streams.client import StreamsUnavailable
from evdash.streams.reads import read_entry, read_forward
from evdash.streams.sandbox import Provenance, Sandbox, origin, sandbox, sandboxes, why_no_sandbox
from evdash.web.addresses import event_address
from evdash.web.filter_bar import Asked, FilterBar, filter_bar
from evdash.web.listing import Listing
from evdash.web.paging import ROWS, Pager, RowList, link
from evdash.web.rows import Row, row_of
from evdash.web.stream_addresses import sandbox_address, sandbox_operation_address
from evdash.web.timeline import Timeline, timeline
from evdash.web.wording import count

# As in the picture of a session; and so many entries are searched for one page.
PICTURE_EVENTS: Final = 1_000
SEARCHED_MAX: Final = 10_000
_STEP: Final = 1_000


@dataclass(frozen=True, slots=True)
class SandboxView:
    """One sandbox."""

    sandbox: Sandbox

    @property
    def address(self) -> str:
        return sandbox_address(self.sandbox.name)

    @property
    def delete_address(self) -> str:
        return sandbox_operation_address("delete-sandbox", stream=self.sandbox.name)

    @property
    def entries(self) -> int:
        return self.sandbox.info.length if self.sandbox.info else 0

    @property
    def replays(self) -> tuple[ReplayView, ...]:
        """The newest first."""
        return tuple(ReplayView(replay) for replay in reversed(self.sandbox.replays))


@dataclass(frozen=True, slots=True)
class ReplayView:
    """What one replay brought into a sandbox."""

    provenance: Provenance

    @property
    def did(self) -> str:
        """How much was copied, from where and how."""
        told = self.provenance
        of = f" of {', '.join(told.sources)}" if told.sources else ""
        ids = "their original" if told.ids == "original" else "new"
        return f"{count(told.entries, 'entry', 'entries')}{of}, with {ids} IDs, {told.pace}"

    @property
    def trouble(self) -> str:
        """Why it is not all of them; "" when it is."""
        if self.provenance.ended_at is None:
            return "Not ended: it is still being copied, or was ended without a word."
        return self.provenance.outcome


@dataclass(frozen=True, slots=True)
class SandboxPage:
    """The events of a sandbox, as templates/streams/sandbox.html shows them."""

    listing: Listing
    timeline: Timeline | None
    timeline_note: str


def is_sandbox(stream: str) -> bool:
    """Whether the name is one of a sandbox."""
    return not why_no_sandbox(stream, settings.EVDASH.sandbox_prefix, settings.EVDASH.streams)


def sandbox_view(client: redis.Redis, stream: str) -> SandboxView | None:
    """The sandbox of this name; None when there is none. Raises StreamsUnavailable."""
    found = sandbox(client, stream) if is_sandbox(stream) else None
    return SandboxView(found) if found else None


def sandbox_views(client: redis.Redis) -> tuple[SandboxView, ...]:
    """All sandboxes; none where Redis cannot be asked, which the page says of its streams."""
    try:
        return tuple(map(SandboxView, sandboxes(client, settings.EVDASH.sandbox_prefix)))
    except StreamsUnavailable:
        return ()


def sandbox_page(client: redis.Redis, stream: str, asked: Asked, after: EntryId | None) -> SandboxPage:
    """The sandbox's entries under the filter, in their order, those after an entry. Raises StreamsUnavailable."""
    address, query = sandbox_address(stream), asked.own.query_string()
    # Exports, and the choice of streams, are of the watched ones.
    bar = replace(filter_bar(asked, address), ndjson="", csv="", streams=())
    if asked.problem:
        return SandboxPage(_listing(bar, (), asked.own, None), None, "")
    events, stopped_at = _events(client, stream, asked.own, after)
    shown = events[:ROWS]
    onward = shown[-1].entry_id if len(events) > ROWS else stopped_at
    next_address = link(address, query, after=onward) if onward else ""
    searched = f"Searched forward to {stopped_at}." if stopped_at and len(events) <= ROWS else ""
    ways = Pager(
        first=link(address, query) if after else "",
        previous="",
        next=next_address,
        last="",
        previous_label="Earlier",
        next_label="Later",
        searched=searched,
        search_on=next_address,
    )
    is_part = len(events) >= PICTURE_EVENTS or after is not None
    return SandboxPage(
        _listing(replace(bar, sentence=asked.own.describe()), shown, asked.own, ways),
        timeline(events, _pages(events, address, query)),
        f"{count(len(events), 'event')} are drawn, from this page of the list on." if is_part else "",
    )


def _listing(bar: FilterBar, events: tuple[Event, ...], event_filter: EventFilter, ways: Pager | None) -> Listing:
    rows = tuple(sandbox_row(event) for event in events)
    return Listing(
        bar=bar,
        list=RowList(rows, rows, "oldest-first", json.dumps({"q": event_filter.text()}), None, "{}"),
        pager=ways,
        page=EventPage(events, None, None, None, {}),
        is_filtered=True,
    )


def sandbox_event(client: redis.Redis, stream: str, entry_id: EntryId) -> Event | None:
    """The event of an entry of a sandbox; None when it has none such. Raises StreamsUnavailable."""
    entry = read_entry(client, stream, entry_id)
    return decode(entry) if entry else None


def sandbox_row(event: Event) -> Row:
    """The event's row: its links stay within the sandbox."""

    def within(key: str, value: str) -> str:
        return link(sandbox_address(event.stream), EventFilter().also(key, value).query_string()) if value else ""

    return replace(
        row_of(event),
        session_address=within("session", event.session_id),
        user_address=within("user", event.user_id),
    )


def original_address(client: redis.Redis, event: Event) -> str:
    """Where the entry lies that this one of a sandbox is a copy of; "" where nobody can say."""
    if came_from := origin(client, event.stream, event.entry_id):
        return event_address(*came_from)
    found = sandbox(client, event.stream)
    within = [
        replay
        for replay in (found.replays if found else ())
        if replay.ids == "original" and replay.first_id and replay.last_id
        if replay.first_id <= event.entry_id <= replay.last_id
    ]
    # Of several streams that were replayed at once nobody knows which it was.
    return event_address(within[0].sources[0], event.entry_id) if within and len(within[0].sources) == 1 else ""


def _events(
    client: redis.Redis, stream: str, event_filter: EventFilter, after: EntryId | None
) -> tuple[tuple[Event, ...], EntryId | None]:
    """At most PICTURE_EVENTS that match, and where the search stopped before it had them or the end."""
    matches: Callable[[Event], bool] = event_filter.predicate()
    found: list[Event] = []
    for _ in range(SEARCHED_MAX // _STEP):
        entries = read_forward(client, stream, after=after, count=_STEP)
        found += filter(matches, map(decode, entries))
        if len(entries) < _STEP:
            return tuple(found[:PICTURE_EVENTS]), None
        after = entries[-1].entry_id
        if len(found) >= PICTURE_EVENTS:
            return tuple(found[:PICTURE_EVENTS]), None
    return tuple(found), after


def _pages(events: tuple[Event, ...], address: str, query: str) -> list[str]:
    """Where each mark leads: to its row on this page, or to the page that begins with it."""
    before = [None, *(Position.of(event) for event in events)]
    return [
        link(address, query, after=place.entry_id) if place and index >= ROWS else ""
        for index, place in enumerate(before[:-1])
    ]
