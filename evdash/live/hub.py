"""The hub: hands what the tail reads to the topics, and their frames to the pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.filter import EventFilter
from evdash.events.profile import decode
from evdash.live.frames import Arrival, Cursor, Render
from evdash.live.topic import Follower, Topic


class Hub:
    """Knows no sockets, no Redis and no clock: whoever drives it brings entries and times.

    An event is decoded once, matched once for each distinct filter, and rendered once at most.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._topics: dict[str, Topic] = {}
        self._topic_of: dict[Follower, Topic] = {}
        self.position: dict[str, EntryId] = {}

    def start_from(self, position: Cursor) -> None:
        """Where the tail stands before its first entries."""
        self.position = dict(position)

    def join(self, follower: Follower, filter: EventFilter) -> None:
        """From here on the page is given what matches the filter."""
        topic = self._topics.setdefault(filter.text(), Topic(filter))
        topic.followers.add(follower)
        self._topic_of[follower] = topic

    def leave(self, follower: Follower) -> None:
        """The page is gone, or looks at something else."""
        topic = self._topic_of.pop(follower, None)
        if topic is not None:
            topic.followers.remove(follower)
            if not topic.followers:
                del self._topics[topic.filter.text()]

    def take(self, entries: Sequence[Entry], now: datetime, now_s: float) -> None:
        """New entries, in the order of each stream."""
        for entry in entries:
            known = self.position.get(entry.stream)
            if known is not None and entry.entry_id <= known:
                for follower in self._topic_of:
                    follower.begin_anew(entry.stream)
            self.position[entry.stream] = entry.entry_id
        if self._topics:
            arrivals = [Arrival(decode(entry), self._render) for entry in entries]
            for topic in self._topics.values():
                topic.take(arrivals, now)
            self.tick(now_s)

    def tick(self, now_s: float) -> None:
        """Send the frames that are due."""
        for topic in list(self._topics.values()):
            if topic.due_s is not None and topic.due_s <= now_s:
                topic.flush(self.position, now_s)

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do; None: when there are new entries."""
        return min((topic.due_s for topic in self._topics.values() if topic.due_s is not None), default=None)

    def tell_alive(self, follower: Follower) -> None:
        """Tell this page how far it has everything."""
        topic = self._topic_of.get(follower)
        if topic is not None:
            follower.tell_alive({} if topic.is_pending else self.position)
