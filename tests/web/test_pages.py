"""What each page says, from the stream alone, from the log, and when the stream has been trimmed behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from django.test import Client
from pytest_django.fixtures import Settings

from evdash import metrics
from evdash.events.entry import Entry
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

START_MS = 1_764_000_000_000


def conversation(session: str, user: str, offset_ms: int = 0, failing: bool = False) -> Iterator[Entry]:
    """Six events of a small session."""
    common = {"session_id": session, "user_id": user}
    steps: list[tuple[int, dict[str, str]]] = [
        (0, {"type": "session.started", "agent": "support", "model": "m-1"}),
        (1_000, {"type": "message.added", "role": "user", "content": "I want to fly", "tokens": "4"}),
        (
            2_500,
            {
                "type": "tool.called",
                "tool": "find",
                "call_id": "c1",
                "arguments": '{"origin":"JFK","destination":"SEA"}',
            },
        ),
        (
            3_000,
            {"type": "error.occurred", "tool": "find", "call_id": "c1", "error": "Error: no seats", "code": "E7"}
            if failing
            else {"type": "tool.returned", "tool": "find", "call_id": "c1", "result": '["HAT1"]', "latency_ms": "412"},
        ),
        (4_000, {"type": "message.added", "role": "assistant", "content": "Here you are", "tokens": "6"}),
        (5_000, {"type": "session.ended", "outcome": "resolved"}),
    ]
    for after_ms, fields in steps:
        at_ms = START_MS + offset_ms + after_ms
        yield entry(
            f"{at_ms}-0",
            type=fields["type"],
            timestamp=str(at_ms),
            **common,
            **{k: v for k, v in fields.items() if k != "type"},
        )


@pytest.fixture(params=["stream only", "log", "log behind a trimmed stream"])
def filled(request: pytest.FixtureRequest, write: Write, index: Index, valkey: redis.Redis, browser: Client) -> Client:
    """A browser on twelve events of two sessions and two users, one of them an error."""
    write(*conversation("s-1", "ada"), *conversation("s-2", "grace", 60_000, failing=True))
    if request.param != "stream only":
        index()
    if "trimmed" in request.param:
        valkey.execute_command("XTRIM", STREAM, "MAXLEN", "2")
    return browser


def test_the_overview_counts_and_leads_to_what_it_counted(filled: Client) -> None:
    page = parse_page(filled.get("/"))
    assert "Events 12" in page.text
    assert "Errors 1" in page.text
    assert "8.3 % of events" in page.text
    assert "Sessions 2" in page.text
    assert "Users 2" in page.text
    types = {text: link for text, link in page.links.items() if "message.added" in text}
    assert next(iter(types)).endswith("4")
    assert len(parse_page(filled.get(next(iter(types.values())))).rows) == 4
    assert page.rows == [f"{STREAM} {START_MS + 63_000}-0"]


def test_the_overview_says_for_a_minute_that_requests_were_refused(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "evdash is overloaded and refused requests (last: "
    monkeypatch.setattr(metrics, "REFUSED_WITHIN_S", 0.0)
    metrics.note_refusal("queue full")
    assert told not in parse_page(filled.get("/")).text
    monkeypatch.setattr(metrics, "REFUSED_WITHIN_S", 60.0)
    assert told in parse_page(filled.get("/")).text
    metrics.REQUEST_REFUSED.note(0.0)
    assert told not in parse_page(filled.get("/")).text


def test_events_stand_newest_first_with_a_sentence_and_facets(filled: Client) -> None:
    page = parse_page(filled.get("/events/"))
    assert len(page.rows) == 12
    assert page.rows[0] == f"{STREAM} {START_MS + 65_000}-0"
    assert "all events : 12 events, 1 error" in page.text
    assert "find JFK→SEA" in page.text
    assert {"ada", "grace", "s-1", "error.occurred"} <= set(page.values("data-value"))


def test_a_facet_adds_its_value_and_offers_the_others_as_alternatives(filled: Client) -> None:
    page = parse_page(filled.get("/events/", {"q": "type:session.started"}))
    assert len(page.rows) == 2
    ended = next(link for text, link in page.links.items() if text.startswith("session.ended"))
    both = parse_page(filled.get(ended))
    assert len(both.rows) == 4
    started = next(link for text, link in both.links.items() if text.startswith("session.started") and "type" in link)
    assert len(parse_page(filled.get(started)).rows) == 2


def test_errors_says_how_many_of_how_many(filled: Client) -> None:
    page = parse_page(filled.get("/errors/"))
    assert "errors : 1 of 12 events" in page.text
    assert "Error no seats" in page.text
    assert len(page.rows) == 1
    assert "errors of user ada : 0 of 6 events" in parse_page(filled.get("/errors/", {"user": "ada"})).text


def test_sessions_lists_what_matters_by_last_activity(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/"))
    assert page.text.index("s-2") < page.text.index("s-1")
    assert page.links["s-1"] == "/sessions/s-1/"
    assert "support" in page.text
    assert "resolved" in page.text


def test_a_session_shows_its_facts_its_timeline_and_its_events_in_order(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/s-2/"))
    assert [row.split()[1] for row in page.rows] == [
        f"{START_MS + 60_000 + after}-0" for after in (0, 1_000, 2_500, 3_000, 4_000, 5_000)
    ]
    assert "Length 5 s" in page.text
    assert "Errors 1" in page.text
    marks = page.values("data-mark")
    assert len(marks) == 6
    assert set(marks) == {value for value in page.values("id") if value.startswith("e-")}
    assert any("find, 500 ms from call to return" in text for text in [page.text])


def test_a_filter_on_a_session_page_stays_within_the_session(filled: Client) -> None:
    assert len(parse_page(filled.get("/sessions/s-2/", {"q": "type:message.added"})).rows) == 2
    assert len(parse_page(filled.get("/sessions/s-2/", {"q": "session:s-1"})).rows) == 6
    assert (
        parse_page(filled.get("/sessions/s-2/", {"q": "session:s-1"})).rows
        == parse_page(filled.get("/sessions/s-2/")).rows
    )


def test_a_user_page_is_complete_in_order_and_says_why(filled: Client) -> None:
    page = parse_page(filled.get("/users/grace/"))
    assert len(page.rows) == 6
    assert page.rows == sorted(page.rows)
    assert "Complete: 6 events in 1 session" in page.text
    assert "1 day with events" in page.text
    day = next(link for link in page.values("href") if "since%3A2025-11-24" in link)
    assert len(parse_page(filled.get(day)).rows) == 6


def test_users_are_listed_with_their_numbers(filled: Client) -> None:
    page = parse_page(filled.get("/users/"))
    assert page.links["ada"] == "/users/ada/"
    assert page.text.index("grace") < page.text.index("ada")


def test_live_shows_the_newest_end_and_where_to_go_on(filled: Client) -> None:
    page = parse_page(filled.get("/live/", {"q": "user:ada"}))
    assert len(page.rows) == 6
    assert page.values("data-live-query") == ["q=user%3Aada"]
    assert f"{START_MS + 65_000}-0" in page.values("data-live-cursor")[0]
    assert page.values("data-live-order") == ["newest-first"]


def test_streams_shows_length_and_groups(filled: Client, valkey: redis.Redis) -> None:
    page = parse_page(filled.get("/streams/"))
    assert f"Length {valkey.xlen(STREAM)}" in page.text
    assert "Added in total 12" in page.text
    assert "Stream does not exist yet" in page.text  # the other one of the settings


def test_an_event_opens_to_all_its_fields_with_filters_and_neighbours(filled: Client) -> None:
    page = parse_page(filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/"))
    assert "Error: no seats" in page.text
    assert "‹ Previous" in page.text
    assert "Next ›" in page.text
    include = next(link for text, link in page.links.items() if text == "+")
    assert "/events/?q=" in include
    assert len(parse_page(filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/", {"part": "opened"})).rows) == 0


def test_filtering_for_a_value_keeps_the_filter_of_the_list(filled: Client) -> None:
    opened = filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/", {"part": "opened", "q": "user:grace"})
    links = [link for link in parse_page(opened).values("href") if "code" in link]
    assert "/events/?q=user%3Agrace+field.code%3AE7" in links or "/events/?q=user%3Agrace+code%3AE7" in links


def test_what_is_not_there_says_so_with_status_404(filled: Client) -> None:
    assert "has this session ID." in parse_page(filled.get("/sessions/nobody/"), 404).text
    assert "has this user ID." in parse_page(filled.get("/users/nobody/"), 404).text
    assert "trimmed before" in parse_page(filled.get(f"/events/{STREAM}/5-5/"), 404).text
    assert filled.get(f"/events/{STREAM}/99999999999999999999-0/").status_code == 404


def test_htmx_gets_the_main_part_alone(filled: Client) -> None:
    part = filled.get("/events/", {"q": "is:error"}, headers={"HX-Request": "true"})
    html = part.content.decode()
    assert "<html" not in html
    assert "<title>Events · evdash</title>" in html
    assert 'hx-swap-oob="true"' in html
    assert len(parse_page(part).rows) == 1
    assert "HX-Request" in part["Vary"]
    whole = filled.get("/events/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in whole.content.decode()


@pytest.mark.parametrize("path", ["/", "/live/", "/sessions/", "/users/", "/errors/", "/events/", "/streams/"])
def test_with_nothing_written_every_page_teaches(browser: Client, valkey: redis.Redis, path: str) -> None:
    page = parse_page(browser.get(path))
    if path not in ("/streams/", "/errors/"):
        assert "XADD memory:events" in page.text
        assert {"redis-cli", "Python", "Go", "Node"} <= set(page.text.split())


def test_with_redis_down_the_log_is_shown_and_the_outage_said(
    browser: Client, write: Write, index: Index, settings: Settings
) -> None:
    write(*conversation("s-1", "ada"))
    index()
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    for path in ("/", "/live/", "/sessions/", "/sessions/s-1/", "/users/", "/users/ada/", "/errors/", "/events/"):
        page = parse_page(browser.get(path))
        assert "Showing the event log only." in page.text, path
        assert "Redis unreachable: event log only" in page.html
    assert len(parse_page(browser.get("/events/")).rows) == 6
    assert "newer events may be missing" in parse_page(browser.get("/users/ada/")).text
    assert "127.0.0.1:1" in parse_page(browser.get("/streams/")).text
    assert "no seats" not in parse_page(browser.get(f"/events/{STREAM}/{START_MS}-0/")).text


def test_simulated_events_are_marked_as_a_demonstration(browser: Client, write: Write) -> None:
    write(entry("1-1", type="x", simulated="1", session_id="s"))
    assert "Demo data from simulated agents" in parse_page(browser.get("/events/")).text
    for path in ("/", "/sessions/", "/sessions/s/", "/users/", "/streams/"):
        assert "Demo data from simulated agents" in parse_page(browser.get(path)).text


def test_a_persons_own_events_are_no_demonstration(browser: Client, write: Write) -> None:
    write(entry("1-1", type="x", session_id="s"))
    for path in ("/", "/events/", "/sessions/"):
        assert "Demo data from simulated agents" not in parse_page(browser.get(path)).text


def test_every_page_is_closed_to_strangers(db: None) -> None:
    for path in ("/", "/live/", "/sessions/", "/sessions/x/", "/users/x/", "/events/", "/events/a/1-1/", "/streams/"):
        answer = Client().get(path)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/")
    assert Client().get("/events.ndjson").status_code == 401


def test_downloads_agree_with_the_page(filled: Client) -> None:
    page = parse_page(filled.get("/events/", {"q": "user:grace"}))
    exported = filled.get(page.links["NDJSON"])
    lines = b"".join(exported.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == len(page.rows) == 6
    assert "attachment" in exported["Content-Disposition"]
    assert filled.get("/events.csv", {"q": "bad:key"}).status_code == 400


def test_an_empty_log_without_redis_does_not_claim_that_there_are_no_events(
    browser: Client, settings: Settings
) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    for path in ("/", "/events/", "/sessions/", "/users/"):
        page = parse_page(browser.get(path))
        assert "No events yet" not in page.text
        assert "the event log is empty" in page.text
