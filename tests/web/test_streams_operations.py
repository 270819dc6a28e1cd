"""Operations in the browser: looked at, refused, done with a reason, told entry by entry, and in the audit log."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.accounts.roles import make_operator
from evdash.audit_log import run_operation
from evdash.audit_log.audit_log import recent
from evdash.eventlog.models import Gap
from evdash.events.entry import EntryId
from evdash.streams.consumer_group import pending_entries
from evdash.streams.dead_letters import park, parked_count, parked_entries
from evdash.streams.reads import read_entry
from evdash.streams.stream_info import GroupInfo, group_infos, stream_info
from evdash.web.pages.streams.operations import NOT_ALLOWED
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db(transaction=True)  # operations write the audit log in transactions of their own

GROUP = "evdash-audit"
START_MS = 1_764_000_000_000
KINDS = (
    "claim", "acknowledge", "park", "redeliver", "discard", "delete-consumer", "set-position", "create-group",
    "delete-group", "trim",
)  # fmt: skip


@pytest.fixture
def operator(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> Client:
    """An operator's browser. Ten entries are indexed; of six more four lie with a and two with b."""
    person = User.objects.create_user("mia")
    make_operator(person)
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    write(*(entry(f"{START_MS + n}-0", type="message.added", role="user", content=f"words {n}") for n in range(10)))
    index()
    write(*(entry(f"{START_MS + n}-0", type="message.added", role="user", content=f"words {n}") for n in range(10, 16)))
    for consumer, count in (("a", 4), ("b", 2)):
        valkey.execute_command("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", count, "STREAMS", STREAM, ">")
    for up_to_date in ("evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "CREATE", STREAM, up_to_date, "$")
    return client


def address(kind: str, **arguments: Any) -> str:
    return f"/streams/operations/{kind}/?{urlencode({'stream': STREAM, **arguments}, doseq=True)}"


def ids(*numbers: int) -> list[str]:
    return [f"{START_MS + number}-0" for number in numbers]


def send(browser: Client, where: str, reason: str = "host a is gone", **fields: str) -> HttpResponse:
    """Press the button of the preview."""
    return browser.post(where, {"reason": reason, **fields})


def done(browser: Client, where: str, reason: str = "host a is gone", **fields: str) -> Page:
    """Press the button, and go to where it leads."""
    response = send(browser, where, reason, **fields)
    assert response.status_code == 302, response.content.decode()
    return parse_page(browser.get(response["Location"]))


def group(valkey: redis.Redis, name: str = GROUP) -> GroupInfo | None:
    return next((info for info in group_infos(valkey, STREAM) if info.name == name), None)


def owners(valkey: redis.Redis) -> dict[int, str]:
    found = pending_entries(valkey, STREAM, GROUP, count=1_000)
    return {each.entry_id.ms - START_MS: each.consumer for each in found}


def test_a_stuck_group_is_repaired_end_to_end(operator: Client, valkey: redis.Redis, index: Index) -> None:
    """Its entries are claimed, one that is gone is acknowledged, one is parked and redelivered, the stream trimmed."""
    trim = address("trim", max_length=1)
    refused = parse_page(operator.get(trim))
    assert f"Group {GROUP} has 6 pending entries" in refused.text
    assert "Not possible" in refused.text
    assert "Trim 14 entries" not in refused.text.partition("Change selection")[0]

    page = done(operator, address("claim", group=GROUP, from_consumer="a", to_consumer="b"))
    assert "done 4 entries of evdash-audit on memory:events were claimed for b." in page.text
    assert "pending for a 4 0" in page.text
    assert "pending for b 2 6" in page.text
    assert set(owners(valkey).values()) == {"b"}

    valkey.execute_command("XDEL", STREAM, *ids(10))
    done(operator, address("acknowledge", group=GROUP, entry=ids(10)), "nothing is there any more")
    page = done(operator, address("park", group=GROUP, entry=ids(11)), "it stops us all")
    assert page.links["Open parked entries"] == f"/streams/{STREAM}/parked/"
    assert sorted(owners(valkey)) == [12, 13, 14, 15]

    assert "it stops us all" in parse_page(operator.get(f"/streams/{STREAM}/parked/")).text
    assert "Redeliver 1 entry" in parse_page(operator.get(address("redeliver", all=1))).text
    done(operator, address("redeliver", all=1), "mended")
    assert parked_count(valkey, STREAM) == 0
    assert "words 11" in parse_page(operator.get("/events/")).text

    done(operator, address("acknowledge", group=GROUP, from_consumer="b"), "written off")
    assert owners(valkey) == {}
    done(operator, address("delete-consumer", group=GROUP, consumer="a", claim_first_to=""), "host a is gone")
    assert "Trim 14 entries" in parse_page(operator.get(trim)).text
    assert "14 entries of memory:events were trimmed." in done(operator, trim, "full").text
    info = stream_info(valkey, STREAM)
    assert info is not None
    assert info.length == 1

    log = parse_page(operator.get("/audit-log/"))
    assert [access.begun.action for access in recent(20)] == [
        "trim", "delete-consumer", "acknowledge", "redeliver", "park", "acknowledge", "claim",
    ]  # fmt: skip
    assert log.text.count("mia") >= 7
    assert "host a is gone done 4 entries of evdash-audit on memory:events were claimed for b." in log.text
    assert "length 15 → 1" in log.text


def test_a_preview_changes_nothing_and_shows_the_events(operator: Client, valkey: redis.Redis) -> None:
    page = parse_page(operator.get(address("acknowledge", group=GROUP, from_consumer="a")))
    assert "Acknowledges 4 pending entries (a: 4)" in page.text
    assert f"{START_MS + 10}-0 message.added user: words 10 a" in page.text
    assert "This cannot be undone" in page.text
    assert "Acknowledge 4 entries" in page.text
    assert len(owners(valkey)) == 6
    assert recent(1) == []


def test_what_is_not_said_yet_is_asked_for(operator: Client) -> None:
    page = parse_page(operator.get(address("claim", group=GROUP, from_consumer="a")))
    assert "Selection" in page.text
    assert "What it would do" not in page.text
    assert "b" in page.values("value", "input")  # the consumer that asked last, and is not a
    assert "reason" not in page.values("name")


def test_without_a_reason_nothing_is_done(operator: Client, valkey: redis.Redis) -> None:
    where = address("claim", group=GROUP, from_consumer="a", to_consumer="b")
    page = parse_page(send(operator, where, reason="  "), 409)
    assert "Enter a reason" in page.text
    assert owners(valkey)[10] == "a"


def test_chosen_entries_alone_are_claimed_and_each_that_is_not_is_told(operator: Client, valkey: redis.Redis) -> None:
    where = address("claim", group=GROUP, entry=ids(10, 11), to_consumer="b")
    assert "Claim 2 entries" in parse_page(operator.get(where)).text
    valkey.execute_command("XDEL", STREAM, *ids(11))
    page = done(operator, where)
    assert "in part" in page.text
    assert f"{START_MS + 11}-0 Deleted from the stream, cannot be claimed" in page.text
    assert owners(valkey) == {10: "b", 11: "a", 12: "a", 13: "a", 14: "b", 15: "b"}


def test_only_what_is_idle_for_so_long_is_claimed(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, *ids(12), "IDLE", 7_200_000, "JUSTID")
    done(operator, address("claim", group=GROUP, idle_over="1h", to_consumer="new"))
    assert [number for number, owner in owners(valkey).items() if owner == "new"] == [12]


def test_when_more_has_become_pending_than_was_seen_it_is_shown_again(operator: Client, valkey: redis.Redis) -> None:
    where = address("acknowledge", group=GROUP, from_consumer="a")
    assert "4" in parse_page(operator.get(where)).values("value", "input")
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, *ids(14))
    page = parse_page(send(operator, where, seen="4"), 409)
    assert "Not executed: the selection grew from about 4 to about 5 entries." in page.text
    assert "5" in page.values("value", "input")
    assert len(owners(valkey)) == 6


def test_a_consumer_with_pending_entries_is_deleted_when_they_are_claimed_first(
    operator: Client, valkey: redis.Redis
) -> None:
    refused = parse_page(operator.get(address("delete-consumer", group=GROUP, consumer="a", claim_first_to="")))
    assert "Deleting a would lose 4 pending entries" in refused.text
    page = done(operator, address("delete-consumer", group=GROUP, consumer="a", claim_first_to="b"))
    assert "Consumer a of evdash-audit on memory:events was deleted." in page.text
    assert set(owners(valkey).values()) == {"b"}


def test_an_own_group_is_moved_back_and_never_forward(operator: Client, valkey: redis.Redis, write: Write) -> None:
    write(entry(f"{START_MS + 20}-0", type="t"))
    refused = parse_page(operator.get(address("set-position", group=GROUP, position="end")))
    assert "missing from the log" in refused.text
    where = address("set-position", group=GROUP, position="start")
    assert "16 entries delivered again" in parse_page(operator.get(where)).text
    done(operator, where)
    found = group(valkey)
    assert found is not None
    assert found.last_delivered == EntryId.MIN


def test_a_group_is_created_and_deleted(operator: Client, valkey: redis.Redis) -> None:
    page = done(operator, address("create-group", name="billing", at="end"), "for the invoices")
    found = group(valkey, "billing")
    assert found is not None
    assert found.last_delivered == EntryId(START_MS + 15, 0)
    assert page.links["Open group billing"] == f"/streams/{STREAM}/groups/billing/"
    page = parse_page(operator.get(address("delete-group", group="billing")))
    assert "Deletes group billing" in page.text
    assert "This cannot be undone" in page.text
    done(operator, address("delete-group", group="billing"), seen="0")
    assert group(valkey, "billing") is None
    assert "Group billing does not exist" in parse_page(operator.get(address("delete-group", group="billing"))).text


def test_chosen_parked_entries_are_redelivered_and_the_others_stay(operator: Client, valkey: redis.Redis) -> None:
    parked = []
    for number, name in ((12, GROUP), (13, GROUP), (14, "billing")):
        found = read_entry(valkey, STREAM, EntryId(START_MS + number, 0))
        assert found is not None
        parked.append(park(valkey, found, group=name, consumer="a", deliveries=5, reason="x"))
    page = done(operator, address("redeliver", parked=[str(parked[0]), str(parked[2])]))
    assert "1 parked entry of memory:events was redelivered. 1 entry was not." in page.text
    assert "Consumer group billing does not exist on memory:events. Discard it." in page.text
    assert parked_count(valkey, STREAM) == 2


def test_a_trim_removes_what_was_shown_and_not_what_has_come_since(
    operator: Client, valkey: redis.Redis, write: Write
) -> None:
    for name in (GROUP, "evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "DESTROY", STREAM, name)
        valkey.execute_command("XGROUP", "CREATE", STREAM, name, "$")
    trim = address("trim", max_length=6)
    page = parse_page(operator.get(trim))
    assert "Trim 10 entries" in page.text
    shown = dict(re.findall(r'type="hidden" name="(seen|before_id)" value="([^"]*)"', page.html))
    write(*(entry(f"{START_MS + n}-0", type="t") for n in range(16, 20)))
    for name in (GROUP, "evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "SETID", STREAM, name, "$")
    assert "10 entries of memory:events were trimmed." in done(operator, trim, "full", **shown).text
    assert valkey.xlen(STREAM) == 10
    assert "'x' is not an entry ID" in parse_page(send(operator, trim, "full", before_id="x"), 409).text


def test_a_group_of_others_gets_what_was_parked_back_as_pending(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XGROUP", "CREATE", STREAM, "billing", "0")
    valkey.execute_command("XREADGROUP", "GROUP", "billing", "b-1", "COUNT", 3, "STREAMS", STREAM, ">")
    done(operator, address("park", group="billing", from_consumer="b-1"))
    found = group(valkey, "billing")
    assert found is not None
    assert found.pending == 0
    text = parse_page(operator.get(address("redeliver", all=1))).text
    assert "to billing as pending entries of the previous consumer" in text
    valkey.execute_command("XDEL", STREAM, *ids(1))
    page = done(operator, address("redeliver", all=1))
    assert "Deleted from the stream, cannot be returned to billing. Discard it." in page.text
    assert [each.consumer for each in pending_entries(valkey, STREAM, "billing", count=9)] == ["b-1", "b-1"]
    assert [each.entry.entry_id.ms - START_MS for each in parked_entries(valkey, STREAM, count=9)] == [1]


def test_what_is_discarded_is_gone_and_its_gap_stays(operator: Client, valkey: redis.Redis) -> None:
    done(operator, address("park", group=GROUP, from_consumer="a"))
    assert Gap.objects.count() == 4
    text = parse_page(operator.get(address("discard", all=1))).text
    assert f"Deletes 4 parked entries of memory:events ({GROUP})." in text
    assert "This cannot be undone" in text
    done(operator, address("discard", all=1), seen="4")
    assert parked_count(valkey, STREAM) == 0
    assert Gap.objects.count() == 4


@pytest.mark.parametrize("kind", KINDS)
def test_only_operators_come_here(browser: Client, valkey: redis.Redis, kind: str) -> None:
    for response in (
        browser.get(address(kind, group=GROUP)),
        browser.post(address(kind, group=GROUP), {"reason": "x"}),
    ):
        assert response.status_code == 403
        assert b"Operator role required" in response.content
    [tried] = recent(10)
    assert (tried.begun.who, tried.begun.action, tried.begun.reason) == ("the reader", kind, "x")
    assert tried.outcome == NOT_ALLOWED == "Operator role required."
    assert NOT_ALLOWED in parse_page(browser.get("/audit-log/")).text  # which viewers see as well
    assert Client().post(address(kind, group=GROUP)).status_code == 302  # strangers sign in


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_that_evdash_did_not_make_is_refused(operator: Client, kind: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(address(kind, group=GROUP), {"reason": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("kind", "arguments", "sentence"),
    [
        ("claim", {"to_consumer": "b", "idle_over": "soon"}, "'soon' is not a time"),
        ("claim", {"to_consumer": "b", "idle_over": "2026-11-23"}, "is not a duration"),
        ("claim", {"to_consumer": "", "from_consumer": "a"}, "required"),
        ("claim", {"to_consumer": "b", "entry": "first"}, "'first' is not an entry ID"),
        ("set-position", {"position": "middle"}, "'middle' is not an entry ID"),
        ("trim", {"max_length": "many"}, "whole number"),
        ("trim", {"older_than": "soon"}, "'soon' is not a time"),
        ("redeliver", {"parked": "x"}, "'x' is not an entry ID"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(
    operator: Client, kind: str, arguments: dict[str, str], sentence: str
) -> None:
    where = address(kind, group=GROUP, **arguments)
    for response in (operator.get(where), send(operator, where)):
        assert sentence in parse_page(response, 400).text
    assert recent(1) == []


def test_other_streams_and_no_group_are_404(operator: Client) -> None:
    assert "EVDASH_STREAMS" in parse_page(operator.get("/streams/operations/trim/?stream=secret"), 404).text
    assert "Add the parameter group=" in parse_page(operator.get(address("claim")), 404).text
    assert operator.get("/streams/operations/explode/").status_code == 404


def test_what_the_audit_log_cannot_hold_is_not_done(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(run_operation, "record", fail)
    page = parse_page(send(operator, address("claim", group=GROUP, from_consumer="a", to_consumer="b")), 409)
    assert "Not executed: the audit log is not writable (disk full)." in page.text
    assert owners(valkey)[10] == "a"


def test_redis_out_of_reach_is_a_sentence(operator: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    assert "is unreachable" in parse_page(operator.get(address("trim", max_length=1)), 503).text


def test_an_operator_finds_every_operation_from_the_pages(operator: Client, valkey: redis.Redis) -> None:
    found = read_entry(valkey, STREAM, EntryId(START_MS + 12, 0))
    assert found is not None
    park(valkey, found, group=GROUP, consumer="a", deliveries=5, reason="x")
    pages = ("/streams/", f"/streams/{STREAM}/groups/{GROUP}/", f"/streams/{STREAM}/parked/")
    html = "".join(parse_page(operator.get(page)).html for page in pages)
    for kind in KINDS:
        assert f"/streams/operations/{kind}/" in html


def test_the_audit_log_goes_on_page_by_page(operator: Client) -> None:
    assert "No entries yet" in parse_page(operator.get("/audit-log/")).text
    for number in range(53):
        assert (
            send(operator, address("trim", max_length=1), f"reason {number}").status_code == 409
        )  # refused, and noted
    page = parse_page(operator.get("/audit-log/"))
    assert "reason 52 not done Group evdash-audit has 6 pending entries" in page.text
    older = parse_page(operator.get(page.links["Older ›"]))
    assert [f"reason {number} " in older.text for number in (3, 2, 0)] == [False, True, True]
    assert older.links["Newest"] == "/audit-log/"
    assert "'x' is not the number" in parse_page(operator.get("/audit-log/?before=x"), 400).text
    assert "No audit log entry has this number" in parse_page(operator.get("/audit-log/999999/"), 404).text
