"""Sandboxes in the browser: made by a button that only operators have, opened, told from the rest, and deleted."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.accounts.roles import make_operator
from evdash.audit_log.audit_log import recent
from evdash.events.entry import EntryId
from evdash.replay.replay import Replay
from evdash.streams.client import open_client
from evdash.streams.commands import DeleteSandbox
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import sandbox, why_no_sandbox
from evdash.web.pages.streams.forms import sandboxes
from evdash.web.pages.streams.operations import NOT_ALLOWED
from tests.builders import STREAM
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_pages import conversation

pytestmark = pytest.mark.django_db(transaction=True)

TO = "sandbox:one"
PAGE = f"/sandboxes/{TO}/"
BUTTON = "Replay to sandbox…"
NO_REASON = "Enter a reason. It is recorded in the audit log."
DELETE = f"/streams/sandboxes/delete-sandbox/?{urlencode({'stream': TO})}"


@pytest.fixture
def viewer(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> Client:
    """A browser on twelve events of two sessions; the first is in the log and trimmed from the stream."""
    write(*conversation("s-1", "ada"))
    index()
    write(*conversation("s-2", "grace", 60_000, failing=True))
    valkey.execute_command("XTRIM", STREAM, "MAXLEN", 6)
    return signed_in(User.objects.create_user("the reader"))


@pytest.fixture
def operator(viewer: Client) -> Client:
    mia = User.objects.create_user("mia")
    make_operator(mia)
    return signed_in(mia)


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    return client


def address(kind: str, **arguments: Any) -> str:
    return f"/streams/sandboxes/{kind}/?{urlencode(arguments)}"


def replayed(browser: Client, q: str = "session:s-1", reason: str = "reproduce it", **more: str) -> Page:
    """Press the button of the preview, and go to where it leads."""
    response = browser.post(address("replay", q=q, to=TO, **more), {"reason": reason})
    assert response.status_code == 302, response.content.decode()
    return parse_page(browser.get(response["Location"]))


def field_errors(page: Page) -> dict[str, str]:
    """The error at each field of the form, by the field's name."""
    fields = page.values("name", ".has-errors > ")
    return dict(zip(fields, page.texts(".field-error"), strict=True))


def test_operators_have_a_button_on_events_and_sessions_and_viewers_have_none(viewer: Client, operator: Client) -> None:
    for where, q in (("/events/?q=is:error", "is:error"), ("/events/", ""), ("/sessions/s-1/", "session:s-1")):
        assert address("replay", q=q) not in parse_page(viewer.get(where)).values("href")
        assert parse_page(operator.get(where)).links[BUTTON] == address("replay", q=q)
    for kind in ("replay", "delete-sandbox"):
        assert viewer.get(address(kind, q="session:s-1", to=TO, stream=TO)).status_code == 403
        assert viewer.post(address(kind, q="session:s-1", to=TO, stream=TO), {"reason": "x"}).status_code == 403


def test_the_button_leads_to_a_form_with_the_filter_and_a_name(operator: Client) -> None:
    page = parse_page(operator.get(parse_page(operator.get("/sessions/s-1/")).links[BUTTON]))
    assert page.values("value", "[name=q]") == ["session:s-1"]
    [name] = page.values("value", "[name=to]")
    assert name.startswith("sandbox:2")
    assert not page.has(".would, [name=reason]")


def test_it_is_looked_at_first_then_done_with_a_reason(operator: Client, valkey: redis.Redis) -> None:
    where = address("replay", q="session:s-1", to=TO)
    page = parse_page(operator.get(where))
    assert page.texts(".would .sentence") == [Replay(stream=TO, query="session:s-1", who="").preview(valkey).sentence]
    assert page.values("value", "[name=seen]") == ["6"]
    assert page.texts("button.primary") == ["Copy 6 entries"]
    assert sandbox(valkey, TO) is None
    assert parse_page(operator.post(where, {"reason": " "}), 409).notices == [("error", NO_REASON)]
    assert sandbox(valkey, TO) is None

    page = replayed(operator)
    assert page.has(".result-done")
    assert page.texts(".result .sentence") == ["6 entries were copied to sandbox:one."]
    assert page.links["Open sandbox sandbox:one"] == PAGE
    assert page.facts["Expires"] == "1 d"
    copies = read_forward(valkey, TO, after=None, count=99)
    assert [copy.pairs for copy in copies] == [entry.pairs for entry in conversation("s-1", "ada")]
    found = sandbox(valkey, TO)
    assert found is not None
    [kept] = found.replays
    assert (kept.who, kept.reason, kept.ids, kept.pace) == ("mia", "reproduce it", "original", "at full speed")


@pytest.mark.parametrize(("q", "entries"), [("session:s-1", 6), ('-type:nothing "it\'s"', None)])
def test_the_form_says_what_to_type_for_a_replay_at_a_pace(
    operator: Client, capsys: pytest.CaptureFixture[str], q: str, entries: int | None
) -> None:
    page = parse_page(operator.get(address("replay", q=q, to=TO, ids="new", speed="10", max_pause="5s", expires="2h")))
    name, *arguments = shlex.split(page.one("pre.command").text())[2:]
    assert arguments == [
        *(f"--filter={q}", "--to", TO, "--ids", "new", "--expires", "2h"),
        *("--speed", "10", "--max-pause", "5s", "--reason", "REASON"),
    ]
    if entries is None:
        with pytest.raises(CommandError, match=r"Nothing to copy: no entry matches events .*it's"):
            call_command(name, *arguments)
    else:
        call_command(name, *arguments, "--dry-run")
        assert page.values("value", "[name=seen]") == [str(entries)]
        assert page.texts(".would .sentence") == [capsys.readouterr().out.strip()]


def provenance(page: Page) -> list[tuple[str, str]]:
    """The selection of each listed replay, and what it copied."""
    return list(zip(page.texts(".replay-filter"), page.texts(".replay-copied"), strict=True))


def test_a_sandbox_opens_with_provenance_sessions_and_numbers(operator: Client, viewer: Client) -> None:
    replayed(operator, ids="new", expires="2h")
    page = parse_page(viewer.get(PAGE))
    assert page.texts(".mounted time") == ["in 1 h"]
    assert provenance(page) == [("events in session s-1", "6 entries of memory:events, with new IDs, at full speed")]
    assert page.texts(".replay-who, .replay-reason") == ["mia", "reproduce it"]
    assert (page.facts["Events"], page.facts["Sessions"]) == ("6", "1")
    assert page.links["s-1"] == f"{PAGE}sessions/s-1/"
    assert page.links["Exit sandbox"] == "/streams/"
    assert DELETE not in page.values("href")
    assert DELETE in parse_page(operator.get(PAGE)).values("href")


def test_a_sandbox_has_no_saved_views_and_the_palette_finds_its_ids_only(operator: Client, viewer: Client) -> None:
    viewer.post("/views/", {"name": "s-2 outside", "page": "events", "query": "q=session%3As-2"})
    replayed(operator)
    page = parse_page(viewer.get(f"{PAGE}events/?q=session:s-2"))
    assert not page.has("#views, .rail-views, .save-view")
    [source] = page.values("data-palette-from")
    assert viewer.get(source, {"q": "s-2"}).json() == {"results": []}
    assert viewer.get(source, {"q": "s-1"}).json() == {
        "results": [{"kind": "session", "name": "s-1", "address": f"{PAGE}sessions/s-1/"}]
    }


def test_every_page_of_events_reads_the_sandbox_and_leads_on_within_it(operator: Client, viewer: Client) -> None:
    replayed(operator)
    for where, rows in (
        ("events/", 6),
        ("live/", 6),
        ("events/?q=type:message.added", 2),
        ("sessions/s-1/", 6),
        ("sessions/s-1/?view=conversation", 6),
        ("errors/", 0),
        ("users/ada/", 6),
    ):
        page = parse_page(viewer.get(f"{PAGE}{where}"))
        assert len(page.rows) == rows, where
        assert all(row.startswith(f"{TO} ") for row in page.rows)
        assert page.links["Sessions"] == f"{PAGE}sessions/"
        assert page.links["Audit log"] == "/audit-log/"
        assert page.links["Streams"] == "/streams/"
        elsewhere = {"/streams/", "/audit-log/", "/account/"}
        assert all(link.startswith((PAGE, "#", "?")) or link in elsewhere for link in page.links.values()), page.links
        by_operator = parse_page(operator.get(f"{PAGE}{where}")).values("href")
        assert not [href for href in by_operator if href.startswith("/streams/sandboxes/replay/")]
    assert parse_page(viewer.get(f"{PAGE}sessions/")).links["s-1"] == f"{PAGE}sessions/s-1/"
    assert parse_page(viewer.get(f"{PAGE}sessions/")).values("data-key", "tr") == ["s-1"]
    missing = parse_page(viewer.get(f"{PAGE}sessions/s-2/"), 404)
    assert missing.texts(".said-subject") == ["s-2"]
    assert "in this sandbox" in missing.texts(".said-reason")[0]
    assert parse_page(viewer.get(f"{PAGE}users/ada/")).texts(".completeness") == [
        "6 events in 1 session in this sandbox. A sandbox has only copied entries."
    ]
    assert viewer.get(f"{PAGE}compare/?a=s-1&b=s-1").status_code == 200
    state = parse_page(viewer.get(f"{PAGE}sessions/s-1/?part=state"))
    assert "I want to fly" in state.texts(".value")
    found = viewer.get(f"{PAGE}sessions/s-1/?part=find&what=event&way=next")
    assert found["Location"].startswith(f"{PAGE}sessions/s-1/?at=")


def test_it_has_no_notes_and_its_exports_are_of_copies(operator: Client, viewer: Client) -> None:
    viewer.post("/sessions/s-1/notes", {"text": "look at this"})
    replayed(operator)
    assert parse_page(viewer.get("/sessions/s-1/")).texts(".notes .prose") == ["look at this"]
    assert not parse_page(viewer.get(f"{PAGE}sessions/s-1/")).has(".notes")
    transcript = b"".join(viewer.get(f"{PAGE}sessions/s-1/transcript.md").streaming_content).decode()  # type: ignore[arg-type]
    assert "sandbox copies" in transcript
    assert "look at this" not in transcript
    lines = b"".join(viewer.get(f"{PAGE}events.ndjson").streaming_content).splitlines()  # type: ignore[arg-type]
    assert len(lines) == 6
    assert TO.encode() in lines[0]
    assert [access.begun.stream for access in recent(3)] == [TO, TO, TO]
    assert recent(1)[0].title == f"Export all events of {TO} as NDJSON"


def test_what_is_no_page_of_events_is_where_it_always_is(operator: Client) -> None:
    replayed(operator)
    for where in ("streams/", "audit-log/?before=9", "account/"):
        response = operator.get(f"{PAGE}{where}")
        assert (response.status_code, response["Location"]) == (307, f"/{where}")
    assert operator.post(f"{PAGE}sessions/s-1/notes", {"text": "x"})["Location"] == "/sessions/s-1/notes"
    assert operator.get(f"{PAGE}nothing/").status_code == 404
    assert parse_page(operator.get("/events/")).links["Sessions"] == "/sessions/"


def test_strangers_learn_nothing_of_sandboxes(operator: Client) -> None:
    replayed(operator)
    for name in (TO, "sandbox:none"):
        response = Client().get(f"/sandboxes/{name}/events/?q=x")
        assert response.status_code == 302
        assert response["Location"].startswith(f"/sandboxes/{name}/sign-in/?next=")
        again = Client().get(response["Location"])
        assert (again.status_code, again["Location"][:15]) == (307, "/sign-in/?next=")
        assert Client().get(f"/sandboxes/{name}/events.ndjson").status_code in (302, 401)


@pytest.mark.parametrize("name", ["sandbox:a/b", "sandbox:100%", "sandbox:%2F", "sandbox:ä?#&=", "sandbox:."])
def test_any_name_has_an_address(operator: Client, name: str) -> None:
    response = operator.post(address("replay", q="session:s-1", to=name), {"reason": "x"})
    page = parse_page(operator.get(response["Location"]))
    sandbox_page = parse_page(operator.get(page.links[f"Open sandbox {name}"]))
    assert sandbox_page.links[name] == page.links[f"Open sandbox {name}"]
    assert len(parse_page(operator.get(sandbox_page.links["Events"])).rows) == 6
    session = parse_page(operator.get(sandbox_page.links["s-1"]))
    assert len(session.rows) == 6


def test_open_pages_ask_for_what_is_copied_meanwhile(operator: Client, viewer: Client) -> None:
    replayed(operator, ids="new")
    page = parse_page(viewer.get(f"{PAGE}live/"))
    [cursor] = page.values("data-live-cursor")
    assert page.values("data-catch-up") == [f"{PAGE}live/missed/"]
    assert page.values("data-live-by") == ["polling"]
    replayed(operator, "session:s-2", ids="new")
    told = viewer.get(f"{PAGE}live/missed/", {"cursor": cursor, "query": ""}).json()
    assert (told["type"], told["count"]) == ("rows", 6)
    assert f"{PAGE}sessions/s-2/" in told["html"]
    assert viewer.get("/live/missed/", {"cursor": cursor, "query": ""}).json()["type"] == "alive"


def test_an_entry_opens_and_leads_to_the_one_it_is_a_copy_of(operator: Client, valkey: redis.Redis) -> None:
    replayed(operator)
    replayed(operator, "session:s-2", ids="new")
    copies = read_forward(valkey, TO, after=None, count=99)
    for copy, original in ((copies[1], "1764000001000-0"), (copies[7], "1764000061000-0")):
        where = f"{PAGE}events/{TO.replace(':', '%3A')}/{copy.entry_id}/"
        assert operator.get(f"/events/{TO.replace(':', '%3A')}/{copy.entry_id}/")["Location"] == where
        elsewhere = operator.get(f"/events/{TO.replace(':', '%3A')}/{copy.entry_id}/?field=0")
        assert elsewhere["Location"] == f"{where}?field=0"
        page = parse_page(operator.get(where))
        for shown in (page, parse_page(operator.get(f"{where}?part=opened"))):
            assert shown.values("href", ".copy-of a") == [f"/events/memory%3Aevents/{original}/"]
        assert page.texts(".event-reading bdi") == ["I want to fly"]
        assert page.values("href", '[title="Filter for this value"]')[0].startswith(f"{PAGE}events/?q=")
        assert operator.get(f"{where}?field=0").content == b"message.added"
    missing = parse_page(operator.get(f"{PAGE}events/{TO.replace(':', '%3A')}/5-5/"), 404)
    assert missing.texts(".said-subject") == [f"5-5 of {TO}"]
    assert "in this sandbox" in missing.texts(".said-reason")[0]


def test_redis_out_of_reach_is_said(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed(operator)
    away = open_client("redis://127.0.0.1:1")
    monkeypatch.setattr("evdash.web.sandbox_middleware.shared_client", lambda url: away)
    page = parse_page(operator.get(f"{PAGE}events/"), 503)
    assert page.texts(".said-reason") == ["Redis at 127.0.0.1:1 is unreachable: connection refused."]
    assert page.links["Events"] == "/events/"


def test_copies_count_on_no_other_page(operator: Client) -> None:
    before = [
        parse_page(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")
    ]
    overview = parse_page(operator.get("/")).texts("main > :not(.printed)")
    replayed(operator, "session:s-1 session:s-2")
    after = [
        parse_page(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")
    ]
    assert after == before
    assert parse_page(operator.get("/")).texts("main > :not(.printed)") == overview


def test_the_streams_page_lists_sandboxes_and_operators_delete_them(
    operator: Client, viewer: Client, valkey: redis.Redis
) -> None:
    assert not parse_page(viewer.get("/streams/")).has("table.sandboxes")
    replayed(operator)
    page = parse_page(viewer.get("/streams/"))
    [row] = page.table("table.sandboxes")
    assert (row["Sandbox"], row["Entries"], row["Expires"]) == (TO, "6", "in 23 h")
    assert provenance(page) == [
        ("events in session s-1", "6 entries of memory:events, with their original IDs, at full speed")
    ]
    assert page.links[TO] == PAGE
    assert DELETE not in page.values("href")

    assert parse_page(operator.get("/streams/")).links["Delete…"] == DELETE
    preview = parse_page(operator.get(DELETE))
    deletion = DeleteSandbox(stream=TO, prefix="sandbox:", watched=(STREAM,))
    assert preview.values("value", "[name=seen]") == ["6"]
    assert preview.texts(".would .sentence") == [deletion.preview(valkey).sentence]
    response = operator.post(DELETE, {"reason": "done with it", "seen": "6"})
    assert parse_page(operator.get(response["Location"])).texts(".result-done .sentence") == [
        "Sandbox sandbox:one was deleted."
    ]
    assert not valkey.execute_command("KEYS", "sandbox:one*")
    assert not parse_page(viewer.get("/streams/")).has("table.sandboxes")
    assert parse_page(viewer.get(PAGE), 404).texts(".said-subject") == [TO]
    assert [access.begun.action for access in recent(5)] == ["delete-sandbox", "replay"]


def test_who_may_not_replay_is_refused_and_the_audit_log_has_the_attempt(viewer: Client) -> None:
    where = address("replay", q="session:s-1", to=TO)
    assert viewer.get(where).status_code == 403
    assert recent(5) == []
    assert viewer.post(where, {"reason": "x"}).status_code == 403
    assert viewer.post(DELETE, {"reason": "y"}).status_code == 403
    assert refusals() == [
        ("the reader", "delete-sandbox", TO, "y", NOT_ALLOWED),
        ("the reader", "replay", TO, "x", NOT_ALLOWED),
    ]


@pytest.mark.parametrize("kind", ["replay", "delete-sandbox"])
def test_a_refused_operation_below_a_sandbox_is_in_the_audit_log(viewer: Client, operator: Client, kind: str) -> None:
    replayed(operator)
    where = f"{PAGE}streams/sandboxes/{kind}/?{urlencode({'q': 'session:s-1', 'to': TO, 'stream': TO})}"
    assert viewer.post(where, {"reason": "x"}, follow=True).status_code == 403
    assert refusals() == [("the reader", kind, TO, "x", NOT_ALLOWED)]


def refusals() -> list[tuple[str, str, str, str, str]]:
    """Who tried which operation on which sandbox, with which reason, and why it was refused."""
    return [
        (each.begun.who, each.begun.action, each.begun.stream, each.begun.reason, each.outcome)
        for each in recent(9)
        if not each.succeeded
    ]


def test_a_replay_during_an_outage_is_in_the_audit_log(operator: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    assert operator.post(address("replay", q="session:s-1", to=TO), {"reason": "x"}).status_code == 409
    [(who, action, stream, reason, logged)] = refusals()
    assert (who, action, stream, reason) == ("mia", "replay", TO, "x")
    assert "127.0.0.1:1 is unreachable" in logged


def test_a_deletion_of_a_sandbox_that_has_grown_is_in_the_audit_log(operator: Client) -> None:
    replayed(operator)
    assert operator.post(DELETE, {"reason": "x", "seen": "2"}).status_code == 409
    [(who, action, stream, reason, logged)] = refusals()
    assert (who, action, stream, reason) == ("mia", "delete-sandbox", TO, "x")
    assert logged.startswith("Not executed: the selection grew from about 2 to about 6 entries.")


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        *(
            ({"to": name}, why_no_sandbox(name, "sandbox:", (STREAM,)))
            for name in (STREAM, f"{STREAM}:parked", "elsewhere")
        ),
        ({"q": "session:nobody"}, "Nothing to copy: no entry matches events in session nobody."),
        ({"expires": "31d"}, "Expiry 31 days is not valid (1 second to 30 days)."),
    ],
)
def test_what_cannot_be_is_refused_and_in_the_audit_log(
    operator: Client, valkey: redis.Redis, given: dict[str, str], refusal: str
) -> None:
    keys = valkey.execute_command("KEYS", "*")
    where = address("replay", **{"q": "session:s-1", "to": TO, **given})
    for page in (parse_page(operator.get(where)), parse_page(operator.post(where, {"reason": "x"}), 409)):
        assert page.notices == [("error", refusal)]
        assert not page.has(".would, [name=reason]")
    assert valkey.execute_command("KEYS", "*") == keys
    [access] = recent(5)
    assert (access.begun.action, access.succeeded) == ("replay", False)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("q", "", "Select events"),
        ("q", "nonsense:x", "'nonsense'"),
        ("to", "", "required"),
        ("ids", "odd", "odd"),
        ("expires", "soon", "'soon'"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(operator: Client, field: str, value: str, named: str) -> None:
    page = parse_page(operator.get(address("replay", **{"q": "session:s-1", "to": TO, field: value})), 400)
    assert list(field_errors(page)) == [field]
    assert named in field_errors(page)[field]
    assert not page.has(".would")


def test_the_browser_copies_fewer_than_the_command(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "ENTRIES_MAX", 5)
    assert parse_page(operator.get(address("replay", q="session:s-1", to=TO))).notices == [
        ("error", "Limit: 5 entries per replay. The filter has more.")
    ]


def test_only_what_a_replay_made_is_deleted(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XADD", "sandbox:foreign", "1-0", "type", "foreign")
    for stream in (STREAM, "sandbox:foreign", "elsewhere"):
        page = parse_page(operator.post(address("delete-sandbox", stream=stream), {"reason": "x"}), 409)
        assert [(level, stream in text) for level, text in page.notices] == [("error", True)]
    assert read_forward(valkey, "sandbox:foreign", after=None, count=9)[0].entry_id == EntryId(1, 0)
