"""What differs between two states of a session, row by row, for a person to read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from evdash.events.entry_id import EntryId
from evdash.events.one_line import one_line
from evdash.events.session.data import MISSING, Path, path_text, value_in
from evdash.events.session.diff import Change
from evdash.events.session.state import SessionState
from evdash.web.session.panel_query import PanelQuery

VALUE_CHARS: Final = 160
_POSITION: Final = re.compile(r"(\d+-\d+)@")
# What a row of a list is called by, and what it says.
_NAMES: Final = ("tool", "role", "type")
_WORDS: Final = ("beginning", "query", "arguments", "text", "sentence", "reason")


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One difference, as a line. `name`: the path within its group, "" for the group itself."""

    kind: Literal["added", "removed", "changed"]
    name: str
    path: str
    before: str
    after: str
    pin: str  # query string of the panel with this path watched; "" for what is no longer there


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """What differs in one row of a list, or in one part of the state."""

    kind: Literal["added", "removed", "changed"]
    title: str
    label: str  # of the row
    address: str  # query string of the page at the row's event; "" for what is no row
    lines: tuple[ChangeLine, ...]


def change_groups(
    changes: Sequence[Change], earlier: SessionState, later: SessionState, query: PanelQuery
) -> tuple[ChangeGroup, ...]:
    """The changes gathered by what they are of, in their order."""
    gathered: dict[Path, list[Change]] = {}
    for change in changes:
        gathered.setdefault(_row_of(change.path), []).append(change)
    return tuple(_group(path, of_it, earlier, later, query) for path, of_it in gathered.items())


def short(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Mapping):
        shown = {key: each for key, each in value.items() if each not in ("", None, {})}
        return one_line(", ".join(f"{key} {short(each)}" for key, each in shown.items()), VALUE_CHARS) or "{}"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), VALUE_CHARS)


def _row_of(path: Path) -> Path:
    """The path up to the row of a list that it leads into, else up to its last name."""
    for index, part in enumerate(path):
        if _POSITION.match(part):
            return path[: index + 1]
    return path[:-1] or path


def _group(
    path: Path, changes: Sequence[Change], earlier: SessionState, later: SessionState, query: PanelQuery
) -> ChangeGroup:
    position = _POSITION.match(path[-1])
    row = value_in(later, path)
    if row is MISSING:
        row = value_in(earlier, path)
    kind = changes[0].kind if len(changes) == 1 and changes[0].path == path else "changed"
    return ChangeGroup(
        kind=kind,
        title=path_text(path[:-1] if position else path),
        label=_label(row) if position else "",
        address=query.at(EntryId.parse(position[1])) if position else "",
        lines=tuple(_line(change, path, query) for change in changes),
    )


def _line(change: Change, group: Path, query: PanelQuery) -> ChangeLine:
    # A row that has come or gone is told by its label.
    is_row = change.path == group and _POSITION.match(group[-1])
    inside = change.path[len(group) :]
    return ChangeLine(
        change.kind,
        path_text(inside),
        path_text(change.path),
        "" if change.kind == "added" or is_row else short(change.before),
        "" if change.kind == "removed" or is_row else short(change.after),
        query.pinned(change.path) if change.kind != "removed" and not is_row else "",
    )


def _label(row: Any) -> str:
    if not isinstance(row, Mapping):
        return ""
    name = next((str(row[key]) for key in _NAMES if row.get(key)), "")
    words = next((str(row[key]) for key in _WORDS if row.get(key)), "")
    return one_line(f"{name}: {words}" if name and words else name or words, VALUE_CHARS)
