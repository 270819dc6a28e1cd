"""A plain model of what hub, subscription, cursor, credit and catch-up do together: a world, and pages that check."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from evdash.eventlog.records import Position
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.live.hub import Hub
from evdash.live.subscription import Credit, Subscription
from tests.builders import entry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IN_FLIGHT_ROWS = 8
# A recreated stream has lower IDs than the one before.
FIRST_MS = 1_000_000
ANEW_MS = 500_000


def render(event: Event, reading: str = "events", *, is_duplicate: bool = False) -> str:
    return f"[{event.stream} {event.entry_id}]"


class World:
    """The streams as they were written to, and the event log, which has everything at once."""

    def __init__(self, streams: tuple[str, ...]) -> None:
        self.written: dict[str, list[Entry]] = {stream: [] for stream in streams}
        self.tailed = dict.fromkeys(streams, 0)  # how many of them the tail has handed over
        self.next_ms = dict.fromkeys(streams, FIRST_MS)

    def write(self, stream: str, kind: str) -> None:
        self.next_ms[stream] += 1
        self.written[stream].append(entry(f"{self.next_ms[stream]}-0", stream, type=kind))

    def end(self, stream: str) -> EntryId:
        is_empty = self.next_ms[stream] == ANEW_MS
        return EntryId.MIN if is_empty else self.written[stream][-1].entry_id

    def cursor(self) -> dict[str, EntryId]:
        return {stream: self.end(stream) for stream in self.written}

    def unread(self, stream: str) -> list[Entry]:
        return self.written[stream][self.tailed[stream] :]

    def place(self, stream: str, entry_id: EntryId) -> int:
        """How many entries of the stream a page at this cursor has, of those that were ever written."""
        places = [number for number, known in enumerate(self.written[stream], 1) if known.entry_id == entry_id]
        if places:
            return places[0]
        return sum(known.entry_id.ms >= FIRST_MS for known in self.written[stream])  # recreated, and nothing since


@dataclass(frozen=True)
class ReadPage:
    events: tuple[Event, ...]
    newer: Position | None
    duplicates: frozenset[Position] = frozenset()
    gaps: tuple[()] = ()


class WorldReader:
    """What `catch_up` asks of the event log's reader, of the model's world."""

    unreachable = ""

    def __init__(self, world: World, meanwhile: int) -> None:
        self._world, self._meanwhile = world, meanwhile

    def last_entry_ids(self) -> dict[str, EntryId]:
        ends = self._world.cursor()
        for _ in range(self._meanwhile):  # producers do not wait for us
            for stream in self._world.written:
                self._world.write(stream, "a")
        return ends

    def removed_unread(self, seen: Position) -> None:
        """The log has everything."""

    def page(
        self,
        filter: EventFilter,
        *,
        before: Position | None = None,
        after: Position | None = None,
        oldest_first: bool = False,
        limit: int = 100,
    ) -> ReadPage:
        events = [decode(each) for entries in self._world.written.values() for each in entries]
        found = sorted(
            (
                event
                for event in events
                if filter.matches(event, NOW)
                and (before is None or event.entry_id < before.entry_id)
                and (after is None or event.entry_id > after.entry_id)
            ),
            key=lambda event: (event.entry_id, event.stream),
        )
        kept = found[:limit] if oldest_first else found[::-1][:limit]
        return ReadPage(tuple(kept), Position.of(kept[-1]) if oldest_first and len(found) > limit else None)


@dataclass(eq=False)
class Page:
    """A page of the browser: what it has been told, checked against what was written whenever it is told more."""

    world: World
    filter: EventFilter
    cursor: dict[str, EntryId]
    # Per stream, how many of the entries ever written it has, as row or in a gap, or does not want.
    received: dict[str, int] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)
    subscription: Subscription | None = None
    number: int = 0

    def __post_init__(self) -> None:
        self.received = {stream: self.world.place(stream, entry_id) for stream, entry_id in self.cursor.items()}
        self.connect()

    def connect(self) -> None:
        """A new socket: what was on its way is lost."""
        self.credit = Credit()
        self.network: list[tuple[int, dict[str, Any]]] = []
        self.heard = self.acknowledged = 0
        self.in_flight: list[int] = []  # rows of each message that is not acknowledged
        self.waiting = 0
        self.subscription = None

    def subscribe(self, hub: Hub) -> Subscription:
        self.number += 1
        number = self.number
        self.waiting = 0  # the page passes over what belongs to the one before
        self.subscription = Subscription(self.cursor, self.credit, lambda text: self.send(number, json.loads(text)))
        hub.join(self.subscription, self.filter)
        return self.subscription

    def send(self, number: int, message: dict[str, Any]) -> None:
        """The server's end of the socket."""
        if message["type"] == "rows":
            assert sum(self.in_flight) < IN_FLIGHT_ROWS, "sent beyond the credit"
            self.in_flight.append(message["count"])
        elif message["type"] == "waiting":
            self.waiting += 1
            assert self.waiting == 1, "a count was sent before the one before was seen"
        self.network.append((number, message))

    def hear(self, messages: int) -> None:
        for number, message in self.network[:messages]:
            if message["type"] == "waiting" and number == self.number:
                self.waiting = 0
                if self.subscription:
                    self.subscription.waiting_seen()
            elif message["type"] == "rows":
                self.heard += 1
            if number == self.number and "cursor" in message:
                self.receive(message)
        del self.network[:messages]

    def acknowledge(self, messages: int) -> None:
        messages = min(messages, self.heard - self.acknowledged)
        self.acknowledged += messages
        del self.in_flight[:messages]
        self.credit.acknowledge(self.acknowledged)
        if self.subscription:
            self.subscription.credit_returned()

    def receive(self, message: dict[str, Any]) -> None:
        """Check that the message says all of what lies between the cursor before and its own, and nothing else."""
        self.cursor |= {stream: EntryId.parse(entry_id) for stream, entry_id in message["cursor"].items()}
        rows = re.findall(r"\[(\S+ \d+-\d+)\]", message.get("html", ""))
        assert len(rows) == message.get("count", 0)
        assert not self.shown.intersection(rows), "a row was sent twice"
        self.shown.update(rows)
        reached: list[Entry] = []
        for stream, entries in self.world.written.items():
            place = self.world.place(stream, self.cursor[stream])
            assert place >= self.received[stream], "the cursor went back"
            wanted = [
                known for known in entries[self.received[stream] : place] if self.filter.matches(decode(known), NOW)
            ]
            self.received[stream] = place
            names = [name_of(known) for known in sorted(wanted, key=lambda known: known.entry_id)]
            mine = [row for row in rows if row.startswith(f"{stream} ")]
            assert mine == names[len(names) - len(mine) :], "rows are the newest, in order, after those of the gap"
            reached += wanted
        skipped = [known for known in reached if name_of(known) not in rows]
        if message.get("skipped_exactly", True):
            assert len(skipped) == message.get("skipped", 0)
        else:
            assert len(skipped) >= message["skipped"]
        if skipped:
            after = Position.parse(message["skipped_after"])
            assert all((known.entry_id, known.stream) > (after.entry_id, after.stream) for known in skipped)


def name_of(known: Entry) -> str:
    return f"{known.stream} {known.entry_id}"
