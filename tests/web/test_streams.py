"""The pages of streams: what is gone, parked or missing, how fast each group is, and what is pending in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
import redis
from django.test import Client
from django.urls import resolve, reverse
from pytest_django.fixtures import Settings

from evdash.eventlog.group_progress import MINUTES, throughput
from evdash.eventlog.models import Gap, GroupMinute, GroupPosition
from evdash.events.entry import EntryId
from evdash.ingest.projections.event_log import AuditProjection
from evdash.streams.address import shown_address
from evdash.streams.dead_letters import park
from evdash.streams.reads import read_entry
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

GROUP = "evdash-audit"
GROUP_PAGE = f"/streams/{STREAM}/groups/{GROUP}/"
START_MS = 1_764_000_000_000


@pytest.fixture
def stuck(valkey: redis.Redis, write: Write, index: Index, browser: Client) -> Client:
    """Ten entries that are indexed, and six more: four lie with a, two with b, whom nobody has heard of since."""
    write(*(entry(f"{START_MS + n}-0", type="message.added", role="user", content=f"words {n}") for n in range(10)))
    index()
    write(*(entry(f"{START_MS + n}-0", type="message.added", role="user", content=f"words {n}") for n in range(10, 16)))
    deliver(valkey, "a", 4)
    deliver(valkey, "b", 2)
    return browser


def deliver(valkey: redis.Redis, consumer: str, count: int) -> None:
    valkey.execute_command("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", STREAM, ">")


def shown_id(ms: int) -> str:
    """An entry ID as the pages show it: its time first."""
    return f"{datetime.fromtimestamp(ms // 1000, UTC):%Y-%m-%d %H:%M:%S} {ms}-0"


def be_idle(valkey: redis.Redis, consumer: str, idle_ms: int, deliveries: int, *numbers: int) -> None:
    ids = [f"{START_MS + number}-0" for number in numbers]
    tail = ("IDLE", idle_ms, "RETRYCOUNT", deliveries, "JUSTID")
    valkey.execute_command("XCLAIM", STREAM, GROUP, consumer, 0, *ids, *tail)


def test_a_stream_says_what_is_gone_and_what_is_kept(stuck: Client, valkey: redis.Redis, settings: Settings) -> None:
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", 14)
    settings.EVDASH = replace(settings.EVDASH, max_length=1_000_000, retention_hours=72)
    page = parse_page(stuck.get("/streams/"))
    assert page.facts == page.facts | {
        "Length": "14",
        "Added in total": "16",
        "Removed": "2",
        "Retention": "At most about 1,000,000 entries and 72 hours, after all groups have committed",
    }
    assert page.values("data-key", ".stream:has(.absent)") == ["other"]


def test_a_stream_has_one_line_with_its_problems_and_those_with_problems_come_first(
    stuck: Client, settings: Settings
) -> None:
    settings.EVDASH = replace(settings.EVDASH, streams=("other", STREAM))
    page = parse_page(stuck.get("/streams/"))
    assert page.values("data-key", "details.stream") == [STREAM, "other"]
    assert page.values("data-key", "details.stream[open]") == [STREAM]
    assert page.texts(".stream-line .pill") == ["Group missing", "Group missing"]
    assert not page.has(".stream .danger")


def test_a_streams_rate_is_its_own_and_not_that_of_a_worker(stuck: Client, valkey: redis.Redis) -> None:
    # Ten were applied just now.
    assert parse_page(stuck.get("/streams/")).facts["Rate"] == "0 in the last 5 min"
    for _ in range(60):
        valkey.execute_command("XADD", STREAM, "*", "type", "t")
    assert parse_page(stuck.get("/streams/")).facts["Rate"] == "12 per minute in the last 5 min"


def test_consumers_with_most_to_do_come_first(stuck: Client, valkey: redis.Redis) -> None:
    deliver(valkey, "late", 1)
    consumers = parse_page(stuck.get("/streams/")).texts(".consumer")
    assert [text.partition(" idle ")[0] for text in consumers[:2]] == ["a 4 pending,", "b 2 pending,"]
    assert len(consumers) == 3
    rows = parse_page(stuck.get(GROUP_PAGE)).cells("table.consumers", "Consumer", "Pending")
    assert rows[:2] == [("a", "4"), ("b", "2")]
    assert sorted(rows[2:]) == [("c", "0"), ("late", "0")]


def test_a_group_that_retention_waits_for_is_named(stuck: Client, valkey: redis.Redis, settings: Settings) -> None:
    for up_to_date in ("evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "CREATE", STREAM, up_to_date, "$")
    assert parse_page(stuck.get("/streams/")).notices == []
    settings.EVDASH = replace(settings.EVDASH, max_length=2)
    page = parse_page(stuck.get("/streams/"))
    oldest = f"{START_MS + 10}-0"
    assert page.notices == [
        (
            "warning",
            f"Retention blocked. Group {GROUP} has 6 pending entries (oldest {oldest}): 4 entries of {STREAM} are "
            f"blocked. Entries before {oldest} can be trimmed now.",
        )
    ]


def test_each_group_says_what_it_fills_how_far_it_is_and_how_fast(stuck: Client, settings: Settings) -> None:
    GroupMinute.objects.update(batches=2, apply_us=6_000)
    page = parse_page(stuck.get("/streams/"))
    assert page.texts(".source code") == [shown_address(settings.EVDASH.redis_url)]
    assert page.links[GROUP] == GROUP_PAGE
    assert page.values("data-key", "tr:has(.missing)") == ["evdash-analytics", "evdash-debug"]
    own, _, debug = page.table("table.groups")
    assert (own["Group"], own["Lag"], own["Pending"]) == (f"{GROUP} event log, sessions, users, counts", "0", "6")
    assert own["Oldest pending"].endswith(f"{START_MS + 10}-0")
    assert page.values("aria-label", ".sparkline") == ["10 events in the last 30 minutes, at most 10 in one of them"]
    assert own["Applied in 30 min"].endswith(" 10 in 5 min, 3 ms per batch")
    assert debug["Group"] == "evdash-debug Stuck error groups"


def test_a_lag_that_redis_does_not_know_is_counted_or_unknown(stuck: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XGROUP CREATE", STREAM, "billing", f"{START_MS + 3}-0")
    valkey.execute_command("XDEL", STREAM, f"{START_MS + 8}-0")
    [*_, billing] = parse_page(stuck.get("/streams/")).table("table.groups")
    assert (billing["Group"], billing["Lag"], billing["Pending"]) == ("billing Stuck external", "11", "0")


def test_gaps_that_came_about_alike_stand_in_one_line(stuck: Client, valkey: redis.Redis) -> None:
    projection = AuditProjection(GROUP)
    projection.record_removed(STREAM, [EntryId(START_MS + 10, 0), EntryId(START_MS + 11, 0)])
    for number in (13, 14, 15):
        projection.record_parked(STREAM, EntryId(START_MS + number, 0), "ValueError: 12,50")
    for address in ("/streams/", GROUP_PAGE):
        assert parse_page(stuck.get(address)).cells("table.gaps", "Entries", "Cause", "From", "To") == [
            ("3", f"{Gap.Kind.PARKED.label} “ ValueError: 12,50 ”", shown_id(START_MS + 13), shown_id(START_MS + 15)),
            ("2", Gap.Kind.REMOVED.label, shown_id(START_MS + 10), shown_id(START_MS + 11)),
        ]


def test_gaps_are_counted_to_the_last_and_only_what_belongs_together_is_one_row(stuck: Client) -> None:
    projection = AuditProjection(GROUP)
    for number in range(60):
        projection.record_missing(STREAM, EntryId(100 * number + 1, 0), EntryId(100 * number + 50, 0), 10)
    ends = [(shown_id(100 * n + 1), shown_id(100 * n + 50)) for n in reversed(range(60))]
    rows = [("10", Gap.Kind.REMOVED.label, *each) for each in ends]
    for address, listed, more in (
        ("/streams/", 5, "and 55 more on the group page"),
        (GROUP_PAGE, 50, "and 10 older gaps"),
    ):
        page = parse_page(stuck.get(address))
        assert page.cells("table.gaps", "Entries", "Cause", "From", "To") == rows[:listed]
        assert page.texts(".gaps-total, .gaps-more") == ["600 entries in 60 gaps", more]


def test_a_recreated_stream_is_stated(stuck: Client, valkey: redis.Redis, write: Write) -> None:
    assert not parse_page(stuck.get("/streams/")).has(".recreated")
    position = GroupPosition.objects.get(group=GROUP)
    position.recreated_at, position.former_entries = datetime(2026, 11, 24, 12, 0, tzinfo=UTC), 1300
    position.save()
    page = parse_page(stuck.get("/streams/"))
    assert page.values("datetime", ".recreated time") == ["2026-11-24T12:00:00.000000Z"]
    [notice] = page.texts(".recreated")
    assert "1,300 entries of the previous stream" in notice


def test_a_group_lists_its_consumers_and_what_is_pending_with_the_events(stuck: Client, valkey: redis.Redis) -> None:
    be_idle(valkey, "a", 7_200_000, 7, 10, 11)
    page = parse_page(stuck.get(GROUP_PAGE))
    assert page.texts("main h2")[0] == "Projection: event log, sessions, users, counts"
    assert page.cells("table.consumers", "Consumer", "Pending") == [("a", "4"), ("b", "2"), ("c", "0")]
    assert page.cells("table.pending", "Entry", "Event", "Consumer", "Deliveries") == [
        (
            shown_id(START_MS + n),
            f"message.added user: words {n}",
            "a" if n < 14 else "b",
            "7" if n < 12 else "1",
        )
        for n in range(10, 16)
    ]
    assert [row["Idle"] for row in page.table("table.pending")[:2]] == ["2 h", "2 h"]
    assert page.links["message.added user: words 15"] == f"/events/{STREAM.replace(':', '%3A')}/{START_MS + 15}-0/"
    assert page.links["Idle 1h+: 2"] == f"{GROUP_PAGE}?idle_over=1h#pending"
    assert page.facts == page.facts | {
        "Lag": "0",
        "Pending": "6",
        "Watermark": f"before oldest pending {shown_id(START_MS + 10)}",
        "Applied in total": "10",
    }
    assert page.texts(".ages") == ["Delivered once: 4, 5 times or more: 2. Longest idle: 2 h."]


def test_a_group_states_in_a_sentence_whether_it_progresses(stuck: Client, settings: Settings) -> None:
    [sentence] = parse_page(stuck.get(GROUP_PAGE)).texts(".diagnosis")
    assert sentence == "3 consumers read. 6 entries are pending, lag 0."
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=1)
    page = parse_page(stuck.get(GROUP_PAGE))
    assert not page.has(".diagnosis")
    assert page.has(".notice.stuck")


def test_what_is_pending_is_filtered_by_consumer_and_idle_time(stuck: Client, valkey: redis.Redis) -> None:
    be_idle(valkey, "a", 7_200_000, 2, 10)
    assert pending_in(stuck, "?consumer=b") == [14, 15]
    assert pending_in(stuck, "?idle_over=1h") == [10]
    page = parse_page(stuck.get(f"{GROUP_PAGE}?consumer=b&idle_over=1h"))
    assert not page.has("table.pending")
    assert page.links["All pending entries"] == f"{GROUP_PAGE}#pending"


def test_what_is_pending_is_read_page_by_page(stuck: Client, valkey: redis.Redis, write: Write) -> None:
    write(*(entry(f"{START_MS + n}-0", type="t") for n in range(16, 216)))
    deliver(valkey, "c", 200)
    address, numbers = f"{GROUP_PAGE}?consumer=c", []
    while address:
        page = parse_page(stuck.get(address))
        numbers += pending_in(stuck, address.removeprefix(GROUP_PAGE).partition("#")[0])
        address = page.links.get("Later ›", "")
    assert numbers == list(range(16, 216))


def pending_in(browser: Client, query: str) -> list[int]:
    page = parse_page(browser.get(f"{GROUP_PAGE}{query}"))
    return [int(key.partition("-")[0]) - START_MS for key in page.values("data-key", ".pending tr")]


def test_an_entry_that_is_gone_is_said_to_be(stuck: Client, valkey: redis.Redis) -> None:
    # Applied, and pending once more.
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, f"{START_MS + 9}-0", "FORCE", "JUSTID")
    valkey.execute_command("XDEL", STREAM, f"{START_MS + 9}-0", f"{START_MS + 10}-0")
    page = parse_page(stuck.get(GROUP_PAGE))
    assert page.values("data-key", "tr:has(.gone)") == [f"{START_MS + 9}-0", f"{START_MS + 10}-0"]
    assert page.texts("tr:has(.gone) .entry-line") == ["message.added user: words 9"]  # the log has only this one


def test_a_silent_consumer_is_pointed_out(stuck: Client, settings: Settings) -> None:
    assert not parse_page(stuck.get(GROUP_PAGE)).has(".notice-warning, .is-stuck, .is-warning")
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=1)
    page = parse_page(stuck.get(GROUP_PAGE))
    assert page.values("data-key", "tr.is-stuck") == ["a", "b"]
    assert page.texts(".is-warning dd") == ["6"]
    assert page.notices == [
        (
            "warning",
            "Stuck. 6 entries are pending with 2 inactive consumers. Inactive: no read for 1 ms or longer. "
            "Start a worker: manage.py work audit.",
        )
    ]
    page = parse_page(stuck.get("/streams/"))
    assert page.values("data-key", "tr.is-stuck") == [GROUP, "evdash-analytics", "evdash-debug"]  # two are missing
    assert page.texts(".consumer.is-silent bdi") == ["a", "b"]


def test_parked_entries_are_listed_with_the_reason(stuck: Client, valkey: redis.Redis) -> None:
    address = f"/streams/{STREAM}/parked/"
    empty = parse_page(stuck.get(address))
    assert empty.has(".empty")
    assert not empty.has("table")
    found = read_entry(valkey, STREAM, EntryId(START_MS + 12, 0))
    assert found is not None
    park(valkey, found, group=GROUP, consumer="a", deliveries=5, reason="ValueError: 12,50 is no number")
    page = parse_page(stuck.get("/streams/"))
    assert page.facts["Parked"] == "1 entry"
    assert page.links["1 entry"] == address
    assert parse_page(stuck.get(address)).table("table.pending") == [
        {
            "Entry": shown_id(START_MS + 12),
            "Event": "message.added user: words 12",
            "Reason": "ValueError: 12,50 is no number",
            "Group": GROUP,
            "Consumer": "a",
            "Deliveries": "5",
            "Parked": "just now",
        }
    ]


def test_a_viewer_sees_no_buttons(stuck: Client) -> None:
    for address in ("/streams/", GROUP_PAGE, f"/streams/{STREAM}/parked/"):
        page = parse_page(stuck.get(address))
        assert "/streams/operations/" not in page.html
        assert not page.has("main [type=checkbox]")


@pytest.mark.parametrize(
    ("address", "subject", "sentence"),
    [
        (f"/streams/{STREAM}/groups/nobody/", "nobody", "no consumer group of this name"),
        (f"/streams/secret/groups/{GROUP}/", "secret", "EVDASH_STREAMS"),
        ("/streams/secret/parked/", "secret", "EVDASH_STREAMS"),
    ],
)
def test_unknown_streams_and_groups_are_404(stuck: Client, address: str, subject: str, sentence: str) -> None:
    page = parse_page(stuck.get(address), 404)
    assert page.texts(".said-subject") == [subject]
    [*_, text] = page.texts(".said > p:not(.actions)")
    assert sentence in text


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("idle_over=soon", "'soon' is not a time"),
        ("idle_over=2026-11-23", "'2026-11-23' is not a duration"),
        ("after=x", "'x' is not an entry ID"),
    ],
)
def test_a_filter_that_cannot_be_read_is_400(stuck: Client, query: str, rule: str) -> None:
    page = parse_page(stuck.get(f"{GROUP_PAGE}?{query}"), 400)
    [sentence] = page.texts(".said > p:not(.actions)")
    assert f"{query.partition('=')[0]}= {rule}" in sentence
    assert page.links["Open first page"] == GROUP_PAGE


@pytest.mark.parametrize("answered", [False, True])
def test_redis_out_of_reach_is_a_sentence(
    browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    answered_at = datetime(2026, 1, 1, 14, 2, 3, tzinfo=UTC) if answered else None
    monkeypatch.setattr("evdash.metrics.redis_answered", lambda: answered_at)
    last = " Last answer: 14:02:03 UTC." if answered else ""
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    page = parse_page(browser.get("/streams/"))
    outage = "Redis at 127.0.0.1:1 is unreachable: connection refused."
    assert page.notices == [("error", f"{outage}{last} Showing the event log only.")]
    assert page.values("data-key", ".stream") == [STREAM, "other"]
    assert not page.has(".source, .facts, .groups, .absent")
    for address in (GROUP_PAGE, f"/streams/{STREAM}/parked/"):
        assert parse_page(browser.get(address), 503).texts(".said > p:not(.actions)") == [outage]


@pytest.mark.parametrize("name", ["a", "a/b", "a/groups/b", "..", ".", "50 %", "ü?#&", "%2F", "a:b|c", "parked"])
def test_whatever_a_group_is_called_has_one_address(name: str) -> None:
    address = reverse("stream-group", kwargs={"stream": name, "group": name})
    match = resolve(unquote(address))  # as a server reads the path that a browser sends
    assert match.kwargs == {"stream": name, "group": name}
    assert not {".", ".."} & set(address.split("/"))


def test_throughput_is_of_the_last_minutes(stuck: Client) -> None:
    [found] = throughput(STREAM, datetime.now(UTC)).values()
    assert len(found.minutes) == MINUTES
    assert sum(found.minutes) == 10
    assert 10 / 300 <= found.per_second <= 10 / 240
    assert found.ms_per_batch is not None
    assert throughput(STREAM, datetime(2020, 1, 1, tzinfo=UTC)) == {}
