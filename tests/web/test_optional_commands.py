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
from evdash.streams.consumer_group import pending_entries
from evdash.streams.loading import wait_until_loaded
from tests.builders import GROUPS, STREAM, entry
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
    shown = {page: operator.get(page) for page in PAGES}
    assert {page: answer.status_code for page, answer in shown.items() if answer.status_code != 200} == {}
    assert [page for page, answer in shown.items() if "denies this user" in answer.content.decode()] == []
    events = parse_page(operator.get("/events/"))
    assert events.rows == [f"{STREAM} 1800000000001-0", f"{STREAM} 1800000000000-0"]
    assert not [text for level, text in events.notices if level == "error"]


@pytest.mark.parametrize("without", OPTIONAL, indirect=True)
def test_a_replay_works_without_an_optional_command(operator: Client, without: str) -> None:
    address = "/streams/sandboxes/replay/?q=session:s&to=sandbox:two&ids=new"
    assert operator.post(address, {"reason": "x"}).status_code == 302
    page = parse_page(operator.get("/sandboxes/sandbox:two/events/"))
    assert len(page.rows) == 2


@pytest.fixture
def reader(operator: Client, valkey: redis.Redis) -> None:
    """Groups whose consumer `w` reads, and has an entry pending. Another entry waits for each group."""
    for group in (*GROUPS, "billing"):
        valkey.xgroup_destroy(STREAM, group)
        valkey.xgroup_create(STREAM, group, id="0")
        valkey.execute_command("XREADGROUP", "GROUP", group, "w", "COUNT", 1, "STREAMS", STREAM, ">")


BILLING = f"/streams/{STREAM}/groups/billing/"
CLAIM = f"/streams/operations/claim/?stream={STREAM}&group=billing&from_consumer=w&to_consumer=other"


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("without", ["xinfo|consumers"], indirect=True)
def test_consumers_that_are_unknown_are_no_alarm(operator: Client, without: str) -> None:
    overview = parse_page(operator.get("/"))
    assert not overview.has(".condition")
    assert overview.texts(".no-problems") == [
        "No problems: 2 streams, 4 consumer groups, their consumers unknown, no parked entries, no gaps."
    ]
    streams = parse_page(operator.get("/streams/"))
    assert not streams.has(".is-stuck")
    assert {row["Consumers"] for row in streams.table("table.groups")} == {"unknown"}
    group = parse_page(operator.get(BILLING))
    assert not group.has(".stuck")
    assert "This Redis user may not list consumers (XINFO CONSUMERS)." in group.text
    assert "No consumers yet." not in group.text
    assert parse_page(operator.get(CLAIM.partition("&from")[0])).texts(".receiver-warning") == []


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("without", ["xinfo|consumers"], indirect=True)
def test_entries_are_claimed_though_consumers_are_unknown(operator: Client, valkey: redis.Redis, without: str) -> None:
    preview = parse_page(operator.get(CLAIM))
    assert "Claims 1 pending entry (w: 1) of billing" in preview.text
    assert "does not exist yet" not in preview.text
    assert preview.texts(".receiver-warning") == [
        "The last read of other is unknown. This Redis user may not list consumers (XINFO CONSUMERS)."
    ]
    answer = operator.post(CLAIM, {"reason": "w is gone"})
    assert answer.status_code == 302
    assert [entry.consumer for entry in pending_entries(valkey, STREAM, "billing", count=9)] == ["other"]
    [sentence] = parse_page(operator.get(answer["Location"])).texts(".claim-watch-sentence")
    assert sentence == "Waiting for other to acknowledge: 1 of 1 left."
    address = f"/streams/operations/delete-consumer/?stream={STREAM}&group=billing&consumer=w&claim_first_to="
    assert "Not deleted: This Redis user may not list consumers" in parse_page(operator.get(address)).text


@pytest.mark.parametrize("without", ["xlen"], indirect=True)
def test_parked_entries_that_cannot_be_counted_are_unknown(operator: Client, valkey: redis.Redis, without: str) -> None:
    for group in GROUPS[1:]:
        valkey.xgroup_create(STREAM, group, id="$")
    assert "parked entries unknown" in parse_page(operator.get("/")).texts(".no-problems")[0]
    assert parse_page(operator.get("/streams/")).facts["Parked"] == "unknown"


def test_a_start_waits_for_no_answer_to_a_command_that_is_forbidden(valkey: redis.Redis, valkey_url: str) -> None:
    valkey.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "&*", "+@all", "-ping", "-info")
    client = open_client(valkey_url.replace("redis://", "redis://limited:secret@"))
    wait_until_loaded(client)
    with pytest.raises(StreamsUnavailable, match="denies this user a command that evdash needs"):
        call(client, "PING")
    valkey.execute_command("ACL", "DELUSER", "limited")
