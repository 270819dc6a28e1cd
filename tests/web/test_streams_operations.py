"""Operations in the browser: looked at, refused, done with a reason, told entry by entry, and in the audit log."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import redis
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from django.urls import resolve
from pytest_django.fixtures import Settings

from evdash.accounts.roles import make_operator
from evdash.audit_log import run_operation
from evdash.audit_log.audit_log import recent
from evdash.audit_log.run_operation import NO_REASON
from evdash.eventlog.models import Gap
from evdash.events.entry import EntryId
from evdash.streams.consumer_group import pending_entries
from evdash.streams.dead_letters import park, parked_count, parked_entries
from evdash.streams.reads import read_entry
from evdash.streams.stream_info import GroupInfo, group_infos
from evdash.web.pages.streams.operations import NOT_ALLOWED
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_streams import shown_id

pytestmark = pytest.mark.django_db(transaction=True)  # operations write the audit log in transactions of their own

GROUP = "evdash-audit"
GROUP_PAGE = f"/streams/{STREAM}/groups/{GROUP}/"
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


def changes(page: Page) -> dict[str, tuple[str, str]]:
    """The values that the operation of an audit log entry changed, before and after."""
    rows = page.cells("table.before-after", "", "Before", "After") if page.has("table.before-after") else []
    return bars(page) | {name: (before, after) for name, before, after in rows if before != after}


def bars(page: Page) -> dict[str, tuple[str, str]]:
    """The consumers in the diagram of pending entries, before and after."""
    rows = page.cells(".pending-bars table", "Consumer", "Before → after") if page.has(".pending-bars") else []
    return {f"pending for {name}": (numbers.split(" → ")[0], numbers.split(" → ")[1]) for name, numbers in rows}


def group(valkey: redis.Redis, name: str = GROUP) -> GroupInfo | None:
    return next((info for info in group_infos(valkey, STREAM) if info.name == name), None)


def owners(valkey: redis.Redis) -> dict[int, str]:
    found = pending_entries(valkey, STREAM, GROUP, count=1_000)
    return {each.entry_id.ms - START_MS: each.consumer for each in found}


def test_a_stuck_group_is_repaired_end_to_end(operator: Client, valkey: redis.Redis, index: Index) -> None:
    """Its entries are claimed, one that is gone is acknowledged, one is parked and redelivered, the stream trimmed."""
    trim = address("trim", max_length=1)
    refused = parse_page(operator.get(trim))
    [refusal] = refused.texts(".refusal")
    assert f"Group {GROUP} has 6 pending entries (oldest {ids(10)[0]})" in refusal
    assert refused.buttons == ["Preview", "Cancel"]

    page = done(operator, address("claim", group=GROUP, from_consumer="a", to_consumer="b"))
    claimed = "4 entries of evdash-audit on memory:events were claimed for b."
    assert page.texts(".result-done .sentence") == [claimed]
    assert page.texts(".ids code") == ids(10, 11, 12, 13)
    assert changes(page) == {"pending for a": ("4", "0"), "pending for b": ("2", "6")}
    assert set(owners(valkey).values()) == {"b"}

    valkey.execute_command("XDEL", STREAM, *ids(10))
    done(operator, address("acknowledge", group=GROUP, entry=ids(10)), "nothing is there any more")
    page = done(operator, address("park", group=GROUP, entry=ids(11)), "it stops us all")
    assert page.links["Open parked entries"] == f"/streams/{STREAM}/parked/"
    assert sorted(owners(valkey)) == [12, 13, 14, 15]

    parked = parse_page(operator.get(f"/streams/{STREAM}/parked/"))
    assert parked.cells("table.pending", "Entry", "Reason") == [
        (shown_id(START_MS + 11), "Parked by an operator: it stops us all")
    ]
    assert parse_page(operator.get(address("redeliver", all=1))).buttons[0] == "Redeliver 1 entry"
    done(operator, address("redeliver", all=1), "mended")
    assert parked_count(valkey, STREAM) == 0
    assert f"{STREAM} {ids(11)[0]}" in parse_page(operator.get("/events/")).rows

    done(operator, address("acknowledge", group=GROUP, from_consumer="b"), "written off")
    assert owners(valkey) == {}
    done(operator, address("delete-consumer", group=GROUP, consumer="a", claim_first_to=""), "host a is gone")
    assert parse_page(operator.get(trim)).buttons[0] == "Trim 14 entries"
    page = done(operator, trim, "full")
    assert page.texts(".outcome") == ["done"]
    assert changes(page) == {"length": ("15", "1"), "first ID": (*ids(0), *ids(15))}
    assert valkey.xlen(STREAM) == 1

    assert [access.begun.action for access in recent(20)] == [
        "trim", "delete-consumer", "acknowledge", "redeliver", "park", "acknowledge", "claim",
    ]  # fmt: skip
    log = parse_page(operator.get("/audit-log/")).table("table.accesses")
    assert [row["Who"] for row in log] == ["mia"] * 7
    assert log[0]["Before → after"] == f"length 15 → 1 first ID {START_MS}-0 → {START_MS + 15}-0"
    assert (log[-1]["Reason"], log[-1]["Outcome"]) == ("host a is gone", f"done {claimed}")
    assert log[-1]["Before → after"] == "pending for a 4 → 0 pending for b 2 → 6"


def test_a_preview_changes_nothing_and_shows_the_events(operator: Client, valkey: redis.Redis) -> None:
    page = parse_page(operator.get(address("acknowledge", group=GROUP, from_consumer="a")))
    [sentence] = page.texts(".would .sentence")
    assert "4 pending entries (a: 4)" in sentence
    assert page.cells("table.pending", "Entry", "Event", "Consumer") == [
        (shown_id(START_MS + number), f"message.added user: words {number}", "a") for number in range(10, 14)
    ]
    assert page.has(".is-dangerous .do")
    assert page.buttons[0] == "Acknowledge 4 entries"
    assert len(owners(valkey)) == 6
    assert recent(1) == []


def test_a_selection_opens_the_preview_for_an_active_consumer(operator: Client, valkey: redis.Redis) -> None:
    page = parse_page(operator.get(address("claim", group=GROUP, from_consumer="a")))
    assert page.values("value", "input[name=from_consumer]") == ["a"]
    [receiver] = page.values("value", "input[name=to_consumer]")
    assert receiver != "a"
    assert page.buttons[0] == "Claim 4 entries"
    assert bars(page)["pending for a"] == ("4", "0")
    # The button runs what the preview shows, also if another consumer reads meanwhile.
    [run] = page.values("action", "form[method=post].preview")
    valkey.execute_command("XREADGROUP", "GROUP", GROUP, "late", "STREAMS", STREAM, ">")
    done(operator, f"/streams/operations/claim/{run}")
    assert {owners(valkey)[number] for number in range(10, 14)} == {receiver}


def test_a_selection_without_an_active_consumer_asks_for_one(
    operator: Client, settings: Settings, valkey: redis.Redis
) -> None:
    settings.EVDASH = replace(settings.EVDASH, claim_idle_ms=0)
    where = address("claim", group=GROUP, from_consumer="a")
    page = parse_page(operator.get(where))
    assert page.values("value", "input[name=from_consumer]") == ["a"]
    assert page.values("value", "input[name=to_consumer]") == []
    assert not page.has(".would, .do, [name=reason]")
    send(operator, where)
    assert owners(valkey)[10] == "a"


def test_entries_selected_by_id_ask_for_the_consumer(operator: Client) -> None:
    assert not parse_page(operator.get(address("claim", group=GROUP, entry=ids(10)))).has(".would")


def test_a_post_needs_the_consumer_in_its_address(operator: Client, valkey: redis.Redis) -> None:
    assert send(operator, address("claim", group=GROUP, from_consumer="a")).status_code == 200
    assert owners(valkey)[10] == "a"


def test_previews_show_the_pending_entries_before_and_after(operator: Client) -> None:
    park = parse_page(operator.get(address("park", group=GROUP, entry=ids(10, 14))))
    assert bars(park) == {"pending for a": ("4", "3"), "pending for b": ("2", "1")}
    delete = parse_page(operator.get(address("delete-consumer", group=GROUP, consumer="a", claim_first_to="b")))
    assert bars(delete) == {"pending for a": ("4", "0"), "pending for b": ("2", "6")}
    assert not parse_page(operator.get(address("delete-group", group=GROUP))).has(".pending-bars")


def test_without_a_reason_nothing_is_done(operator: Client, valkey: redis.Redis) -> None:
    where = address("claim", group=GROUP, from_consumer="a", to_consumer="b")
    page = parse_page(send(operator, where, reason="  "), 409)
    assert page.notices == [("error", NO_REASON)]
    assert page.has(".do [name=reason]")
    assert owners(valkey)[10] == "a"


def test_chosen_entries_alone_are_claimed_and_each_that_is_not_is_told(operator: Client, valkey: redis.Redis) -> None:
    where = address("claim", group=GROUP, entry=ids(10, 11), to_consumer="b")
    assert parse_page(operator.get(where)).buttons[0] == "Claim 2 entries"
    valkey.execute_command("XDEL", STREAM, *ids(11))
    page = done(operator, where)
    assert page.texts(".outcome") == ["partly failed"]
    assert page.texts(".ids code") == ids(10)
    [(failed, reason)] = page.cells("table.failed", "Entry", "Reason")
    assert [failed] == ids(11)
    assert reason.startswith("Deleted from the stream, cannot be claimed")
    assert owners(valkey) == {10: "b", 11: "a", 12: "a", 13: "a", 14: "b", 15: "b"}


def test_only_what_is_idle_for_so_long_is_claimed(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, *ids(12), "IDLE", 7_200_000, "JUSTID")
    done(operator, address("claim", group=GROUP, idle_over="1h", to_consumer="new"))
    assert [number for number, owner in owners(valkey).items() if owner == "new"] == [12]


def test_when_more_has_become_pending_than_was_seen_it_is_shown_again(operator: Client, valkey: redis.Redis) -> None:
    where = address("acknowledge", group=GROUP, from_consumer="a")
    assert parse_page(operator.get(where)).values("value", "input[name=seen]") == ["4"]
    valkey.execute_command("XCLAIM", STREAM, GROUP, "a", 0, *ids(14))
    page = parse_page(send(operator, where, seen="4"), 409)
    [(level, text)] = page.notices
    assert level == "error"
    assert "from about 4 to about 5 entries" in text
    assert page.values("value", "input[name=seen]") == ["5"]
    assert len(owners(valkey)) == 6


def test_a_consumer_with_pending_entries_is_deleted_when_they_are_claimed_first(
    operator: Client, valkey: redis.Redis
) -> None:
    refused = parse_page(operator.get(address("delete-consumer", group=GROUP, consumer="a", claim_first_to="")))
    [refusal] = refused.texts(".refusal")
    assert "Deleting a would lose 4 pending entries" in refusal
    assert not refused.has(".do")
    page = done(operator, address("delete-consumer", group=GROUP, consumer="a", claim_first_to="b"))
    assert page.texts(".outcome") == ["done"]
    assert changes(page) == {"pending for a": ("4", "–"), "pending for b": ("2", "6")}
    assert set(owners(valkey).values()) == {"b"}


def test_an_own_group_is_moved_back_and_never_forward(operator: Client, valkey: redis.Redis, write: Write) -> None:
    write(entry(f"{START_MS + 20}-0", type="t"))
    refused = parse_page(operator.get(address("set-position", group=GROUP, position="end")))
    [refusal] = refused.texts(".refusal")
    assert "missing from the log" in refusal
    assert not refused.has(".do")
    where = address("set-position", group=GROUP, position="start")
    [sentence] = parse_page(operator.get(where)).texts(".would .sentence")
    assert "16 entries delivered again" in sentence
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
    delete = address("delete-group", group="billing")
    page = parse_page(operator.get(delete))
    assert page.has(".is-dangerous .would + .do")
    assert page.buttons == ["Delete group", "Cancel"]
    done(operator, delete, seen="0")
    assert group(valkey, "billing") is None
    page = parse_page(operator.get(delete))
    [refusal] = page.texts(".refusal")
    assert "billing does not exist" in refusal
    assert not page.has(".do")


def test_chosen_parked_entries_are_redelivered_and_the_others_stay(operator: Client, valkey: redis.Redis) -> None:
    parked = []
    for number, name in ((12, GROUP), (13, GROUP), (14, "billing")):
        found = read_entry(valkey, STREAM, EntryId(START_MS + number, 0))
        assert found is not None
        parked.append(park(valkey, found, group=name, consumer="a", deliveries=5, reason="x"))
    page = done(operator, address("redeliver", parked=[str(parked[0]), str(parked[2])]))
    assert page.texts(".outcome") == ["partly failed"]
    assert page.texts(".ids code") == ids(12)
    assert page.cells("table.failed", "Entry", "Reason") == [
        (*ids(14), "Consumer group billing does not exist on memory:events. Discard it.")
    ]
    assert changes(page) == {"parked": ("3", "2")}
    assert parked_count(valkey, STREAM) == 2


@pytest.mark.parametrize("kind", ["redeliver", "discard"])
def test_without_parked_entries_there_is_a_refusal(operator: Client, kind: str) -> None:
    page = parse_page(operator.get(address(kind, all=1)))
    assert page.texts(".refusal") == ["Select parked entries."]
    assert not page.has(".do")


def test_a_trim_removes_what_was_shown_and_not_what_has_come_since(
    operator: Client, valkey: redis.Redis, write: Write
) -> None:
    for name in (GROUP, "evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "DESTROY", STREAM, name)
        valkey.execute_command("XGROUP", "CREATE", STREAM, name, "$")
    trim = address("trim", max_length=6)
    page = parse_page(operator.get(trim))
    assert page.buttons[0] == "Trim 10 entries"
    shown = {name: page.one(f".do [name={name}]").attributes["value"] or "" for name in ("seen", "before_id")}
    assert shown == {"seen": "10", "before_id": f"{START_MS + 9}-1"}
    write(*(entry(f"{START_MS + n}-0", type="t") for n in range(16, 20)))
    for name in (GROUP, "evdash-analytics", "evdash-debug"):
        valkey.execute_command("XGROUP", "SETID", STREAM, name, "$")
    assert changes(done(operator, trim, "full", **shown))["length"] == ("20", "10")
    assert valkey.xlen(STREAM) == 10
    [(level, text)] = parse_page(send(operator, trim, "full", before_id="x"), 409).notices[:1]
    assert level == "error"
    assert "'x' is not an entry ID" in text


def test_a_group_of_others_gets_what_was_parked_back_as_pending(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XGROUP", "CREATE", STREAM, "billing", "0")
    valkey.execute_command("XREADGROUP", "GROUP", "billing", "b-1", "COUNT", 3, "STREAMS", STREAM, ">")
    done(operator, address("park", group="billing", from_consumer="b-1"))
    found = group(valkey, "billing")
    assert found is not None
    assert found.pending == 0
    [sentence] = parse_page(operator.get(address("redeliver", all=1))).texts(".would .sentence")
    assert "3 parked entries of memory:events to billing as pending entries of the previous consumer" in sentence
    valkey.execute_command("XDEL", STREAM, *ids(1))
    page = done(operator, address("redeliver", all=1))
    assert page.cells("table.failed", "Entry", "Reason") == [
        (*ids(1), "Deleted from the stream, cannot be returned to billing. Discard it.")
    ]
    assert [each.consumer for each in pending_entries(valkey, STREAM, "billing", count=9)] == ["b-1", "b-1"]
    assert [each.entry.entry_id.ms - START_MS for each in parked_entries(valkey, STREAM, count=9)] == [1]


def test_what_is_discarded_is_gone_and_its_gap_stays(operator: Client, valkey: redis.Redis) -> None:
    done(operator, address("park", group=GROUP, from_consumer="a"))
    assert Gap.objects.count() == 4
    page = parse_page(operator.get(address("discard", all=1)))
    assert page.texts(".would .sentence") == [f"Deletes 4 parked entries of memory:events ({GROUP})."]
    assert page.buttons[0] == "Discard 4 entries"
    assert page.has(".is-dangerous .do")
    done(operator, address("discard", all=1), seen="4")
    assert parked_count(valkey, STREAM) == 0
    assert Gap.objects.count() == 4


@pytest.mark.parametrize("kind", KINDS)
def test_only_operators_come_here(browser: Client, valkey: redis.Redis, kind: str) -> None:
    for response in (
        browser.get(address(kind, group=GROUP)),
        browser.post(address(kind, group=GROUP), {"reason": "x"}),
    ):
        [command] = parse_page(response, 403).texts("code")
        assert command.endswith("sign_in_link --operator 'the reader'")
    [tried] = recent(10)
    assert (tried.begun.who, tried.begun.action, tried.begun.reason) == ("the reader", kind, "x")
    assert tried.outcome == NOT_ALLOWED
    log = parse_page(browser.get("/audit-log/"))  # which viewers see as well
    assert log.cells("table.accesses", "Who", "Reason", "Outcome") == [("the reader", "x", f"failed {NOT_ALLOWED}")]
    assert Client().post(address(kind, group=GROUP)).status_code == 302  # strangers sign in


@pytest.mark.parametrize(
    ("where", "status", "outcome"),
    [
        (address("claim"), 404, "No consumer group was named."),
        ("/streams/operations/trim/?stream=unknown&max_length=1", 404, "This stream is not in EVDASH_STREAMS."),
    ],
)
def test_a_sent_operation_that_is_refused_is_in_the_audit_log(
    operator: Client, where: str, status: int, outcome: str
) -> None:
    assert operator.get(where).status_code == status
    assert recent(9) == []
    assert send(operator, where).status_code == status
    [refused] = recent(9)
    assert (refused.begun.who, refused.succeeded, refused.begun.reason) == ("mia", False, "host a is gone")
    assert refused.outcome.startswith(outcome)


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_that_evdash_did_not_make_is_refused(operator: Client, kind: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies
    assert strict.post(address(kind, group=GROUP), {"reason": "x"}).status_code == 403


@pytest.mark.parametrize(
    ("kind", "field", "arguments", "rule"),
    [
        ("claim", "idle_over", {"to_consumer": "b", "idle_over": "soon"}, "'soon' is not a time"),
        ("claim", "idle_over", {"to_consumer": "b", "idle_over": "2026-11-23"}, "'2026-11-23' is not a duration"),
        ("claim", "to_consumer", {"to_consumer": "", "from_consumer": "a"}, "required"),
        ("claim", "entry", {"to_consumer": "b", "entry": "first"}, "'first' is not an entry ID"),
        ("set-position", "position", {"position": "middle"}, "'middle' is not an entry ID"),
        ("trim", "max_length", {"max_length": "many"}, "whole number"),
        ("trim", "older_than", {"older_than": "soon"}, "'soon' is not a time"),
        ("redeliver", "parked", {"parked": "x"}, "'x' is not an entry ID"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(
    operator: Client, kind: str, field: str, arguments: dict[str, str], rule: str
) -> None:
    where = address(kind, group=GROUP, **arguments)
    for response in (operator.get(where), send(operator, where)):
        page = parse_page(response, 400)
        assert page.values("name", ".has-errors *") == [field]
        [error] = page.texts(".field-error")
        assert rule in error
    assert recent(1) == []


@pytest.mark.parametrize(
    ("where", "remedy"),
    [
        ("/streams/operations/trim/?stream=secret", "EVDASH_STREAMS"),
        (address("claim"), "Add the parameter group="),
    ],
)
def test_other_streams_and_no_group_are_404(operator: Client, where: str, remedy: str) -> None:
    [*_, sentence] = parse_page(operator.get(where), 404).texts(".said > p:not(.actions)")
    assert remedy in sentence


def test_an_operation_that_does_not_exist_is_404(operator: Client) -> None:
    assert operator.get("/streams/operations/explode/").status_code == 404


def test_what_the_audit_log_cannot_hold_is_not_done(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(run_operation, "record", fail)
    page = parse_page(send(operator, address("claim", group=GROUP, from_consumer="a", to_consumer="b")), 409)
    assert page.notices == [("error", "Not executed: the audit log is not writable (disk full).")]
    assert owners(valkey)[10] == "a"


def test_redis_out_of_reach_is_a_sentence(operator: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    [sentence] = parse_page(operator.get(address("trim", max_length=1)), 503).texts(".said > p:not(.actions)")
    assert sentence.startswith("Redis at 127.0.0.1:1 is unreachable: ")


def test_an_operator_finds_every_operation_from_the_pages(operator: Client, valkey: redis.Redis) -> None:
    found = read_entry(valkey, STREAM, EntryId(START_MS + 12, 0))
    assert found is not None
    park(valkey, found, group=GROUP, consumer="a", deliveries=5, reason="x")
    pages = [parse_page(operator.get(page)) for page in ("/streams/", GROUP_PAGE, f"/streams/{STREAM}/parked/")]
    targets = [
        target for page in pages for name in ("href", "action", "formaction") for target in page.values(name, "main *")
    ]
    offered = [resolve(urlsplit(target).path) for target in targets if target.startswith("/streams/operations/")]
    assert {match.kwargs["kind"] for match in offered} == set(KINDS)


def test_the_audit_log_goes_on_page_by_page(operator: Client) -> None:
    empty = parse_page(operator.get("/audit-log/"))
    assert empty.has(".empty")
    assert not empty.has("table")
    for number in range(53):
        refused = send(operator, address("trim", max_length=1), f"reason {number}")
        assert refused.status_code == 409  # and noted
    page = parse_page(operator.get("/audit-log/"))
    assert page.texts(".outcome") == ["failed"] * 50
    assert page.cells("table.accesses", "Reason") == [(f"reason {number}",) for number in range(52, 2, -1)]
    older = parse_page(operator.get(page.links["Older ›"]))
    assert older.cells("table.accesses", "Reason") == [("reason 2",), ("reason 1",), ("reason 0",)]
    assert older.links["Newest"] == "/audit-log/"


@pytest.mark.parametrize(
    ("where", "status", "sentences"),
    [
        ("/audit-log/?before=x", 400, ["before= 'x' is not the number of an audit log entry."]),
        ("/audit-log/999999/", 404, ["999999", "No audit log entry has this number."]),
    ],
)
def test_an_audit_log_entry_that_does_not_exist_is_named(
    operator: Client, where: str, status: int, sentences: list[str]
) -> None:
    assert parse_page(operator.get(where), status).texts(".said > p:not(.actions)") == sentences
