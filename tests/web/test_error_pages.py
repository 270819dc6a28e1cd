"""Error pages: inside the frame for people who are signed in, plain for others."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.web.parsed_page import parse_page


def test_an_unknown_address_keeps_the_rail_and_the_search(browser: Client) -> None:
    page = parse_page(browser.get("/nowhere/<i>/"), 404)
    assert page.texts("h1") == ["Page not found"]
    assert page.texts(".said-subject") == ["/nowhere/<i>/"]
    assert page.has(".rail [data-go=s]")
    assert page.has("form.topsearch")


def test_an_operation_of_a_viewer_keeps_the_rail_and_names_the_remedy(browser: Client) -> None:
    page = parse_page(browser.get("/streams/operations/trim/?stream=memory:events"), 403)
    assert page.texts("h1") == ["Operator role required"]
    assert "manage.py sign_in_link --operator" in page.texts(".said code")[0]
    assert page.has(".rail [data-go=s]")


@pytest.mark.django_db
def test_others_get_a_page_without_anything_of_evdash(client: Client) -> None:
    page = parse_page(client.get("/nowhere/"), 404)
    assert page.texts("h1") == ["Page not found"]
    assert not page.has(".rail")
