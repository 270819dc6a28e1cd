"""Hub, subscription, cursor, credit and catch-up against a plain model, in any interleaving.

However entries, the tail, readings of the past, acknowledgements, lost connections and deleted streams fall together:
a page has been told every matching event once, as a row or within the range of a gap, in order, and at every moment its
cursor says exactly which; and never is more in flight to it than its credit allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from evdash.events.entry import Entry
from evdash.events.filters.event_filter import EventFilter
from evdash.live import catch_up, filter_group
from evdash.live import subscription as credits
from evdash.live.hub import Hub
from evdash.live.subscription import CatchUp, Subscription
from tests.live.model import ANEW_MS, FIRST_MS, IN_FLIGHT_ROWS, NOW, Page, World, WorldReader, render

PAGES_MAX = 6
numbers = st.integers(0, PAGES_MAX - 1)


class LivePages(RuleBasedStateMachine):
    """Producers write, the tail lags behind, pages come and go, read their past slowly, acknowledge or do not."""

    streams: tuple[str, ...] = ("s",)

    @initialize()
    def begin(self) -> None:
        self.now_s = 0.0
        self.world = World(self.streams)
        self.hub = Hub(render)
        for stream in self.streams:
            self.world.write(stream, "a")
            self.world.tailed[stream] = 1
        self.hub.start_from(self.world.cursor())
        self.history = [self.world.cursor()]  # what cursors pages may have been loaded with
        self.pages: list[Page] = []
        self.reading: list[tuple[Page, Subscription]] = []  # joined, and not yet read
        self.read: list[tuple[Subscription, CatchUp]] = []  # read, and not yet returned

    @rule(kinds=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1)), min_size=1, max_size=12))
    def write(self, kinds: list[tuple[str, int]]) -> None:
        for kind, number in kinds:
            self.world.write(self.streams[number % len(self.streams)], kind)
        self.history.append(self.world.cursor())

    @precondition(lambda self: min(self.world.next_ms.values()) >= FIRST_MS)
    @rule(number=st.integers(0, 1))
    def delete(self, number: int) -> None:
        """Once, when the tail has read it to its end: what it had not read nobody could."""
        stream = self.streams[number % len(self.streams)]
        self.tail({stream: 10_000})
        self.world.next_ms[stream] = ANEW_MS
        self.history.append(self.world.cursor())

    @rule(counts=st.fixed_dictionaries({"s": st.integers(0, 9), "t": st.integers(0, 9)}))
    def tail(self, counts: dict[str, int]) -> None:
        batch: list[Entry] = []
        for stream, count in counts.items():
            if stream in self.streams:
                batch += self.world.unread(stream)[:count]
        for known in batch:
            self.world.tailed[known.stream] += 1
        if batch:
            self.hub.on_entries(sorted(batch, key=lambda known: (known.entry_id, known.stream)), NOW, self.now_s)

    @rule(seconds=st.sampled_from([0.05, 0.3]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.hub.tick(self.now_s)

    @precondition(lambda self: len(self.pages) < PAGES_MAX)
    @rule(query=st.sampled_from(["", "type:a", "-type:a"]), ago=st.integers(0, 4))
    def open_page(self, query: str, ago: int) -> None:
        """With the cursor of a page load some time ago, the tail being wherever it is."""
        cursor = self.history[max(0, len(self.history) - 1 - ago)]
        page = Page(self.world, EventFilter.parse(query), dict(cursor))
        self.pages.append(page)
        self.subscribe(page)

    @precondition(lambda self: self.pages)
    @rule(page=numbers)
    def subscribe_again(self, page: int) -> None:
        """On the socket that there is, in place of what was subscribed to; or on the one after."""
        self.subscribe(self.page(page))

    def page(self, number: int) -> Page:
        return self.pages[number % len(self.pages)]

    def subscribe(self, page: Page) -> None:
        if page.subscription:
            self.hub.leave(page.subscription)
        self.reading.append((page, page.subscribe(self.hub)))

    @precondition(lambda self: self.pages)
    @rule(page=numbers)
    def lose_connection(self, page: int) -> None:
        lost = self.page(page)
        if lost.subscription:
            self.hub.leave(lost.subscription)
        lost.connect()

    @precondition(lambda self: self.reading)
    @rule(data=st.data(), meanwhile=st.integers(0, 2))
    def read_past(self, data: st.DataObject, meanwhile: int) -> None:
        page, subscription = self.reading.pop(data.draw(st.integers(0, len(self.reading) - 1)))
        self.read.append((subscription, self.missed(page, subscription, meanwhile)))

    @contextmanager
    def reader(self, meanwhile: int) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(catch_up, "open_reader", lambda: nullcontext(WorldReader(self.world, meanwhile)))
            yield

    def missed(self, page: Page, subscription: Subscription, meanwhile: int = 0) -> CatchUp:
        with self.reader(meanwhile):
            return catch_up.missed(page.filter, subscription.cursor, subscription.tailed, render)

    @precondition(lambda self: self.pages)
    @rule(page=numbers, meanwhile=st.integers(0, 2), is_at_hand=st.booleans())
    def jump(self, page: int, meanwhile: int, is_at_hand: bool) -> None:
        """The page wants the newest of what was only counted; reading that takes a while, too."""
        wanting = self.page(page)
        if is_at_hand and wanting.subscription and wanting.subscription.bring_newest():
            return
        unsent = wanting.subscription.jump() if wanting.subscription else None
        if wanting.subscription and unsent:
            with self.reader(meanwhile):
                newest = catch_up.newest_unsent(wanting.filter, unsent, render)
            if unsent.gap.is_exact and min(self.world.next_ms.values()) >= FIRST_MS:
                assert newest.shown == min(catch_up.MISSED_ROWS, unsent.gap.count)
            self.read.append((wanting.subscription, newest))

    @precondition(lambda self: self.read)
    @rule(data=st.data())
    def return_past(self, data: st.DataObject) -> None:
        subscription, missed = self.read.pop(data.draw(st.integers(0, len(self.read) - 1)))
        if any(page.subscription is subscription for page in self.pages):  # else the reading was cancelled
            self.hub.catch_up(subscription, missed, self.now_s)

    @precondition(lambda self: self.pages)
    @rule(page=numbers, messages=st.integers(1, 5))
    def hear(self, page: int, messages: int) -> None:
        self.page(page).hear(messages)

    @precondition(lambda self: self.pages)
    @rule(page=numbers, messages=st.integers(0, 5))
    def acknowledge(self, page: int, messages: int) -> None:
        self.page(page).acknowledge(messages)

    @precondition(lambda self: self.pages)
    @rule(page=numbers)
    def send_heartbeat(self, page: int) -> None:
        if subscription := self.page(page).subscription:
            self.hub.send_heartbeat(subscription)

    def teardown(self) -> None:
        """All comes to rest, and every page has been told everything."""
        if not hasattr(self, "hub"):
            return
        for page in self.pages:
            if not page.subscription:
                self.subscribe(page)
        for page, subscription in self.reading:
            self.read.append((subscription, self.missed(page, subscription)))
        for subscription, missed in self.read:
            if any(page.subscription is subscription for page in self.pages):
                self.hub.catch_up(subscription, missed, self.now_s)
        self.tail(dict.fromkeys(self.streams, 10_000))
        self.hub.tick(self.now_s + 1)
        for page in self.pages:
            while page.network or page.heard > page.acknowledged:
                page.hear(len(page.network))
                page.acknowledge(page.heard)
            assert page.subscription
            self.hub.send_heartbeat(page.subscription)
            page.hear(1)
            assert page.received == {stream: len(entries) for stream, entries in self.world.written.items()}


class LivePagesOfTwoStreams(LivePages):
    """Between streams a frame may come later than a row that is older; within each stream nothing changes."""

    streams = ("s", "t")


@pytest.mark.parametrize("machine", [LivePages, LivePagesOfTwoStreams])
@pytest.mark.parametrize("count_max", [1_000, 7])
def test_every_page_is_told_everything_once_in_order_within_its_credit(
    machine: type[LivePages], count_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", IN_FLIGHT_ROWS)
    monkeypatch.setattr(filter_group, "FRAME_ROWS", 4)
    monkeypatch.setattr(catch_up, "MISSED_ROWS", 5)
    monkeypatch.setattr("evdash.live.subscription.FRAME_ROWS", 5)
    monkeypatch.setattr(catch_up, "MISSED_COUNT_MAX", count_max)
    run_state_machine_as_test(machine, settings=settings(max_examples=100, stateful_step_count=50))
