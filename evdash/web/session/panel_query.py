"""The state panel's own query strings: which event, what it is compared with, and what is watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from evdash.events.entry_id import EntryId
from evdash.events.filter import PARAMETERS
from evdash.events.session.data import Path, path_text

PINS_MAX: Final = 8


class PanelQuery:
    """The panel's own query strings. Each keeps how the page around it is looked at: its reading and its filter."""

    def __init__(self, params: QueryDict, at: EntryId) -> None:
        self._at, self._pins, self._vs = at, params.getlist("pin"), params.get("vs", "")
        self._kept = [(name, value) for name in ("view", *PARAMETERS) for value in params.getlist(name) if value]

    def _of(self, at: EntryId, pins: Sequence[str], vs: str) -> str:
        pairs = [("at", str(at)), *(("pin", pin) for pin in pins), *([("vs", vs)] if vs else []), *self._kept]
        return urlencode(pairs)

    def kept(self, paths: Sequence[Path]) -> str:
        """With these paths watched."""
        return self._of(self._at, [path_text(path) for path in paths], self._vs)

    def pinned(self, path: Path) -> str:
        """With this path watched, too; "" where it is already, or no more can be."""
        text = path_text(path)
        is_full = text in self._pins or len(self._pins) >= PINS_MAX
        return "" if is_full else self._of(self._at, [*self._pins, text], self._vs)

    def unpinned(self, path: Path) -> str:
        """Without this path."""
        return self._of(self._at, [pin for pin in self._pins if pin != path_text(path)], self._vs)

    def compared_with(self, entry_id: EntryId | None) -> str:
        """Compared with the state after this entry; None: with the one before."""
        return self._of(self._at, self._pins, str(entry_id) if entry_id else "")

    def at(self, entry_id: EntryId) -> str:
        """At another event."""
        return self._of(entry_id, self._pins, self._vs)
