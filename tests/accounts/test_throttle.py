"""The throttle of passwords: per name and address, per name, and per address."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django.fixtures import Settings

from evdash.accounts.client_address import UNKNOWN, client_address, client_network, report_unknown_address
from evdash.accounts.one_time_links import create_link
from evdash.accounts.throttle import PER_ADDRESS, PER_NAME, PER_NAME_AND_ADDRESS
from tests.logged import logged

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def mia() -> User:
    return User.objects.create_user("mia", password=PASSWORD)


def attempt(name: str, password: str = "wrong", *, address: str = "192.0.2.1", **more: str) -> int:
    """The status of one attempt from an address."""
    return Client(REMOTE_ADDR=address, **more).post("/sign-in/", {"username": name, "password": password}).status_code


def test_one_address_cannot_try_many_names(client: Client) -> None:
    for number in range(PER_ADDRESS):
        attempt(f"user-{number}")

    assert attempt("mia", PASSWORD) == 429
    assert attempt("mia", PASSWORD, address="192.0.2.2") == 302


def test_one_name_cannot_be_tried_from_many_addresses() -> None:
    for number in range(PER_NAME):
        attempt("mia", address=f"192.0.2.{number + 1}")

    assert attempt("mia", PASSWORD, address="198.51.100.1") == 429
    assert attempt("max", address="198.51.100.1") == 200


def test_a_blocked_name_still_gets_in_by_a_link(mia: User) -> None:
    for number in range(PER_NAME):
        attempt("mia", address=f"192.0.2.{number + 1}")

    assert Client().post(create_link(mia)).status_code == 302


def test_another_browser_at_the_same_address_does_not_start_again() -> None:
    for number in range(PER_NAME_AND_ADDRESS):
        attempt("mia", headers={"User-Agent": f"browser {number}"})  # type: ignore[arg-type]

    assert attempt("mia", PASSWORD) == 429


def test_a_sign_in_forgets_the_mistakes_of_this_name_but_not_those_for_other_names() -> None:
    User.objects.create_user("eve", password=PASSWORD)
    for number in range(PER_ADDRESS - 2):
        attempt(f"user-{number}")
    attempt("eve")
    assert attempt("eve", PASSWORD) == 302

    assert attempt("user-x") == 200
    assert attempt("user-y") == 429


def test_a_block_ends() -> None:
    for _ in range(PER_NAME_AND_ADDRESS):
        attempt("mia")
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))

    assert attempt("mia", PASSWORD) == 302


def test_the_page_names_the_limit_and_the_time() -> None:
    for number in range(PER_ADDRESS):
        attempt(f"user-{number}")

    refused = Client(REMOTE_ADDR="192.0.2.1").post("/sign-in/", {"username": "mia", "password": PASSWORD})

    assert "Too many failed attempts from your address." in refused.content.decode()
    assert refused["Retry-After"] == "900"


def test_an_attempt_stores_neither_the_name_nor_the_form() -> None:
    form = {"username": "what-mia-typed", "password": "wrong", "more": "x" * 4_000}
    Client().post("/sign-in/?next=/what-mia-typed", form)

    [kept] = AccessAttempt.objects.values()
    assert len(str(kept)) < 1_000
    assert "what-mia-typed" not in str(kept)


def test_addresses_of_one_network_are_one_address() -> None:
    for number in range(PER_ADDRESS):
        attempt(f"user-{number}", address=f"2001:db8:0:1::{number + 1:x}")

    assert attempt("mia", PASSWORD, address="2001:db8:0:1:ffff::1") == 429
    assert attempt("mia", PASSWORD, address="2001:db8:0:2::1") == 302


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7", "203.0.113.7"),  # what the client wrote is before what the proxy appended
        ("203.0.113.7:5123", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unknown", ""),
        ("", ""),
        ("203.0.113.7, unknown", ""),
    ],
)
def test_behind_a_proxy_the_address_is_that_of_the_client(settings: Settings, forwarded: str, address: str) -> None:
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded})
    assert client_address(request) == "127.0.0.1"

    settings.EVDASH = replace(settings.EVDASH, https=True)
    assert client_address(request) == address


def test_a_request_without_an_address_has_no_network() -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="")

    assert client_address(request) == ""
    assert client_network(request) == UNKNOWN


def test_behind_a_proxy_that_does_not_append_the_address_only_the_name_is_blocked(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EVDASH = replace(settings.EVDASH, https=True)
    report_unknown_address.cache_clear()
    User.objects.create_user("eve", password=PASSWORD)
    assert {attempt(f"user-{number}") for number in range(PER_ADDRESS)} == {200}
    assert [attempt("mia") for _ in range(PER_NAME)] == [200] * (PER_NAME - 1) + [429]

    assert attempt("mia", PASSWORD) == 429
    assert attempt("eve", PASSWORD) == 302
    [warning] = logged(caplog, logging.WARNING)
    assert (warning["event"], "X-Forwarded-For" in warning["hint"]) == ("client address unknown", True)
