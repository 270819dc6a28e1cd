"""Roles: who may look, and who may change streams and groups."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory

from evdash.accounts.one_time_links import person
from evdash.accounts.roles import OperatorRoleRequired, can_operate, make_operator, make_viewer, operators_only
from evdash.accounts.tokens import create_token, token_or_session

pytestmark = pytest.mark.django_db


def fresh(name: str) -> User:
    """The person as their next request sees them."""
    return User.objects.get(username=name)


@operators_only
def claim(request: HttpRequest) -> HttpResponse:
    return HttpResponse("claimed")


def ask(user: User | AnonymousUser, authorization: str = "") -> HttpResponseBase:
    request = RequestFactory().post("/streams/claim/", headers={"Authorization": authorization})
    request.user = user
    return token_or_session("export")(claim)(request)


def test_the_person_that_evdash_starts_with_operates_and_others_look() -> None:
    assert can_operate(person("operator"))
    assert not can_operate(person("mia"))


def test_a_role_is_given_and_taken() -> None:
    make_operator(person("mia"))
    assert can_operate(fresh("mia"))

    make_viewer(fresh("mia"))
    assert not can_operate(fresh("mia"))


def test_the_first_person_stays_a_viewer_once_they_are_one() -> None:
    make_viewer(person("operator"))

    assert not can_operate(person("operator"))


def test_who_is_shut_out_does_not_operate_and_a_superuser_does() -> None:
    person("operator")
    User.objects.update(is_active=False)
    assert not can_operate(fresh("operator"))

    assert can_operate(User.objects.create_superuser("root"))
    assert not can_operate(AnonymousUser())


def test_a_view_for_operators_tells_a_viewer_how_to_become_one() -> None:
    assert ask(person("operator")).status_code == 200

    with pytest.raises(OperatorRoleRequired) as refused:
        ask(person("mia"))
    assert "manage.py sign_in_link --operator mia" in refused.value.command


def test_a_program_with_a_token_never_operates() -> None:
    with pytest.raises(OperatorRoleRequired, match="API tokens cannot change streams or groups"):
        ask(AnonymousUser(), f"Bearer {create_token('nightly export')}")


def test_a_link_is_for_a_viewer_unless_it_is_for_an_operator(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("sign_in_link", "mia")
    assert "(viewer, " in capsys.readouterr().err

    call_command("sign_in_link", "mia", "--operator")
    assert "(operator, " in capsys.readouterr().err
    assert can_operate(fresh("mia"))

    call_command("sign_in_link", "mia")
    assert can_operate(fresh("mia"))

    call_command("sign_in_link", "mia", "--viewer")
    assert not can_operate(fresh("mia"))

    with pytest.raises(CommandError, match="not allowed with"):
        call_command("sign_in_link", "mia", "--viewer", "--operator")


@pytest.mark.parametrize(
    ("name", "words"), [("operator", "operator (can change streams and groups)"), ("mia", "viewer (read-only)")]
)
def test_the_account_page_says_what_one_may_do(client: Client, name: str, words: str) -> None:
    client.force_login(person(name))

    assert words in client.get("/account/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_who_was_named_operator_before_there_were_roles_is_one() -> None:
    executor = MigrationExecutor(connection)
    before = executor.migrate([("accounts", "0001_initial"), ("auth", "0012_alter_user_first_name_max_length")])
    before.apps.get_model("auth", "User").objects.create(username="operator")
    before.apps.get_model("auth", "User").objects.create(username="mia")
    Group.objects.all().delete()
    Permission.objects.filter(codename="operate").delete()

    executor = MigrationExecutor(connection)
    executor.migrate([("accounts", "0002_roles")])

    assert can_operate(fresh("operator"))
    assert not can_operate(fresh("mia"))
