"""A repair is finished: who is offered, what is warned of, and how the page follows the claimed entries to the end."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
import redis
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from evdash.accounts.roles import make_operator
from evdash.audit_log.audit_log import recent
from evdash.eventlog.consumer_reads import claims_on, last_reads
from evdash.eventlog.models import ConsumerClaim
from evdash.streams.consumer_group import pending_entries
from evdash.streams.dead_letters import park
from evdash.streams.group_health import Reads
from evdash.streams.names import EMPTY, name_of
from evdash.streams.stream_info import consumer_infos, group_infos
from tests.builders import STREAM, entry
from tests.web.parsed_page import parse_page
from tests.web.test_streams_operations import address, done

pytestmark = pytest.mark.django_db(transaction=True)

GROUP = "billing"
GROUP_PAGE = f"/streams/{STREAM}/groups/{GROUP}/"
CLAIM = address("claim", group=GROUP, from_consumer="dead-1", to_consumer="alive")


@pytest.fixture
def operator(transactional_db: None, valkey: redis.Redis, settings: Settings) -> Client:
    """An operator's browser, and a group of another program: dead-1 and dead-2 have read and died, 5 entries wait."""
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=60_000)
    for number in range(10):
        valkey.xadd(STREAM, {"type": "x"}, id=f"{number + 1}-0")
    valkey.xgroup_create(STREAM, GROUP, id="0")
    read(valkey, "dead-1", 3)
    read(valkey, "dead-2", 2)
    person = User.objects.create_user("mia")
    make_operator(person)
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def read(valkey: redis.Redis, consumer: str | bytes, count: int, group: str | bytes = GROUP) -> None:
    valkey.execute_command("XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", STREAM, ">")


def reads(valkey: redis.Redis) -> Reads:
    """When each consumer has last read."""
    infos = consumer_infos(valkey, STREAM, GROUP)
    assert infos is not None
    return last_reads(claims_on([STREAM]), STREAM, GROUP, infos, timezone.now())


def die(settings: Settings) -> None:
    """From now on every consumer has last read too long ago, except one that reads in the future."""
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=0)


def acknowledge(valkey: redis.Redis, *numbers: int) -> None:
    valkey.xack(STREAM, GROUP, *(f"{number}-0" for number in numbers))


def test_consumers_that_do_not_read_are_not_offered(operator: Client, valkey: redis.Redis, settings: Settings) -> None:
    page = parse_page(operator.get(address("claim", group=GROUP, from_consumer="dead-1")))
    assert set(page.values("value", "#of-to_consumer option")) == {"dead-1", "dead-2"}
    assert page.values("value", "[name=to_consumer]") == ["dead-2"]
    die(settings)
    page = parse_page(operator.get(address("claim", group=GROUP, from_consumer="dead-1")))
    assert page.values("value", "#of-to_consumer option") == []
    assert page.values("value", "[name=to_consumer]") == []
    [warning] = page.texts(".receiver-warning")
    assert warning.startswith("No consumer has read since ")
    assert "Start a consumer: a program that calls XREADGROUP GROUP billing NAME." in warning


def test_a_preview_warns_of_a_target_that_does_not_read(
    operator: Client, valkey: redis.Redis, settings: Settings
) -> None:
    assert not parse_page(operator.get(CLAIM.replace("alive", "dead-2"))).has(".receiver-warning")
    [warning] = parse_page(operator.get(CLAIM)).texts(".receiver-warning")
    assert warning.startswith("alive has never read. The entries stay pending until it reads. Active: ")
    die(settings)
    [warning] = parse_page(operator.get(CLAIM.replace("alive", "dead-2"))).texts(".receiver-warning")
    assert warning.startswith("dead-2 is inactive: it last read at ")
    assert "Start a consumer" in warning


def test_a_claim_does_not_make_its_target_look_alive(operator: Client, valkey: redis.Redis) -> None:
    done(operator, CLAIM)
    assert reads(valkey)["alive"] is None
    assert parse_page(operator.get(GROUP_PAGE)).cells("table.consumers", "Consumer", "Last read")[:1] == [
        ("alive", "never, inactive")
    ]
    # A consumer that read two hours ago still did after two more claims.
    two_hours_ago = timezone.now() - timedelta(hours=2)
    ConsumerClaim.objects.update(read_at=two_hours_ago)
    done(operator, address("claim", group=GROUP, from_consumer="dead-2", to_consumer="alive"))
    assert reads(valkey)["alive"] == two_hours_ago
    assert parse_page(operator.get(GROUP_PAGE)).cells("table.consumers", "Consumer", "Last read")[:1] == [
        ("alive", "2 h ago , inactive")
    ]
    assert parse_page(operator.get(GROUP_PAGE)).has(".stuck")


def test_a_claim_is_offered_once_and_opens_its_preview(
    operator: Client, valkey: redis.Redis, settings: Settings
) -> None:
    def offers() -> list[str]:
        page = parse_page(operator.get(GROUP_PAGE))
        places = {"notice": ".stuck a.button", "actions": ".actions-menu a", "consumers": ".consumers .does a"}
        return [place for place, links in places.items() for text in page.texts(links) if "Claim" in text]

    assert offers() == ["actions"]
    done(operator, CLAIM)  # alive has the entries and never reads, dead-2 reads
    assert offers() == ["notice"]
    notice = parse_page(operator.get(GROUP_PAGE)).links["Claim idle entries…"]
    page = parse_page(operator.get(notice))
    assert page.values("value", "[name=to_consumer]") == ["dead-2"]
    assert page.values("value", "[name=idle_over]") == ["1m"]
    assert page.has("#would")
    die(settings)
    assert offers() == ["actions"]  # nobody can take them


def test_a_read_after_the_claim_counts_again(operator: Client, valkey: redis.Redis) -> None:
    done(operator, CLAIM)
    ConsumerClaim.objects.update(claimed_at=timezone.now() - timedelta(seconds=1))
    read(valkey, "alive", 1)
    assert reads(valkey)["alive"] is not None


def test_the_other_operations_that_claim_are_remembered_too(operator: Client, valkey: redis.Redis) -> None:
    done(operator, address("delete-consumer", group=GROUP, consumer="dead-1", claim_first_to="heir"))
    park(valkey, entry("4-0", type="x"), group=GROUP, consumer="returned-to", deliveries=1, reason="?")
    acknowledge(valkey, 4)
    done(operator, address("redeliver", all=1))
    at = reads(valkey)
    assert (at["heir"], at["returned-to"]) == (None, None)


def test_the_result_follows_the_claimed_entries_until_none_is_pending(operator: Client, valkey: redis.Redis) -> None:
    page = done(operator, CLAIM)
    watch = page.one("#claim-watch")
    assert watch.attributes["data-left"] == "3"
    assert watch.attributes["hx-trigger"] == "every 2s"
    where = watch.attributes["hx-get"] or ""
    assert page.texts(".claim-watch-sentence") == ["Waiting for alive to acknowledge: 3 of 3 left."]
    assert "alive has not read yet. Start it" in page.texts("#claim-watch")[0]
    assert page.has("#claim-watch.notice-warning")

    ConsumerClaim.objects.update(claimed_at=timezone.now() - timedelta(seconds=1))
    read(valkey, "alive", 1)
    acknowledge(valkey, 1)
    part = parse_page(operator.get(where))
    assert part.texts(".claim-watch-sentence") == ["Waiting for alive to acknowledge: 2 of 3 left."]
    assert not part.has("#claim-watch.notice-warning")

    acknowledge(valkey, 2, 3)
    part = parse_page(operator.get(where))
    assert part.texts(".claim-watch-sentence") == ["Repaired: 3 claimed entries acknowledged, none pending."]
    assert part.one("#claim-watch").attributes.get("hx-trigger") is None  # the end: it does not look again
    assert part.has("#claim-watch.notice-success")


def test_entries_that_another_consumer_has_taken_are_not_called_done(operator: Client, valkey: redis.Redis) -> None:
    page = done(operator, CLAIM)
    valkey.execute_command("XCLAIM", STREAM, GROUP, "dead-2", 0, "1-0")
    part = parse_page(operator.get(page.values("hx-get", "#claim-watch")[0]))
    [sentence] = part.texts(".claim-watch-sentence")
    assert sentence == "Waiting for alive to acknowledge: 3 of 3 left. 1 of them with other consumers."


def test_a_reader_that_leaves_its_pending_entries_is_explained(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = done(operator, CLAIM).values("hx-get", "#claim-watch")[0]
    ConsumerClaim.objects.update(claimed_at=timezone.now() - timedelta(seconds=1))
    read(valkey, "alive", 1)
    assert "XREADGROUP with 0" not in parse_page(operator.get(where)).html
    monkeypatch.setattr("evdash.web.pages.streams.claim_watch.HINT_AFTER", timedelta())
    assert "XREADGROUP with 0 instead of >" in parse_page(operator.get(where)).text


def test_an_outage_leaves_the_number_unknown_and_looks_on(operator: Client, settings: Settings) -> None:
    where = done(operator, CLAIM).values("hx-get", "#claim-watch")[0]
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    part = parse_page(operator.get(where))
    assert part.one("#claim-watch").attributes["data-left"] == ""
    assert part.one("#claim-watch").attributes["hx-trigger"] == "every 2s"
    assert part.texts(".claim-watch-sentence")[0].startswith("Pending entries unknown: Redis at 127.0.0.1:1")


def test_a_claim_of_thousands_is_followed_to_the_last_entry(operator: Client, valkey: redis.Redis) -> None:
    where = claimed_thousands(operator, valkey)
    left = parse_page(operator.get(where)).one("#claim-watch").attributes["data-left"]
    assert left == "1508"
    acknowledge(valkey, *range(1, 11), *range(100, 1_599))
    assert parse_page(operator.get(where)).one("#claim-watch").attributes["data-left"] == "1"
    acknowledge(valkey, 1_599)
    assert parse_page(operator.get(where)).one("#claim-watch").attributes["data-left"] == "0"


def test_a_page_after_the_last_consumer_leads_back(operator: Client) -> None:
    page = parse_page(operator.get(f"{GROUP_PAGE}?consumers=500"))
    assert page.texts(".consumers-total")[0].startswith("2: ")
    assert "No consumers yet." not in page.text
    assert page.links["First page"] == f"{GROUP_PAGE}#consumers"


def claimed_thousands(operator: Client, valkey: redis.Redis) -> str:
    """The address of the watch of a claim of 1,508 entries, of which the audit log lists 1,000."""
    with valkey.pipeline(transaction=False) as pipeline:
        for number in range(1_500):
            pipeline.xadd(STREAM, {"type": "x"}, id=f"{number + 100}-0")
        pipeline.execute()
    read(valkey, "dead-1", 2_000)
    return done(operator, CLAIM).values("hx-get", "#claim-watch")[0]


def test_thousands_of_entries_that_another_consumer_has_taken_are_not_called_done(
    operator: Client, valkey: redis.Redis
) -> None:
    where = claimed_thousands(operator, valkey)
    claimed = [entry.entry_id for entry in pending_entries(valkey, STREAM, GROUP, consumer="alive", count=2_000)]
    valkey.execute_command("XCLAIM", STREAM, GROUP, "third", 0, *map(str, claimed))
    assert parse_page(operator.get(where)).texts(".claim-watch-sentence") == [
        "Waiting for alive to acknowledge: 1,508 of 1,508 left. 1,508 of them with other consumers."
    ]
    valkey.xack(STREAM, GROUP, *map(str, claimed))
    assert parse_page(operator.get(where)).texts(".claim-watch-sentence") == [
        "Repaired: 1,508 claimed entries acknowledged, none pending."
    ]


def test_too_many_pending_entries_leave_the_number_unknown(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = claimed_thousands(operator, valkey)
    monkeypatch.setattr("evdash.web.pages.streams.claim_watch.PENDING_MAX", 1_000)
    part = parse_page(operator.get(where))
    assert part.one("#claim-watch").attributes["data-left"] == ""
    assert part.texts(".claim-watch-sentence")[0].startswith("Pending entries unknown: more than 1,000 entries")


def test_the_watch_does_not_count_as_a_use_of_the_sign_in(operator: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, session_idle_min=60)
    watch = done(operator, CLAIM).one("#claim-watch")
    headers = {"HX-Request": "true", **json.loads(watch.attributes["hx-headers"] or "{}")}
    end = timezone.now() + timedelta(minutes=30)
    Session.objects.update(expire_date=end)
    assert operator.get(watch.attributes["hx-get"], headers=headers).status_code == 200
    assert Session.objects.get().expire_date == end
    assert operator.get("/").status_code == 200  # a page that a person opens does
    assert Session.objects.get().expire_date > end


def test_a_watch_that_has_ended_is_empty(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = done(operator, CLAIM).values("hx-get", "#claim-watch")[0]
    monkeypatch.setattr("evdash.web.pages.streams.claim_watch.WATCHED_FOR", timedelta())
    answer = operator.get(where)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_group_with_lag_and_no_reader_is_stuck(operator: Client, valkey: redis.Redis, settings: Settings) -> None:
    acknowledge(valkey, *range(1, 6))
    assert not parse_page(operator.get(GROUP_PAGE)).has(".stuck")
    die(settings)
    [stuck] = parse_page(operator.get(GROUP_PAGE)).texts(".stuck")
    assert stuck.startswith("Stuck. No consumer has read since ")
    assert "5 entries are waiting." in stuck
    assert "Start a consumer" in stuck
    assert "pending with" not in stuck
    assert GROUP in parse_page(operator.get("/streams/")).values("data-key", "tr.is-stuck")


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe\x80", b"\\xff", "grün/a".encode()])
def test_a_group_of_any_name_is_shown_and_repaired(operator: Client, valkey: redis.Redis, raw: bytes) -> None:
    valkey.xgroup_create(STREAM, raw, id="0")
    read(valkey, raw, 2, group=raw)
    name = name_of(raw)
    link = parse_page(operator.get("/streams/")).links[name]
    page = parse_page(operator.get(link))
    assert page.cells("table.consumers", "Consumer", "Pending") == [(name, "2")]
    assert len(page.all("table.pending tbody tr")) == 2
    done(operator, address("claim", group=name, from_consumer=name, to_consumer=EMPTY + "2"))
    done(operator, address("acknowledge", group=name, from_consumer=EMPTY + "2"))
    assert parse_page(operator.get(link)).facts["Pending"] == "0"
    done(operator, address("delete-consumer", group=name, consumer=name, claim_first_to=""))
    done(operator, address("delete-group", group=name))
    assert name not in [group.name for group in group_infos(valkey, STREAM)]


def test_thousands_of_consumers_are_paged_and_summarised(operator: Client, valkey: redis.Redis) -> None:
    with valkey.pipeline(transaction=False) as pipeline:
        for number in range(3_000):
            pipeline.xgroup_createconsumer(STREAM, GROUP, f"consumer-{number:05}")
        pipeline.execute()
    page = parse_page(operator.get(GROUP_PAGE))
    assert len(page.html) < 200_000
    assert page.texts(".consumers-total")[0].startswith("3,002: ")
    assert page.texts(".consumers-total")[0].endswith("2 with pending entries")
    shown, where = [], GROUP_PAGE
    while where:
        page = parse_page(operator.get(where.partition("#")[0]))
        shown += [name for (name,) in page.cells("table.consumers", "Consumer")]
        where = page.links.get("More consumers ›", "")
    assert shown[:2] == ["dead-1", "dead-2"]
    assert len(set(shown)) == len(shown) == 3_002
    for where in (address("claim", group=GROUP), "/streams/"):
        assert len(parse_page(operator.get(where)).html) < 200_000
    done(operator, CLAIM)
    ended = recent(1)[0].ended
    assert ended
    assert len(ended.before["consumers"]) == 100
