"""Sign-ins, links and changes of accounts in the audit log."""

from __future__ import annotations

import getpass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from evdash.accounts.models import OneTimeLink
from evdash.accounts.one_time_links import create_link
from evdash.accounts.throttle import PER_NAME_AND_ADDRESS
from evdash.audit_log import account_log
from evdash.audit_log.audit_log import recent
from evdash.audit_log.models import AuditLogEntry

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery staple"
ADDRESS = "192.0.2.7"


@pytest.fixture
def mia() -> User:
    return User.objects.create_user("mia", password=PASSWORD)


@pytest.fixture
def browser() -> Client:
    return Client(REMOTE_ADDR=ADDRESS)


def sign_in(browser: Client, name: str = "mia", password: str = PASSWORD) -> None:
    browser.post("/sign-in/", {"username": name, "password": password})


def last() -> AuditLogEntry:
    return recent(1)[0].begun


def actions() -> list[str]:
    return [access.begun.action for access in recent(50)]


def asked(row: AuditLogEntry) -> dict[str, str]:
    return dict(row.detail["asked"])


def test_a_sign_in_with_a_password_has_user_address_and_authentication(mia: User, browser: Client) -> None:
    sign_in(browser)

    assert (last().action, last().who, last().user, last().succeeded) == ("sign-in", "mia", mia, True)
    assert asked(last()) == {"address": ADDRESS, "authentication": "password"}


def test_a_sign_in_with_a_link_names_the_kind_and_its_creation_is_there_too(mia: User, browser: Client) -> None:
    browser.post(create_link(mia))

    signed_in, created = (access.begun for access in recent(2))
    assert (signed_in.action, signed_in.user) == ("sign-in", mia)
    assert asked(signed_in) == {"address": ADDRESS, "authentication": "one-time link"}
    assert (created.action, created.who) == ("create-link", getpass.getuser())
    assert created.detail["title"] == "Create sign-in link for mia"


def test_a_sign_out_is_recorded_once_and_only_of_a_user(mia: User, browser: Client) -> None:
    sign_in(browser)
    browser.post("/sign-out/")
    browser.post("/sign-out/")

    assert actions() == ["sign-out", "sign-in"]
    assert (last().who, asked(last())["address"]) == ("mia", ADDRESS)


def test_a_wrong_password_is_recorded_without_a_claim_about_the_person(mia: User, browser: Client) -> None:
    sign_in(browser, password="wrong")

    row = last()
    assert (row.action, row.who, row.user, row.succeeded) == ("sign-in-failed", "unknown", None, False)
    assert row.detail["title"] == "Sign in as mia"
    assert row.outcome == "Wrong name or password."


def test_wrong_old_passwords_are_limited_and_recorded_with_the_user(mia: User, browser: Client) -> None:
    sign_in(browser)
    new = {"new_password1": PASSWORD[::-1], "new_password2": PASSWORD[::-1]}

    def change(old: str) -> int:
        return browser.post("/account/", {"old_password": old, **new}).status_code

    assert [change("wrong") for _ in range(PER_NAME_AND_ADDRESS + 2)] == [200] * (PER_NAME_AND_ADDRESS - 1) + [429] * 3
    assert actions() == ["sign-in-blocked", *["sign-in-failed"] * PER_NAME_AND_ADDRESS, "sign-in"]
    failed = recent(2)[1].begun
    assert (failed.who, failed.user, failed.succeeded) == ("mia", mia, False)
    assert (failed.detail["title"], failed.outcome) == ("Change password of mia", "Wrong old password.")
    assert (
        "Too many failed attempts for <strong>mia</strong>"
        in browser.post("/account/", {"old_password": "x", **new}).content.decode()
    )

    assert change(PASSWORD) == 429
    mia.refresh_from_db()
    assert mia.check_password(PASSWORD)


def test_a_user_without_a_password_sets_one_without_an_old_one(browser: Client) -> None:
    nobody = User.objects.create_user("eve")
    browser.force_login(nobody, backend="django.contrib.auth.backends.ModelBackend")

    assert browser.post("/account/", {"new_password1": PASSWORD, "new_password2": PASSWORD}).status_code == 302
    assert actions() == ["change-password"]


def test_what_is_entered_as_an_unknown_name_is_not_kept(browser: Client) -> None:
    sign_in(browser, name=PASSWORD)

    assert last().detail["title"] == "Sign in with an unknown name"
    assert PASSWORD not in str(AuditLogEntry.objects.values())


def test_a_block_is_one_row_however_often_it_is_tried(mia: User, browser: Client) -> None:
    for _ in range(PER_NAME_AND_ADDRESS + 10):
        sign_in(browser, password="wrong")

    assert actions() == ["sign-in-blocked", *["sign-in-failed"] * PER_NAME_AND_ADDRESS]
    assert "Blocked for 15 minutes" in last().outcome


def test_blocks_of_other_addresses_are_rows_of_their_own(mia: User) -> None:
    for number in range(2):
        for _ in range(PER_NAME_AND_ADDRESS + 1):
            sign_in(Client(REMOTE_ADDR=f"192.0.2.{number}"), password="wrong")

    assert actions().count("sign-in-blocked") == 2


@pytest.mark.parametrize(("used", "sentence"), [(True, "The link was used before"), (False, "The link expired")])
def test_a_link_that_does_not_work_any_more_is_recorded(mia: User, browser: Client, used: bool, sentence: str) -> None:
    link = create_link(mia)
    moment = timezone.now() - timedelta(minutes=1)
    OneTimeLink.objects.update(**({"used_at": moment} if used else {"expires_at": moment}))

    for _ in range(3):
        browser.get(link)
        browser.post(link)

    assert actions() == ["sign-in-failed", "create-link"]
    assert last().outcome.startswith(sentence)
    assert last().detail["title"] == "Sign in as mia"


def test_an_invented_link_is_not_recorded(browser: Client) -> None:
    browser.get("/sign-in/invented/")
    browser.post("/sign-in/invented/")

    assert actions() == []


def test_a_new_password_and_a_new_role_are_recorded(mia: User, browser: Client) -> None:
    browser.force_login(mia)
    new = {"old_password": PASSWORD, "new_password1": PASSWORD[::-1], "new_password2": PASSWORD[::-1]}
    browser.post("/account/", new)
    assert (last().action, last().user) == ("change-password", mia)

    call_command("sign_in_link", "mia", "--operator")
    assert recent(2)[1].title == "Make mia an operator"


def test_a_role_that_stays_is_not_recorded(mia: User) -> None:
    for option in ("--viewer", "--operator", "--operator", "--viewer", "--viewer"):
        call_command("sign_in_link", "mia", option)
    changes = [access.title for access in recent(20) if access.begun.action == "change-role"]
    assert changes == ["Make mia a viewer", "Make mia an operator"]


def test_no_role_changes_without_a_row(mia: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(account_log, "record", fails)
    for name in ("mia", "eve"):
        with pytest.raises(DatabaseError):
            call_command("sign_in_link", name, "--operator")
    assert not User.objects.filter(username="eve").exists()
    assert not mia.groups.exists()


def test_nobody_signs_in_without_a_row(mia: User, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    link = create_link(mia)

    def fails(*_: object, **__: object) -> None:
        raise DatabaseError("disk full")

    monkeypatch.setattr(account_log, "record", fails)
    browser.raise_request_exception = False
    sign_in(browser)
    browser.post(link)

    assert browser.get("/account/").status_code == 302
    assert OneTimeLink.objects.get().used_at is None


def test_the_page_shows_address_and_authentication(mia: User, browser: Client) -> None:
    sign_in(browser)

    shown = browser.get(f"/audit-log/{last().pk}/").content.decode()

    assert "Sign in with password" in shown
    assert ADDRESS in shown
