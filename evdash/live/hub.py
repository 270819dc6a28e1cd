"""The hub: distributes entries from the tail to the filter groups, which send frames to the pages."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.live.filter_group import FilterGroup, Follower
from evdash.live.frames import Arrival, Cursor, Render
from evdash.live.subscription import CatchUp, Subscription
from evdash.web.event_display.row import ViewMode

# The number of event identities kept to mark duplicates. A producer's retry follows soon after the first write.
IDENTITIES_MAX = 20_000


class Hub:
    """A distributor of events without sockets, Redis or a clock: the caller passes entries and times.

    An event is decoded once, matched once per filter group, and rendered at most once per view mode.
    """

    def __init__(self, render: Render) -> None:
        self._render = render
        self._topics: dict[tuple[str, ViewMode], FilterGroup] = {}
        self._topic_of: dict[Follower, FilterGroup] = {}
        self._identities: OrderedDict[bytes, None] = OrderedDict()
        self.position: dict[str, EntryId] = {}

    def start_from(self, position: Cursor) -> None:
        """Set the tail's position before its first entries."""
        self.position = dict(position)

    def join(self, follower: Follower, filter: EventFilter, view: ViewMode = "events") -> None:
        """Send the page the events that match the filter from now on, after the hub's position."""
        topic = self._topics.setdefault((filter.text(), view), FilterGroup(filter, view))
        topic.followers.add(follower)
        follower.tailed = dict(self.position)
        self._topic_of[follower] = topic

    def leave(self, follower: Follower) -> None:
        """Remove a page that has closed or changed its subscription."""
        topic = self._topic_of.pop(follower, None)
        if topic is not None:
            topic.followers.remove(follower)
            if not topic.followers:
                del self._topics[topic.filter.text(), topic.view]

    @property
    def has_followers(self) -> bool:
        """True if pages follow."""
        return bool(self._topics)

    def on_entries(
        self, entries: Sequence[Entry], now: datetime, now_s: float, events: Sequence[Event] | None = None
    ) -> None:
        """Pass new entries to the filter groups and send the due frames. Entries are in the order of each stream.

        `events` are the events of the entries. Without them the entries are decoded.
        """
        for stream, first in {entry.stream: entry.entry_id for entry in reversed(entries)}.items():
            if first <= self.position.get(stream, EntryId.MIN):
                self._restart_stream(stream, now_s)
        for entry in entries:
            self.position[entry.stream] = entry.entry_id
        if self._topics:
            arrivals = [self._arrival(event) for event in events or map(decode, entries)]
            for topic in self._topics.values():
                topic.on_arrivals(arrivals, now)
            self.tick(now_s)

    def catch_up(self, subscription: Subscription, missed: CatchUp, now_s: float) -> None:
        """Pass the missed events to a subscription that has joined."""
        for stream in subscription.recreated_unseen(missed):
            self._restart_stream(stream, now_s)
        subscription.catch_up(missed)

    def _restart_stream(self, stream: str, now_s: float) -> None:
        """Restart the position of a recreated stream, because its entries have lower IDs than the old ones."""
        for topic in self._topics.values():
            topic.flush(self.position, now_s)  # the events of the old stream
        self.position[stream] = EntryId.MIN
        for follower in self._topic_of:
            follower.restart_stream(stream)

    def _arrival(self, event: Event) -> Arrival:
        """Return the arrival of an event, marked as a duplicate if its identity is among the recent ones."""
        key = event.identity
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
        """The time of the next due frame; None until new entries arrive."""
        return min((topic.due_s for topic in self._topics.values() if topic.due_s is not None), default=None)

    def send_heartbeat(self, follower: Follower) -> None:
        """Send the page a sign of life, with the hub's position if its filter group has no events pending."""
        topic = self._topic_of.get(follower)
        if topic is not None:
            follower.send_heartbeat({} if topic.is_pending else self.position)
