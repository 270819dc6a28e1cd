"""When a Redis server last answered this process, and whether pages may ask it.

A server that hangs costs a page all of its budget (budget.py). After a page has waited in vain, no page asks for
HOLD_OFF_S. Then one call tries, for TRY_S at most, and the others are refused meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

HOLD_OFF_S: Final = 1.0
TRY_S: Final = 0.5


class Contact:
    """The state of one server, as this process knows it. Safe for use by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_silent = False  # the last call that waited long enough had no answer
        self._ask_again_s = 0.0
        self._is_tried = False
        self.answered_at: datetime | None = None  # UTC; None: never yet
        self.unanswered = 0  # calls that waited in vain

    @contextmanager
    def call(self) -> Iterator[float | None]:
        """Give how long a call of a page may wait at most, in seconds: None for no limit of its own, 0 for not at all.

        Inside, call `answered` or `silent` when that is known.
        """
        tries = False
        with self._lock:
            if not self._is_silent:
                at_most_s = None
            elif self._is_tried or time.monotonic() < self._ask_again_s:
                at_most_s = 0.0
            else:
                at_most_s, tries, self._is_tried = TRY_S, True, True
        try:
            yield at_most_s
        finally:
            if tries:
                with self._lock:
                    self._is_tried = False

    def answered(self) -> None:
        """Note that the server has answered now."""
        with self._lock:
            self._is_silent = False
            self.answered_at = datetime.now(UTC)

    def silent(self, waited_s: float) -> None:
        """Note that a call waited for so long without an answer. A short wait says nothing about the server."""
        with self._lock:
            self.unanswered += 1
            if self._is_silent or waited_s >= TRY_S:
                self._is_silent = True
                self._ask_again_s = time.monotonic() + HOLD_OFF_S


_contacts: dict[str, Contact] = {}
_contacts_lock = threading.Lock()


def contact_with(address: str) -> Contact:
    """Return the contact with the server at this address; one for all clients of the process."""
    with _contacts_lock:
        return _contacts.setdefault(address, Contact())


def forget_contacts() -> None:
    """Begin without knowledge of any server, as a new process does."""
    with _contacts_lock:
        _contacts.clear()
