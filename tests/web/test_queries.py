"""A request is parsed once, into a query object that also makes the URLs of its page."""

from __future__ import annotations

import ast
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from django.http import QueryDict
from django.test import RequestFactory
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from evdash.config.environment import CHECKOUT
from evdash.events.entry import EntryId
from evdash.events.filters.event_filter import EventFilter
from evdash.events.filters.summary_filter import SESSIONS
from evdash.web.event_list.list_query import InvalidQuery, ListQuery, PageCursor
from evdash.web.pages.compare.presenter import CompareQuery
from evdash.web.pages.errors import ErrorsPageQuery
from evdash.web.pages.registry import PAGES
from evdash.web.pages.session.query import PINS_MAX, FindQuery, SessionPageQuery
from evdash.web.summary_list.query import SummaryListQuery
from evdash.web.urls import VIEWS
from tests.builders import event

MODULES = sorted((CHECKOUT / "evdash").rglob("*.py"))
NOW = datetime(2026, 11, 23, 14, tzinfo=UTC)


def reads(tree: ast.AST) -> set[int]:
    """Return the lines that read `.GET`."""
    return {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "GET"}


def test_only_query_objects_read_the_query_string() -> None:
    others, readers = set(), 0
    for path in MODULES:
        tree = ast.parse(path.read_text())
        allowed = set()
        for owner in tree.body:
            if isinstance(owner, ast.ClassDef) and owner.name.endswith("Query"):
                for method in owner.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "from_request" and reads(method):
                        allowed |= reads(method)
                        readers += 1
        if reads(tree) - allowed:
            others.add(str(path.relative_to(CHECKOUT / "evdash")))
    # The frame of every page compares the names of the parameters with those of the page. The middleware checks each
    # text for NUL and its length, whatever its name.
    assert others == {"web/page.py", "web/input_limits.py"}
    assert readers > 8


def test_only_links_and_filters_encode_query_strings() -> None:
    encoders = {
        str(path.relative_to(CHECKOUT / "evdash"))
        for path in MODULES
        if any(isinstance(n, ast.Name) and n.id == "urlencode" for n in ast.walk(ast.parse(path.read_text())))
    }
    assert encoders == {"web/links.py", "events/filters/event_filter.py"}


def test_every_page_has_a_view() -> None:
    assert VIEWS.keys() == {page.name for page in PAGES}
    assert {page.below for page in PAGES if page.below} <= {page.name for page in PAGES if page.rail}


def list_query(address: str) -> ListQuery:
    """Return the list query of an address of the events page."""
    return ListQuery.from_request(RequestFactory().get(address))


def session_query(url: str) -> SessionPageQuery:
    """Return the query of a URL that is relative to the page of session s."""
    return SessionPageQuery.from_request(RequestFactory().get(f"/sessions/s/{url}"), "s")


def parameters(url: str) -> list[tuple[str, str]]:
    """Return the parameters of a URL in order."""
    params = QueryDict(urlsplit(url).query)
    return [(name, value) for name in params for value in params.getlist(name)]


def test_the_url_of_a_list_is_parsed_to_the_same_query() -> None:
    first = list_query("/events/?q=type:message.added&severity=error&after=5-0@memory:events")
    assert list_query(first.url(after=first.cursor.after)) == first
    assert first.url() == "/events/?q=type%3Amessage.added+severity%3Aerror"
    assert list_query(first.url(at_end=True)).cursor == PageCursor(is_far_end=True)
    assert list_query(first.url(EventFilter(), shows_all=True)).rows > first.rows


def test_an_invalid_filter_stays_in_the_urls_as_written() -> None:
    query = list_query("/events/?q=colour:red&errors=1")
    assert query.filter.problem
    assert query.filter.text == "colour:red"
    assert parameters(query.url()) == [("q", "colour:red"), ("errors", "1")]


def test_a_list_of_sessions_keeps_its_filters_order_and_columns() -> None:
    address = "/sessions/?with=tool%3Abook&except=is%3Aerror&sort=-calls&columns=calls&q=user%3Aa%26b"
    query = SummaryListQuery.from_request(RequestFactory().get(f"{address}&skip=50"), SESSIONS)
    assert query.url() == address
    assert query.position.skip == 50
    without = query.toggled("tool", "book")
    assert without.toggled("tool", "book").also == query.also
    assert without.also == ()


@pytest.mark.parametrize(
    "wrong", ["sort=colour", "skip=-1", "skip=x", "skip=99999999", "with=colour:red", "except=tool:", "with=a&" * 21]
)
def test_an_invalid_list_of_sessions_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidQuery):
        SummaryListQuery.from_request(RequestFactory().get(f"/sessions/?{wrong}"), SESSIONS)


@pytest.mark.parametrize("wrong", ["before=1-0@x&after=1-0@x", "after=x", "paused=x", "at=x"])
def test_an_invalid_position_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidQuery):
        list_query(f"/events/?{wrong}")


@pytest.mark.parametrize("wrong", ["view=tree", "vs=x", "pin=..", "at=x"])
def test_an_invalid_part_of_a_session_page_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidQuery):
        session_query(f"?{wrong}")


@given(
    at=st.integers(0, 99),
    view=st.sampled_from(["events", "raw", "conversation"]),
    text=st.text(max_size=5),
    pins=st.lists(st.sampled_from(["totals.events", "tokens.total", "memory.context"]), unique=True),
    vs=st.none() | st.integers(0, 99),
)
def test_the_urls_of_a_session_page_keep_all_but_what_they_change(
    at: int, view: str, text: str, pins: list[str], vs: int | None
) -> None:
    own = EventFilter().also("text", text) if text.strip() else EventFilter()
    params = QueryDict(mutable=True)
    params.update({"at": f"{at}-0", "q": own.text(), "view": view, **({} if vs is None else {"vs": f"{vs}-0"})})
    params.setlist("pin", pins)
    query = session_query(f"?{params.urlencode()}")

    assert session_query(query.selected) == query
    assert session_query(query.in_view("raw")).list.view == "raw"
    assert session_query(query.compared_with(None)).vs is None
    assert [session_query(query.unpinned(path)).pins for path in query.pins] == [
        tuple(other for other in query.pins if other != path) for path in query.pins
    ]
    assert session_query(query.around(EntryId(7, 0))).at == EntryId(7, 0)
    assert session_query(query.state).part == "state"
    assert FindQuery.from_request(RequestFactory().get(query.search("error", "next", EntryId(3, 0)))).start == EntryId(
        3, 0
    )


def test_a_full_panel_takes_no_more_paths() -> None:
    pins = "&".join(f"pin=totals.a{number}" for number in range(PINS_MAX))
    query = session_query(f"?at=1-0&{pins}")
    assert len(query.pins) == PINS_MAX
    assert query.pinned(("totals", "events")) == ""


@pytest.mark.parametrize("q", ["type:error.occurred", "colour:red"])
def test_a_filter_that_hides_the_event_is_taken_off(q: str) -> None:
    hidden = event("5-0", session_id="s", type="message.added")
    url = session_query(f"?q={q}&view=raw").showing(hidden, NOW)
    assert parameters(url) == [("at", "5-0"), ("view", "raw"), ("taken_off", q)]


def test_all_groups_keep_the_filter() -> None:
    query = ErrorsPageQuery.from_request(RequestFactory().get("/errors/?q=tool:search"))
    assert parameters(query.with_all_groups()) == [("q", "tool:search"), ("groups", "all")]


def test_a_comparison_is_swapped_with_its_folds() -> None:
    query = CompareQuery.from_request(RequestFactory().get("/compare/?a=x&b=y&from=200&same=shown"))
    assert query.swapped == f"{reverse('compare')}?a=y&b=x&same=shown"
