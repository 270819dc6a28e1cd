"""Writer of the simulation: some hours of history at once, then each event as time passes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from threading import Event

import redis
from structlog.stdlib import get_logger

from evdash.demo.simulation import HISTORY_S, simulate
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.streams.publisher import NewEvent, Publisher
from evdash.streams.reads import read_backward, read_forward
from evdash.streams.stream_info import stream_info

logger = get_logger(__name__)

MAX_LENGTH = 200_000
"""Entries that the stream keeps, some two days. An unattended demonstration must not fill the memory."""

OTHERS_MAX = 10
"""Entries of other producers that end the demonstration. People who try it write fewer."""
CHECKED_AT_ONCE = 1_000


def may_write(client: redis.Redis, stream: str) -> bool:
    """Return whether the stream began with a demonstration, or is empty, and others wrote few of its newest entries.

    Few are less than OTHERS_MAX of 1,000. Raise StreamsUnavailable.
    """
    oldest = read_forward(client, stream, after=None, count=1)
    newest = read_backward(client, stream, before=None, after=None, count=CHECKED_AT_ONCE)
    return _others(oldest) == 0 and _others(newest) < OTHERS_MAX


def _others(entries: Iterable[Entry]) -> int:
    return sum(not decode(entry).simulated for entry in entries)


class Watch:
    """The entries of a stream after an ID, of which it counts those of other producers."""

    def __init__(self, client: redis.Redis, stream: str, after: EntryId) -> None:
        self._client, self._stream, self._checked_id = client, stream, after
        self._others = 0

    def is_shared(self) -> bool:
        """Return whether other producers have written OTHERS_MAX entries. Raise StreamsUnavailable."""
        while entries := read_forward(self._client, self._stream, after=self._checked_id, count=CHECKED_AT_ONCE):
            self._others += _others(entries)
            self._checked_id = entries[-1].entry_id
        return self._others >= OTHERS_MAX


def run(client: redis.Redis, publisher: Publisher, *, seed: int, stop: Event) -> None:
    """Write until `stop` is set or others write to the stream, first a history if the stream never had an entry.

    Raise StreamsUnavailable.
    """
    now_s = time.time()
    info = stream_info(client, publisher.stream)
    last_id = info.last_generated_id if info is not None else EntryId.MIN
    if last_id != EntryId.MIN:
        write_live(simulate(seed, now_s, now_s), publisher, stop, Watch(client, publisher.stream, last_id))
        return
    events = simulate(seed, now_s - HISTORY_S, now_s)
    history: list[NewEvent] = []
    for event in events:
        if event.timestamp >= now_s:
            written = list(with_entry_ids(history))
            publisher.publish_many(written)
            after = written[-1].entry_id if written else None  # to check the history would delay the first live event
            write_live(chain([event], events), publisher, stop, Watch(client, publisher.stream, after or EntryId.MIN))
            return
        history.append(event)


def with_entry_ids(events: Iterable[NewEvent]) -> Iterator[NewEvent]:
    """Yield the same events with the IDs that Redis would have given them when they were due."""
    previous = EntryId.MIN
    for event in events:
        previous = max(EntryId(int(event.timestamp * 1000), 0), previous.next())
        yield replace(event, entry_id=previous)


def write_live(events: Iterable[NewEvent], publisher: Publisher, stop: Event, watch: Watch) -> None:
    """Publish each event when it is due, until `stop` is set or others write to the stream.

    After a pause of the machine of more than a minute, the remaining events are delayed by that pause.
    """
    late_s = 0.0
    for event in events:
        wait_s = event.timestamp + late_s - time.time()
        if wait_s < -60:  # the machine slept: do not write the missed events at once
            late_s -= wait_s
            wait_s = 0
        if stop.wait(max(0.0, wait_s)):
            return
        if watch.is_shared():
            logger.info("demonstration stopped", stream=publisher.stream, reason="Other producers write to it.")
            return
        publisher.publish_many([replace(event, timestamp=event.timestamp + late_s)])
