"""The audit log's page: its filter, its exports and its links to what an action was about."""

from __future__ import annotations

import csv
import io
import json

import pytest
from django.test import Client

from evdash.audit_log.audit_log import recent, record
from tests.builders import STREAM
from tests.web.parsed_page import parse_page


@pytest.fixture
def recorded(browser: Client) -> Client:
    """A browser on three actions."""
    record("ada", "trim", stream=STREAM, detail={"title": f"Trim {STREAM}"}, reason="full", outcome="1 entry removed.")
    record("bob", "park", stream=STREAM, group="billing", detail={"title": "Park 2 entries"}, succeeded=False)
    record("ada", "sign-in", detail={"title": "=Sign in"})
    return browser


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ("", ["sign-in", "park", "trim"]),
        ("?who=ada", ["sign-in", "trim"]),
        ("?action=park", ["park"]),
        ("?object=BILLING", ["park"]),
        ("?object=memory", ["park", "trim"]),
        ("?who=ada&object=sign", ["sign-in"]),
        ("?who=nobody", []),
    ],
)
def test_actions_are_found_by_person_action_and_object(recorded: Client, query: str, actions: list[str]) -> None:
    page = parse_page(recorded.get(f"/audit-log/{query}"))
    titles = {"sign-in": "=Sign in", "park": "Park 2 entries", "trim": f"Trim {STREAM}"}
    assert page.texts("td.says > a:first-child") == [titles[action] for action in actions]
    assert page.has(".empty") == (not actions)
    lines = recorded.get(f"/audit-log.ndjson{query}").getvalue().splitlines()
    assert [json.loads(line)["action"] for line in lines if json.loads(line)["action"] != "export"] == actions[::-1]


def test_the_form_keeps_the_filter_and_offers_known_people(recorded: Client) -> None:
    page = parse_page(recorded.get("/audit-log/?who=bob"))
    assert page.texts("[name=who] option") == ["All people", "ada", "bob"]
    assert page.texts("[name=who] option[selected]") == ["bob"]
    assert page.links["NDJSON"] == "/audit-log.ndjson?who=bob"


def test_an_export_of_the_audit_log_is_in_the_audit_log(recorded: Client) -> None:
    text = recorded.get("/audit-log.csv?who=ada").getvalue().decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["who"], row["title"], row["state"]) for row in rows] == [
        ("ada", f"Trim {STREAM}", "done"),
        ("ada", "'=Sign in", "done"),  # not a formula
    ]
    [export, *_] = recent(1)
    assert export.title == "Export audit log, person ada as CSV"
    assert export.outcome == f"Exported 2 actions ({len(text.encode()):,} bytes)."
    page = parse_page(recorded.get("/audit-log/"))
    assert page.table("table.accesses")[0]["Outcome"] == "done"


def test_a_row_leads_to_what_the_action_was_about(recorded: Client) -> None:
    recorded.get("/events.ndjson?user=ada").getvalue()
    page = parse_page(recorded.get("/audit-log/"))
    assert page.links["Open exported events"] == "/events/?q=user%3Aada"
    assert page.links["Open parked entries"] == f"/streams/{STREAM}/parked/"
    assert page.links["Open group billing"] == f"/streams/{STREAM}/groups/billing/"
