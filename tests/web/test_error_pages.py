"""Error pages: inside the frame for people who are signed in, plain for others."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import BadRequest
from django.db import DataError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django.fixtures import Settings

from evdash.config import urls
from evdash.config.urls import handler400, handler403, handler404, handler500
from tests.logged import written
from tests.web.parsed_page import parse_page

__all__ = ["handler400", "handler403", "handler404", "handler500"]

ERRORS = {"fault": ValueError, "refused": BadRequest, "data": DataError, "outage": OperationalError}


def fails(request: HttpRequest, error: str) -> HttpResponse:
    raise ERRORS[error]


urlpatterns = [*urls.urlpatterns, path("fails/<error>/", fails)]


@pytest.fixture
def failing(browser: Client, settings: Settings) -> Client:
    """A signed-in browser that gets the error pages of views that fail."""
    settings.ROOT_URLCONF = __name__
    browser.raise_request_exception = False
    return browser


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


@pytest.mark.parametrize(
    ("error", "status", "title"), [("fault", 500, "Internal error"), ("refused", 400, "Invalid request")]
)
def test_an_error_keeps_the_rail_and_names_its_id_in_the_log(
    failing: Client, error: str, status: int, title: str
) -> None:
    with written("json", "django.request") as output:
        page = parse_page(failing.get(f"/fails/{error}/"), status)
    assert page.texts("h1") == [title]
    assert page.has(".rail [data-go=s]")
    assert page.has("form.topsearch")
    [record] = map(json.loads, output.getvalue().splitlines())
    assert f"The server log has the cause under ID {record['error_id']}." in page.texts(".said-reason")[0]


@pytest.mark.parametrize(
    ("error", "status", "title"), [("data", 500, "Internal error"), ("outage", 503, "Database unavailable")]
)
def test_an_error_of_sql_has_a_plain_page_that_reads_no_sql(
    failing: Client, error: str, status: int, title: str
) -> None:
    with written("json", "django.request") as output:
        page = parse_page(failing.get(f"/fails/{error}/"), status)
    assert page.texts("h1") == [title]
    assert not page.has(".rail")
    [record] = map(json.loads, output.getvalue().splitlines())
    assert record["error_id"] in page.text


def test_a_fault_whose_rail_fails_too_has_a_plain_page(failing: Client, settings: Settings) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "htmx" not in each]
    page = parse_page(failing.get("/fails/fault/"), 500)
    assert page.texts("h1") == ["Internal error"]
    assert not page.has(".rail")


def test_an_expired_form_keeps_the_rail(browser: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    page = parse_page(strict.post("/views/", {"name": "mine"}), 403)
    assert page.texts("h1") == ["Form expired"]
    assert page.has(".rail [data-go=s]")
    page = parse_page(Client(enforce_csrf_checks=True).post("/sign-in/"), 403)
    assert page.texts("h1") == ["Form expired"]
    assert not page.has(".rail")
