"""What becomes of a batch: applied and acknowledged, tried again later, or parked."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError, connection

from evdash.eventlog.group_progress import forget_tries, set_tries, tries_of
from evdash.events.decoding import decode
from evdash.events.entry import EntryId
from evdash.events.event import Event
from evdash.ingest.projection_protocol import Projection
from evdash.streams.client import StreamsUnavailable
from evdash.streams.consumer_group import Delivery, GroupConsumer, GroupMissing
from evdash.streams.dead_letters import park

# Whatever the loop survives: the worker connects again and goes on.
OUTAGES: Final = (StreamsUnavailable, GroupMissing, DatabaseError, InterfaceError)
# SQLSTATE class "program limit exceeded", such as a value too long for an index: the entry's doing, although drivers
# call it operational (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_LIMIT_EXCEEDED: Final = "54"


def is_sql_outage(error: Exception) -> bool:
    """Whether a database's error says that it cannot do its work now, whatever it is given."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", None) or "").startswith(_LIMIT_EXCEEDED)


class Attempts:
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


logger = logging.getLogger("evdash.workers")

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
REASON_MAX_CHARS = 1_000

# SQLite has one writer at a time, and a thread that finds it busy sleeps for up to 100 ms between two tries. Threads of
# one process queue here instead: at 50 events/s the slowest event was in the log after 230 ms instead of 370.
_ONE_WRITER = threading.Lock()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What a batch came to."""

    watermark: EntryId
    retry_in_s: float | None  # some entries failed and are to be tried again; None: none did
    done: tuple[EntryId, ...] = ()  # applied, or gone


class BatchProcessor:
    """Carries deliveries into the projection, so that one bad entry holds up no other."""

    def __init__(self, consumer: GroupConsumer, projection: Projection, max_deliveries: int) -> None:
        self.consumer = consumer
        self.projection = projection
        self.max_deliveries = max_deliveries
        self.tries = Attempts(projection.group)

    def process(self, stream: str, deliveries: Sequence[Delivery], *, first_time: bool) -> Iterator[BatchResult]:
        """Apply these entries and acknowledge those that were applied or are gone; in parts, each told when done.

        `first_time`: they were never delivered before. Others may be in a worker's hands again because they ended it:
        what was delivered often goes alone, each try counted before it is made, and unseen to the parked when so many
        tries were never finished. Deliveries alone speak against no entry: every outage adds one to each.
        Raises one of OUTAGES when nothing can be done with any entry.
        """
        if first_time:
            yield self._process(stream, deliveries, {})
            return
        ids = [delivery.entry_id for delivery in deliveries]
        counts = self.consumer.deliveries_of(stream, ids)
        tries = self.tries.of(stream, ids)
        suspects = [each for each in deliveries if counts.get(each.entry_id, 0) > self.max_deliveries]
        together = [each for each in deliveries if each not in suspects]
        outcome = self._process(stream, together, tries)
        self.tries.forget(stream, [entry_id for entry_id in outcome.done if entry_id in tries])
        yield outcome
        for suspect in suspects:
            yield self._process_alone(stream, suspect, tries, counts[suspect.entry_id])

    def _process_alone(self, stream: str, suspect: Delivery, tries: dict[EntryId, int], deliveries: int) -> BatchResult:
        before = tries.get(suspect.entry_id, 0)
        if suspect.entry is None:
            return self._process(stream, [suspect], tries)
        if before >= self.max_deliveries:
            reason = f"Tried {before} times and never finished: it may end the process that applies it."
            self._park(stream, suspect, deliveries, reason)
            return BatchResult(self.consumer.acknowledge(stream, []), None)
        with self.tries.one_more(stream, suspect.entry_id, before):
            outcome = self._process(stream, [suspect], tries)
        self.tries.forget(stream, outcome.done)
        return outcome

    def _process(self, stream: str, deliveries: Sequence[Delivery], tries: Mapping[EntryId, int]) -> BatchResult:
        failures = self._apply([decode(each.entry) for each in deliveries if each.entry is not None])
        gone = [each.entry_id for each in deliveries if each.entry is None]
        if gone and (missing := self.projection.record_removed(stream, gone)):
            logger.warning(
                "%d entries of %s were removed before %s had applied them, somewhere from %s to %s.",
                missing, stream, self.projection.group, gone[0], gone[-1],
            )  # fmt: skip
        retry_in_s = self._park_or_retry(stream, deliveries, failures, tries) if failures else None
        done = [each.entry_id for each in deliveries if each.entry_id not in failures]
        return BatchResult(self.consumer.acknowledge(stream, done), retry_in_s, tuple(done))

    def _apply(self, events: Sequence[Event]) -> dict[EntryId, Exception]:
        """Have the events committed, in halves if need be; returns what went wrong with those that cannot be."""
        if not events:
            return {}
        try:
            with _ONE_WRITER if connection.vendor == "sqlite" else nullcontext():
                self.projection.apply(events)
        except MemoryError:
            raise
        except Exception as error:
            if is_sql_outage(error):
                raise
            if len(events) > 1:
                middle = len(events) // 2
                return {**self._apply(events[:middle]), **self._apply(events[middle:])}
            self.projection.probe()  # the entry is to blame only if the database would take anything else
            logger.exception("%s cannot apply %s of %s.", self.projection.group, events[0].entry_id, events[0].stream)
            return {events[0].entry_id: error}
        return {}

    def _park_or_retry(
        self,
        stream: str,
        deliveries: Sequence[Delivery],
        failures: Mapping[EntryId, Exception],
        tries: Mapping[EntryId, int],
    ) -> float | None:
        counts = self.consumer.deliveries_of(stream, list(failures))
        least: int | None = None
        for delivery in deliveries:
            count = counts.get(delivery.entry_id)  # None: acknowledged by others meanwhile
            if delivery.entry_id not in failures or count is None:
                continue
            tried = tries.get(delivery.entry_id, 0) + 1
            if tried >= self.max_deliveries:
                self._park(stream, delivery, count, _reason(failures[delivery.entry_id]))
            else:
                self.tries.failed(stream, delivery.entry_id, tried)
                least = tried if least is None else min(least, tried)
        return None if least is None else min(FIRST_RETRY_S * 2 ** (least - 1), LONGEST_RETRY_S)

    def _park(self, stream: str, delivery: Delivery, count: int, reason: str) -> None:
        """Each step may be repeated after a crash between them; only the last one takes the entry out of our hands."""
        if delivery.entry is None:
            return
        self.projection.record_parked(stream, delivery.entry_id, reason)
        group, consumer = self.consumer.group, self.consumer.consumer
        park(self.consumer.client, delivery.entry, group=group, consumer=consumer, deliveries=count, reason=reason)
        self.consumer.acknowledge(stream, [delivery.entry_id])
        self.tries.forget(stream, [delivery.entry_id])
        logger.error("Parked %s of %s after %d deliveries: %s", delivery.entry_id, stream, count, reason)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:REASON_MAX_CHARS]
