"""While events of the log are those of an older decoder, every page states it, and afterwards filters find them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.test import Client

from evdash.eventlog.decoders import redecoding_progress
from evdash.ingest import redecoding as redecoding_module
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.redecoding import Redecoding
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM, entry
from tests.ingest.older_decoder import all_workers_stop, decode_as_before, older_decoder
from tests.web.conftest import Write
from tests.web.parsed_page import Page, parse_page

pytestmark = pytest.mark.django_db
GROUP = "evdash-audit"

Search = Callable[[], Page]


@pytest.fixture
def search(browser: Client) -> Search:
    """The page of a filter whose key the older decoder did not know."""
    return lambda: parse_page(browser.get("/events/?q=agent%3Aplanner"))


@pytest.fixture
def work(valkey: redis.Redis, write: Write, monkeypatch: pytest.MonkeyPatch) -> Redecoding:
    """Four events in the log, written by an older decoder whose worker has stopped; two rows are decoded at a time."""
    monkeypatch.setattr(redecoding_module, "BATCH", 2)
    monkeypatch.setattr(redecoding_module, "BUDGET_S", 0.0)
    write(*(entry(f"{number}-0", type="message.added", session_id="s", agent="planner") for number in range(1, 5)))
    projection = AuditProjection(GROUP)
    worker = Worker(GroupConsumer(valkey, GROUP, "c"), projection, [STREAM], batch_size=9, decode=decode_as_before)
    with older_decoder():
        worker.connect()
        while worker.step():
            pass
    all_workers_stop()
    return Redecoding(projection, "", [STREAM])


def test_a_new_filter_key_finds_older_events_and_pages_state_when_it_does_not(search: Search, work: Redecoding) -> None:
    page = search()
    assert page.rows == []
    assert page.notices == [
        (
            "warning",
            "Another version, or other upcasters, decoded 4 of 4 events. Filters may miss some of them until a worker "
            "of this version (manage.py work) has decoded them again.",
        )
    ]

    work.step()
    page = search()
    assert len(page.rows) == 2
    assert page.notices == [
        (
            "warning",
            "Re-decoding 2 of 4 events after an upgrade. Filters may miss some of them until it has finished.",
        )
    ]

    while redecoding_progress([GROUP]) is not None:
        work.step()
    page = search()
    assert len(page.rows) == 4
    assert page.notices == []


def levels(browser: Client, where: str) -> list[str]:
    """The levels of the page's notices."""
    return [level for level, _ in parse_page(browser.get(where)).notices]


def test_pages_state_that_numbers_are_counted_again(browser: Client, work: Redecoding) -> None:
    while (left := redecoding_progress([GROUP])) is not None and left.rows_left:
        work.step()
        assert levels(browser, "/sessions/") == ["warning"]
    if redecoding_progress([GROUP]) is not None:
        assert levels(browser, "/") == ["warning"]
    while redecoding_progress([GROUP]) is not None:
        work.step()
    assert levels(browser, "/") == []
    assert parse_page(browser.get("/sessions/s/")).facts["Agent"] == "planner"
