"""Sandboxes in the browser: made by a button that only operators have, opened, told from the rest, and deleted."""

from __future__ import annotations

import re
import shlex
from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from evdash.accounts.roles import make_operator
from evdash.audit_log.audit_log import recent
from evdash.events.entry import EntryId
from evdash.streams.client import open_client
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import sandbox
from evdash.web.pages.streams.forms import sandboxes
from tests.builders import STREAM
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_pages import conversation

pytestmark = pytest.mark.django_db(transaction=True)

TO = "sandbox:one"
PAGE = f"/sandboxes/{TO}/"
BUTTON = "Replay to sandbox…"


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


def test_operators_have_a_button_on_events_and_sessions_and_viewers_have_none(viewer: Client, operator: Client) -> None:
    for where, q in (("/events/?q=is:error", "is:error"), ("/events/", ""), ("/sessions/s-1/", "session:s-1")):
        assert BUTTON not in parse_page(viewer.get(where)).text
        assert parse_page(operator.get(where)).links[BUTTON] == address("replay", q=q)
    for kind in ("replay", "delete-sandbox"):
        assert viewer.get(address(kind, q="session:s-1", to=TO, stream=TO)).status_code == 403
        assert viewer.post(address(kind, q="session:s-1", to=TO, stream=TO), {"reason": "x"}).status_code == 403


def test_the_button_leads_to_a_form_with_the_filter_and_a_name(operator: Client) -> None:
    page = parse_page(operator.get(parse_page(operator.get("/sessions/s-1/")).links[BUTTON]))
    assert "Selection" in page.text
    assert "session:s-1" in page.values("value", "input")
    assert any(value.startswith("sandbox:2") for value in page.values("value"))
    assert "reason" not in page.values("name")


def test_it_is_looked_at_first_then_done_with_a_reason(operator: Client, valkey: redis.Redis) -> None:
    where = address("replay", q="session:s-1", to=TO)
    page = parse_page(operator.get(where))
    assert "Copies 6 entries of memory:events" in page.text
    assert "with their original IDs, at full speed" in page.text
    assert "Copy 6 entries" in page.text
    assert sandbox(valkey, TO) is None
    assert "Enter a reason" in parse_page(operator.post(where, {"reason": " "}), 409).text
    assert sandbox(valkey, TO) is None

    page = replayed(operator)
    assert "done 6 entries were copied to sandbox:one." in page.text
    assert page.links["Open sandbox sandbox:one"] == PAGE
    assert "Expires 1 d" in page.text
    copies = read_forward(valkey, TO, after=None, count=99)
    assert [copy.pairs for copy in copies] == [entry.pairs for entry in conversation("s-1", "ada")]
    found = sandbox(valkey, TO)
    assert found is not None
    [kept] = found.replays
    assert (kept.who, kept.reason, kept.ids) == ("mia", "reproduce it", "original")


@pytest.mark.parametrize(("q", "entries"), [("session:s-1", 6), ('-type:nothing "it\'s"', None)])
def test_the_form_says_what_to_type_for_a_replay_at_a_pace(
    operator: Client, capsys: pytest.CaptureFixture[str], q: str, entries: int | None
) -> None:
    page = parse_page(operator.get(address("replay", q=q, to=TO, ids="new", speed="10", max_gap="5s", expires="2h")))
    typed = re.search(r"manage\.py (replay .* REASON)", page.text)
    assert typed
    name, *arguments = shlex.split(typed[1])
    if entries is None:
        with pytest.raises(CommandError, match=r"Nothing to copy: no entry matches events .*it's"):
            call_command(name, *arguments)
    else:
        call_command(name, *arguments, "--dry-run")
        said = capsys.readouterr().out
        assert f"Copies {entries} entries" in said
        assert "with new IDs, at 10 times the recorded speed, pauses at most 5 s" in said
        assert "expires 2 hours after" in said


def test_a_sandbox_opens_with_provenance_sessions_and_numbers(operator: Client, viewer: Client) -> None:
    replayed(operator, ids="new", expires="2h")
    page = parse_page(viewer.get(PAGE))
    assert "replayed copies, not in any statistics. Expires" in viewer.get(PAGE).content.decode()
    assert "events in session s-1 6 entries of memory:events, with new IDs, at full speed mia" in page.text
    assert "“ reproduce it ”" in page.text
    assert page.links["s-1"] == f"{PAGE}sessions/s-1/"
    assert page.links["Exit sandbox"] == "/streams/"
    assert "Delete sandbox…" not in page.text
    assert parse_page(operator.get(PAGE)).links["Delete sandbox…"] == address("delete-sandbox", stream=TO)


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
        assert "Replay to sandbox…" not in parse_page(operator.get(f"{PAGE}{where}")).text
    assert parse_page(viewer.get(f"{PAGE}sessions/")).links["s-1"] == f"{PAGE}sessions/s-1/"
    assert "s-2" not in parse_page(viewer.get(f"{PAGE}sessions/")).text
    assert "No event in this sandbox has this session ID." in parse_page(viewer.get(f"{PAGE}sessions/s-2/"), 404).text
    assert "A sandbox has only copied entries." in parse_page(viewer.get(f"{PAGE}users/ada/")).text
    assert viewer.get(f"{PAGE}compare/?a=s-1&b=s-1").status_code == 200
    state = parse_page(viewer.get(f"{PAGE}sessions/s-1/?part=state"))
    assert "I want to fly" in state.text
    found = viewer.get(f"{PAGE}sessions/s-1/?part=find&what=event&way=next")
    assert found["Location"].startswith(f"{PAGE}sessions/s-1/?at=")


def test_it_has_no_notes_and_its_exports_are_of_copies(operator: Client, viewer: Client) -> None:
    viewer.post("/sessions/s-1/notes", {"text": "look at this"})
    replayed(operator)
    assert "look at this" in parse_page(viewer.get("/sessions/s-1/")).text
    assert "Notes" not in parse_page(viewer.get(f"{PAGE}sessions/s-1/")).values("aria-label")
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
        assert "Copy of the original entry" in page.text
        assert page.links["the original entry"] == f"/events/memory%3Aevents/{original}/"
        assert "I want to fly" in page.text
        assert page.links["+"].startswith(f"{PAGE}events/?q=")
        assert "Copy of" in operator.get(f"{where}?part=opened").content.decode()
        assert operator.get(f"{where}?field=0").content == b"message.added"
    missing = parse_page(operator.get(f"{PAGE}events/{TO.replace(':', '%3A')}/5-5/"), 404)
    assert "Entry not found in this sandbox" in missing.text


def test_redis_out_of_reach_is_said(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed(operator)
    away = open_client("redis://127.0.0.1:1")
    monkeypatch.setattr("evdash.web.sandbox_middleware.shared_client", lambda url: away)
    page = parse_page(operator.get(f"{PAGE}events/"), 503)
    assert "is unreachable" in page.text
    assert page.links["Events"] == "/events/"


def test_copies_count_on_no_other_page(operator: Client) -> None:
    before = [
        parse_page(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")
    ]
    overview = parse_page(operator.get("/")).text
    replayed(operator, "session:s-1 session:s-2")
    after = [
        parse_page(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")
    ]
    assert after == before
    assert parse_page(operator.get("/")).text == overview


def test_the_streams_page_lists_sandboxes_and_operators_delete_them(
    operator: Client, viewer: Client, valkey: redis.Redis
) -> None:
    assert "Sandboxes" not in parse_page(viewer.get("/streams/")).text
    replayed(operator)
    page = parse_page(viewer.get("/streams/"))
    assert "sandbox:one 6 in 23 h events in session s-1 6 entries of memory:events" in page.text
    assert page.links[TO] == PAGE
    assert "Delete…" not in page.text

    where = parse_page(operator.get("/streams/")).links["Delete…"]
    assert "Deletes sandbox sandbox:one with 6 entries" in parse_page(operator.get(where)).text
    response = operator.post(where, {"reason": "done with it", "seen": "6"})
    assert "Sandbox sandbox:one was deleted." in parse_page(operator.get(response["Location"])).text
    assert not valkey.execute_command("KEYS", "sandbox:one*")
    assert "Sandboxes" not in parse_page(viewer.get("/streams/")).text
    assert "There is no such sandbox" in parse_page(viewer.get(PAGE), 404).text
    assert [access.begun.action for access in recent(5)] == ["delete-sandbox", "replay"]


def test_who_may_not_replay_is_refused_and_the_audit_log_has_the_attempt(viewer: Client) -> None:
    where = address("replay", q="session:s-1", to=TO)
    assert viewer.get(where).status_code == 403
    assert recent(5) == []
    assert viewer.post(where, {"reason": "x"}).status_code == 403
    [access] = recent(5)
    assert (access.begun.who, access.begun.action, access.begun.reason, access.succeeded) == (
        "the reader",
        "replay",
        "x",
        False,
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"q": "session:s-1", "to": STREAM}, "is a watched stream"),
        ({"q": "session:s-1", "to": f"{STREAM}:parked"}, "is a watched stream"),
        ({"q": "session:s-1", "to": "elsewhere"}, "elsewhere is not a sandbox name"),
        ({"q": "session:nobody", "to": TO}, "Nothing to copy"),
        ({"q": "session:s-1", "to": TO, "expires": "31d"}, "Expiry 31 days is not valid (1 second to 30 days)"),
    ],
)
def test_what_cannot_be_is_refused_and_in_the_audit_log(
    operator: Client, valkey: redis.Redis, given: dict[str, str], sentence: str
) -> None:
    keys = valkey.execute_command("KEYS", "*")
    page = parse_page(operator.get(address("replay", **given)))
    assert "Not possible" in page.text
    assert sentence in page.text
    assert sentence in parse_page(operator.post(address("replay", **given), {"reason": "x"}), 409).text
    assert valkey.execute_command("KEYS", "*") == keys
    [access] = recent(5)
    assert (access.begun.action, access.succeeded) == ("replay", False)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"q": "", "to": TO}, "Select events"),
        ({"q": "nonsense:x", "to": TO}, "Unknown key 'nonsense'"),
        ({"q": "session:s-1", "to": ""}, "This field is required"),
        ({"q": "session:s-1", "to": TO, "ids": "odd"}, "odd is not one of the available choices"),
        ({"q": "session:s-1", "to": TO, "expires": "soon"}, "'soon' is not a time"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(operator: Client, given: dict[str, str], sentence: str) -> None:
    page = parse_page(operator.get(address("replay", **given)), 400)
    assert sentence in page.text
    assert "What it would do" not in page.text


def test_the_browser_copies_fewer_than_the_command(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxes, "ENTRIES_MAX", 5)
    assert "Limit: 5 entries per replay." in parse_page(operator.get(address("replay", q="session:s-1", to=TO))).text


def test_only_what_a_replay_made_is_deleted(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XADD", "sandbox:foreign", "1-0", "type", "foreign")
    for stream in (STREAM, "sandbox:foreign", "elsewhere"):
        page = parse_page(operator.post(address("delete-sandbox", stream=stream), {"reason": "x"}), 409)
        assert "Not possible" in page.text
    assert read_forward(valkey, "sandbox:foreign", after=None, count=9)[0].entry_id == EntryId(1, 0)
