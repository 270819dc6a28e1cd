"""Signing in and out: who gets in, who does not, and what they are told."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from evdash.accounts.models import OneTimeLink
from evdash.accounts.one_time_links import create_link, person

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"


@pytest.fixture
def mia() -> User:
    return User.objects.create_user("mia", password=PASSWORD)


def is_signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def test_a_stranger_is_sent_to_sign_in_and_back(client: Client, mia: User) -> None:
    refused = client.get("/account/?tab=1")
    assert refused.status_code == 302
    assert refused["Location"] == "/sign-in/?next=/account/%3Ftab%3D1"

    let_in = client.post(refused["Location"], {"username": "mia", "password": PASSWORD, "next": "/account/?tab=1"})

    assert let_in["Location"] == "/account/?tab=1"
    assert is_signed_in(client)


def test_nobody_is_sent_to_another_site_after_signing_in(client: Client, mia: User) -> None:
    let_in = client.post("/sign-in/", {"username": "mia", "password": PASSWORD, "next": "https://elsewhere.example/"})

    assert let_in["Location"] == "/"


def test_a_part_of_a_page_sends_a_stranger_away_with_the_whole_page(client: Client) -> None:
    refused = client.get(
        "/account/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/events/?q=type:x"}
    )

    assert refused["HX-Redirect"] == "/sign-in/?next=/events/%3Fq%3Dtype%3Ax"


def test_a_wrong_password_is_told_in_a_sentence(client: Client, mia: User) -> None:
    refused = client.post("/sign-in/", {"username": "mia", "password": "wrong"})

    assert "Wrong name or password." in refused.content.decode()
    assert not is_signed_in(client)


def test_too_many_wrong_passwords_are_throttled_even_when_the_right_one_follows(client: Client, mia: User) -> None:
    for _ in range(5):
        client.post("/sign-in/", {"username": "mia", "password": "wrong"})

    refused = client.post("/sign-in/", {"username": "mia", "password": PASSWORD})

    assert refused.status_code == 429
    assert "Too many failed attempts for <strong>mia</strong>" in refused.content.decode()
    assert "Try again in 15 minutes" in refused.content.decode()
    assert not is_signed_in(client)


async def test_the_throttle_answers_the_same_under_asgi(async_client: Client, transactional_db: None) -> None:
    for _ in range(5):
        refused = await async_client.post("/sign-in/", {"username": "mia", "password": "wrong"})  # type: ignore[misc]

    assert refused.status_code == 429
    assert "Too many failed attempts for <strong>mia</strong>" in refused.content.decode()


def test_one_person_s_wrong_passwords_do_not_lock_out_another(client: Client, mia: User) -> None:
    for _ in range(6):
        client.post("/sign-in/", {"username": "max", "password": "wrong"})

    client.post("/sign-in/", {"username": "mia", "password": PASSWORD})

    assert is_signed_in(client)


def test_a_link_signs_in_once(client: Client) -> None:
    link = create_link(person("operator"))
    assert "Sign in as operator" in client.get(link).content.decode()

    assert client.post(link)["Location"] == "/"
    assert is_signed_in(client)

    second = Client()
    refused = second.post(link)
    assert refused.status_code == 410
    assert "Link used or expired" in refused.content.decode()
    assert not is_signed_in(second)


def test_looking_at_a_link_does_not_use_it_up(client: Client) -> None:
    link = create_link(person("operator"))

    for _ in range(3):
        assert client.get(link).status_code == 200

    assert OneTimeLink.objects.get().used_at is None


def test_a_link_expires(client: Client) -> None:
    link = create_link(person("operator"))
    OneTimeLink.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert client.post(link).status_code == 410
    assert not is_signed_in(client)


def test_a_link_lets_nobody_in_who_is_shut_out(client: Client, mia: User) -> None:
    link = create_link(mia)
    User.objects.update(is_active=False)

    assert client.post(link).status_code == 410
    assert not is_signed_in(client)


def test_the_secret_of_a_link_is_not_stored() -> None:
    secret = create_link(person("operator")).split("/")[2]

    assert secret not in str(OneTimeLink.objects.values())


def test_the_command_prints_a_link_that_works(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sign_in_link", "mia")

    printed = capsys.readouterr()
    assert printed.out.startswith("http://127.0.0.1:8000/sign-in/")
    assert "Sign-in link for mia (viewer, 60 minutes, one use):" in printed.err
    assert client.post(printed.out.strip().removeprefix("http://127.0.0.1:8000")).status_code == 302
    assert is_signed_in(client)


def test_a_person_without_a_password_can_set_one(client: Client) -> None:
    client.post(create_link(person("operator")))

    answer = client.post("/account/", {"new_password1": PASSWORD, "new_password2": PASSWORD}, follow=True)

    assert "Password changed." in answer.content.decode()
    assert is_signed_in(client)
    other = Client()
    other.post("/sign-in/", {"username": "operator", "password": PASSWORD})
    assert is_signed_in(other)


def test_who_has_a_password_must_know_it_to_change_it(client: Client, mia: User) -> None:
    client.force_login(mia)

    refused = client.post("/account/", {"old_password": "no", "new_password1": PASSWORD, "new_password2": PASSWORD})

    assert "Your old password was entered incorrectly" in refused.content.decode()


def test_signing_out_takes_a_post(client: Client, mia: User) -> None:
    client.force_login(mia)

    assert client.get("/sign-out/").status_code == 405
    assert is_signed_in(client)
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert not is_signed_in(client)


@pytest.mark.parametrize("address", ["/sign-in/", "/account/", "/sign-out/", "/nowhere/"])
def test_every_answer_has_the_secure_headers(client: Client, address: str) -> None:
    answer = client.get(address)

    policy = dict(part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]


def test_the_cookies_are_out_of_reach_of_scripts_and_other_sites(client: Client, mia: User) -> None:
    client.get("/sign-in/")
    client.post("/sign-in/", {"username": "mia", "password": PASSWORD})

    for name in (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME):
        assert client.cookies[name]["httponly"]
        assert client.cookies[name]["samesite"] == "Lax"
