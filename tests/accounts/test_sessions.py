"""Sessions: their limits without use and in total, and what counts as a use."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from evdash.accounts.sessions import AUTOMATIC, SIGNED_IN_AT, SessionStore

pytestmark = pytest.mark.django_db

IDLE = timedelta(minutes=60)
TOTAL = timedelta(hours=10)


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, session_idle_min=60, session_max_hours=10)


@pytest.fixture
def mia(client: Client) -> Client:
    client.force_login(User.objects.create_user("mia"))
    return client


def is_signed_in(client: Client, **headers: str) -> bool:
    return client.get("/account/", headers=headers).status_code == 200


def end() -> datetime:
    return Session.objects.get().expire_date


def unused_for(time: timedelta) -> None:
    Session.objects.update(expire_date=end() - time)


def signed_in_before(time: timedelta) -> None:
    """Move the sign-in back, while the session stays in use."""
    [row] = Session.objects.all()
    data = row.get_decoded() | {SIGNED_IN_AT: (timezone.now() - time).isoformat()}
    Session.objects.update(session_data=SessionStore().encode(data))


def seconds_from_now(moment: datetime) -> float:
    return (moment - timezone.now()).total_seconds()


def test_a_sign_in_ends_without_use(mia: Client) -> None:
    assert seconds_from_now(end()) == pytest.approx(IDLE.total_seconds(), abs=60)

    unused_for(IDLE)

    assert not is_signed_in(mia)


def test_a_use_prolongs_it(mia: Client) -> None:
    unused_for(timedelta(minutes=30))
    assert is_signed_in(mia)

    assert seconds_from_now(end()) == pytest.approx(IDLE.total_seconds(), abs=60)


def test_it_ends_after_the_total_time_in_spite_of_use(mia: Client) -> None:
    signed_in_before(TOTAL - timedelta(minutes=20))
    assert is_signed_in(mia)
    assert seconds_from_now(end()) == pytest.approx(20 * 60, abs=60)

    signed_in_before(TOTAL)
    assert not is_signed_in(mia)
    assert not Session.objects.exists()


def test_what_a_page_requests_by_itself_is_not_a_use(mia: Client) -> None:
    unused_for(timedelta(minutes=30))
    before = end()

    assert is_signed_in(mia, **{AUTOMATIC: "1"})

    assert end() == before


@pytest.mark.parametrize(("path", "status"), [("/nowhere/", 404), ("/healthz", 200)])
def test_an_error_and_a_request_that_needs_no_session_are_not_a_use(mia: Client, path: str, status: int) -> None:
    unused_for(timedelta(minutes=30))
    before = end()

    assert mia.get(path).status_code == status

    assert end() == before


def test_most_uses_write_nothing(mia: Client) -> None:
    assert is_signed_in(mia)
    before = end()
    assert is_signed_in(mia)

    assert end() == before


def test_a_page_does_not_fail_if_its_use_cannot_be_recorded(mia: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    def fails(self: SessionStore) -> None:
        nonlocal tries
        tries += 1
        raise DatabaseError("database is locked")

    monkeypatch.setattr(SessionStore, "record_use", fails)

    assert is_signed_in(mia)
    assert is_signed_in(mia)
    assert tries == 1


def test_a_request_that_ends_late_does_not_restore_a_session(mia: Client) -> None:
    slow = SessionStore(mia.cookies[django_settings.SESSION_COOKIE_NAME].value)
    slow.load()
    slow.stored_end = None
    mia.post("/sign-out/")

    slow.record_use()

    assert not Session.objects.exists()


def test_without_a_limit_of_disuse_only_the_total_time_counts(mia: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, session_idle_min=0)
    assert is_signed_in(mia)

    assert seconds_from_now(end()) == pytest.approx(TOTAL.total_seconds(), abs=60)


def test_limits_that_are_reduced_apply_to_present_sign_ins(mia: Client, settings: Settings) -> None:
    settings.EVDASH = replace(settings.EVDASH, session_idle_min=20)
    assert is_signed_in(mia)
    assert seconds_from_now(end()) == pytest.approx(20 * 60, abs=60)

    signed_in_before(timedelta(hours=2))
    settings.EVDASH = replace(settings.EVDASH, session_max_hours=1)
    assert not is_signed_in(mia)


def test_a_new_password_does_not_prolong_a_sign_in(mia: Client) -> None:
    signed_in_before(timedelta(hours=9))
    new = "correct horse battery staple"
    assert mia.post("/account/", {"new_password1": new, "new_password2": new}).status_code == 302

    assert seconds_from_now(end()) <= 3600


def test_the_cookie_lives_as_long_as_the_sign_in_can(client: Client) -> None:
    User.objects.create_user("mia", password="correct horse battery staple")
    client.post("/sign-in/", {"username": "mia", "password": "correct horse battery staple"})

    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
    assert int(cookie["max-age"]) == pytest.approx(TOTAL.total_seconds(), abs=60)


def test_a_sign_in_deletes_sessions_that_have_ended(mia: Client) -> None:
    unused_for(IDLE)

    Client().force_login(User.objects.create_user("max"))

    assert Session.objects.count() == 1


def test_the_account_page_shows_both_limits(mia: Client) -> None:
    page = mia.get("/account/").content.decode()

    assert "after 1 h without use" in page
    assert (
        f'datetime="{SessionStore(mia.cookies[django_settings.SESSION_COOKIE_NAME].value).latest_end:%Y-%m-%dT%H:%M:%S}'
        in page
    )


def test_one_stored_message_does_not_prolong_a_sign_in_beyond_its_end(mia: Client) -> None:
    signed_in_before(TOTAL - timedelta(minutes=20))
    store = SessionStore(mia.cookies[django_settings.SESSION_COOKIE_NAME].value)
    store["message"] = "Saved."
    store.save()

    assert seconds_from_now(end()) <= 20 * 60
