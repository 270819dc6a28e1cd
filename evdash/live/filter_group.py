"""A filter group: one distinct filter in one view mode, its matching events and its subscribed pages."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from evdash.eventlog.records import Position
from evdash.events.filters.event_filter import EventFilter, Predicate
from evdash.live.frames import FRAME_ROWS, Arrival, Cursor, Frame
from evdash.web.event_display.row import ViewMode

# Under load a page receives about seven frames a second. The first event after a quiet interval is sent at once.
FRAME_INTERVAL_S = 0.15


class Follower(Protocol):
    """The interface of a page that the hub and the filter groups use.

    A Subscription sends rows; a ChangeNotifier sends only the number of new events.
    """

    tailed: Cursor  # the tail's position when this joined the hub

    def on_frame(self, frame: Frame) -> None:
        """Handle the next frame of the filter."""

    def waiting_seen(self) -> None:
        """Handle the page's confirmation that it shows the last count it received."""

    def credit_returned(self) -> None:
        """Handle the page's acknowledgement of rows."""

    def send_heartbeat(self, cursor: Cursor) -> None:
        """Send a sign of life. The hub has handed over everything up to this cursor."""

    def restart_stream(self, stream: str) -> None:
        """Restart the stream's position, because the stream was recreated with lower entry IDs."""


class FilterGroup:
    """A collector of one filter's events into frames. Times are seconds of any monotonic clock."""

    def __init__(self, filter: EventFilter, view: ViewMode = "events") -> None:
        self.filter, self.view = filter, view
        self.followers: set[Follower] = set()
        self._is_relative = any(bound is not None and bound.ago is not None for bound in (filter.since, filter.until))
        self._needs_text = filter.needs_search_text
        self._matches: Predicate = filter.predicate()
        self._arrivals: deque[Arrival] = deque()
        self._unshown: list[Position] = []
        self._last_frame_s = float("-inf")

    @property
    def is_pending(self) -> bool:
        """True if events wait for the next frame."""
        return bool(self._arrivals)

    @property
    def due_s(self) -> float | None:
        """The time of the next frame; None if no event waits for it."""
        return self._last_frame_s + FRAME_INTERVAL_S if self._arrivals else None

    def on_arrivals(self, arrivals: Sequence[Arrival], now: datetime) -> None:
        """Keep the matching events: the newest FRAME_ROWS as rows, older ones as positions only."""
        if self._is_relative:
            self._matches = self.filter.predicate(now)
        for arrival in arrivals:
            if self._matches(arrival.event, arrival.search_text if self._needs_text else None):
                self._arrivals.append(arrival)
                if len(self._arrivals) > FRAME_ROWS:
                    self._unshown.append(self._arrivals.popleft().position)

    def flush(self, cursor: Cursor, now_s: float) -> None:
        """Send the collected events to the pages as one frame. `cursor`: the position up to which events were taken."""
        if not self._arrivals:
            return
        frame = Frame(tuple(self._arrivals), tuple(self._unshown), dict(cursor), self.view)
        self._arrivals.clear()
        self._unshown.clear()
        self._last_frame_s = now_s
        for follower in self.followers:
            follower.on_frame(frame)
