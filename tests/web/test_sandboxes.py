"""Sandboxes in the browser: made by a button that only operators have, opened, told from the rest, and deleted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client

from evdash.accounts.roles import make_operator
from evdash.audit.access_log import recent
from evdash.events.entry_id import EntryId
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import sandbox
from evdash.web.operations import sandboxes as forms
from tests.builders import STREAM, raw_entry
from tests.web.conftest import Index, Write
from tests.web.seen import Page, seen
from tests.web.test_pages import conversation

pytestmark = pytest.mark.django_db(transaction=True)

TO = "sandbox:one"
PAGE = f"/streams/{TO}/sandbox/"
BUTTON = "Replay to a sandbox…"


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
    return seen(browser.get(response["Location"]))


def test_operators_have_a_button_on_events_and_sessions_and_viewers_have_none(viewer: Client, operator: Client) -> None:
    for where, q in (("/events/?q=is:error", "is:error"), ("/events/", ""), ("/sessions/s-1/", "session:s-1")):
        assert BUTTON not in seen(viewer.get(where)).text
        assert seen(operator.get(where)).links[BUTTON] == address("replay", q=q)
    for kind in ("replay", "delete-sandbox"):
        assert viewer.get(address(kind, q="session:s-1", to=TO, stream=TO)).status_code == 403
        assert viewer.post(address(kind, q="session:s-1", to=TO, stream=TO), {"reason": "x"}).status_code == 403


def test_the_button_leads_to_a_form_with_the_filter_and_a_name(operator: Client) -> None:
    page = seen(operator.get(seen(operator.get("/sessions/s-1/")).links[BUTTON]))
    assert "What is asked for" in page.text
    assert ("input", "value", "session:s-1") in page.attributes
    assert any(value.startswith("sandbox:2") for value in page.values("value"))
    assert "reason" not in page.values("name")


def test_it_is_looked_at_first_then_done_with_a_reason(operator: Client, valkey: redis.Redis) -> None:
    where = address("replay", q="session:s-1", to=TO)
    page = seen(operator.get(where))
    assert "Copies 6 entries of memory:events" in page.text
    assert "with their original IDs, at full speed" in page.text
    assert "Copy 6 entries" in page.text
    assert sandbox(valkey, TO) is None
    assert "Give a reason" in seen(operator.post(where, {"reason": " "}), 409).text
    assert sandbox(valkey, TO) is None

    page = replayed(operator)
    assert "done 6 entries were copied into sandbox:one." in page.text
    assert page.links["The sandbox sandbox:one"] == PAGE
    assert "expires 1 d" in page.text
    copies = read_forward(valkey, TO, after=None, count=99)
    assert [copy.pairs for copy in copies] == [entry.pairs for entry in conversation("s-1", "ada")]
    found = sandbox(valkey, TO)
    assert found is not None
    [kept] = found.replays
    assert (kept.who, kept.reason, kept.ids) == ("mia", "reproduce it", "original")


def test_a_sandbox_opens_with_provenance_picture_and_events(operator: Client, viewer: Client) -> None:
    replayed(operator, ids="new", expires="2h")
    page = seen(viewer.get(PAGE))
    assert "A sandbox Copies, in a stream of their own. They count on no other page." in page.text
    assert "events in session s-1 6 entries of memory:events, with new IDs, at full speed mia" in page.text
    assert "“ reproduce it ”" in page.text
    assert "expires in 1 h" in page.text
    assert len(page.rows) == 6
    assert all(row.startswith(f"{TO} ") for row in page.rows)
    assert any(value.startswith("Timeline: 6 events") for value in page.values("aria-label"))
    assert page.links["s-1"].startswith(f"{PAGE}?q=session%3As-1")
    assert "Delete…" not in page.text
    assert "Download" not in page.text
    assert seen(operator.get(PAGE)).links["Delete…"] == address("delete-sandbox", stream=TO)


def test_it_is_filtered_and_paged_by_itself(operator: Client, valkey: redis.Redis, write: Write) -> None:
    replayed(operator)
    assert len(seen(operator.get(f"{PAGE}?q=type:message.added")).rows) == 2
    assert "No event matches" in seen(operator.get(f"{PAGE}?q=type:nothing")).text
    assert seen(operator.get(f"{PAGE}?q=nonsense:x"), 400).rows == []
    assert operator.get(f"{PAGE}?after=x").status_code == 400
    write(*(raw_entry(("type", "more"), entry_id=f"9{n:012}-0", stream=TO) for n in range(100)))
    first = seen(operator.get(PAGE))
    assert len(first.rows) == 100
    second = seen(operator.get(first.links["Later ›"]))
    assert len(second.rows) == 6
    assert not {*first.rows} & {*second.rows}


def test_a_search_that_finds_little_stops_at_its_bound_and_goes_on(
    operator: Client, valkey: redis.Redis, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.web.sandboxes._STEP", 2)
    monkeypatch.setattr("evdash.web.sandboxes.SEARCHED_MAX", 4)
    replayed(operator)
    page = seen(operator.get(f"{PAGE}?q=type:session.ended"))
    assert page.rows == []
    assert "Searched forward to 1764000003000-0" in page.text
    assert len(seen(operator.get(page.links["Search on"])).rows) == 1


def test_an_entry_opens_and_leads_to_the_one_it_is_a_copy_of(operator: Client, valkey: redis.Redis) -> None:
    replayed(operator)
    replayed(operator, "session:s-2", ids="new")
    copies = read_forward(valkey, TO, after=None, count=99)
    for copy, original in ((copies[1], "1764000001000-0"), (copies[7], "1764000061000-0")):
        page = seen(operator.get(f"/events/{TO.replace(':', '%3A')}/{copy.entry_id}/"))
        assert "A copy in the sandbox sandbox:one" in page.text
        assert page.links["this entry"] == f"/events/memory%3Aevents/{original}/"
        assert "I want to fly" in page.text
        assert page.links["+"].startswith(f"{PAGE}?q=")
        opened = operator.get(f"/events/{TO.replace(':', '%3A')}/{copy.entry_id}/?part=opened").content.decode()
        assert "A copy in the sandbox" in opened
    assert operator.get(f"/events/{TO.replace(':', '%3A')}/5-5/").status_code == 404
    value = operator.get(f"/events/{TO.replace(':', '%3A')}/{copies[0].entry_id}/?field=0")
    assert value.content == b"session.started"


def test_copies_count_on_no_other_page(operator: Client) -> None:
    before = [seen(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")]
    overview = seen(operator.get("/")).text
    replayed(operator, "session:s-1 session:s-2")
    after = [seen(operator.get(where)).rows for where in ("/events/", "/sessions/s-1/", "/errors/", "/users/ada/")]
    assert after == before
    assert seen(operator.get("/")).text == overview


def test_the_streams_page_lists_sandboxes_and_operators_delete_them(
    operator: Client, viewer: Client, valkey: redis.Redis
) -> None:
    assert "Sandboxes" not in seen(viewer.get("/streams/")).text
    replayed(operator)
    page = seen(viewer.get("/streams/"))
    assert "sandbox:one 6 in 23 h events in session s-1 6 entries of memory:events" in page.text
    assert page.links[TO] == PAGE
    assert "Delete…" not in page.text

    where = seen(operator.get("/streams/")).links["Delete…"]
    assert "Deletes the sandbox sandbox:one: 6 entries" in seen(operator.get(where)).text
    response = operator.post(where, {"reason": "done with it", "seen": "6"})
    assert "The sandbox sandbox:one was deleted." in seen(operator.get(response["Location"])).text
    assert not valkey.execute_command("KEYS", "sandbox:one*")
    assert "Sandboxes" not in seen(viewer.get("/streams/")).text
    assert "There is no such sandbox" in seen(viewer.get(PAGE), 404).text
    assert [access.begun.action for access in recent(5)] == ["delete-sandbox", "replay"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"q": "session:s-1", "to": STREAM}, "is one of the streams that evdash watches"),
        ({"q": "session:s-1", "to": f"{STREAM}:parked"}, "is one of the streams that evdash watches"),
        ({"q": "session:s-1", "to": "elsewhere"}, "elsewhere is no sandbox"),
        ({"q": "session:nobody", "to": TO}, "There is nothing to copy"),
        ({"q": "session:s-1", "to": TO, "expires": "31d"}, "after 30 days at the latest"),
    ],
)
def test_what_cannot_be_is_refused_and_in_the_access_log(
    operator: Client, valkey: redis.Redis, given: dict[str, str], sentence: str
) -> None:
    keys = valkey.execute_command("KEYS", "*")
    page = seen(operator.get(address("replay", **given)))
    assert "It cannot be done" in page.text
    assert sentence in page.text
    assert sentence in seen(operator.post(address("replay", **given), {"reason": "x"}), 409).text
    assert valkey.execute_command("KEYS", "*") == keys
    [access] = recent(5)
    assert (access.begun.action, access.succeeded) == ("replay", False)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"q": "", "to": TO}, "Say which events"),
        ({"q": "nonsense:x", "to": TO}, "is not a key"),
        ({"q": "session:s-1", "to": ""}, "This field is required"),
        ({"q": "session:s-1", "to": TO, "ids": "odd"}, "odd is not one of the available choices"),
        ({"q": "session:s-1", "to": TO, "expires": "soon"}, "'soon' is no time"),
    ],
)
def test_what_cannot_be_read_is_told_at_its_field(operator: Client, given: dict[str, str], sentence: str) -> None:
    page = seen(operator.get(address("replay", **given)), 400)
    assert sentence in page.text
    assert "What it would do" not in page.text


def test_the_browser_copies_fewer_than_the_command(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "ENTRIES_MAX", 5)
    assert "There are more than 5 entries" in seen(operator.get(address("replay", q="session:s-1", to=TO))).text


def test_only_what_a_replay_made_is_deleted(operator: Client, valkey: redis.Redis) -> None:
    valkey.execute_command("XADD", "sandbox:foreign", "1-0", "type", "foreign")
    for stream in (STREAM, "sandbox:foreign", "elsewhere"):
        page = seen(operator.post(address("delete-sandbox", stream=stream), {"reason": "x"}), 409)
        assert "It cannot be done" in page.text
    assert read_forward(valkey, "sandbox:foreign", after=None, count=9)[0].entry_id == EntryId(1, 0)
