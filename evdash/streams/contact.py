"""The time when a Redis server last answered this process, and the hold-off that keeps pages from calling it.

A server that hangs costs a page all of its budget (budget.py). After a page has waited in vain, pages do not call it
for HOLD_OFF_S. Then one call tries, for at most TRY_S. Until it ends, all other calls are refused.
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
    """The state of one server, according to this process. Several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_silent = False  # the last call that waited at least TRY_S had no answer
        self._ask_again_s = 0.0
        self._is_tried = False
        self.answered_at: datetime | None = None  # UTC; None: never

    @contextmanager
    def call(self) -> Iterator[float | None]:
        """Yield the longest wait of a page's call in seconds: None for no limit, 0 if it must not wait at all.

        Inside the block, call `answered` or `silent` when the call has ended.
        """
        is_trial = False
        with self._lock:
            if not self._is_silent:
                at_most_s = None
            elif self._is_tried or time.monotonic() < self._ask_again_s:
                at_most_s = 0.0
            else:
                at_most_s, is_trial, self._is_tried = TRY_S, True, True
        try:
            yield at_most_s
        finally:
            if is_trial:
                with self._lock:
                    self._is_tried = False

    def answered(self) -> None:
        """Record that the server has answered now."""
        with self._lock:
            self._is_silent = False
            self.answered_at = datetime.now(UTC)

    def silent(self, waited_s: float) -> None:
        """Record that a call waited this long without an answer.

        A wait below TRY_S does not make an answering server count as silent.
        """
        with self._lock:
            if self._is_silent or waited_s >= TRY_S:
                self._is_silent = True
                self._ask_again_s = time.monotonic() + HOLD_OFF_S


_contacts: dict[str, Contact] = {}
_contacts_lock = threading.Lock()


def contact_with(address: str) -> Contact:
    """Return the contact with the server at this address. All clients of the process share it."""
    with _contacts_lock:
        return _contacts.setdefault(address, Contact())


def forget_contacts() -> None:
    """Drop the state of all servers, as if the process were new."""
    with _contacts_lock:
        _contacts.clear()
