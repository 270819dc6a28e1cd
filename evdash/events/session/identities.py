"""Identities (events/deduplication.py) of the events so far, as a value that is cheap to store and load."""

from __future__ import annotations

from typing import Final

from evdash.events.session.persistent import PersistentMap

SIZE: Final = 16  # bytes


class Identities:
    """A set of identities: the loaded ones, in order and end to end, and those added since."""

    __slots__ = ("_added", "_loaded")

    def __init__(self, loaded: bytes = b"", added: PersistentMap[bool] | None = None) -> None:
        self._loaded = loaded
        self._added: PersistentMap[bool] = PersistentMap() if added is None else added

    def __contains__(self, identity: bytes) -> bool:
        if self._added.get(_key(identity)):
            return True
        low, high = 0, len(self._loaded) // SIZE
        while low < high:
            middle = (low + high) // 2
            if self._loaded[middle * SIZE : middle * SIZE + SIZE] < identity:
                low = middle + 1
            else:
                high = middle
        return self._loaded[low * SIZE : low * SIZE + SIZE] == identity

    def added(self, identity: bytes) -> Identities:
        """Return the set with this identity, which it must not contain."""
        return Identities(self._loaded, self._added.put(_key(identity), True))

    def to_bytes(self) -> bytes:
        """Return all identities in order, SIZE bytes each. `Identities` of these bytes equals this set."""
        if not len(self._added):
            return self._loaded
        loaded = (self._loaded[start : start + SIZE] for start in range(0, len(self._loaded), SIZE))
        return b"".join(sorted([*loaded, *(key.encode("latin-1") for key, _ in self._added.items())]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identities) and self.to_bytes() == other.to_bytes()

    __hash__ = None  # type: ignore[assignment]


def _key(identity: bytes) -> str:
    return identity.decode("latin-1")
