"""The pages of streams: what is gone, parked or missing, how fast each group is, and what is pending in it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest
import redis
from django.test import Client
from django.urls import resolve, reverse
from pytest_django.fixtures import Settings

from evdash.eventlog.group_progress import MINUTES, throughput
from evdash.eventlog.models import GroupPosition
from evdash.events.entry import EntryId
from evdash.ingest.projections.event_log import AuditProjection
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


def be_idle(valkey: redis.Redis, consumer: str, idle_ms: int, deliveries: int, *numbers: int) -> None:
    ids = [f"{START_MS + number}-0" for number in numbers]
    tail = ("IDLE", idle_ms, "RETRYCOUNT", deliveries, "JUSTID")
    valkey.execute_command("XCLAIM", STREAM, GROUP, consumer, 0, *ids, *tail)


def test_a_stream_says_what_is_gone_and_what_is_kept(stuck: Client, valkey: redis.Redis, settings: Settings) -> None:
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", 14)
    settings.EVDASH = replace(settings.EVDASH, max_length=1_000_000, retention_hours=72)
    page = parse_page(stuck.get("/streams/"))
    assert "Length 14 Added in total 16 Removed 2" in page.text
    assert "At most about 1,000,000 entries and 72 hours, after all groups have committed" in page.text
    assert "Stream does not exist yet" in page.text  # the other stream of the settings


def test_a_streams_rate_is_its_own_and_not_that_of_a_worker(stuck: Client, valkey: redis.Redis) -> None:
    assert "Entries/s 0 in the last 5 min" in parse_page(stuck.get("/streams/")).text  # ten were applied just now
    for _ in range(60):
        valkey.execute_command("XADD", STREAM, "*", "type", "t")
    assert "Entries/s 0.2 in the last 5 min" in parse_page(stuck.get("/streams/")).text


def test_consumers_with_most_to_do_come_first_and_the_speed_says_its_window(stuck: Client, valkey: redis.Redis) -> None:
    deliver(valkey, "late", 1)
    page = parse_page(stuck.get("/streams/"))
    assert page.text.index("a 4 pending") < page.text.index("b 2 pending") < page.text.index("late idle")
    assert "10 in 5 min" in page.text


def test_a_group_that_retention_waits_for_is_named(stuck: Client, valkey: redis.Redis, settings: Settings) -> None:
    for up_to_date in ("evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "CREATE", STREAM, up_to_date, "$")
    assert "Retention blocked" not in parse_page(stuck.get("/streams/")).text
    settings.EVDASH = replace(settings.EVDASH, max_length=2)
    page = parse_page(stuck.get("/streams/"))
    assert f"Retention blocked. Group {GROUP} has 6 pending entries" in page.text
    assert "4 entries of memory:events are blocked." in page.text


def test_each_group_says_what_it_fills_how_far_it_is_and_how_fast(stuck: Client) -> None:
    page = parse_page(stuck.get("/streams/"))
    assert re.search(r"Source 127.0.0.1:\d+ , read", page.text)
    assert page.links[GROUP] == GROUP_PAGE
    assert "event log, sessions, users, counts 0 6" in page.text
    assert "10 events in the last 30 minutes" in " ".join(page.values("aria-label"))
    assert "per batch" in page.text
    assert "evdash-debug error groups Missing" in page.text


def test_a_lag_that_redis_does_not_know_is_counted_or_unknown(stuck: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XGROUP CREATE", STREAM, "billing", f"{START_MS + 3}-0")
    valkey.execute_command("XDEL", STREAM, f"{START_MS + 8}-0")
    assert "billing external 11 0" in parse_page(stuck.get("/streams/")).text


def test_gaps_that_came_about_alike_stand_in_one_line(stuck: Client, valkey: redis.Redis) -> None:
    projection = AuditProjection(GROUP)
    projection.record_removed(STREAM, [EntryId(START_MS + 10, 0), EntryId(START_MS + 11, 0)])
    for number in (13, 14, 15):
        projection.record_parked(STREAM, EntryId(START_MS + number, 0), "ValueError: 12,50")
    for address in ("/streams/", GROUP_PAGE):
        page = parse_page(stuck.get(address))
        assert f"3 could not be applied and were parked “ ValueError: 12,50 ” {START_MS + 13}-0" in page.text
        assert f"2 removed from the stream before they were read {START_MS + 10}-0 {START_MS + 11}-0" in page.text


def test_gaps_are_counted_to_the_last_and_only_what_belongs_together_is_one_row(stuck: Client) -> None:
    projection = AuditProjection(GROUP)
    for number in range(60):
        projection.record_missing(STREAM, EntryId(100 * number + 1, 0), EntryId(100 * number + 50, 0), 10)
    page = parse_page(stuck.get("/streams/"))
    assert "10 removed from the stream before they were read 5901-0 5950-0" in page.text
    assert "600 entries in 60 gaps" in page.text
    assert "and 55 more on" in page.text
    page = parse_page(stuck.get(GROUP_PAGE))
    assert "600 entries in 60 gaps" in page.text
    assert "and 10 older gaps" in page.text


def test_a_recreated_stream_is_stated(stuck: Client, valkey: redis.Redis, write: Write) -> None:
    assert "of the previous stream" not in parse_page(stuck.get("/streams/")).text
    position = GroupPosition.objects.get(group=GROUP)
    position.recreated_at, position.former_entries = datetime(2026, 11, 24, 12, 0, tzinfo=UTC), 1300
    position.save()
    assert "The event log keeps 1,300 entries of the previous stream." in parse_page(stuck.get("/streams/")).text


def test_a_group_lists_its_consumers_and_what_is_pending_with_the_events(stuck: Client, valkey: redis.Redis) -> None:
    be_idle(valkey, "a", 7_200_000, 7, 10, 11)
    page = parse_page(stuck.get(GROUP_PAGE))
    assert "Projection: event log, sessions, users, counts" in page.text
    assert f"{START_MS + 10}-0 message.added user: words 10 a 2 h 7" in page.text
    assert page.links["message.added user: words 15"] == f"/events/{STREAM.replace(':', '%3A')}/{START_MS + 15}-0/"
    assert "Idle 1h+: 2" in page.links
    assert f"Watermark before {START_MS + 10}-0" in page.text
    assert "Delivered once: 4, 5 times or more: 2. Longest idle: 2 h" in page.text


def test_what_is_pending_is_filtered_by_consumer_and_idle_time(stuck: Client, valkey: redis.Redis) -> None:
    be_idle(valkey, "a", 7_200_000, 2, 10)
    assert pending_in(stuck, "?consumer=b") == [14, 15]
    assert pending_in(stuck, "?idle_over=1h") == [10]
    assert pending_in(stuck, "?consumer=b&idle_over=1h") == []
    assert "No matching entries." in parse_page(stuck.get(f"{GROUP_PAGE}?consumer=b&idle_over=1h")).text


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
    keys = page.values("data-key", "tr")
    return [int(key.partition("-")[0]) - START_MS for key in keys if key.startswith(str(START_MS)[:6])]


def test_an_entry_that_is_gone_is_said_to_be(stuck: Client, valkey: redis.Redis) -> None:
    # Applied, and pending once more.
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, f"{START_MS + 9}-0", "FORCE", "JUSTID")
    valkey.execute_command("XDEL", STREAM, f"{START_MS + 9}-0", f"{START_MS + 10}-0")
    page = parse_page(stuck.get(GROUP_PAGE))
    assert f"{START_MS + 9}-0 message.added user: words 9 Deleted from the stream a" in page.text
    assert f"{START_MS + 10}-0 Deleted, not in the event log a" in page.text


def test_a_silent_consumer_is_pointed_out(stuck: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=1)
    assert "Stuck: 6 entries are pending with 2 inactive consumers" in parse_page(stuck.get(GROUP_PAGE)).text
    assert "inactive for" in parse_page(stuck.get("/streams/")).text


def test_parked_entries_are_listed_with_the_reason(stuck: Client, valkey: redis.Redis) -> None:
    assert "No parked entries" in parse_page(stuck.get(f"/streams/{STREAM}/parked/")).text
    found = read_entry(valkey, STREAM, EntryId(START_MS + 12, 0))
    assert found is not None
    park(valkey, found, group=GROUP, consumer="a", deliveries=5, reason="ValueError: 12,50 is no number")
    assert parse_page(stuck.get("/streams/")).links["1 entry"] == f"/streams/{STREAM}/parked/"
    page = parse_page(stuck.get(f"/streams/{STREAM}/parked/"))
    assert "message.added user: words 12 ValueError: 12,50 is no number evdash-audit a 5 just now" in page.text


def test_a_viewer_sees_no_buttons(stuck: Client) -> None:
    for address in ("/streams/", GROUP_PAGE, f"/streams/{STREAM}/parked/"):
        page = parse_page(stuck.get(address))
        assert "/streams/operations/" not in page.html
        assert "checkbox" not in page.html


def test_unknown_streams_and_groups_are_404_and_bad_filters_400(stuck: Client) -> None:
    assert "no consumer group of this name" in parse_page(stuck.get(f"/streams/{STREAM}/groups/nobody/"), 404).text
    assert "EVDASH_STREAMS" in parse_page(stuck.get("/streams/secret/groups/evdash-audit/"), 404).text
    assert "EVDASH_STREAMS" in parse_page(stuck.get("/streams/secret/parked/"), 404).text
    assert "'soon' is not a time" in parse_page(stuck.get(f"{GROUP_PAGE}?idle_over=soon"), 400).text
    assert "is not a duration" in parse_page(stuck.get(f"{GROUP_PAGE}?idle_over=2026-11-23"), 400).text
    assert "not an entry ID" in parse_page(stuck.get(f"{GROUP_PAGE}?after=x"), 400).text


def test_redis_out_of_reach_is_a_sentence(browser: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    page = parse_page(browser.get("/streams/"))
    assert "is unreachable" in page.text
    assert "Source" not in page.text
    for address in (GROUP_PAGE, f"/streams/{STREAM}/parked/"):
        assert "is unreachable" in parse_page(browser.get(address), 503).text


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
