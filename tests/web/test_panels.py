"""The latencies on the overview and the groups on the errors page: of what no worker has carried over, too."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from tests.builders import raw_entry
from tests.web.conftest import Write

pytestmark = pytest.mark.django_db


def test_the_overview_says_how_long_operations_take(browser: Client, write: Write) -> None:
    for i in range(1, 11):
        fields = {"type": "tool.returned", "tool": "search", "latency_ms": str(100 * i)}
        write(raw_entry(*fields.items(), entry_id=f"170000000000{i}-0"))
    html = browser.get("/").content.decode()
    found = re.search(r"p50 (\d+) ms", html)
    assert found
    assert int(found[1]) == pytest.approx(500, rel=0.05)
    assert '<a href="/events/?q=tool%3Asearch"><bdi>search</bdi></a>' in html


def test_errors_are_gathered_and_lead_to_their_like(browser: Client, write: Write) -> None:
    for i in range(12):
        fields = {"type": "error.occurred", "error": f"{'no' * (i // 2)} seat on flight HAT{i}", "error_code": "full"}
        write(raw_entry(*fields.items(), ("session_id", f"s{i}"), entry_id=f"17000000000{i:02}-0"))
    html = browser.get("/errors/").content.decode()
    assert "Error groups (6)" in html
    assert html.count("seat on flight &lt;name&gt;</bdi>") == 6
    address = "/errors/?q=type%3Aerror.occurred+code%3Afull+%22seat+on+flight%22"
    assert f'href="{address}"' in html
    assert "12 of 12 events" in browser.get(address).content.decode()
    assert 'href="?groups=all"' not in html


def test_more_groups_than_a_few_are_shown_when_asked_for(browser: Client, write: Write) -> None:
    for i in range(10):
        write(raw_entry(("type", "error.occurred"), ("error", "x" * (i + 1)), entry_id=f"170000000000{i}-0"))
    html = browser.get("/errors/").content.decode()
    assert html.count("<tr data-key=") == 8
    assert browser.get("/errors/?groups=all").content.decode().count("<tr data-key=") == 10
    assert "Show all 10 groups" in html
