"""What one socket may have in flight: sent and not yet acknowledged by its page."""

from __future__ import annotations

from collections import deque

# A page that stops reading costs the server no more than this, one frame, and its few small messages.
IN_FLIGHT_ROWS = 200
IN_FLIGHT_BYTES = 256 * 1024  # counted in characters, nearly all of which are one byte


class Credit:
    """Counts messages with rows. Acknowledgements name how many the page has shown since the socket was opened."""

    def __init__(self) -> None:
        self._in_flight: deque[tuple[int, int]] = deque()
        self._rows = 0
        self._bytes = 0
        self._acknowledged = 0

    @property
    def is_available(self) -> bool:
        """Whether another message may be sent."""
        return self._rows < IN_FLIGHT_ROWS and self._bytes < IN_FLIGHT_BYTES

    def spend(self, rows: int, size: int) -> None:
        """A message was sent."""
        self._in_flight.append((rows, size))
        self._rows += rows
        self._bytes += size

    def acknowledge(self, total: int) -> None:
        """The page has shown `total` messages by now. Raises ValueError for more than were sent."""
        if total > self._acknowledged + len(self._in_flight):
            raise ValueError(f"{total} messages were acknowledged, {self._acknowledged + len(self._in_flight)} sent")
        while self._acknowledged < total:
            rows, size = self._in_flight.popleft()
            self._rows -= rows
            self._bytes -= size
            self._acknowledged += 1
