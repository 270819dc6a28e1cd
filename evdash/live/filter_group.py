"""A topic: one distinct filter in one reading, what matched it, and the pages that want it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from evdash.eventlog.records import Position
from evdash.events.filters.event_filter import EventFilter, Predicate
from evdash.live.frames import FRAME_ROWS, Arrival, Cursor, Frame
from evdash.web.event_display.row import ViewMode

# Under load a page is given four frames a second; the first event after a quiet moment comes at once.
FRAME_INTERVAL_S = 0.25


class Follower(Protocol):
    """A page, as hub and topics know it: a Subscription, which sends rows, or a Pulse, which tells of them."""

    tailed: Cursor  # where the tail stood when this joined the hub

    def take(self, frame: Frame) -> None:
        """The next frame of the filter."""

    def waiting_seen(self) -> None:
        """The page has shown the count that it was told."""

    def credit_returned(self) -> None:
        """The page has acknowledged rows."""

    def tell_alive(self, cursor: Cursor) -> None:
        """The connection stands, and everything up to this cursor was handed on."""

    def begin_anew(self, stream: str) -> None:
        """The stream was made anew with lower entry IDs."""


class FilterGroup:
    """Gathers the events of its filter into frames. Times in seconds of any steady clock."""

    def __init__(self, filter: EventFilter, reading: ViewMode = "events") -> None:
        self.filter, self.reading = filter, reading
        self.followers: set[Follower] = set()
        self._is_relative = any(bound is not None and bound.ago is not None for bound in (filter.since, filter.until))
        self._needs_text = filter.needs_search_text
        self._matches: Predicate = filter.predicate()
        self._arrivals: deque[Arrival] = deque()
        self._unshown: list[Position] = []
        self._last_frame_s = float("-inf")

    @property
    def is_pending(self) -> bool:
        """Whether events wait for the next frame."""
        return bool(self._arrivals)

    @property
    def due_s(self) -> float | None:
        """When the next frame is to be made; None: nothing waits for it."""
        return self._last_frame_s + FRAME_INTERVAL_S if self._arrivals else None

    def take(self, arrivals: Sequence[Arrival], now: datetime) -> None:
        """Keep those that match: the newest as rows, older ones as places."""
        if self._is_relative:
            self._matches = self.filter.predicate(now)
        for arrival in arrivals:
            if self._matches(arrival.event, arrival.search_text if self._needs_text else None):
                self._arrivals.append(arrival)
                if len(self._arrivals) > FRAME_ROWS:
                    self._unshown.append(self._arrivals.popleft().position)

    def flush(self, cursor: Cursor, now_s: float) -> None:
        """Give the pages what has been gathered. `cursor`: up to where events have been taken."""
        if not self._arrivals:
            return
        frame = Frame(tuple(self._arrivals), tuple(self._unshown), dict(cursor), self.reading)
        self._arrivals.clear()
        self._unshown.clear()
        self._last_frame_s = now_s
        for follower in self.followers:
            follower.take(frame)
