"""The hub: hands what the tail reads to the topics, and their frames to the pages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

from evdash.events.decoding import decode
from evdash.events.deduplication import identity
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.live.filter_group import FilterGroup, Follower
from evdash.live.frames import Arrival, Cursor, Render
from evdash.live.subscription import CatchUp, Subscription
from evdash.web.event_display.row import ViewMode

# Retries follow soon: so many identities are remembered to mark them.
IDENTITIES_MAX = 20_000


EventsOf = Callable[[Sequence[Entry], Cursor], Sequence[Event]]


def _decoded(entries: Sequence[Entry], _before: Cursor) -> Sequence[Event]:
    return [decode(entry) for entry in entries]


class Hub:
    """Knows no sockets, no Redis and no clock: whoever drives it brings entries and times.

    An event is decoded once, matched once for each distinct filter, and rendered once at most in each reading.
    """

    def __init__(self, render: Render, events_of: EventsOf | None = None) -> None:
        """`events_of` gives the events of new entries, with the position before them; without it they are decoded."""
        self._render = render
        self._events_of = events_of or _decoded
        self._topics: dict[tuple[str, ViewMode], FilterGroup] = {}
        self._topic_of: dict[Follower, FilterGroup] = {}
        self._identities: OrderedDict[bytes, None] = OrderedDict()
        self.position: dict[str, EntryId] = {}

    def start_from(self, position: Cursor) -> None:
        """Where the tail stands before its first entries."""
        self.position = dict(position)

    def join(self, follower: Follower, filter: EventFilter, reading: ViewMode = "events") -> None:
        """From here on the page is given what matches the filter."""
        topic = self._topics.setdefault((filter.text(), reading), FilterGroup(filter, reading))
        topic.followers.add(follower)
        follower.tailed = dict(self.position)
        self._topic_of[follower] = topic

    def leave(self, follower: Follower) -> None:
        """The page is gone, or looks at something else."""
        topic = self._topic_of.pop(follower, None)
        if topic is not None:
            topic.followers.remove(follower)
            if not topic.followers:
                del self._topics[topic.filter.text(), topic.reading]

    def take(self, entries: Sequence[Entry], now: datetime, now_s: float) -> None:
        """New entries, in the order of each stream."""
        for stream, first in {entry.stream: entry.entry_id for entry in reversed(entries)}.items():
            if first <= self.position.get(stream, EntryId.MIN):
                self._begin_anew(stream, now_s)
        before = dict(self.position)
        for entry in entries:
            self.position[entry.stream] = entry.entry_id
        if self._topics:
            arrivals = [self._arrival(event) for event in self._events_of(entries, before)]
            for topic in self._topics.values():
                topic.take(arrivals, now)
            self.tick(now_s)

    def catch_up(self, subscription: Subscription, missed: CatchUp, now_s: float) -> None:
        """Give a subscription that has joined what it missed."""
        for stream in subscription.recreated_unseen(missed):
            self._begin_anew(stream, now_s)
        subscription.catch_up(missed)

    def _begin_anew(self, stream: str, now_s: float) -> None:
        """The stream was deleted and made anew: its entries have lower IDs than those before."""
        for topic in self._topics.values():
            topic.flush(self.position, now_s)  # what is of the stream before
        self.position[stream] = EntryId.MIN
        for follower in self._topic_of:
            follower.begin_anew(stream)

    def _arrival(self, event: Event) -> Arrival:
        """The event, marked where the same has come not long before."""
        key = identity(event)
        if key is None:
            return Arrival(event, self._render)
        is_duplicate = key in self._identities
        self._identities[key] = None
        if len(self._identities) > IDENTITIES_MAX:
            self._identities.popitem(last=False)
        return Arrival(event, self._render, is_duplicate=is_duplicate)

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
