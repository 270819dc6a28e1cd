"""Differences between two states of a session, by path.

Parts that both states share are skipped, so only the differences cost time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from evdash.events.session.paths import Path, data_of, fields_of, path_text
from evdash.events.session.persistent import PersistentList, PersistentMap
from evdash.events.session.state import Hidden, SessionState


@dataclass(frozen=True, slots=True)
class StateChange:
    """One difference. `before` and `after` are data (paths.py), None if absent."""

    kind: Literal["added", "removed", "changed"]
    path: Path
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{path_text(self.path)} {self.kind}"


def diff(earlier: SessionState, later: SessionState) -> list[StateChange]:
    """Return the changes that turn the earlier state's data into the later one's.

    Lists and maps change key by key.
    """
    return list(_differences((), earlier, later))


def apply(data: Mapping[str, Any], changes: Iterable[StateChange]) -> dict[str, Any]:
    """Return the data with these changes made: `apply(as_data(a), diff(a, b)) == as_data(b)`."""
    changed = deepcopy(dict(data))
    for change in changes:
        place = changed
        for part in change.path[:-1]:
            place = place[part]
        if change.kind == "removed":
            del place[change.path[-1]]
        else:
            place[change.path[-1]] = deepcopy(change.after)
    return changed


def _differences(path: Path, earlier: Any, later: Any) -> Iterator[StateChange]:
    if earlier is later or isinstance(later, Hidden):
        return
    if isinstance(later, PersistentList):
        ours, theirs = _rows_that_may_differ(earlier, later)
        yield from _by_key(path, ours, theirs)
    elif isinstance(later, PersistentMap):
        keys = sorted(earlier.differing(later))
        yield from _by_key(path, _values(earlier, keys), _values(later, keys))
    elif isinstance(later, tuple) and isinstance(earlier, tuple):
        for name, one, other in zip(fields_of(later), earlier, later, strict=True):
            yield from _differences((*path, name), one, other)
    elif not _is_same(earlier, later):
        yield StateChange("changed", path, earlier, later)


def _is_same(one: Any, other: Any) -> bool:
    """Return whether value and type are equal. True differs from 1, and 1 from 1.0, because data is displayed."""
    return bool(one == other) and type(one) is type(other)


def _by_key(path: Path, earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Iterator[StateChange]:
    for key, row in earlier.items():
        if key not in later:
            yield StateChange("removed", (*path, key), data_of(row), None)
    for key, row in later.items():
        if key in earlier:
            yield from _differences((*path, key), earlier[key], row)
        else:
            yield StateChange("added", (*path, key), None, data_of(row))


def _values(values: PersistentMap[Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key in keys if (value := values.get(key)) is not None}


def _rows_that_may_differ(
    earlier: PersistentList[Any], later: PersistentList[Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return, by key, the rows of the chunks that the lists do not share.

    A chunk with a dropped beginning does not count as shared.
    """
    shared = {chunk.known_as for chunk in earlier.chunks[bool(earlier.dropped) :]}
    shared &= {chunk.known_as for chunk in later.chunks[bool(later.dropped) :]}
    return _rows(earlier, shared), _rows(later, shared)


def _rows(rows: PersistentList[Any], shared: set[int | bytes]) -> dict[str, Any]:
    rows_by_key: dict[str, Any] = {}
    dropped = rows.dropped
    for chunk in rows.chunks:
        if chunk.known_as not in shared:
            rows_by_key.update((row[0], row) for row in chunk.rows[dropped:])
        dropped = 0
    rows_by_key.update((row[0], row) for row in rows.tail[dropped:])
    return rows_by_key
