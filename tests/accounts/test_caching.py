"""Caches: browsers and proxies store no response but static files."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from evdash.accounts.one_time_links import create_link, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(User.objects.create_user("mia"))
    return client


@pytest.mark.parametrize(
    "address", ["/account/", "/audit-log/", "/access-log/", "/nowhere/", "/sign-out/", "/notes/1/"]
)
def test_no_response_to_a_person_is_stored(signed_in: Client, address: str) -> None:
    assert "no-store" in signed_in.get(address)["Cache-Control"]


@pytest.mark.parametrize("address", ["/sign-in/", "/sign-in/unknown/", "/account/", "/healthz", "/events.csv"])
def test_no_response_to_a_stranger_is_stored(client: Client, address: str) -> None:
    assert "no-store" in client.get(address)["Cache-Control"]


def test_no_response_of_a_sign_in_is_stored(client: Client) -> None:
    link = create_link(person("ada"))

    for answer in (client.get(link), Client(enforce_csrf_checks=True).post(link), client.post(link)):
        assert "no-store" in answer["Cache-Control"]


def test_static_files_may_be_cached(client: Client) -> None:
    answer = client.get("/static/app.js")

    assert answer.status_code == 200
    assert "no-store" not in answer.get("Cache-Control", "")
