"""Outcomes of sessions: counted on Overview and Sessions, and a filter of the list."""

from __future__ import annotations

from collections import Counter

import pytest
from django.test import Client

from evdash.events.summaries import Outcome
from tests.builders import entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

pytestmark = pytest.mark.django_db

# session: outcome, None for a session without an end
ENDS = {"a": "resolved", "b": "unresolved", "c": "unresolved", "d": "", "e": None, "f": None, "g": "a & <b>"}
BASE_MS = 1_764_000_000_000
WRITTEN = [
    *(
        entry(f"{BASE_MS + place * 60_000}-0", type="session.started", session_id=name, user_id="u")
        for place, name in enumerate(ENDS)
    ),
    *(
        entry(f"{BASE_MS + 600_000 + place}-0", type="session.ended", session_id=name, user_id="u", outcome=outcome)
        for place, (name, outcome) in enumerate(ENDS.items())
        if outcome is not None
    ),
]
COUNTED = Counter(Outcome(end or "", end is not None) for end in ENDS.values())


@pytest.mark.parametrize("is_logged", [True, False])
def test_each_number_leads_to_as_many_sessions(browser: Client, write: Write, index: Index, is_logged: bool) -> None:
    write(*WRITTEN)
    if is_logged:
        index()
    overview = parse_page(browser.get("/"))
    numbers = dict(overview.pairs(".outcomes bdi", ".outcomes .facet-count"))
    assert numbers == {
        "unresolved": "2", "not ended": "2", "resolved": "1", "no outcome": "1", "a & <b>": "1",
    }  # fmt: skip
    for address, number in zip(overview.values("href", ".outcomes a"), numbers.values(), strict=True):
        page = parse_page(browser.get(address))
        assert len(page.table(".results table")) == int(number)
        assert page.texts(".counts") == [f"{number} session{'s' * (number != '1')}"]
        [everything] = page.values("href", '[data-facet="outcome"] [aria-current]')
        assert len(parse_page(browser.get(everything)).table(".results table")) == len(ENDS)


def test_outcomes_are_those_of_the_range(browser: Client, write: Write, index: Index) -> None:
    write(*WRITTEN)
    index()
    page = parse_page(browser.get("/sessions/?q=until:2025-11-24T16:02:30Z"))
    facet = '[data-facet="outcome"]'
    assert page.pairs(f"{facet} bdi", f"{facet} .facet-count") == [("unresolved", "2"), ("resolved", "1")]
    [address] = [href for href in page.values("href", f"{facet} a") if "unresolved" in href]
    assert len(parse_page(browser.get(address)).table(".results table")) == 2


def test_the_former_parameters_of_an_outcome_still_work(browser: Client, write: Write) -> None:
    write(*WRITTEN)
    assert len(parse_page(browser.get("/sessions/?outcome=unresolved")).table(".results table")) == 2
    assert len(parse_page(browser.get("/sessions/?ended=no&user=u")).table(".results table")) == 2
    assert browser.get("/sessions/?outcome=a&ended=no").status_code == 200
    assert browser.get("/sessions/?ended=perhaps").status_code == 400
