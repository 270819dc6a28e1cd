"""Keeping states of long sessions, so that nobody who looks at one waits for all of it to be folded."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Final

from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.models import AgentSession
from evdash.eventlog.session_snapshots import KEPT_EVERY, keep_states
from evdash.events.entry import EntryId
from evdash.ingest.batch import OUTAGES
from evdash.ingest.worker import Worker
from evdash.streams.reads import read_forward
from evdash.streams.shared_tail import SharedTail

logger = logging.getLogger("evdash.workers")

BUDGET_S: Final = 0.25
"""How long entries wait at most for a round of this."""
_SESSIONS: Final = 5_000


class StateKeeping:
    """Keeps the states of sessions that have grown, a few events at a time.

    It goes on from what others have kept: an end anywhere, or several workers that do the same, cost time and nothing
    else.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._looked_through = EntryId.MIN  # last entries of sessions
        self._going: Iterator[None] | None = None

    def keep(self) -> int:
        """Go on for BUDGET_S, or until all is kept; carries nothing over, so it returns 0. Raises one of OUTAGES."""
        until_s = time.monotonic() + BUDGET_S
        self._going = self._going or self._all()
        for _ in self._going:
            if time.monotonic() >= until_s:
                return 0
        self._going = None
        return 0

    def _all(self) -> Iterator[None]:
        """Everything that is to be kept now; comes back after every event."""
        while active := self._active():
            group = self._worker.projection.group
            log, through = LogReader(SharedTail(self._worker.consumer.client, (), (group,)), group), self._logged()
            for session_id, _, events in active:
                yield
                if events < KEPT_EVERY:
                    continue
                try:
                    yield from keep_states(log, session_id, through)
                except OUTAGES:
                    raise
                except Exception:  # a saving of time: it must not stop what the worker is for
                    logger.exception("The states of session %r cannot be kept.", session_id[:80])
            self._looked_through = active[-1][1]

    def _active(self) -> list[tuple[str, EntryId, int]]:
        """Sessions with entries since the last look: ID, last entry and number of events, some at a time."""
        rows = AgentSession.objects.filter(last_id__gt=self._looked_through).order_by("last_id")
        return list(rows.values_list("session_id", "last_id", "events")[:_SESSIONS])

    def _logged(self) -> EntryId:
        """Up to where the log has everything that the streams have."""
        consumer = self._worker.consumer
        through = EntryId.MAX
        for stream in self._worker.streams:
            committed = min(self._worker.committed(stream), consumer.watermark(stream) or EntryId.MIN)
            for entry in read_forward(consumer.client, stream, after=committed, count=1):
                through = min(through, entry.entry_id.previous())
        return through
