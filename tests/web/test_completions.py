"""Completions of a value in the filter box."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evdash.web.pages import completions
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write


def answer(browser: Client, key: str, start: str = "", **parameters: str) -> list[dict[str, Any]]:
    response = browser.get("/completions/", {"key": key, "start": start, **parameters})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    values: list[dict[str, Any]] = response.json()["values"]
    return values


def values(browser: Client, key: str, start: str = "", **parameters: str) -> list[str]:
    return [each["value"] for each in answer(browser, key, start, **parameters)]


@pytest.fixture
def indexed(db: None, write: Write, index: Index) -> None:
    """Many events of one user, and few of others."""
    write(
        entry("1-1", type="session.started", session_id="s-emre", user_id="emre.yilmaz", model="m1"),
        entry("1-2", type="odd.type", session_id="s%1", user_id="zoe.becker", data='{"order": {"id": 77}}'),
        *(
            entry(f"2-{number}", type="message.added", session_id="s-ada", user_id=f"ada{number}")
            for number in range(20)
        ),
    )
    index()


@pytest.mark.usefixtures("indexed")
def test_values_of_few_events_are_found_by_their_beginning_in_any_usual_case(browser: Client) -> None:
    assert answer(browser, "user", "em") == [{"value": "emre.yilmaz", "count": 1}]
    assert values(browser, "user", "Zo") == ["zoe.becker"]
    assert values(browser, "user", "oe") == []
    assert values(browser, "type", "od") == ["odd.type"]
    assert values(browser, "session", "s-e") == ["s-emre"]
    assert values(browser, "model") == ["m1"]


@pytest.mark.usefixtures("indexed")
def test_sessions_users_and_types_beyond_the_sample_are_found_without_a_count(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evdash.web.pages.completions._counts", lambda *_: {})
    assert answer(browser, "user", "emre") == [{"value": "emre.yilmaz", "count": None}]
    assert values(browser, "type", "message") == ["message.added"]
    assert values(browser, "session", "s-emre") == ["s-emre"]


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize(
    "start", ["%", "_", "s_", "s-%", "\\", '"', "long" * 1_000], ids=lambda start: ascii(start[:9])
)
def test_a_beginning_is_not_a_pattern(browser: Client, start: str) -> None:
    assert values(browser, "session", start) == []


@pytest.mark.usefixtures("indexed")
def test_a_sign_of_patterns_is_found_as_itself(browser: Client) -> None:
    assert values(browser, "session", "s%") == ["s%1"]


@pytest.mark.usefixtures("indexed")
def test_there_are_few_values_and_the_filter_of_the_list_limits_them(browser: Client) -> None:
    assert len(values(browser, "user", "ada")) == completions.VALUES_MAX
    assert values(browser, "user", "", q="type:odd.type") == ["zoe.becker"]
    assert values(browser, "user", "em", q="user:zoe.becker") == ["emre.yilmaz"]  # an alternative
    assert values(browser, "session", "s", q="user:emre.yilmaz") == ["s-emre"]


@pytest.mark.usefixtures("indexed")
def test_streams_are_those_of_the_configuration_and_fields_those_of_the_newest_events(browser: Client) -> None:
    assert values(browser, "stream") == [STREAM, "other"]
    assert "data" in values(browser, "field.", "da")
    assert values(browser, "field.", "order") == ["order", "order.id"]
    assert values(browser, "field.session_id", "S-E") == ["s-emre"]
    assert values(browser, "latency", "1") == values(browser, "unknown", "1") == []


def test_entries_that_no_worker_has_committed_are_found(browser: Client, write: Write) -> None:
    write(entry("1-1", type="a", user_id="ada"))
    assert answer(browser, "user", "a") == [{"value": "ada", "count": 1}]


def test_an_invalid_filter_has_no_completions(browser: Client) -> None:
    response = browser.get("/completions/", {"key": "user", "q": "bad:key"})
    assert response.status_code == 400
    assert "Unknown key" in response.json()["error"]


def test_completions_need_a_sign_in(client: Client) -> None:
    response = client.get("/completions/", {"key": "user"})
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/sign-in/")


@pytest.mark.usefixtures("indexed")
def test_an_index_finds_users_and_sessions(browser: Client) -> None:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        values(browser, "user", "em")
    statements = [query["sql"] for query in captured if "eventlog_agentuser" in query["sql"]]
    assert statements
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(f"EXPLAIN QUERY PLAN {statement}")
                assert "SEARCH" in str(cursor.fetchall())
