"""What each page says, from the stream alone, from the log, and when the stream has been trimmed behind it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from django.conf import settings as django_settings
from django.test import Client
from pytest_django.fixtures import Settings
from selectolax.lexbor import LexborNode

from evdash import metrics
from evdash.eventlog.models import LoggedEvent
from evdash.events.entry import Entry
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page, text_of

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
    assert {"Events": "12", "Errors": "1", "Sessions": "2", "Users": "2"}.items() <= page.facts.items()
    assert page.definitions["Errors"][:2] == ["1", "8.3 % of events"]
    types = dict(page.pairs(".shares:not(.outcomes) bdi", ".shares:not(.outcomes) .facet-count"))
    assert types == {
        "message.added": "4",
        "session.ended": "2",
        "session.started": "2",
        "tool.called": "2",
        "error.occurred": "1",
        "tool.returned": "1",
    }
    [address] = page.values("href", '.shares [data-key="message.added"] a')
    assert len(parse_page(filled.get(address)).rows) == 4
    assert page.rows == [f"{STREAM} {START_MS + 63_000}-0"]


def test_the_overview_has_error_groups_with_counts_and_the_newest_error(browser: Client, write: Write) -> None:
    write(*conversation("s-1", "ada", failing=True))
    write(entry(f"{START_MS + 70_000}-0", type="error.occurred", tool="find", error="Error: no seats", code="E7"))
    write(entry(f"{START_MS + 71_000}-0", type="error.occurred", error="timeout after 3 s"))
    page = parse_page(browser.get("/"))
    assert page.texts(".top-errors .figure") == ["2", "1"]
    assert page.texts(".top-errors .top-error")[0] == "E7 Error: no seats"
    assert page.rows == [f"{STREAM} {START_MS + 71_000}-0"]
    [address] = page.values("href", ".top-errors li:first-child a")
    assert len(parse_page(browser.get(address)).rows) == 2


def test_the_overview_compares_a_range_with_the_one_before(browser: Client, write: Write) -> None:
    now_ms = int(time.time() * 1000)
    ages_h = (30, 29, 3, 2, 1)
    write(*(entry(f"{now_ms - age * 3_600_000}-0", type="note") for age in ages_h))
    # The first event is within the day before: that day is not known whole.
    assert not parse_page(browser.get("/", {"since": "1d"})).has(".trend")
    write(entry(f"{now_ms}-0", type="note", timestamp=str(now_ms / 1000 - 50 * 3_600)))
    assert parse_page(browser.get("/", {"since": "1d"})).texts(".figures .trend") == ["+50 % vs previous 24 h"]
    assert not parse_page(browser.get("/", {"range": "all"})).has(".trend")  # nothing is before all events


def _current_range(browser: Client, address: str) -> tuple[str, list[str]]:
    page = parse_page(browser.get(address))
    return page.facts["Events"], page.texts(".ranges [aria-current]")


def test_the_overview_shows_the_last_day_unless_the_browser_had_another_range(browser: Client, write: Write) -> None:
    now_ms = int(time.time() * 1000)
    write(*(entry(f"{now_ms - minutes * 60_000}-0", type="note") for minutes in (3_000, 200, 1)))
    day, hour, everything = ("2", ["24 h"]), ("1", ["1 h"]), ("3", ["All"])
    assert _current_range(browser, "/") == day
    assert _current_range(browser, "/?since=1h") == hour
    assert _current_range(browser, "/?until=2100-01-01") == ("3", [])  # fixed ends are not remembered
    assert _current_range(browser, "/") == hour
    [address] = [
        link.attributes["href"] or ""
        for link in parse_page(browser.get("/")).all(".ranges a")
        if text_of(link) == "All"
    ]
    assert _current_range(browser, address) == everything
    assert _current_range(browser, "/") == everything
    browser.cookies[django_settings.OVERVIEW_COOKIE_NAME] = "2 weeks"
    assert _current_range(browser, "/") == day


def test_the_overview_shows_all_events_in_words_if_the_usual_range_is_empty(filled: Client) -> None:
    page = parse_page(filled.get("/"))
    assert page.texts("[data-key=empty-range]") == ["No events in the last 24 h. All events are shown."]
    assert (page.facts["Events"], page.texts(".ranges [aria-current]")) == ("12", ["All"])
    for address, events in (("/?since=1d", "0"), ("/?range=all", "12")):
        page = parse_page(filled.get(address))
        assert (page.facts["Events"], page.has("[data-key=empty-range]")) == (events, False)


def test_the_tiles_have_the_course_of_events_and_errors(filled: Client) -> None:
    page = parse_page(filled.get("/?range=all"))
    titles = page.texts(".figures .sparkline title")
    assert [title.partition(",")[0] for title in titles] == ["12 events", "1 error"]
    assert all(len(page.all(f".figures .sparkline .bar-{kind}")) <= 24 for kind in ("events", "errors"))
    assert not parse_page(filled.get("/?since=1d")).has(".figures .sparkline")


def test_the_top_users_of_the_overview_are_those_of_the_list(filled: Client, write: Write) -> None:
    now_ms = int(time.time() * 1000)
    write(*(entry(f"{now_ms + n}-0", type="note", session_id="s-9", user_id="eva") for n in range(9)))
    users = {"/?range=all": ["eva", "ada", "grace"], "/?since=1h": ["eva"]}
    for address, names in users.items():
        page = parse_page(filled.get(address))
        assert page.values("data-key", ".top-users tbody tr") == names
        assert page.texts(".top-users tbody tr:first-child td") == ["9", "1", "0"]
        assert page.facts["Users"] == str(len(names))
        [more] = page.values("href", "[data-key=top-users] h2 a")
        assert parse_page(filled.get(more)).values("data-key", "tbody tr") == names


def test_the_overview_names_the_start_of_the_chosen_range(filled: Client, write: Write) -> None:
    write(entry(f"{START_MS + 90_000}-0", type="message.added", timestamp=str(START_MS - 86_400_000)))

    def ends(query: str) -> tuple[str, list[str]]:
        number, what, *_ = parse_page(filled.get("/", {"q": query})).definitions["Events"]
        return number, re.findall(r"from|until|[-0-9]{10} [0-9:]{8}", what)

    since, until = "2025-11-24T16:00:00Z", "2025-11-24T16:01:00Z"
    chosen = {
        "": ("13", ["from", "2025-11-23 16:00:00"]),
        f"since:{since}": ("12", ["from", "2025-11-24 16:00:00"]),
        f"since:{since} until:{until}": ("6", ["from", "2025-11-24 16:00:00", "until", "2025-11-24 16:01:00"]),
        f"until:{since}": ("1", ["until", "2025-11-24 16:00:00"]),
    }
    assert {query: ends(query) for query in chosen} == chosen


def test_sessions_and_users_of_a_range_are_those_with_an_event_in_it(filled: Client, write: Write) -> None:
    """The entries of one session are written late: their times are long before those of the entries around them."""
    write(
        *(
            entry(
                f"{START_MS + 90_000 + n}-0", type="a", session_id="s-old", user_id="eva", timestamp=str(1_000_000 + n)
            )
            for n in range(5)
        ),
        entry(f"{START_MS + 95_000}-0", type="a", session_id="s-1", user_id="ada", timestamp=str(START_MS + 90_000)),
    )
    moments = [f"2025-11-24T16:0{minute}:00Z" for minute in range(3)]
    chosen: dict[str, tuple[set[str], set[str]]] = {
        "until:2000-01-01T00:00:00Z": ({"s-old"}, {"eva"}),
        "since:2100-01-01T00:00:00Z": (set(), set()),
        f"since:{moments[0]} until:{moments[1]}": ({"s-1"}, {"ada"}),
        f"since:{moments[1]}": ({"s-1", "s-2"}, {"ada", "grace"}),
        f"until:{moments[1]}": ({"s-1", "s-old"}, {"ada", "eva"}),
        "": ({"s-1", "s-2", "s-old"}, {"ada", "eva", "grace"}),
    }
    for query, (sessions, users) in chosen.items():
        page = parse_page(filled.get("/", {"q": query}))
        for figure, keys in (("Sessions", sessions), ("Users", users)):
            [address] = [link.attributes["href"] for link in page.all(".figures a") if _term(link) == figure]
            listed = parse_page(filled.get(address or ""))
            assert page.facts[figure] == str(len(keys)), (query, figure)
            assert set(listed.values("data-key", "tbody tr")) == keys, (query, figure)
            assert listed.texts(".chips bdi") == query.split()
            assert not listed.notices
            assert listed.has("main .empty") == (not keys)


def _term(link: LexborNode) -> str:
    assert link.parent
    assert link.parent.parent
    return text_of(link.parent.parent.css("dt")[0])


def test_a_list_of_a_range_names_its_limit(filled: Client, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index()
    monkeypatch.setattr("evdash.eventlog.selections.COUNT_MAX", 2)
    for path in ("/sessions/", "/users/"):
        assert parse_page(filled.get(path, {"since": "2025-01-01"})).notices, path
        assert not parse_page(filled.get(path)).notices, path
    assert parse_page(filled.get("/", {"since": "2025-01-01"})).facts["Sessions"] == "2+"


def test_a_list_of_sessions_refuses_an_invalid_range(filled: Client) -> None:
    assert "yesterday" in parse_page(filled.get("/sessions/?since=yesterday"), 400).text


def test_the_overview_does_not_know_the_rate_during_an_outage(filled: Client, settings: Settings) -> None:
    assert parse_page(filled.get("/")).facts["Rate"] == "0"
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    page = parse_page(filled.get("/"))
    assert "0" not in page.texts(".figures dd")
    if not LoggedEvent.objects.exists():
        assert not page.has(".figures"), "without a log nothing is known"
        return
    assert page.definitions["Rate"][0] == "unknown"
    assert page.definitions["Sessions"][1] == "active now: unknown"


def test_the_overview_says_for_a_minute_that_requests_were_refused(
    filled: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "REFUSED_WITHIN_S", 0.0)
    metrics.note_refusal("queue full")
    assert parse_page(filled.get("/")).notices == []
    monkeypatch.setattr(metrics, "REFUSED_WITHIN_S", 60.0)
    refused_at = metrics.refused_lately()
    [(level, sentence)] = parse_page(filled.get("/")).notices
    assert (level, f"{refused_at:%H:%M:%S} UTC" in sentence) == ("warning", True)
    metrics.REQUEST_REFUSED.note(0.0)
    assert parse_page(filled.get("/")).notices == []


def test_events_stand_newest_first_with_a_sentence_and_facets(filled: Client) -> None:
    page = parse_page(filled.get("/events/"))
    assert len(page.rows) == 12
    assert page.rows[0] == f"{STREAM} {START_MS + 65_000}-0"
    assert page.texts(".sentence") == ["12 events, 1 error"]
    assert page.texts(f'[data-entry="{STREAM} {START_MS + 2_500}-0"] .row-says') == ["find JFK→SEA"]
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
    assert page.pairs(".sentence bdi", ".counts") == [("errors", "1 of 12 events")]
    assert page.texts(".row .row-says") == ["Error no seats (E7, find)"]
    assert page.rows == [f"{STREAM} {START_MS + 63_000}-0"]
    of_ada = parse_page(filled.get("/errors/", {"user": "ada"}))
    assert of_ada.pairs(".sentence bdi", ".counts") == [("errors of user ada", "0 of 6 events")]


def test_sessions_lists_what_matters_by_last_activity(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/"))
    columns = ("Session", "Events", "Errors", "Agent", "Duration", "Outcome", "Messages", "Tool calls", "Tokens")
    assert page.cells(".results table", *columns) == [
        ("s-2 grace", "6", "1", "support", "5 s", "resolved", "2", "1", "10"),
        ("s-1 ada", "6", "0", "support", "5 s", "resolved", "2", "1", "10"),
    ]
    assert page.links["s-1"] == "/sessions/s-1/"


def test_a_session_shows_its_facts_its_timeline_and_its_events_in_order(filled: Client) -> None:
    page = parse_page(filled.get("/sessions/s-2/"))
    assert [row.split()[1] for row in page.rows] == [
        f"{START_MS + 60_000 + after}-0" for after in (0, 1_000, 2_500, 3_000, 4_000, 5_000)
    ]
    assert {
        "User": "grace",
        "Duration": "5 s",
        "Events": "6",
        "Errors": "1",
        "Tokens": "10",
    }.items() <= page.facts.items()
    marks = page.values("data-mark")
    assert len(marks) == 6
    assert set(marks) == {value for value in page.values("id") if value.startswith("e-")}
    assert page.texts(".timeline .call title") == ["find, 500 ms from call to return"]


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
    assert (page.facts["Events"], page.facts["Sessions"], page.facts["Errors"]) == ("6", "1", "1")
    [sentence] = page.texts(".completeness:not(.is-incomplete)")
    assert "6 events in 1 session" in sentence
    assert page.texts(".head-panel .pill") == ["Complete"]
    assert page.texts(".fact-values a") == ["support", "m-1", "find"]
    filtered = parse_page(filled.get("/users/grace/", {"q": "type:session.ended"}))
    assert filtered.texts(".fact-values a") == ["support", "m-1", "find"]
    assert page.values("aria-label", ".calendar a") == ["Mon 24 Nov 2025: 6 events, 1 error"]
    day = next(link for link in page.values("href") if "since%3A2025-11-24" in link)
    assert len(parse_page(filled.get(day)).rows) == 6


def test_users_are_listed_with_their_numbers(filled: Client) -> None:
    page = parse_page(filled.get("/users/"))
    assert page.links["ada"] == "/users/ada/"
    assert page.cells(".results table", "User", "Events", "Errors", "Sessions") == [
        ("grace", "6", "1", "1"),
        ("ada", "6", "0", "1"),
    ]


def test_live_shows_the_newest_end_and_where_to_go_on(filled: Client) -> None:
    page = parse_page(filled.get("/live/", {"q": "user:ada"}))
    assert len(page.rows) == 6
    assert page.values("data-live-query") == ["q=user%3Aada"]
    assert f"{START_MS + 65_000}-0" in page.values("data-live-cursor")[0]
    assert page.values("data-live-order") == ["newest-first"]


def test_streams_shows_length_and_groups(filled: Client, valkey: redis.Redis) -> None:
    page = parse_page(filled.get("/streams/"))
    assert page.facts["Length"] == str(valkey.xlen(STREAM))
    assert page.facts["Added in total"] == "12"
    assert page.texts(".stream:has(.absent) h2") == ["other"]


def test_an_event_opens_to_all_its_fields_with_filters_and_neighbours(filled: Client) -> None:
    page = parse_page(filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/"))
    assert dict(page.pairs(".fields:not(.raw) th", ".fields:not(.raw) td:first-of-type")) == {
        "type": "error.occurred",
        "timestamp": str(START_MS + 63_000),
        "session_id": "s-2",
        "user_id": "grace",
        "tool": "find",
        "call_id": "c1",
        "error": "Error: no seats",
        "code": "E7",
    }
    for step, after_ms in (("previous", 62_500), ("next", 64_000)):
        [neighbour] = page.values("href", f'[data-step="{step}"]')
        assert neighbour == f"/events/memory%3Aevents/{START_MS + after_ms}-0/"
    include = page.values("href", '[title="Filter for this value"]')[0]
    assert "/events/?q=" in include
    assert len(parse_page(filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/", {"part": "opened"})).rows) == 0


def test_filtering_for_a_value_keeps_the_filter_of_the_list(filled: Client) -> None:
    opened = filled.get(f"/events/{STREAM}/{START_MS + 63_000}-0/", {"part": "opened", "q": "user:grace"})
    links = [link for link in parse_page(opened).values("href") if "code" in link]
    assert "/events/?q=user%3Agrace+field.code%3AE7" in links or "/events/?q=user%3Agrace+code%3AE7" in links


def test_what_is_not_there_says_so_with_status_404(filled: Client) -> None:
    for path, subject in (
        ("/sessions/nobody/", "nobody"),
        ("/users/nobody/", "nobody"),
        (f"/events/{STREAM}/5-5/", f"5-5 of {STREAM}"),
    ):
        page = parse_page(filled.get(path), 404)
        assert page.texts(".said-subject") == [subject]
        assert page.buttons == ["Sessions", "All events"]  # and no search: all of it was read
    assert filled.get(f"/events/{STREAM}/99999999999999999999-0/").status_code == 404


def test_htmx_gets_the_main_part_alone(filled: Client) -> None:
    part = filled.get("/events/", {"q": "is:error"}, headers={"HX-Request": "true"})
    page = parse_page(part)
    assert "<html" not in page.html
    assert page.texts("head title") == ["Events · evdash"]
    assert page.values("hx-swap-oob", "#state") == ["true"]
    assert len(page.rows) == 1
    assert "HX-Request" in part["Vary"]
    whole = filled.get("/events/", headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
    assert "<html" in whole.content.decode()


@pytest.mark.parametrize("path", ["/", "/live/", "/sessions/", "/users/", "/events/"])
def test_with_nothing_written_every_page_teaches(browser: Client, valkey: redis.Redis, path: str) -> None:
    page = parse_page(browser.get(path))
    assert page.texts(".no-events summary") == ["redis-cli", "Python", "Go", "Node"]
    assert " XADD memory:events " in page.texts(".no-events pre")[0]


def test_with_nothing_written_no_error_and_no_stream_is_shown(browser: Client, valkey: redis.Redis) -> None:
    assert parse_page(browser.get("/errors/")).has(".no-errors")
    assert len(parse_page(browser.get("/streams/")).all(".stream .absent")) == 2


def test_with_redis_down_the_log_is_shown_and_the_outage_said(
    browser: Client, write: Write, index: Index, settings: Settings
) -> None:
    write(*conversation("s-1", "ada"))
    index()
    settings.EVDASH = replace(settings.EVDASH, redis_url="redis://127.0.0.1:1")
    for path in (
        "/",
        "/live/",
        "/sessions/",
        "/sessions/s-1/",
        "/users/",
        "/users/ada/",
        "/errors/",
        "/events/",
        "/streams/",
    ):
        page = parse_page(browser.get(path))
        [(level, sentence)] = page.notices
        assert (level, "127.0.0.1:1" in sentence) == ("error", True), path
        assert page.has("#state.state-down"), path
    assert len(parse_page(browser.get("/events/")).rows) == 6
    assert parse_page(browser.get("/users/ada/")).has(".completeness.is-incomplete")
    assert parse_page(browser.get(f"/events/{STREAM}/{START_MS}-0/")).facts["Session"] == "s-1"


@pytest.mark.parametrize(("fields", "is_demonstration"), [({"simulated": "1"}, True), ({}, False)])
def test_simulated_events_are_marked_as_a_demonstration(
    browser: Client, write: Write, fields: dict[str, str], is_demonstration: bool
) -> None:
    write(entry("1-1", type="x", session_id="s", **fields))
    for path in ("/", "/events/", "/sessions/", "/sessions/s/", "/users/", "/streams/"):
        assert parse_page(browser.get(path)).has(".notice-demo") == is_demonstration, path


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
        assert page.has(".empty.redis-down")
        assert not page.has(".no-events")


def test_a_long_id_is_cut_in_its_middle_and_whole_in_its_title(browser: Client, write: Write) -> None:
    user = "customer-0123456789-of-europe-west"
    write(entry(f"{START_MS}-0", type="note", user_id=user, session_id=f"{user}-session"))
    page = parse_page(browser.get("/events/"))
    assert page.texts("a.row-who") == ["customer…rope-west"]
    assert page.values("title", "a.row-who") == [user]
    assert page.values("title", "a.row-session") == [f"{user}-session"]


def test_a_list_of_events_names_its_columns_and_live_has_no_ranges(filled: Client) -> None:
    page = parse_page(filled.get("/live/"))
    assert page.texts(".row-head")[0].split() == ["Time", "Type", "User", "Summary", "Duration", "Session"]
    assert not page.has('[aria-label="Time range"]')
    assert parse_page(filled.get("/events/")).has('[aria-label="Time range"]')
    assert parse_page(filled.get("/live/?q=since:1h")).has(".chips")
