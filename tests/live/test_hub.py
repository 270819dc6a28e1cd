"""The hub: what pages are sent, when, and how much of it. All interleavings of that are in test_model.py."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evdash.eventlog.records import Position
from evdash.events.decoding import decode
from evdash.events.entry import Entry, EntryId
from evdash.events.event import Event
from evdash.events.filters.event_filter import EventFilter
from evdash.live import frames
from evdash.live import subscription as credits
from evdash.live.filter_group import FRAME_INTERVAL_S, FilterGroup
from evdash.live.hub import Hub
from evdash.live.subscription import CatchUp, ChangeNotifier, Credit, Subscription
from tests.builders import entry, pairs
from tests.events.filters.test_event_filter import NAIVE, declared, filters

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVERYTHING = EventFilter()


def render(event: Event, reading: str = "events", *, is_duplicate: bool = False) -> str:
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
        self.subscription.catch_up(CatchUp((), self.cursor, Position(EntryId.MIN, "")))
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


def entries(*numbers: int, stream: str = "s", **fields: str) -> list[Entry]:
    return [entry(f"{number}-0", stream, **fields) for number in numbers]


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
    hub.on_entries(entries(1), NOW, now_s=10.0)
    assert page.seen == ["s 1-0"]
    hub.on_entries(entries(2), NOW, now_s=10.05)
    hub.on_entries(entries(3), NOW, now_s=10.1)
    assert page.seen == ["s 1-0"]
    assert hub.due_s == 10.0 + FRAME_INTERVAL_S
    hub.tick(now_s=hub.due_s)
    assert page.seen == ["s 1-0", "s 2-0", "s 3-0"]
    assert len(page.messages) == 2
    assert hub.due_s is None


def test_a_burst_shows_its_newest_rows_and_counts_the_rest(hub: Hub) -> None:
    page = join(hub, Page())
    hub.on_entries(entries(*range(1, 1_001)), NOW, now_s=10.0)
    assert page.seen == [900, *(f"s {number}-0" for number in range(901, 1_001))]
    (message,) = page.messages
    assert message["skipped_after"] == "0-18446744073709551615@s"
    assert message["skipped_exactly"] is True
    assert message["cursor"] == {"s": "1000-0"}


def test_large_rows_make_a_smaller_frame(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "FRAME_BYTES", 30)
    page = join(hub, Page())
    hub.on_entries(entries(*range(1, 11)), NOW, now_s=10.0)
    assert page.seen == [6, "s 7-0", "s 8-0", "s 9-0", "s 10-0"]


def test_an_event_is_rendered_once_for_all_pages_and_filters() -> None:
    rendered: list[str] = []
    hub = Hub(lambda event, *_, **__: rendered.append(str(event.entry_id)) or "row")  # type: ignore[func-returns-value]
    filters = [EVERYTHING, EVERYTHING, EventFilter.parse("type:a"), EventFilter.parse("type:b")]
    for filter in filters:
        join(hub, Page(filter))
    hub.on_entries(entries(1, 2, type="a"), NOW, now_s=10.0)
    assert sorted(rendered) == ["1-0", "2-0"]


def test_pages_of_the_same_filter_are_sent_the_very_same_text(hub: Hub) -> None:
    texts: list[str] = []
    for _ in range(2):
        subscription = Subscription({}, Credit(), texts.append)
        hub.join(subscription, EventFilter.parse("type:a"))
        subscription.catch_up(CatchUp((), {}, Position(EntryId.MIN, "")))
    hub.on_entries(entries(1, type="a"), NOW, now_s=10.0)
    assert texts[0] is texts[1]


def test_a_page_that_acknowledges_nothing_is_sent_no_more_than_its_credit(hub: Hub) -> None:
    page, other = join(hub, Page()), join(hub, Page())
    for number in range(1, 501):
        hub.on_entries(entries(number), NOW, now_s=float(number))
        other.acknowledge()
    assert len(page.seen) == credits.IN_FLIGHT_ROWS
    assert len(other.seen) == 500
    assert page.counts == [1]  # and no further one until the page has shown it
    page.subscription.waiting_seen()
    assert page.counts == [1, 300]
    page.acknowledge()
    assert page.seen[-1] == 300
    assert page.messages[-1]["skipped_after"] == "199-18446744073709551615@s".replace("199-", "200-")
    hub.on_entries(entries(501), NOW, now_s=600.0)
    assert page.seen[-1] == "s 501-0"


def test_more_acknowledgements_than_messages_cannot_be() -> None:
    with pytest.raises(ValueError, match="messages acknowledged 1, sent 0"):
        Credit().acknowledge(1)


def test_a_relative_time_range_moves_with_the_clock(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("since:1h")))
    written = entry("1-0", "s", timestamp=str(NOW.timestamp()))
    hub.on_entries([written], NOW, now_s=1.0)
    hub.on_entries([entry("2-0", "s", timestamp=str(NOW.timestamp()))], NOW + timedelta(hours=2), now_s=2.0)
    assert page.seen == ["s 1-0"]


def test_a_recreated_stream_is_shown_though_its_ids_are_lower(hub: Hub) -> None:
    page = join(hub, Page(cursor={"s": EntryId(500, 0)}))
    hub.on_entries(entries(501), NOW, now_s=1.0)
    hub.on_entries(entries(7), NOW, now_s=2.0)
    assert page.seen == ["s 501-0", "s 7-0"]


def test_events_that_wait_for_a_frame_while_their_stream_is_recreated_are_of_the_old_stream(hub: Hub) -> None:
    page = Page(cursor={"s": EntryId(500, 0)})
    hub.join(page.subscription, page.filter)
    page.subscription.catch_up(
        CatchUp(("[s 501-0]", "[s 502-0]"), {"s": EntryId(502, 0)}, Position(EntryId(500, 0), "s"))
    )
    hub.on_entries(entries(501), NOW, now_s=1.0)
    hub.on_entries(entries(502), NOW, now_s=1.1)  # waits
    hub.on_entries(entries(7), NOW, now_s=1.2)
    hub.tick(now_s=2.0)
    assert page.seen == ["s 501-0", "s 502-0", "s 7-0"]
    assert page.messages[-1]["cursor"] == {"s": "7-0"}


def test_a_stream_recreated_while_a_page_reads_its_past_is_shown(hub: Hub) -> None:
    page = Page(cursor={"s": EntryId(500, 0)})
    hub.join(page.subscription, page.filter)
    hub.on_entries(entries(501), NOW, now_s=1.0)
    hub.on_entries(entries(7), NOW, now_s=2.0)
    read_before = CatchUp(("[s 501-0]",), {"s": EntryId(501, 0)}, Position(EntryId(500, 0), "s"))
    page.subscription.catch_up(read_before)
    assert page.seen == ["s 501-0", "s 7-0"]


def test_a_page_whose_past_was_read_further_than_the_tail_is_not_told_to_be_behind_it() -> None:
    hub = Hub(render)
    hub.start_from({"s": EntryId.MIN, "t": EntryId(50, 0)})
    page = Page(cursor={"s": EntryId.MIN, "t": EntryId(40, 0)})
    hub.join(page.subscription, page.filter)
    page.subscription.catch_up(
        CatchUp(("[t 99-0]",), {"s": EntryId.MIN, "t": EntryId(99, 0)}, Position(EntryId(40, 0), "t"))
    )
    hub.on_entries(entries(100), NOW, now_s=1.0)
    assert page.messages[-1]["cursor"] == {"s": "100-0", "t": "99-0"}


def test_a_gap_begins_before_the_oldest_entry_of_all_its_streams(hub: Hub) -> None:
    page = join(hub, Page())
    hub.on_entries(entries(*range(1_000, 2_000)), NOW, now_s=1.0)  # of another stream there may be older ones to come
    hub.on_entries(entries(*range(2_000, 2_100)), NOW, now_s=1.1)
    hub.on_entries(entries(*range(30, 100), stream="t"), NOW, now_s=2.0)
    assert page.messages[-1]["skipped_after"] == "29-18446744073709551615@t"
    hub.on_entries(entries(3_000), NOW, now_s=3.0)  # beyond the credit
    hub.on_entries(entries(20, stream="u"), NOW, now_s=4.0)
    page.acknowledge()
    assert page.seen[-1] == 2
    assert page.messages[-1]["skipped_after"] == "19-18446744073709551615@u"


def test_a_page_without_credit_that_missed_nothing_has_no_gap(hub: Hub) -> None:
    page = join(hub, Page())
    hub.on_entries(entries(*range(1, 101)), NOW, now_s=1.0)
    hub.on_entries(entries(*range(101, 201)), NOW, now_s=2.0)
    again = Subscription({"s": EntryId(200, 0)}, page.credit, page.receive)  # another filter, on the same socket
    hub.leave(page.subscription)
    hub.join(again, EVERYTHING)
    again.catch_up(CatchUp((), {"s": EntryId(200, 0)}, Position(EntryId.MIN, "")))
    hub.on_entries(entries(201), NOW, now_s=3.0)
    page.credit.acknowledge(page.shown)
    again.credit_returned()
    assert page.messages[-1]["skipped_after"] == "200-18446744073709551615@s"


def test_a_page_is_told_how_far_it_has_everything(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("type:rare"), cursor={"s": EntryId.MIN}))
    hub.on_entries(entries(1, 2, 3, type="common"), NOW, now_s=1.0)
    hub.send_heartbeat(page.subscription)
    assert page.messages == [{"type": "alive", "cursor": {"s": "3-0"}}]


def test_who_has_left_is_sent_nothing_and_a_filter_nobody_wants_is_forgotten(hub: Hub) -> None:
    page = join(hub, Page(EventFilter.parse("type:a")))
    hub.leave(page.subscription)
    hub.leave(page.subscription)
    hub.on_entries(entries(1, type="a"), NOW, now_s=1.0)
    assert page.messages == []
    assert hub.due_s is None


def test_a_jump_gives_the_newest_of_what_was_only_counted_and_one_gap_before(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 1)
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    page = join(hub, Page())
    for number in range(1, 7):
        hub.on_entries(entries(number), NOW, now_s=10.0 + number)
    assert page.seen == ["s 1-0"]
    unsent = page.subscription.jump()
    assert unsent is not None
    assert (unsent.gap.count, unsent.since, unsent.through) == (5, {"s": EntryId(1, 0)}, {"s": EntryId(6, 0)})
    hub.on_entries(entries(7), NOW, now_s=20.0)  # while the newest are read
    page.acknowledge()
    assert page.seen == ["s 1-0"]
    page.subscription.catch_up(unsent.as_catch_up(("[s 5-0]", "[s 6-0]")))
    page.acknowledge()
    hub.on_entries(entries(8), NOW, now_s=21.0)
    assert page.seen == ["s 1-0", 3, "s 5-0", "s 6-0", 1, "s 8-0"]


def test_newest_events_read_before_the_credit_returns_are_requested_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 1)
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    page = join(hub, Page())
    for number in range(1, 7):
        hub.on_entries(entries(number), NOW, now_s=10.0 + number)
    unsent = page.subscription.jump()
    assert unsent is not None
    page.subscription.catch_up(unsent.as_catch_up(("[s 5-0]", "[s 6-0]")))
    assert page.seen == ["s 1-0"]
    page.credit.acknowledge(page.shown)
    assert page.subscription.jump() == unsent
    page.subscription.catch_up(unsent.as_catch_up(("[s 5-0]", "[s 6-0]")))
    assert page.seen == ["s 1-0", 3, "s 5-0", "s 6-0"]


def test_the_newest_of_what_was_only_counted_is_sent_without_reading_while_it_is_at_hand(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 1)
    monkeypatch.setattr("evdash.live.subscription.FRAME_ROWS", 2)
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    page = join(hub, Page())
    for number in range(1, 7):
        hub.on_entries(entries(number), NOW, now_s=10.0 + number)
    assert not page.subscription.bring_newest()  # nothing is acknowledged
    page.credit.acknowledge(page.shown)
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 100)
    assert page.subscription.bring_newest()
    assert page.seen == ["s 1-0", 3, "s 5-0", "s 6-0"]
    assert not page.subscription.bring_newest()
    assert page.subscription.jump() is None


def test_the_newest_events_of_a_recreated_stream_are_not_in_memory(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(credits, "IN_FLIGHT_ROWS", 1)
    page = join(hub, Page())
    hub.on_entries(entries(1, 2), NOW, now_s=10.0)
    hub.on_entries(entries(3), NOW, now_s=11.0)
    page.subscription.restart_stream("s")
    page.credit.acknowledge(page.shown)
    assert not page.subscription.bring_newest()
    assert page.subscription.jump() is not None


def test_there_is_nothing_to_jump_to_for_a_page_that_has_everything(hub: Hub) -> None:
    page = join(hub, Page())
    hub.on_entries(entries(1), NOW, now_s=10.0)
    assert page.subscription.jump() is None


def test_a_page_of_numbers_is_told_of_news_and_again_when_it_has_looked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    messages: list[dict[str, object]] = []
    notifier = ChangeNotifier(lambda text: messages.append(json.loads(text)))
    hub.join(notifier, EVERYTHING)
    for number in range(1, 6):
        hub.on_entries(entries(number, number + 100), NOW, now_s=10.0 + number)
    assert messages == [{"type": "news", "count": 2}]
    notifier.waiting_seen()
    assert messages[1:] == [{"type": "news", "count": 8}]
    notifier.waiting_seen()
    assert len(messages) == 2
    hub.on_entries(entries(300), NOW, now_s=30.0)
    assert messages[2:] == [{"type": "news", "count": 1}]


def test_what_a_retry_wrote_again_is_marked(hub: Hub) -> None:
    marks: list[bool] = []

    def render_and_note(event: Event, reading: str = "events", *, is_duplicate: bool = False) -> str:
        marks.append(is_duplicate)
        return render(event)

    hub = Hub(render_and_note)
    page = join(hub, Page())
    hub.on_entries(entries(1, 2, id="own") + entries(3, id="another") + entries(4), NOW, now_s=10.0)
    assert page.seen == ["s 1-0", "s 2-0", "s 3-0", "s 4-0"]
    assert sorted(marks) == [False, False, False, True]


def test_each_reading_of_a_filter_has_rows_of_its_own(hub: Hub) -> None:
    hub = Hub(lambda event, reading="events", **_: f"[s {event.entry_id}]{reading}")
    events, turns = Page(), Page()
    hub.join(events.subscription, EVERYTHING)
    hub.join(turns.subscription, EVERYTHING, "conversation")
    for page in (events, turns):
        page.caught_up()
    hub.on_entries(entries(1), NOW, now_s=10.0)
    assert [page.messages[-1]["html"] for page in (events, turns)] == ["[s 1-0]events", "[s 1-0]conversation"]
    for page in (events, turns):
        hub.leave(page.subscription)
    hub.on_entries(entries(2), NOW, now_s=20.0)
    assert [len(page.messages) for page in (events, turns)] == [1, 1]


@dataclass(eq=False)
class Follower:
    """A page that only notes the events of its frames."""

    tailed: dict[str, EntryId] = field(default_factory=dict)
    taken: list[Event] = field(default_factory=list)

    def on_frame(self, frame: frames.Frame) -> None:
        self.taken += [arrival.event for arrival in frame.arrivals]

    def waiting_seen(self) -> None: ...
    def credit_returned(self) -> None: ...
    def send_heartbeat(self, cursor: frames.Cursor) -> None: ...
    def restart_stream(self, stream: str) -> None: ...


@given(st.lists(pairs, max_size=8), filters)
def test_a_page_gets_the_events_that_the_filter_matches(
    written: list[tuple[tuple[bytes, bytes], ...]], event_filter: EventFilter
) -> None:
    events = [decode(Entry("s", EntryId(number, 0), each)) for number, each in enumerate(written)]
    with declared(NAIVE):
        group, follower = FilterGroup(event_filter), Follower()
        group.followers.add(follower)
        group.on_arrivals([frames.Arrival(event, render) for event in events], NOW)
        group.flush({}, 0)
        assert follower.taken == [event for event in events if event_filter.matches(event, NOW)]
