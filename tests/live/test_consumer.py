"""The socket, through the application, with a real Valkey behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from evdash import metrics
from evdash.accounts.sessions import SIGNED_IN_AT, SessionStore
from evdash.accounts.sockets import SIGNED_OUT
from evdash.eventlog import group_progress
from evdash.events.entry import EntryId
from evdash.live import catch_up, consumer, socket_registry
from evdash.live.frames import FRAME_ROWS
from evdash.live.inheritance import NAMES_MAX, LiveInheritance
from evdash.live.stream_tailer import feed_of_process
from evdash.live.subscription import Subscription
from evdash.streams import tail
from evdash.streams.client import open_client, shown_address
from evdash.streams.embedded_server import EmbeddedServer
from tests.builders import STREAM, event, tail_of
from tests.live.conftest import OpenPage

Add = Callable[..., EntryId]

pytestmark = pytest.mark.usefixtures("transactional_db")


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def figure(name: str) -> float:
    value = metrics.REGISTRY.get_sample_value(name)
    assert value is not None
    return value


async def test_a_new_event_comes_as_the_row_of_the_pages(open_page: OpenPage, add: Add) -> None:
    page = await open_page()
    await page.subscribe()
    added = add(content="hello")
    message = await page.until(lambda message: message["type"] == "rows")
    assert page.count(added) == 1
    assert "hello" in message["html"]
    assert message["html"].startswith("<li")
    assert (message["count"], message["skipped"], message["cursor"]) == (1, 0, {STREAM: str(added)})


async def test_open_sockets_and_pushed_rows_are_counted(open_page: OpenPage, add: Add) -> None:
    pushed = figure("evdash_rows_pushed_total")
    page = await open_page()
    await open_page()
    await page.subscribe()
    assert figure("evdash_open_sockets") == 2
    add()
    await page.until(lambda message: message["type"] == "rows")
    assert figure("evdash_rows_pushed_total") == pushed + 1
    await page.socket.disconnect()
    await until(lambda: figure("evdash_open_sockets") == 1)


async def test_what_lies_between_page_load_and_subscription_comes_first(open_page: OpenPage, add: Add) -> None:
    shown = add()
    missed = [add() for _ in range(3)]
    page = await open_page()
    await page.subscribe(cursor={STREAM: shown})
    assert [page.count(entry_id) for entry_id in [shown, *missed]] == [0, 1, 1, 1]
    assert page.html.index(str(missed[0])) < page.html.index(str(missed[2]))
    after = add()
    await page.until(lambda message: message["type"] == "rows")
    assert [page.count(entry_id) for entry_id in [*missed, after]] == [1, 1, 1, 1]


async def test_nothing_is_doubled_or_lost_while_the_past_is_read(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events come before, during and after the reading."""
    first = add()
    ids = [add() for _ in range(5)]
    read = consumer._missed

    async def slowly(*arguments: object) -> object:
        ids.extend(add() for _ in range(5))
        result = await read(*arguments)
        ids.extend(add() for _ in range(5))
        await until(lambda: feed_of_process().hub.position[STREAM] == ids[-1])
        return result

    monkeypatch.setattr(consumer, "_missed", slowly)
    page = await open_page()
    await page.subscribe(cursor={STREAM: first})
    ids.append(add())
    while not page.count(ids[-1]):
        await page.hear()
    assert [page.count(entry_id) for entry_id in ids] == [1] * 16


async def test_only_what_the_filter_lets_through_comes(open_page: OpenPage, add: Add) -> None:
    shown = add()
    missed = [add(type="error.occurred"), add()]
    page = await open_page()
    await page.subscribe("q=is%3Aerror", cursor={STREAM: shown})
    new = [add(), add(type="error.occurred", session_id="s2")]
    await page.until(lambda message: message["type"] == "rows" and str(new[1]) in message["html"])
    assert [page.count(entry_id) for entry_id in [*missed, *new]] == [1, 0, 0, 1]


async def test_an_event_is_pushed_with_what_its_session_declares(open_page: OpenPage, add: Add) -> None:
    """Whether the page was open when the session declared it, or not."""
    add(type="session.started", session_id="s1", model="m1")
    page = await open_page()
    await page.subscribe("q=model:m1")
    early = add(type="error.occurred", session_id="s1", error="e")
    add(type="session.started", session_id="s2", model="m1")
    late, other = add(session_id="s2"), add(session_id="s3")
    own = add(session_id="s1", model="m2")
    last = add(session_id="s2", content="the last")
    while not page.count(last):
        await page.until(lambda message: message["type"] == "rows")
    assert [page.count(entry_id) for entry_id in (early, late, other, own)] == [1, 1, 0, 0]


@pytest.mark.parametrize("is_tailed", [False, True])
async def test_an_event_is_pushed_with_what_was_declared_while_no_page_followed(
    open_page: OpenPage, add: Add, is_tailed: bool
) -> None:
    """Whether the stream tailer has stopped meanwhile, or runs for a page without a subscription."""
    if is_tailed:
        await open_page()
    page = await open_page()
    await page.subscribe()
    add(session_id="s1")
    add(type="tool.returned", session_id="s2", call_id="c1")
    while page.html.count("data-entry") < 2:
        await page.until(lambda message: message["type"] == "rows")
    await page.socket.disconnect()
    add(type="session.started", session_id="s1", model="m1")
    unseen = add(type="tool.called", session_id="s2", call_id="c1", tool="search")
    if is_tailed:
        await until(lambda: feed_of_process().hub.position[STREAM] == unseen)
    by_model, by_tool = await open_page(), await open_page()
    await by_model.subscribe("q=model:m1")
    await by_tool.subscribe("q=tool:search")
    inheriting = add(session_id="s1")
    returned = add(type="tool.returned", session_id="s2", call_id="c1")
    last = add(session_id="s3", model="m1", tool="search")
    for each in (by_model, by_tool):
        while not each.count(last):
            await each.until(lambda message: message["type"] == "rows")
    assert by_model.count(inheriting) == 1
    assert by_tool.count(returned) == 1


async def test_an_often_reused_call_id_keeps_few_names_and_the_last_one_counts(valkey: redis.Redis) -> None:
    inheritance = LiveInheritance(tail_of(valkey))
    position: dict[str, EntryId] = {}
    for batch in range(20):
        calls = [
            event(f"{batch * 1_000 + number}-0", type="tool.called", session_id="s1", call_id="c", tool=f"t{batch}")
            for number in range(50)
        ]
        end = EntryId(batch * 1_000 + 999, 0)
        returned = event(str(end), type="tool.returned", session_id="s1", call_id="c")
        (*_, inheriting) = await inheritance.inherit([*calls, returned], position)
        assert inheriting.tool == f"t{batch}"
        position = {STREAM: end}
    assert [len(names) for names in inheritance._names.values()] == [NAMES_MAX]


async def test_another_filter_on_the_same_socket_takes_the_place_of_the_first(open_page: OpenPage, add: Add) -> None:
    page = await open_page()
    await page.subscribe("session=s1")
    await page.subscribe("session=s2")
    one, two = add(session_id="s1"), add(session_id="s2")
    await page.until(lambda message: message["type"] == "rows")
    assert [page.count(one), page.count(two)] == [0, 1]
    assert [message["number"] for message in page.messages if message["type"] == "subscribed"] == [1, 2]


async def test_a_page_that_was_away_for_long_gets_the_newest_and_a_gap(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "MISSED_ROWS", 10)
    shown = add()
    ids = [add() for _ in range(40)]
    page = await open_page()
    await page.subscribe(cursor={STREAM: shown})
    (message,) = [message for message in page.messages if message["type"] == "rows"]
    assert [page.count(entry_id) for entry_id in ids] == [0] * 30 + [1] * 10
    assert (message["skipped"], message["skipped_exactly"]) == (30, True)
    assert message["skipped_after"] == f"{shown}@{STREAM}"
    monkeypatch.setattr(catch_up, "MISSED_COUNT_MAX", 20)
    page = await open_page()
    await page.subscribe(cursor={STREAM: shown})
    (message,) = [message for message in page.messages if message["type"] == "rows"]
    assert [page.count(entry_id) for entry_id in ids] == [0] * 30 + [1] * 10
    assert (message["skipped"], message["skipped_exactly"]) == (20, False)
    add()
    await page.until(lambda message: message["type"] == "rows")


async def test_several_streams_are_joined_by_the_cursor_of_each(
    open_page: OpenPage, add: Add, settings: Settings
) -> None:
    settings.EVDASH = replace(settings.EVDASH, streams=(STREAM, "other"))
    add("other", "1-0")
    old = add(entry_id="500-0")
    missed = add(entry_id="501-0", content="missed here")
    add("other", "400-0", content="missed there")
    page = await open_page()
    await page.subscribe(cursor={STREAM: old, "other": "1-0"})
    assert page.html.index("missed there") < page.html.index("missed here")
    assert page.count(missed) == 1
    only = await open_page()
    await only.subscribe("stream=other", cursor={STREAM: old, "other": "1-0"})
    assert "missed there" in only.html
    assert "missed here" not in only.html


async def test_a_burst_is_capped_and_counted(open_page: OpenPage, valkey: redis.Redis) -> None:
    page = await open_page()
    await page.subscribe()
    pipeline = valkey.pipeline()
    for number in range(2_000):
        pipeline.execute_command("XADD", STREAM, "*", "type", "message.added", "n", number)
    pipeline.execute()
    rows: list[dict[str, Any]] = []
    while sum(message["count"] + message["skipped"] for message in rows) < 2_000:
        rows.append(await page.until(lambda message: message["type"] == "rows"))
        await page.acknowledge()
    assert sum(message["count"] + message["skipped"] for message in rows) == 2_000
    assert max(message["count"] for message in rows) <= FRAME_ROWS
    assert len(rows) < 20


async def test_a_page_that_does_not_acknowledge_is_told_what_waits_and_then_gets_its_newest_and_a_gap(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.live.subscription.IN_FLIGHT_ROWS", 2)
    monkeypatch.setattr("evdash.live.subscription.FRAME_ROWS", 1)
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    page = await open_page()
    await page.subscribe()
    for _ in range(2):
        add()
        await page.until(lambda message: message["type"] == "rows")
    ids = [add() for _ in range(3)]
    waiting = await page.until(lambda message: message["type"] == "waiting")
    assert waiting["count"] >= 1
    await until(lambda: feed_of_process().hub.position[STREAM] == ids[-1])
    await page.acknowledge()
    rest = await page.until(lambda message: message["type"] == "rows")
    assert (rest["count"], rest["skipped"], page.count(ids[-1])) == (1, 2, 1)
    await page.acknowledge()
    shown = add()
    await page.until(lambda message: message["type"] == "rows")
    assert page.count(shown) == 1


async def test_a_lost_redis_is_told_in_words_and_again_when_it_is_back(
    open_page: OpenPage, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "LONGEST_DELAY_S", 0.2)
    server = EmbeddedServer(tmp_path)
    settings.EVDASH = replace(settings.EVDASH, redis_url=server.start())
    try:
        page = await open_page()
        await page.subscribe()
        await sync_to_async(server.stop)()
        report = await page.until(lambda message: message.get("state") == "unreachable")
        assert f"Redis at {shown_address(server.url)} is unreachable: connection closed" in report["reason"]
        late = await open_page()  # a page that is opened meanwhile
        await late.say(type="subscribe", number=1, query="", cursor={STREAM: "0-0"})
        await late.until(lambda message: message.get("state") == "unreachable")
        await sync_to_async(server.start)()
        client = open_client(server.url)
        added = EntryId.parse(client.execute_command("XADD", STREAM, "*", "type", "message.added"))
        for each in (page, late):
            while not each.count(added):
                await each.hear()
            if [message["state"] for message in each.messages if "state" in message][-1] != "live":
                await each.until(lambda message: message.get("state") == "live")
            assert each.count(added) == 1
    finally:
        await sync_to_async(server.stop)()


async def test_signing_out_closes_the_socket(open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "SIGN_IN_CHECK_S", 0.05)
    page = await open_page()
    await page.subscribe()
    await page.until(lambda message: message["type"] == "alive")  # it was asked, and is signed in
    await Session.objects.all().adelete()
    refused = await page.until(lambda message: message["type"] == "refused")
    assert refused["reason"] == "You are signed out."
    assert await page.hear() == {"type": "closed", "code": SIGNED_OUT}


async def test_signing_out_in_this_process_closes_the_persons_sockets_at_once(
    open_page: OpenPage, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, other = await open_page(), await open_page()
    await page.subscribe()
    await other.subscribe()
    monkeypatch.setattr(socket_registry, "LOOK_EVERY_S", 60)
    client = Client()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = page.session_key
    assert (await sync_to_async(client.post)("/sign-out/")).status_code == 302
    closed = await page.until(lambda message: message["type"] == "closed")
    assert closed["code"] == SIGNED_OUT
    assert await other.socket.receive_nothing(0.2)  # another browser of the same person stays


async def test_signing_out_elsewhere_is_noticed_soon(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_registry, "LOOK_EVERY_S", 0.05)
    page, other = await open_page(), await open_page()
    await page.subscribe()
    await other.subscribe()
    await Session.objects.filter(session_key=page.session_key).adelete()
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == SIGNED_OUT
    assert await other.socket.receive_nothing(0.2)


async def test_a_sign_in_that_ends_without_use_closes_its_socket(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_registry, "LOOK_EVERY_S", 0.05)
    page = await open_page()
    row = Session.objects.filter(session_key=page.session_key)
    end = (await row.aget()).expire_date
    assert end - timezone.now() <= timedelta(minutes=django_settings.EVDASH.session_idle_min)
    await page.subscribe()
    add()
    await page.until(lambda message: message["type"] == "rows")
    await page.acknowledge()
    assert (await row.aget()).expire_date == end  # a socket is not a use
    await row.aupdate(expire_date=timezone.now())
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == SIGNED_OUT


async def test_a_sign_in_past_its_total_time_closes_its_socket(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SIGN_IN_CHECK_S", 0.05)
    page = await open_page()
    await page.subscribe()
    row = await Session.objects.aget()
    before = timezone.now() - timedelta(hours=django_settings.EVDASH.session_max_hours)
    row.session_data = SessionStore().encode(row.get_decoded() | {SIGNED_IN_AT: before.isoformat()})
    await row.asave()
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == SIGNED_OUT


async def test_a_person_has_so_many_sockets_and_no_more(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_registry, "SOCKETS_PER_PERSON", 2)
    first, _ = await open_page(), await open_page()
    third = await open_page()
    refused = await third.until(lambda message: message["type"] == "refused")
    assert "live pages per user. Close one." in refused["reason"]
    assert await third.hear() == {"type": "closed", "code": consumer.TOO_MANY}
    await first.socket.disconnect()
    fourth = await open_page()
    await fourth.subscribe()


async def test_a_person_who_may_not_sign_in_any_more_is_signed_out(
    open_page: OpenPage, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "SIGN_IN_CHECK_S", 0.05)
    page = await open_page()
    user.is_active = False
    await user.asave()
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == SIGNED_OUT


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "The message is not JSON."),
        ("[" * 20_000, "The message is not JSON."),
        ("[]", "Unknown message."),
        ('{"type":"shutdown"}', "Unknown message."),
        ('{"type":"subscribe","number":1,"query":5,"cursor":{}}', "Unknown message."),
        ('{"type":"subscribe","number":1,"query":"q=is%3Ax","cursor":{}}', "Invalid filter: "),
        (
            '{"type":"subscribe","number":1,"query":"' + "a&" * 300 + '","cursor":{}}',
            "The query string of the filter has",
        ),
        ('{"type":"subscribe","number":1,"query":"","cursor":{"s":"x"}}', "Invalid cursor: 'x' is not"),
        ('{"type":"subscribe","number":1,"query":"","cursor":{"s":5}}', "The cursor must have one entry ID"),
        ('{"type":"ack","messages":1}', "Invalid request: messages acknowledged 1, sent 0."),
        ('{"type":"ack","messages":-5}', ""),
        (" " * 40_000, "The message has 40,000 characters; the limit is 32,768."),
    ],
)
async def test_what_no_page_of_ours_says_closes_that_socket_only(
    open_page: OpenPage, add: Add, text: str, reason: str
) -> None:
    page, other = await open_page(), await open_page()
    await other.subscribe()
    await page.socket.send_to(text)
    if reason:
        refused = await page.until(lambda message: message["type"] == "refused")
        assert refused["reason"].startswith(reason)
        assert await page.hear() == {"type": "closed", "code": consumer.MALFORMED}
    added = add()
    await other.until(lambda message: message["type"] == "rows")
    assert other.count(added) == 1


async def test_bytes_are_refused(open_page: OpenPage) -> None:
    page = await open_page()
    await page.socket.send_to(bytes_data=b"\x00")
    assert (await page.until(lambda message: message["type"] == "refused"))["reason"] == (
        "A message must be text, not bytes."
    )


async def test_the_tail_runs_while_any_page_is_open_and_no_longer(
    open_page: OpenPage, valkey: redis.Redis, add: Add
) -> None:
    def connections() -> int:
        return sum(client["cmd"] == "xread" for client in valkey.client_list())

    one, two = await open_page(), await open_page()
    await one.subscribe()
    await two.subscribe()
    await until(lambda: connections() == 1)
    await one.socket.disconnect()
    added = add()
    await two.until(lambda message: message["type"] == "rows")
    assert two.count(added) == 1
    await two.socket.disconnect()
    await until(lambda: connections() == 0)
    assert not feed_of_process().is_running
    three = await open_page()
    await three.subscribe(cursor=two.cursor)
    added = add()
    await three.until(lambda message: message["type"] == "rows")
    assert three.count(added) == 1


async def test_a_feed_that_fails_sends_its_pages_away_to_come_again(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await open_page()
    await page.subscribe()
    hub = feed_of_process().hub
    monkeypatch.setattr(hub, "on_entries", lambda *_: 1 / 0)
    added = add()
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == consumer.TRY_AGAIN
    again = await open_page()
    await again.subscribe(cursor=page.cursor or {STREAM: EntryId.MIN})
    assert again.count(added) == 1


async def test_reading_the_past_for_too_long_sends_the_page_away(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "CATCH_UP_LIMIT_S", 0.05)

    async def for_ever(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(consumer, "_missed", for_ever)
    page = await open_page()
    await page.say(type="subscribe", number=1, query="", cursor={})
    assert (await page.until(lambda message: message["type"] == "closed"))["code"] == consumer.TRY_AGAIN


async def test_a_jump_brings_the_newest_of_what_waits(
    open_page: OpenPage, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.live.subscription.IN_FLIGHT_ROWS", 1)
    monkeypatch.setattr("evdash.live.filter_group.FRAME_INTERVAL_S", 0.0)
    monkeypatch.setattr("evdash.live.subscription.FRAME_ROWS", 2)
    page = await open_page()
    await page.subscribe("session=s1")
    ids = [add()]
    await page.until(lambda message: message["type"] == "rows")
    ids += [add() for _ in range(5)]
    add(session_id="another")
    await until(lambda: waiting() == 5)
    monkeypatch.setattr("evdash.live.subscription.IN_FLIGHT_ROWS", 200)
    await page.say(type="jump")
    await page.acknowledge()
    message = await page.until(lambda message: message["type"] == "rows")
    assert (message["count"], message["skipped"], message["skipped_exactly"]) == (2, 3, True)
    assert [page.count(entry_id) for entry_id in ids] == [1, 0, 0, 0, 1, 1]
    ids.append(add())
    await page.until(lambda message: message["type"] == "rows")
    assert page.count(ids[-1]) == 1


def waiting() -> int:
    """How many events wait for the one page, as the process has it."""
    (topic,) = feed_of_process().hub._topics.values()
    (subscription,) = topic.followers
    assert isinstance(subscription, Subscription)
    return subscription._gap.count if subscription._gap else 0


async def test_a_page_of_numbers_hears_that_there_are_new_events(open_page: OpenPage, add: Add) -> None:
    page = await open_page()
    await page.subscribe(rows=False)
    add()
    news = await page.until(lambda message: message["type"] == "news")
    assert news["count"] == 1
    assert page.html == ""


async def test_a_gap_in_what_was_missed_is_a_row_of_its_own(open_page: OpenPage, add: Add, valkey: redis.Redis) -> None:
    """No worker has run: nobody has the entries that were trimmed."""
    ids = [add() for _ in range(10)]
    valkey.xtrim(STREAM, maxlen=3, approximate=False)
    page = await open_page()
    await page.subscribe(cursor={STREAM: ids[0]})
    assert [page.count(entry_id) for entry_id in ids] == [0] * 7 + [1] * 3
    assert page.html.startswith('<li class="gap"')
    assert "Possible gap in memory:events" in page.html
    assert f"<code>{ids[0].next()}</code> and <code>{ids[7].previous()}</code>" in page.html
    (message,) = [message for message in page.messages if message["type"] == "rows"]
    assert (message["count"], message["skipped"]) == (3, 0)


async def test_nothing_is_called_missing_that_was_trimmed_after_it_was_shown(
    open_page: OpenPage, add: Add, valkey: redis.Redis
) -> None:
    ids = [add() for _ in range(10)]
    valkey.xtrim(STREAM, maxlen=3, approximate=False)
    page = await open_page()
    await page.subscribe(cursor={STREAM: ids[7]})
    assert 'class="gap"' not in page.html
    assert [page.count(entry_id) for entry_id in ids] == [0] * 8 + [1] * 2


async def test_a_page_that_asks_for_ever_other_events_is_refused(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await open_page()
    for number in range(consumer.SUBSCRIPTIONS_MAX + 1):
        await page.say(type="subscribe", number=number, query="", cursor={})
    refused = await page.until(lambda message: message["type"] == "refused")
    assert "Too many filter changes." in refused["reason"]
    assert await page.hear() == {"type": "closed", "code": consumer.TOO_MANY}


async def test_who_is_signed_out_subscribes_to_nothing(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_registry, "LOOK_EVERY_S", 60.0)
    page = await open_page()
    await Session.objects.all().adelete()
    await page.say(type="subscribe", number=1, query="", cursor={})
    assert (await page.hear())["reason"] == "You are signed out."
    assert await page.hear() == {"type": "closed", "code": SIGNED_OUT}


async def test_a_page_that_was_away_while_its_stream_was_recreated_gets_the_present_events(
    open_page: OpenPage, add: Add, valkey: redis.Redis
) -> None:
    """Its cursor lies beyond all the new entries, whose IDs are lower."""
    page = await open_page()
    await page.subscribe()
    shown = add(entry_id="5000-0")
    await page.until(lambda message: message["type"] == "rows")
    await page.socket.disconnect()
    valkey.delete(STREAM)
    ids = [add(entry_id=f"{number}-0") for number in (7, 8)]
    again = await open_page()
    await again.subscribe(cursor=page.cursor)
    ids.append(add(entry_id="9-0"))
    while not again.count(ids[-1]):
        await again.hear()
    assert [again.count(entry_id) for entry_id in [shown, *ids]] == [0, 1, 1, 1]
    assert again.cursor == {STREAM: "9-0"}


async def test_what_a_worker_has_read_around_a_hole_does_not_hide_it(
    open_page: OpenPage, add: Add, valkey: redis.Redis
) -> None:
    """It has the entries that are left, and has not yet compared what it has with what was added."""
    ids = [add() for _ in range(10)]
    valkey.xtrim(STREAM, maxlen=3, approximate=False)
    await sync_to_async(group_progress.set_watermark)(django_settings.EVDASH.audit_group, STREAM, ids[-1])
    valkey.xgroup_create(STREAM, django_settings.EVDASH.audit_group, id=str(ids[-1]))
    page = await open_page()
    await page.subscribe(cursor={STREAM: ids[0]})
    assert "Possible gap in memory:events" in page.html
