"""The state panel's own query strings: which event, what it is compared with, and what is watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlencode

from django.http import QueryDict

from evdash.events.entry_id import EntryId
from evdash.events.session.data import Path, path_text

PINS_MAX: Final = 8


class PanelQuery:
    """The panel's own query strings."""

    def __init__(self, params: QueryDict, at: EntryId) -> None:
        self._at, self._pins, self._vs = str(at), params.getlist("pin"), params.get("vs", "")
        self._view = params.get("view", "")

    def _of(self, pins: Sequence[str], vs: str) -> str:
        pairs = [("at", self._at), *(("pin", pin) for pin in pins)]
        pairs += [("vs", vs)] if vs else []
        pairs += [("view", self._view)] if self._view else []
        return urlencode(pairs)

    def kept(self, paths: Sequence[Path]) -> str:
        return self._of([path_text(path) for path in paths], self._vs)

    def pinned(self, path: Path) -> str:
        text = path_text(path)
        return "" if text in self._pins or len(self._pins) >= PINS_MAX else self._of([*self._pins, text], self._vs)

    def unpinned(self, path: Path) -> str:
        return self._of([pin for pin in self._pins if pin != path_text(path)], self._vs)

    def compared_with(self, entry_id: EntryId | None) -> str:
        return self._of(self._pins, str(entry_id) if entry_id else "")

    def at(self, entry_id: EntryId) -> str:
        return urlencode([("at", str(entry_id)), *(("pin", pin) for pin in self._pins)])
