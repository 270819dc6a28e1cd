"""Grants of API tokens: scopes, patterns, expiry, and the page that lists and revokes tokens."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from evdash.accounts.models import ApiToken
from evdash.accounts.one_time_links import person
from evdash.accounts.secrets import new_secret, secret_hash
from evdash.accounts.token_grants import InvalidGrant, TokenGrant, outside_patterns
from evdash.accounts.tokens import create_token
from evdash.audit_log.audit_log import recent
from evdash.events.filters.event_filter import EventFilter
from tests.builders import event

pytestmark = pytest.mark.django_db

EXPORTS = ["/events.csv", "/sessions/s-1/transcript.md", "/sessions/s-1/export.html"]


def get(client: Client, token: str, path: str) -> tuple[int, str]:
    """The status and the sentence of an answer. What is admitted is not read: it may need Redis."""
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.content.decode() if answer.status_code in (401, 403) else ""


def admitted(client: Client, token: str, path: str) -> bool:
    return get(client, token, path)[0] not in (401, 403)


def with_scope(*scopes: str, **more: list[str]) -> str:
    return create_token("nightly", TokenGrant.from_text(scopes, **more))


def test_a_token_reads_and_exports_unless_it_is_created_otherwise(client: Client) -> None:
    token = create_token("nightly")

    assert all(admitted(client, token, path) for path in ["/metrics", "/events.ndjson", *EXPORTS])


def test_a_token_that_reads_has_metrics_and_ndjson(client: Client) -> None:
    token = with_scope("read")

    assert admitted(client, token, "/metrics")
    assert admitted(client, token, "/events.ndjson")
    for path in EXPORTS:
        status, sentence = get(client, token, path)
        assert status == 403
        assert sentence.startswith("Token nightly has the scope read. This URL needs export.")


def test_a_token_that_exports_has_files_only(client: Client) -> None:
    token = with_scope("export")

    assert all(admitted(client, token, path) for path in ["/events.ndjson", *EXPORTS])
    assert get(client, token, "/metrics")[0] == 403


def test_a_token_for_ingest_opens_nothing_yet(client: Client) -> None:
    token = with_scope("ingest")

    for path in ["/metrics", "/events.ndjson", *EXPORTS]:
        assert get(client, token, path)[0] == 403
    for path in ["/", "/account/", "/audit-log/", "/live/missed/"]:
        assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 302


def test_a_refusal_names_the_scope_for_programs(client: Client) -> None:
    answer = client.get("/events.csv", headers={"Authorization": f"Bearer {with_scope('read')}"})

    assert answer["WWW-Authenticate"] == 'Bearer realm="evdash", error="insufficient_scope", scope="export"'


def test_a_token_expires(client: Client) -> None:
    token = create_token("nightly", TokenGrant.from_text(expires="30d"))
    assert admitted(client, token, "/metrics")
    assert abs(ApiToken.objects.get().expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)

    ApiToken.objects.update(expires_at=timezone.now())

    status, sentence = get(client, token, "/metrics")
    assert status == 401
    assert "Token nightly has expired." in sentence


@pytest.mark.parametrize(
    "query",
    [
        "stream=billing:events",
        "stream=billing:events&stream=billing:refunds",
        "q=stream:billing:*",
        "q=stream:billing:e*",
        "stream=audit",
        "stream=audit&q=-stream:billing:x",
        "stream=audit&errors=1&since=1h&text=other",
    ],
)
def test_a_filter_inside_the_patterns_of_streams_is_admitted(client: Client, query: str) -> None:
    token = with_scope(streams=["billing:*", "audit"])

    assert admitted(client, token, f"/events.ndjson?{query}")
    assert admitted(client, token, f"/events.csv?{query}")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "stream=",
        "stream=memory:events",
        "stream=billing:events&stream=memory:events",
        "q=stream:bill*",
        "q=stream:*",
        "q=stream:audit*",
        "q=-stream:memory:events",
        "q=-stream:billing:events",
        "q=field.stream:billing:events",
        "q=%22stream:billing:events%22",
        "user=billing:events",
        "session=s-1",
        "stream=audit2",
    ],
)
def test_any_other_filter_is_refused_and_not_narrowed(client: Client, query: str) -> None:
    token = with_scope(streams=["billing:*", "audit"])

    for path in ("/events.ndjson", "/events.csv"):
        status, sentence = get(client, token, f"{path}?{query}")
        assert status == 403
        assert sentence.startswith("This token reads only events of stream billing:*, audit. Add stream=NAME")


def test_patterns_of_users_need_a_user_and_both_kinds_need_both(client: Client) -> None:
    token = with_scope(users=["mia*"], streams=["audit"])

    assert admitted(client, token, "/events.ndjson?user=mia-1&stream=audit")
    assert get(client, token, "/events.ndjson?user=mia-1")[0] == 403
    assert get(client, token, "/events.ndjson?stream=audit")[0] == 403
    assert get(client, token, "/events.ndjson?user=max&stream=audit")[0] == 403
    assert get(client, token, "/events.ndjson?q=stream:audit%20user:%22%22")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/sessions/s-1/transcript.md",
        "/sessions/s-1/export.html?stream=audit",
        "/sandboxes/sandbox:one/events.ndjson?stream=audit",
        "/sandboxes/sandbox:one/sessions/s-1/transcript.md",
    ],
)
def test_data_of_all_streams_is_refused_to_a_restricted_token(client: Client, path: str) -> None:
    status, sentence = get(client, with_scope(streams=["audit"]), path)

    assert status == 403
    assert "restricted to some streams or users" in sentence


words = st.text("ab:", max_size=3)
patterns = st.lists(st.builds(lambda start, star: start + "*" * star, words, st.booleans()), max_size=2)
terms = st.builds(
    lambda sign, key, value, star: f'{sign}{key}:"{value}"{star}',
    st.sampled_from(["", "-"]),
    st.sampled_from(["stream", "user", "type"]),
    words,
    st.sampled_from(["", "*"]),
)


def matches(value: str, patterns: tuple[str, ...]) -> bool:
    """Whether a stream or user is one of those that the patterns mean."""
    return any(
        bool(value) and value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern
        for pattern in patterns
    )


@given(streams=patterns, users=patterns, terms=st.lists(terms, max_size=4), stream=words, user=words)
def test_no_event_outside_the_patterns_passes_an_admitted_filter(
    streams: list[str], users: list[str], terms: list[str], stream: str, user: str
) -> None:
    try:
        grant = TokenGrant.from_text(streams=streams, users=users)
    except InvalidGrant:
        return
    event_filter = EventFilter.parse(" ".join(terms))
    found = event(stream=stream, user_id=user, type="a")
    if event_filter.matches(found) and not outside_patterns(event_filter, grant.streams, grant.users):
        assert not grant.streams or matches(found.stream, grant.streams)
        assert not grant.users or matches(found.user_id, grant.users)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--scope", "write"], "Unknown scope 'write'. Scopes: read, export, ingest."),
        (["--scope", "read,all"], "Unknown scope 'all'"),
        (["--streams", "*:events"], "Invalid stream pattern '*:events'"),
        (["--streams", ""], "Invalid stream pattern ''"),
        (["--users", "u" * 201], "Invalid user pattern"),
        (["--expires", "soon"], "Invalid expiry 'soon'. Write a span such as 12h, 30d or 8w."),
        (["--expires", "0d"], "Invalid expiry '0d'"),
        (["--expires", "2030-01-01"], "Invalid expiry"),
    ],
)
def test_the_command_refuses_what_it_does_not_know(options: list[str], sentence: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("create_token", "nightly", *options)

    assert str(refused.value).startswith(sentence)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
def test_a_name_is_short_and_printable(name: str) -> None:
    with pytest.raises(CommandError, match=r"is not valid\. Use 1 to 100 printable characters\."):
        call_command("create_token", name)


def test_the_command_takes_lists_and_repetitions_and_prints_only_the_token() -> None:
    printed, told = StringIO(), StringIO()
    options = ["--scope", "read,ingest", "--scope", "read", "--streams", "a*", "--streams", "b", "--users", "mia"]
    call_command("create_token", "nightly", *options, "--expires", "8w", stdout=printed, stderr=told)

    token = ApiToken.objects.get()
    assert secret_hash(printed.getvalue().strip()) == token.secret_hash
    assert (token.scopes, token.stream_patterns, token.user_patterns) == (["read", "ingest"], ["a*", "b"], ["mia"])
    assert "ingest is reserved" in told.getvalue()


def test_a_created_and_a_revoked_token_are_in_the_audit_log() -> None:
    create_token("nightly", TokenGrant.from_text(["read"], streams=["a*"], expires="30d"))
    call_command("revoke_token", "nightly", stdout=StringIO())

    revoked, created = recent(5)
    assert (revoked.title, created.title) == ("Revoke token nightly", "Create token nightly")
    assert created.begun.detail["asked"] == {"scope": "read", "streams": "a*", "users": "", "valid for": "30 d"}


def test_a_grant_is_refused_with_too_many_patterns() -> None:
    with pytest.raises(InvalidGrant, match="51 patterns of streams; the limit is 50"):
        TokenGrant.from_text(streams=[f"s-{number}" for number in range(51)])


@pytest.mark.django_db(transaction=True)
def test_a_token_from_before_scopes_keeps_working(client: Client) -> None:
    secret = new_secret("evdash_")
    before = MigrationExecutor(connection).migrate([("accounts", "0002_roles")])
    before.apps.get_model("accounts", "ApiToken").objects.create(name="old", secret_hash=secret_hash(secret))
    MigrationExecutor(connection).migrate([("accounts", "0003_token_limits")])

    token = ApiToken.objects.get()
    assert (token.scopes, token.expires_at, token.is_restricted) == (["read", "export"], None, False)
    assert admitted(client, secret, "/metrics")
    assert admitted(client, secret, "/events.csv")


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(person("operator"))
    return client


def tokens_on(page: str) -> list[str]:
    return [part.partition('"')[0] for part in page.split('data-token="')[1:]]


def test_the_account_page_lists_tokens_for_operators_only(operator: Client) -> None:
    create_token("nightly", TokenGrant.from_text(["read"], streams=["billing:*"], expires="30d"))
    token = ApiToken.objects.get()

    page = operator.get("/account/").content.decode()
    assert tokens_on(page) == [str(token.pk)]
    for text in ("nightly", "billing:*", "never"):
        assert text in page

    viewer = Client()
    viewer.force_login(person("mia"))
    assert tokens_on(viewer.get("/account/").content.decode()) == []


def test_the_account_page_shows_the_last_use(operator: Client) -> None:
    token = create_token("nightly")
    get(Client(), token, "/metrics")
    used_at = ApiToken.objects.get().last_used_at
    assert used_at is not None

    assert f'datetime="{used_at:%Y-%m-%dT%H:%M:%S}' in operator.get("/account/").content.decode()


def test_an_operator_revokes_a_token_after_a_confirmation(operator: Client) -> None:
    secret = create_token("nightly")
    address = f"/account/tokens/{ApiToken.objects.get().pk}/"
    assert operator.get(address).status_code == 200
    assert admitted(Client(), secret, "/metrics")

    answer = operator.post(address, follow=True)

    assert "Token nightly revoked." in answer.content.decode()
    status, sentence = get(Client(), secret, "/metrics")
    assert (status, "Token nightly was revoked." in sentence) == (401, True)
    assert recent(1)[0].begun.who == "operator"
    assert "was revoked before" in operator.post(address, follow=True).content.decode()
    assert operator.get("/account/tokens/999/").status_code == 404


def test_a_viewer_revokes_nothing(client: Client) -> None:
    create_token("nightly")
    client.force_login(person("mia"))

    assert client.post(f"/account/tokens/{ApiToken.objects.get().pk}/").status_code == 403
    assert ApiToken.objects.get().revoked_at is None


def test_active_tokens_come_first_and_a_long_list_states_its_rest(operator: Client) -> None:
    ApiToken.objects.bulk_create(
        ApiToken(name=f"t-{number:03}", secret_hash=str(number), revoked_at=timezone.now() if number < 3 else None)
        for number in range(204)
    )

    page = operator.get("/account/").content.decode()

    numbers = dict(ApiToken.objects.values_list("pk", "name"))
    shown = [numbers[int(each)] for each in tokens_on(page)]
    assert shown == [f"t-{number:03}" for number in range(3, 203)]
    assert "4 more tokens not shown" in page


def test_an_empty_list_says_so(operator: Client) -> None:
    assert "No active tokens." in operator.get("/account/").content.decode()


def test_a_user_is_not_needed_to_see_who_is_refused(client: Client) -> None:
    assert not User.objects.exists()
    assert get(client, "evdash_unknown", "/events.csv")[0] == 401
