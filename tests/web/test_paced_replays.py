"""Replays at a pace, begun with a button: they go on by themselves, say how far they are, and end in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client

from evdash.accounts.roles import make_operator
from evdash.audit_log.audit_log import recent
from evdash.replay import background, replay
from evdash.replay.replay import Replay
from evdash.streams.client import open_client
from evdash.streams.reads import read_forward
from evdash.streams.sandbox import Provenance, SandboxGone, SandboxWriter, delete_sandbox, provenance_key, sandbox
from tests.builders import raw_entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page
from tests.web.test_sandboxes import PAGE, TO, address, field_errors, signed_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> Iterator[Client]:
    """An operator's browser on a session of five events, an hour between each of the last."""
    hours = (0, 0, 0, 1, 2)
    write(
        *(
            raw_entry(("type", "message.added"), ("session_id", "s-1"), entry_id=f"{3_600_000 * hour}-{n + 1}")
            for n, hour in enumerate(hours)
        )
    )
    index()
    mia = User.objects.create_user("mia")
    make_operator(mia)
    yield signed_in(mia)
    background._time.is_over.set()  # whatever is still under way
    until(lambda: not background._under_way)
    background._time.is_over.clear()


def until(holds: Callable[[], object]) -> None:
    for _ in range(500):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("It has not come to that within 10 seconds.")


def copies(valkey: redis.Redis, stream: str = TO) -> int:
    return len(read_forward(valkey, stream, after=None, count=99))


def told(valkey: redis.Redis, stream: str = TO) -> Provenance:
    found = sandbox(valkey, stream)
    assert found is not None
    return found.replays[-1]


def outcome() -> str:
    ended = recent(1)[0].ended
    return ended.outcome if ended else ""


def begun(operator: Client, **asked: str) -> str:
    """Press the button; returns where it leads."""
    given = {"q": "session:s-1", "to": TO, "speed": "100", "max_pause": "", **asked}
    response = operator.post(address("replay", **given), {"reason": "reproduce it"})
    assert response.status_code == 302, response.content.decode()
    return response["Location"]


def test_it_is_looked_at_begun_and_goes_on_by_itself(operator: Client, valkey: redis.Redis) -> None:
    page = parse_page(operator.get(address("replay", q="session:s-1", to=TO, speed="100", max_pause="10s")))
    asked = Replay(stream=TO, query="session:s-1", who="", speed=100, max_pause_s=10)
    assert page.texts(".would .sentence") == [asked.preview(valkey).sentence]
    assert "--speed 100 --max-pause 10s" in page.texts("pre.command")[0]
    assert begun(operator, max_pause="10s") == PAGE
    until(lambda: told(valkey).ended_at)
    assert copies(valkey) == 5
    assert told(valkey).pace == "at 100 times the recorded speed, pauses at most 10 s"
    until(lambda: recent(1)[0].succeeded)
    access = recent(1)[0]
    assert (access.begun.who, access.begun.reason) == ("mia", "reproduce it")
    assert outcome() == f"5 entries were copied to {TO}."


def test_while_it_waits_the_sandbox_says_that_it_goes_on(
    operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "ALIVE_EVERY_S", 0.05)
    page = parse_page(operator.get(begun(operator)))
    until(lambda: copies(valkey) == 3)
    heard = told(valkey).heard_at
    until(lambda: told(valkey).heard_at != heard)
    page = parse_page(operator.get(PAGE))
    assert page.texts(".in-progress") == ["Running: 3 entries so far"]
    assert not page.has(".trouble")
    assert recent(1)[0].is_open

    valkey.execute_command("DEL", provenance_key(TO), TO)
    until(lambda: not recent(1)[0].is_open)
    assert "was deleted or expired during the replay" in outcome()


def test_a_sign_of_life_does_not_create_a_deleted_sandbox_again(
    valkey: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provenance = Provenance(who="", reason="", words="", query="", ids="new", pace="", begun_at=datetime.now(UTC))
    client = open_client(valkey_url)
    writer = SandboxWriter(client, TO, "sandbox:", provenance, expires_s=60)
    execute = client.execute_command

    def deleted_after(*command: Any, **options: Any) -> Any:
        reply = execute(*command, **options)
        monkeypatch.undo()
        delete_sandbox(valkey, TO, "sandbox:")
        return reply

    monkeypatch.setattr(client, "execute_command", deleted_after)
    writer.tell_alive()
    assert sandbox(valkey, TO) is None
    with pytest.raises(SandboxGone):
        writer.tell_alive()


def test_the_end_of_the_server_is_noted_with_how_far_it_came(operator: Client, valkey: redis.Redis) -> None:
    begun(operator)
    until(lambda: copies(valkey) == 3)
    background._end()
    assert told(valkey).outcome == "evdash was stopped during the replay."
    assert told(valkey).entries == 3
    assert outcome() == f"3 entries were copied to {TO}. evdash was stopped during the replay."
    page = parse_page(operator.get(PAGE))
    assert page.texts(".trouble") == ["evdash was stopped during the replay."]
    assert not page.has(".in-progress")


def test_no_more_than_so_many_at_once(operator: Client, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "AT_ONCE", 1)
    begun(operator)
    until(lambda: copies(valkey) == 3)
    where = address("replay", q="session:s-1", to="sandbox:two", speed="1", max_pause="")
    refused = parse_page(operator.post(where, {"reason": "x"}), 409)
    assert refused.notices == [("error", background._FULL)]
    assert sandbox(valkey, "sandbox:two") is None
    assert (recent(1)[0].begun.stream, recent(1)[0].succeeded) == ("sandbox:two", False)


def test_what_was_broken_off_without_a_word_is_told(operator: Client, valkey: redis.Redis) -> None:
    begun(operator, max_pause="1s")
    until(lambda: told(valkey).ended_at)
    kept = told(valkey)
    assert kept.heard_at is not None
    silent = replace(kept, ended_at=None, heard_at=kept.heard_at - timedelta(minutes=1))
    valkey.execute_command("HSET", provenance_key(TO), 1, silent.to_json())
    page = parse_page(operator.get(PAGE))
    assert page.texts(".trouble") == [f"Interrupted: no progress since {silent.heard_at:%Y-%m-%d %H:%M:%S} UTC."]
    assert not page.has(".in-progress")
    older = silent.to_json().replace('"heard_at"', '"something_else"')
    assert Provenance.from_json(silent.to_json()) == silent
    with pytest.raises(ValueError, match="is not a provenance record"):
        Provenance.from_json(older)


@pytest.mark.parametrize(
    ("asked", "field", "named"), [({"speed": "3"}, "speed", "3"), ({"max_pause": "soon"}, "max_pause", "'soon'")]
)
def test_what_cannot_be_read_is_told_at_its_field(
    operator: Client, asked: dict[str, str], field: str, named: str
) -> None:
    where = address("replay", **{"q": "session:s-1", "to": TO, "speed": "10", **asked})
    errors = field_errors(parse_page(operator.get(where), 400))
    assert list(errors) == [field]
    assert named in errors[field]
