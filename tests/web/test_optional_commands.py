"""A Redis user without permission for a command that only adds a detail: pages work without the detail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.accounts.roles import make_operator
from evdash.streams.client import StreamsUnavailable, call, open_client
from evdash.streams.loading import wait_until_loaded
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

pytestmark = pytest.mark.django_db(transaction=True)

SANDBOX = "sandbox:one"
PAGES = (
    "/", "/live/", "/events/", "/errors/", "/sessions/", "/sessions/s/", "/users/", "/users/u/", "/streams/",
    f"/streams/{STREAM}/groups/evdash-audit/", f"/streams/{STREAM}/parked/", "/audit-log/", "/readyz", "/state/",
    f"/events/{STREAM}/1800000000001-0/", f"/sandboxes/{SANDBOX}/", f"/sandboxes/{SANDBOX}/events/",
    f"/streams/operations/trim/?stream={STREAM}&max_length=1",
    f"/streams/operations/claim/?stream={STREAM}&group=evdash-audit",
)  # fmt: skip
OPTIONAL = ("time", "info", "memory", "client", "config", "ping", "eval", "xinfo|consumers")


@pytest.fixture
def operator(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> Client:
    """An operator's browser. One event is in the log, one is in the stream only, and a sandbox has the first."""
    person = User.objects.create_user("mia")
    make_operator(person)
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    write(entry("1800000000000-0", type="error.occurred", session_id="s", user_id="u", error="bang"))
    index()
    write(entry("1800000000001-0", type="message.added", session_id="s", user_id="u", content="needle"))
    address = f"/streams/sandboxes/replay/?q=session:s&to={SANDBOX}"
    assert client.post(address, {"reason": "x"}).status_code == 302
    return client


@pytest.fixture
def without(valkey: redis.Redis, valkey_url: str, settings: Settings, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the command that evdash's Redis user lacks."""
    command = str(request.param)
    valkey.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "&*", "+@all", f"-{command}")
    settings.EVDASH = replace(settings.EVDASH, redis_url=valkey_url.replace("redis://", "redis://limited:secret@"))
    yield command
    valkey.execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize("without", OPTIONAL, indirect=True)
def test_every_page_works_without_an_optional_command(operator: Client, without: str) -> None:
    statuses = {page: operator.get(page).status_code for page in PAGES}
    assert {page: status for page, status in statuses.items() if status != 200} == {}
    events = parse_page(operator.get("/events/"))
    assert events.rows == [f"{STREAM} 1800000000001-0", f"{STREAM} 1800000000000-0"]
    assert not [text for level, text in events.notices if level == "error"]


@pytest.mark.parametrize("without", OPTIONAL, indirect=True)
def test_a_replay_works_without_an_optional_command(operator: Client, without: str) -> None:
    address = "/streams/sandboxes/replay/?q=session:s&to=sandbox:two&ids=new"
    assert operator.post(address, {"reason": "x"}).status_code == 302
    page = parse_page(operator.get("/sandboxes/sandbox:two/events/"))
    assert len(page.rows) == 2


@pytest.mark.parametrize("without", ["xinfo|consumers"], indirect=True)
def test_the_page_of_a_group_states_that_its_consumers_are_unknown(operator: Client, without: str) -> None:
    page = parse_page(operator.get(f"/streams/{STREAM}/groups/evdash-audit/"))
    assert "This Redis user may not list consumers (XINFO CONSUMERS)." in page.text
    assert "No consumers yet." not in page.text


def test_a_start_waits_for_no_answer_to_a_command_that_is_forbidden(valkey: redis.Redis, valkey_url: str) -> None:
    valkey.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "&*", "+@all", "-ping", "-info")
    client = open_client(valkey_url.replace("redis://", "redis://limited:secret@"))
    wait_until_loaded(client)
    with pytest.raises(StreamsUnavailable, match="denies this user a command that evdash needs"):
        call(client, "PING")
    valkey.execute_command("ACL", "DELUSER", "limited")
