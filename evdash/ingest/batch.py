"""Processing of a batch: entries are applied and acknowledged, retried later, or dead-lettered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from structlog.stdlib import get_logger

from evdash.eventlog.group_progress import attempts_of, forget_attempts, set_attempts
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.ingest.projections.base import Projection
from evdash.streams.client import StreamsUnavailable
from evdash.streams.consumer_group import Delivery, GroupConsumer, GroupMissing
from evdash.streams.dead_letters import park

# Errors that the run loop survives: the worker reconnects and continues.
OUTAGES: Final = (StreamsUnavailable, GroupMissing, DatabaseError, InterfaceError)
# SQLSTATE class 54, "program limit exceeded", such as a value too long for an index. The entry causes it, although
# drivers classify it as operational (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_LIMIT_EXCEEDED: Final = "54"


def is_sql_outage(error: Exception) -> bool:
    """Return whether a database error means an outage: the database fails regardless of the data."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", None) or "").startswith(_LIMIT_EXCEEDED)


class Attempts:
    """The attempt counters of one group, stored in SQL: if a worker dies, other workers continue its counts."""

    def __init__(self, group: str) -> None:
        self.group = group
        # Counts that an outage kept from being restored: the number of attempts before, by stream and entry.
        self._owed: dict[tuple[str, EntryId], int] = {}

    def of(self, stream: str, entry_ids: Iterable[EntryId]) -> dict[EntryId, int]:
        """Return the number of attempts per entry, without entries that were never attempted."""
        self._take_back()
        return attempts_of(self.group, stream, entry_ids)

    @contextmanager
    def one_more(self, stream: str, entry_id: EntryId, before: int) -> Iterator[None]:
        """Count an attempt before it starts, because the attempt may end this process.

        An attempt that an outage ends does not count. Its count is restored at once or after the outage.
        """
        self._owed[stream, entry_id] = before  # if the next line raises, its commit may or may not have happened
        set_attempts(self.group, stream, entry_id, before + 1)
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

    def failed(self, stream: str, entry_id: EntryId, attempts: int) -> None:
        """Store the new number of failed attempts of an entry."""
        set_attempts(self.group, stream, entry_id, attempts)

    def forget(self, stream: str, entry_ids: Iterable[EntryId]) -> None:
        """Delete the counters of entries that need no further attempt."""
        forget_attempts(self.group, stream, entry_ids)

    def _take_back(self) -> None:
        for (stream, entry_id), before in list(self._owed.items()):
            set_attempts(self.group, stream, entry_id, before)
            del self._owed[stream, entry_id]


logger = get_logger(__name__)

FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 30.0
REASON_MAX_CHARS = 1_000

# SQLite has one writer at a time. A thread that finds the database locked sleeps up to 100 ms between two attempts.
# Threads of one process queue on this lock instead: at 50 events/s the slowest event reached the log after 230 ms
# instead of 370 ms.
_ONE_WRITER = threading.Lock()


def one_writer() -> AbstractContextManager[object]:
    """Return the context in which a thread writes: on SQLite no other thread of the process writes meanwhile."""
    return _ONE_WRITER if connection.vendor == "sqlite" else nullcontext()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one batch, or of a part of it."""

    watermark: EntryId
    retry_in_s: float | None  # some entries failed and are retried after this time; None: no entry failed
    done: tuple[EntryId, ...] = ()  # entries that were applied, or are gone from the stream


class BatchProcessor:
    """Applies deliveries to the projection. A failing entry does not block the others."""

    def __init__(
        self,
        consumer: GroupConsumer,
        projection: Projection,
        max_deliveries: int,
        decode: Callable[[Entry], Event] = decode,
    ) -> None:
        self.decode = decode
        self.consumer = consumer
        self.projection = projection
        self.max_deliveries = max_deliveries
        self.attempts = Attempts(projection.group)

    def process(self, stream: str, deliveries: Sequence[Delivery], *, first_time: bool) -> Iterator[BatchResult]:
        """Apply the deliveries and acknowledge entries that were applied or are gone; yield a result per part.

        `first_time`: the entries were never delivered before. A redelivered entry may have ended its worker. Entries
        delivered more than `max_deliveries` times are therefore applied one at a time. Each attempt is counted before
        it starts. If `max_deliveries` attempts did not finish, the entry is dead-lettered without being applied. A high
        delivery count alone proves nothing: every outage adds one delivery to each entry.
        Raises one of OUTAGES if no entry can be processed.
        """
        if first_time:
            yield self._process(stream, deliveries, {})
            return
        ids = [delivery.entry_id for delivery in deliveries]
        counts = self.consumer.deliveries_of(stream, ids)
        attempts = self.attempts.of(stream, ids)
        suspects: list[Delivery] = []
        together: list[Delivery] = []
        for delivery in deliveries:
            (suspects if counts.get(delivery.entry_id, 0) > self.max_deliveries else together).append(delivery)
        outcome = self._process(stream, together, attempts)
        self.attempts.forget(stream, [entry_id for entry_id in outcome.done if entry_id in attempts])
        yield outcome
        for suspect in suspects:
            yield self._process_alone(stream, suspect, attempts, counts[suspect.entry_id])

    def _process_alone(
        self, stream: str, suspect: Delivery, attempts: dict[EntryId, int], deliveries: int
    ) -> BatchResult:
        before = attempts.get(suspect.entry_id, 0)
        if suspect.entry is None:
            return self._process(stream, [suspect], attempts)
        if before >= self.max_deliveries:
            reason = f"Tried {before} times and never finished. The entry may crash the worker."
            self._park(stream, suspect, deliveries, reason)
            return BatchResult(self.consumer.acknowledge(stream, []), None)
        with self.attempts.one_more(stream, suspect.entry_id, before):
            outcome = self._process(stream, [suspect], attempts)
        self.attempts.forget(stream, outcome.done)
        return outcome

    def _process(self, stream: str, deliveries: Sequence[Delivery], attempts: Mapping[EntryId, int]) -> BatchResult:
        events = [self.decode(delivery.entry) for delivery in deliveries if delivery.entry is not None]
        began_s = time.monotonic()
        failures = self._apply(events)
        if events and logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "batch applied",
                group=self.projection.group,
                stream=stream,
                applied=len(events) - len(failures),
                ms=round((time.monotonic() - began_s) * 1000),
            )
        gone = [delivery.entry_id for delivery in deliveries if delivery.entry is None]
        if gone and (missing := self.projection.record_removed(stream, gone)):
            logger.log(
                logging.DEBUG if stream in settings.EVDASH.queues else logging.WARNING,
                "gap recorded",
                group=self.projection.group,
                stream=stream,
                entries=missing,
                first_id=gone[0],
                last_id=gone[-1],
                reason="The entries were removed from the stream before the group applied them.",
            )
        retry_in_s = self._park_or_retry(stream, deliveries, failures, attempts) if failures else None
        done = [delivery.entry_id for delivery in deliveries if delivery.entry_id not in failures]
        return BatchResult(self.consumer.acknowledge(stream, done), retry_in_s, tuple(done))

    def _apply(self, events: Sequence[Event]) -> dict[EntryId, Exception]:
        """Commit the events, in halves if necessary; return the error of each event that cannot be applied."""
        if not events:
            return {}
        try:
            with one_writer():
                self.projection.apply(events)
        except MemoryError:
            raise
        except Exception as error:
            if is_sql_outage(error):
                raise
            if len(events) > 1:
                middle = len(events) // 2
                return {**self._apply(events[:middle]), **self._apply(events[middle:])}
            self.projection.probe()  # the entry is the cause only if the database accepts other writes
            logger.exception(
                "entry not applied",
                group=self.projection.group,
                stream=events[0].stream,
                entry_id=events[0].entry_id,
            )
            return {events[0].entry_id: error}
        return {}

    def _park_or_retry(
        self,
        stream: str,
        deliveries: Sequence[Delivery],
        failures: Mapping[EntryId, Exception],
        attempts: Mapping[EntryId, int],
    ) -> float | None:
        counts = self.consumer.deliveries_of(stream, list(failures))
        least: int | None = None
        for delivery in deliveries:
            count = counts.get(delivery.entry_id)  # None: another consumer acknowledged it meanwhile
            if delivery.entry_id not in failures or count is None:
                continue
            attempt = attempts.get(delivery.entry_id, 0) + 1
            if attempt >= self.max_deliveries:
                self._park(stream, delivery, count, _reason(failures[delivery.entry_id]))
            else:
                self.attempts.failed(stream, delivery.entry_id, attempt)
                least = attempt if least is None else min(least, attempt)
        return None if least is None else min(FIRST_RETRY_S * 2 ** (least - 1), LONGEST_RETRY_S)

    def _park(self, stream: str, delivery: Delivery, count: int, reason: str) -> None:
        """Dead-letter the entry and acknowledge it; do nothing if it is gone from the stream.

        After a crash between two steps, all steps can be repeated. Until the acknowledgement the entry stays pending.
        """
        if delivery.entry is None:
            return
        self.projection.record_parked(stream, delivery.entry_id, reason)
        group, consumer = self.consumer.group, self.consumer.consumer
        park(self.consumer.client, delivery.entry, group=group, consumer=consumer, deliveries=count, reason=reason)
        self.consumer.acknowledge(stream, [delivery.entry_id])
        self.attempts.forget(stream, [delivery.entry_id])
        logger.error(
            "entry parked",
            group=group,
            stream=stream,
            entry_id=delivery.entry_id,
            deliveries=count,
            reason=reason,
            hint="Remove the cause, then redeliver the entry on the page Streams.",
        )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:REASON_MAX_CHARS]
