"""The hub against a model: whatever happens, a page is sent each event once, or it is counted once in a gap."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from evdash.eventlog.records import Position
from evdash.events.entry import Entry
from evdash.events.entry_id import EntryId
from evdash.events.event import Event
from evdash.events.filter import EventFilter
from evdash.events.profile import decode
from evdash.live import credit as credits
from evdash.live import frames, topic
from evdash.live.credit import Credit
from evdash.live.hub import Hub
from evdash.live.pulse import Pulse
from evdash.live.subscription import Missed, Subscription
from tests.builders import entry

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = EventFilter()


def render(event: Event) -> str:
    return f"[{event.stream} {event.entry_id}]"


@dataclass(eq=False)
class Page:
    """A page as the hub sees it: a subscription, and what it was sent, row by row and gap by gap."""

    filter: EventFilter = EVERYTHING
    cursor: dict[str, EntryId] = field(default_factory=dict)
    messages: list[dict[str, object]] = field(default_factory=list)
    credit: Credit = field(default_factory=Credit)
    shown: int = 0  # messages with rows

    def __post_init__(self) -> None:
        self.begin = dict(self.cursor)
        self.subscription = Subscription(self.cursor, self.credit, self.receive)

    def receive(self, text: str) -> None:
        message = json.loads(text)
        self.messages.append(message)
        self.shown += message["type"] == "rows"

    def caught_up(self) -> Page:
        """The page with nothing to catch up."""
        self.subscription.catch_up(Missed((), self.cursor, Position(EntryId.MIN, "")))
        return self

    def acknowledge(self) -> None:
        self.credit.acknowledge(self.shown)
        self.subscription.credit_returned()

    @property
    def seen(self) -> list[str | int]:
        return [item for message in self.messages for item in seen_in(message)]

    @property
    def counts(self) -> list[object]:
        return [message["count"] for message in self.messages if message["type"] == "waiting"]


def seen_in(message: dict[str, object]) -> list[str | int]:
    """Rows as "stream id", gaps as their number."""
    if message["type"] != "rows":
        return []
    rows: list[str | int] = re.findall(r"\[(\S+ \d+-\d+)\]", str(message["html"]))
    assert len(rows) == message["count"]
    return [message["skipped"], *rows] if message["skipped"] else rows  # type: ignore[list-item]


def row_name(known: Entry) -> str:
    return f"{known.stream} {known.entry_id}"


def entries(*numbers: int, stream: str = "s", **fields: str) -> list[Entry]:
    return [entry(f"{number}-0", stream, **fields) for number in numbers]


def entry_id(number: int) -> EntryId:
    return EntryId(number, 0)


@pytest.fixture
def hub() -> Hub:
    hub = Hub(render)
    hub.start_from({"s": EntryId.MIN})
    return hub


def join(hub: Hub, page: Page) -> Page:
    hub.join(page.subscription, page.filter)
    return page.caught_up()


def test_the_first_event_comes_at_once_and_a_burst_in_frames(hub: Hub) -> None:
    page = join(hub, Page())
    hub.take(entries(1), NOW, now_s=10.0)
    assert page.seen == ["s 1-0"]
    hub.take(entries(2), NOW, now_s=10.1)
    hub.take(entries(3), NOW, now_s=10.2)
    assert page.seen == ["s 1-0"]
    assert hub.due_s == 10.25
    hub.tick(now_s=10.25)
    assert page.seen == ["s 1-0", "s 2-0", "s 3-0"]
    assert len(page.messages) == 2
    assert hub.due_s is None


def test_a_burst_shows_its_newest_rows_and_counts_the_rest(hub: Hub) -> None:
    page = join(hub, Page())
    hub.take(entries(*range(1, 1_001)), NOW, now_s=10.0)
    assert page.seen == [900, *(f"s {number}-0" for number in range(901, 1_001))]
    (message,) = page.messages
    assert message["skipped_after"] == "0-18446744073709551615@s"
    assert message["skipped_exactly"] is True
    assert message["cursor"] == {"s": "1000-0"}


def test_large_rows_make_a_smaller_frame(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_BYTES", 30)
    page = join(hub, Page())
    hub.take(entries(*range(1, 11)), NOW, now_s=10.0)
    assert page.seen == [6, "s 7-0", "s 8-0", "s 9-0", "s 10-0"]


def test_an_event_is_rendered_once_for_all_pages_and_filters() -> None:
    rendered: list[str] = []
    hub = Hub(lambda event: rendered.append(str(event.entry_id)) or "row")  # type: ignore[func-returns-value]
    filters = [EVERYTHING, EVERYTHING, EventFilter.parse("type:a"), EventFilter.parse("type:b")]
    for filter in filters:
        join(hub, Page(filter))
    hub.take(entries(1, 2, type="a"), NOW, now_s=10.0)
    assert sorted(rendered) == ["1-0", "2-0"]


def test_pages_of_the_same_filter_are_sent_the_very_same_text(hub: Hub) -> None:
    texts: list[str] = []
    for _ in range(2):
        subscription = Subscription({}, Credit(), texts.append)
        hub.join(subscription, EventFilter.parse("type:a"))
        subscription.catch_up(Missed((), {}, Position(EntryId.MIN, "")))
    hub.take(entries(1, type="a"), NOW, now_s=10.0)
    assert texts[0] is texts[1]


def test_a_page_that_acknowledges_nothing_is_sent_no_more_than_its_credit(hub: Hub) -> None:
    page, other = join(hub, Page()), join(hub, Page())
    for number in range(1, 501):
        hub.take(entries(number), NOW, now_s=float(number))
        other.acknowledge()
    assert len(page.seen) == credits.IN_FLIGHT_ROWS
    assert len(other.seen) == 500
    assert page.counts == [1]  # and no further one until the page has shown it
    page.subscription.waiting_seen()
    assert page.counts == [1, 300]
    page.acknowledge()
    assert page.seen[-1] == 300
    assert page.messages[-1]["skipped_after"] == "199-18446744073709551615@s".replace("199-", "200-")
    hub.take(entries(501), NOW, now_s=600.0)
    assert page.seen[-1] == "s 501-0"


def test_more_acknowledgements_than_messages_cannot_be() -> None:
    with pytest.raises(ValueError, match="1 messages were acknowledged, 0 sent"):
        Credit().acknowledge(1)


def test_a_relative_time_range_moves_with_the_clock(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("since:1h")))
    written = entry("1-0", "s", timestamp=str(NOW.timestamp()))
    hub.take([written], NOW, now_s=1.0)
    hub.take([entry("2-0", "s", timestamp=str(NOW.timestamp()))], NOW + timedelta(hours=2), now_s=2.0)
    assert page.seen == ["s 1-0"]


def test_a_stream_made_anew_is_shown_though_its_ids_are_lower(hub: Hub) -> None:
    page = join(hub, Page(cursor={"s": EntryId(500, 0)}))
    hub.take(entries(501), NOW, now_s=1.0)
    hub.take(entries(7), NOW, now_s=2.0)
    assert page.seen == ["s 501-0", "s 7-0"]


def test_a_page_is_told_how_far_it_has_everything(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("type:rare"), cursor={"s": EntryId.MIN}))
    hub.take(entries(1, 2, 3, type="common"), NOW, now_s=1.0)
    hub.tell_alive(page.subscription)
    assert page.messages == [{"type": "alive", "cursor": {"s": "3-0"}}]


def test_who_has_left_is_sent_nothing_and_a_filter_nobody_wants_is_forgotten(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("type:a")))
    hub.leave(page.subscription)
    hub.leave(page.subscription)
    hub.take(entries(1, type="a"), NOW, now_s=1.0)
    assert page.messages == []
    assert hub.due_s is None


class LivePages(RuleBasedStateMachine):
    """Producers write, the tail lags behind, pages come, read their past slowly, acknowledge or do not."""

    streams: tuple[str, ...] = ("s",)

    @initialize()
    def begin(self) -> None:
        self.now_s = 0.0
        self.written: list[Entry] = []
        self.taken = 0
        self.hub = Hub(render)
        self.hub.start_from(dict.fromkeys(self.streams, EntryId.MIN))
        self.pages: list[Page] = []
        self.unread: list[Page] = []
        self.reading: list[tuple[Page, Missed]] = []

    @rule(kinds=st.lists(st.sampled_from("ab"), min_size=1, max_size=12), data=st.data())
    def write(self, kinds: list[str], data: st.DataObject) -> None:
        for kind in kinds:
            stream = data.draw(st.sampled_from(self.streams))
            self.written.append(entry(f"{len(self.written) + 1}-0", stream, type=kind))

    @precondition(lambda self: self.taken < len(self.written))
    @rule(count=st.integers(1, 20))
    def tail(self, count: int) -> None:
        batch = self.written[self.taken : self.taken + count]
        self.taken += len(batch)
        self.hub.take(batch, NOW, self.now_s)

    @rule(seconds=st.sampled_from([0.05, 0.3]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.hub.tick(self.now_s)

    @rule(query=st.sampled_from(["", "type:a", "-type:a"]), ago=st.integers(0, 30))
    def open_page(self, query: str, ago: int) -> None:
        """With the cursor of a page load some entries ago, the tail being wherever it is."""
        cursor = dict.fromkeys(self.streams, EntryId.MIN)
        for known in self.written[: max(0, len(self.written) - ago)]:
            cursor[known.stream] = known.entry_id
        page = Page(EventFilter.parse(query), cursor)
        self.hub.join(page.subscription, page.filter)
        self.pages.append(page)
        self.unread.append(page)

    @precondition(lambda self: self.unread)
    @rule(rows=st.integers(0, 6))
    def read(self, rows: int) -> None:
        page = self.unread.pop(0)
        self.reading.append((page, self._missed(page, rows)))

    @precondition(lambda self: self.reading)
    @rule()
    def catch_up(self) -> None:
        page, missed = self.reading.pop(0)
        page.subscription.catch_up(missed)

    def _missed(self, page: Page, rows: int) -> Missed:
        matching = self._matching(page)
        cursor = {known.stream: known.entry_id for known in self.written}
        kept = matching[len(matching) - rows :] if rows < len(matching) else matching
        start = Position(page.begin["s"], "s")
        shown = tuple(render(decode(known)) for known in kept)
        return Missed(shown, cursor, start, skipped=len(matching) - len(kept))

    def _matching(self, page: Page) -> list[Entry]:
        return [
            known
            for known in self.written
            if known.entry_id > page.begin[known.stream] and page.filter.matches(decode(known), NOW)
        ]

    @precondition(lambda self: self.pages)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.pages)).acknowledge()

    @precondition(lambda self: self.pages)
    @rule(data=st.data())
    def tell_alive(self, data: st.DataObject) -> None:
        self.hub.tell_alive(data.draw(st.sampled_from(self.pages)).subscription)

    def teardown(self) -> None:
        if not hasattr(self, "hub"):
            return
        while self.unread:
            self.read(rows=3)
        while self.reading:
            self.catch_up()
        self.hub.take(self.written[self.taken :], NOW, self.now_s)
        self.hub.tick(self.now_s + 1)
        for page in self.pages:
            page.acknowledge()
            self._check(page)

    def _check(self, page: Page) -> None:
        """Rows are what was written, in its order; each gap stands for as many as it says, at its place.

        A page that connects again with the cursor it was last told misses nothing and is told nothing twice.
        """
        matching = self._matching(page)
        done = 0
        for message in page.messages:
            for item in seen_in(message):
                if isinstance(item, int):
                    done += item
                else:
                    assert row_name(matching[done]) == item
                    done += 1
            if "cursor" in message:
                told = EntryId.parse(message["cursor"]["s"])  # type: ignore[index]
                assert len([known for known in matching if known.entry_id <= told]) == done
        assert done == len(matching)


class LivePagesOfTwoStreams(LivePages):
    """Between streams a frame may come later than a row that is older; within each stream nothing changes."""

    streams = ("s", "t")

    def _check(self, page: Page) -> None:
        expected = [row_name(known) for known in self._matching(page)]
        rows = [item for item in page.seen if isinstance(item, str)]
        skipped = sum(item for item in page.seen if isinstance(item, int))
        assert len(rows) == len(set(rows))
        assert len(rows) + skipped == len(expected)
        for stream in self.streams:
            mine = [row for row in rows if row.startswith(stream)]
            assert mine == [row for row in expected if row in mine]


@pytest.mark.parametrize("machine", [LivePages, LivePagesOfTwoStreams])
def test_every_page_is_sent_or_counted_everything_once(
    machine: type[RuleBasedStateMachine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 8)
    monkeypatch.setattr(topic, "FRAME_ROWS", 4)
    run_state_machine_as_test(machine, settings=settings(max_examples=150, stateful_step_count=40, deadline=None))


def test_a_jump_gives_the_newest_of_what_was_only_counted_and_one_gap_before(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 1)
    monkeypatch.setattr(topic, "FRAME_INTERVAL_S", 0.0)
    page = join(hub, Page())
    for number in range(1, 7):
        hub.take(entries(number), NOW, now_s=10.0 + number)
    assert page.seen == ["s 1-0"]
    unsent = page.subscription.jump()
    assert unsent is not None
    assert (unsent.gap.count, unsent.since, unsent.through) == (5, {"s": entry_id(1)}, {"s": entry_id(6)})
    hub.take(entries(7), NOW, now_s=20.0)  # while the newest are read
    page.acknowledge()
    assert page.seen == ["s 1-0"]
    page.subscription.catch_up(unsent.shown_by(("[s 5-0]", "[s 6-0]")))
    page.acknowledge()
    hub.take(entries(8), NOW, now_s=21.0)
    assert page.seen == ["s 1-0", 3, "s 5-0", "s 6-0", 1, "s 8-0"]


def test_there_is_nothing_to_jump_to_for_a_page_that_has_everything(hub: Hub) -> None:
    page = join(hub, Page())
    hub.take(entries(1), NOW, now_s=10.0)
    assert page.subscription.jump() is None


def test_a_page_of_numbers_is_told_of_news_and_again_when_it_has_looked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic, "FRAME_INTERVAL_S", 0.0)
    told: list[dict[str, object]] = []
    pulse = Pulse(lambda text: told.append(json.loads(text)))
    hub.join(pulse, EVERYTHING)
    for number in range(1, 6):
        hub.take(entries(number, number + 100), NOW, now_s=10.0 + number)
    assert told == [{"type": "news", "count": 2}]
    pulse.waiting_seen()
    assert told[1:] == [{"type": "news", "count": 8}]
    pulse.waiting_seen()
    assert len(told) == 2
    hub.take(entries(300), NOW, now_s=30.0)
    assert told[2:] == [{"type": "news", "count": 1}]
