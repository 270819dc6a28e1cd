"""Periodic storage of snapshots of long sessions, so that no page has to fold a whole session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from structlog.stdlib import get_logger

from evdash.eventlog.log_reader import LogReader
from evdash.eventlog.models import AgentSession
from evdash.eventlog.session_snapshots import KEPT_EVERY, keep_states
from evdash.events.entry import EntryId
from evdash.ingest.batch import OUTAGES
from evdash.ingest.worker import Worker
from evdash.streams.reads import read_forward
from evdash.streams.shared_tail import SharedTail

logger = get_logger(__name__)

BUDGET_S: Final = 0.25
"""The time limit of one round, in seconds: it delays new entries by at most that."""
_SESSIONS: Final = 5_000


class StateKeeping:
    """Stores snapshots of sessions that have grown, a few events at a time.

    It continues from snapshots that others have stored. An interruption at any point, or several workers that store the
    same snapshots, cost only time.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._looked_through = EntryId.MIN  # sessions whose last entry is up to here are done
        self._going: Iterator[None] | None = None

    def keep(self) -> int:
        """Continue for BUDGET_S, or until all is stored; return 0, since no entry is applied. Raises one of OUTAGES."""
        until_s = time.monotonic() + BUDGET_S
        self._going = self._going or self._all()
        for _ in self._going:
            if time.monotonic() >= until_s:
                return 0
        self._going = None
        return 0

    def start_over(self) -> None:
        """Look at every session again, because a rebuild has deleted its snapshots."""
        self._looked_through = EntryId.MIN
        self._going = None

    def _all(self) -> Iterator[None]:
        """Store all snapshots that are due; yield after every event and before every session."""
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
                except Exception:  # snapshots only save time: an error must not stop the worker
                    logger.exception("snapshots not stored", session_id=session_id)
            self._looked_through = active[-1][1]

    def _active(self) -> list[tuple[str, EntryId, int]]:
        """Return sessions with new entries (ID, last entry, number of events), at most _SESSIONS per call."""
        rows = AgentSession.objects.filter(last_id__gt=self._looked_through).order_by("last_id")
        return list(rows.values_list("session_id", "last_id", "events")[:_SESSIONS])

    def _logged(self) -> EntryId:
        """Return the entry ID up to which the log contains every entry of the streams; EntryId.MAX for all."""
        consumer = self._worker.consumer
        through = EntryId.MAX
        for stream in self._worker.watched:
            if stream in self._worker.refused:
                continue
            committed = min(self._worker.committed(stream), consumer.watermark(stream) or EntryId.MIN)
            for entry in read_forward(consumer.client, stream, after=committed, count=1):
                through = min(through, entry.entry_id.previous())
        return through
