"""Secrets of sign-ins and tokens: in no log, whatever happens to the request that carries them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from evdash.accounts import views
from evdash.accounts.models import OneTimeLink
from evdash.accounts.one_time_links import create_link, person
from evdash.accounts.tokens import create_token
from evdash.logs import formatter

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture(params=["console", "json"])
def output(request: pytest.FixtureRequest) -> Iterator[StringIO]:
    """Everything that any logger writes, debug records included."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(formatter(request.param))
    loggers = [logging.getLogger(), *map(logging.getLogger, ("django", "axes", "evdash", "daphne"))]
    before = [logger.level for logger in loggers]
    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield written
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def visitor() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture
def link() -> str:
    return create_link(person("ada"))


def secret_of(link: str) -> str:
    return link.split("/")[2]


def stored() -> str:
    """All rows of all tables, as text."""
    with connection.cursor() as cursor:
        rows: list[object] = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            rows += cursor.fetchall()
    return str(rows)


def test_a_link_that_signs_in(visitor: Client, link: str, output: StringIO) -> None:
    assert visitor.get(link).status_code == 200
    assert visitor.post(link).status_code == 302

    assert secret_of(link) not in output.getvalue() + stored()


def test_a_link_without_the_token_of_its_form(link: str, output: StringIO) -> None:
    refused = Client(enforce_csrf_checks=True).post(link)

    assert refused.status_code == 403
    assert "Forbidden" in output.getvalue()
    assert secret_of(link) not in output.getvalue() + refused.content.decode()


def test_a_used_and_an_expired_link(visitor: Client, link: str, output: StringIO) -> None:
    visitor.post(link)
    assert visitor.post(link).status_code == 410
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1), used_at=None)
    assert visitor.get(link).status_code == 410

    assert "Gone" in output.getvalue()
    assert secret_of(link) not in output.getvalue() + stored()


@pytest.mark.parametrize(
    "address",
    [
        "{link}more",
        "/nowhere{link}",
        "/sign-in//{secret}/",
        "/sign-in/%20{secret}/",
        "/SIGN-IN/{secret}/",
        "/signin/{secret}",
        "/{secret}",
        "/sandboxes/one{link}nowhere/",
        "/sign-in/?next={quoted}&again={secret}",
        "/nowhere/?next={secret}",
        "/nowhere/{odd}/",
    ],
)
def test_an_address_that_does_not_exist(visitor: Client, link: str, output: StringIO, address: str) -> None:
    secret = secret_of(link)
    odd = secret.replace("_", "%255F", 2)  # the address that the log shows still has a percent sign
    at = address.format(link=link, secret=secret, quoted=quote(link, safe=""), odd=odd)
    visitor.get(at)
    Client(enforce_csrf_checks=True).post(at)

    assert output.getvalue()
    assert secret.removeprefix("evdash_link_") not in output.getvalue()


def test_an_exception_with_the_address(
    visitor: Client, link: str, output: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(secret: str) -> User:
        raise RuntimeError(f"The link {secret} of {link} does not work.")

    monkeypatch.setattr(views, "owner", fails)
    monkeypatch.setattr(views, "use_link", fails)

    assert visitor.get(link).status_code == 500
    assert visitor.post(link).status_code == 500
    assert "RuntimeError" in output.getvalue()
    assert secret_of(link) not in output.getvalue()


def test_a_link_that_is_entered_as_name_or_password(visitor: Client, link: str, output: StringIO) -> None:
    for _ in range(6):
        visitor.post("/sign-in/", {"username": secret_of(link), "password": "wrong"})
        visitor.post("/sign-in/", {"username": f"http://testserver{link}", "password": link})
        visitor.post("/sign-in/", {"username": "ada", "password": secret_of(link)})

    assert secret_of(link) not in output.getvalue()


def test_passwords(visitor: Client, output: StringIO) -> None:
    User.objects.create_user("mia", password=PASSWORD)
    for password in ("S3CR3T-wrong", PASSWORD):
        visitor.post("/sign-in/", {"username": "mia", "password": password})
    visitor.post("/account/", {"old_password": PASSWORD, "new_password1": "S3CR3T", "new_password2": "S3CR3T"})

    for secret in ("S3CR3T", PASSWORD):
        assert secret not in output.getvalue() + stored()


def test_a_good_and_a_bad_token(visitor: Client, output: StringIO) -> None:
    token = create_token("nightly")
    for sent in (token, f"{token}x"):
        for address in ("/events.csv", "/metrics", f"/nowhere/{token}", f"/events.ndjson?token={token}"):
            visitor.get(address, headers={"Authorization": f"Bearer {sent}"})

    assert output.getvalue()
    assert token.removeprefix("evdash_") not in output.getvalue() + stored()
