"""A pulse: a page that shows no rows but what they amount to, and looks again when it hears that there are new ones."""

from __future__ import annotations

import json
from collections.abc import Callable

from evdash.live.frames import Cursor, Frame


class Pulse:
    """Tells a page how many events of its filter have come, and nothing more until it has looked.

    Takes the place of a Subscription. Needs no cursor: a page that was away reads itself anew when it is back.
    """

    def __init__(self, deliver: Callable[[str], None]) -> None:
        self.tailed: Cursor = {}
        self._deliver = deliver
        self._untold = 0
        self._is_told = False  # and the page has not looked yet

    def take(self, frame: Frame) -> None:
        """The next frame of the filter."""
        self._untold += frame.count
        self._tell()

    def waiting_seen(self) -> None:
        """The page has looked."""
        self._is_told = False
        self._tell()

    def credit_returned(self) -> None:
        """Rows were acknowledged, of which this page has none."""

    def tell_alive(self, cursor: Cursor) -> None:
        """Let the page know that the connection stands."""
        self._deliver(json.dumps({"type": "alive"}))

    def begin_anew(self, stream: str) -> None:
        """The stream was made anew; whatever comes from it is news."""

    def _tell(self) -> None:
        if self._untold and not self._is_told:
            self._deliver(json.dumps({"type": "news", "count": self._untold}))
            self._untold, self._is_told = 0, True
