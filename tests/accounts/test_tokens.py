"""API tokens: what lets a program read exports."""

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import CommandError, call_command
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from django.utils import timezone

from evdash.accounts.models import ApiToken
from evdash.accounts.tokens import create_token, revoke_token, token_or_session

pytestmark = pytest.mark.django_db


@token_or_session("export")
def export(request: HttpRequest) -> HttpResponse:
    return HttpResponse("events")


def read(authorization: str = "", user: User | None = None) -> HttpResponseBase:
    headers = {"Authorization": authorization} if authorization else {}
    request = RequestFactory().get("/events.ndjson", headers=headers)
    request.user = user or AnonymousUser()
    return export(request)


def test_a_program_with_a_token_and_a_person_with_a_session_may_read() -> None:
    assert read(f"Bearer {create_token('nightly export')}").status_code == 200
    assert read(user=User.objects.create_user("mia")).status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer ", "Bearer evdash_wrong", "Basic bWlhOm1pYQ=="])
def test_all_others_are_told_what_is_needed(authorization: str) -> None:
    create_token("nightly export")

    refused = read(authorization)

    assert refused.status_code == 401
    assert refused["WWW-Authenticate"] == 'Bearer realm="evdash"'


def test_a_revoked_token_lets_nobody_in() -> None:
    token = create_token("nightly export")

    assert revoke_token("nightly export")
    assert not revoke_token("nightly export")

    assert read(f"Bearer {token}").status_code == 401


def test_only_the_hash_is_stored() -> None:
    token = create_token("nightly export")

    assert token not in str(ApiToken.objects.values())


def test_the_last_use_is_kept_to_the_minute_without_a_write_a_request(
    django_assert_num_queries: pytest.FixtureRequest,
) -> None:
    token = create_token("nightly export")
    read(f"Bearer {token}")
    first = ApiToken.objects.get().last_used_at
    assert first is not None

    read(f"Bearer {token}")
    assert ApiToken.objects.get().last_used_at == first

    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    read(f"Bearer {token}")
    assert (ApiToken.objects.get().last_used_at or first) > first


def test_the_commands_make_and_revoke() -> None:
    printed = StringIO()
    call_command("create_token", "nightly export", stdout=printed)
    token = printed.getvalue().strip()
    assert read(f"Bearer {token}").status_code == 200

    with pytest.raises(CommandError, match="Token name nightly export is taken"):
        call_command("create_token", "nightly export")

    call_command("revoke_token", "nightly export", stdout=printed)
    assert read(f"Bearer {token}").status_code == 401
    with pytest.raises(CommandError, match="No active token named nightly export"):
        call_command("revoke_token", "nightly export")
