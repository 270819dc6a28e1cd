"""Which tries of an entry speak against it: those that failed by its own doing, and those that no process survived."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from evdash.eventlog.tries import forget_tries, set_tries, tries_of
from evdash.events.entry_id import EntryId
from evdash.workers.outages import OUTAGES


class Tries:
    """The tries of one group, counted in SQL: other workers go on counting where one died."""

    def __init__(self, group: str) -> None:
        self.group = group
        # What an outage has kept from being taken back: the tries before, by stream and entry.
        self._owed: dict[tuple[str, EntryId], int] = {}

    def of(self, stream: str, entry_ids: Iterable[EntryId]) -> dict[EntryId, int]:
        """How often these entries were tried, without those that never were."""
        self._take_back()
        return tries_of(self.group, stream, entry_ids)

    @contextmanager
    def one_more(self, stream: str, entry_id: EntryId, before: int) -> Iterator[None]:
        """A try that is counted before it is made, because it may end this process.

        One that an outage ends has not been made: it is taken back, at once or when the outage is over.
        """
        self._owed[stream, entry_id] = before  # whether the next line was committed nobody knows when it raises
        set_tries(self.group, stream, entry_id, before + 1)
        try:
            yield
        except OUTAGES:
            with suppress(*OUTAGES):
                self._take_back()
            raise
        except BaseException:
            del self._owed[stream, entry_id]
            raise
        del self._owed[stream, entry_id]

    def failed(self, stream: str, entry_id: EntryId, tries: int) -> None:
        """It could not be applied, for so many times now."""
        set_tries(self.group, stream, entry_id, tries)

    def forget(self, stream: str, entry_ids: Iterable[EntryId]) -> None:
        """These are done with."""
        forget_tries(self.group, stream, entry_ids)

    def _take_back(self) -> None:
        for (stream, entry_id), before in list(self._owed.items()):
            set_tries(self.group, stream, entry_id, before)
            del self._owed[stream, entry_id]
