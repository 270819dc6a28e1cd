"""A signed-in browser on the pages, over a real Valkey whose entries a worker may have carried over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import redis
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from evdash.events.entry import Entry
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.worker import Worker
from evdash.streams.consumer_group import GroupConsumer
from tests.builders import STREAM

Write = Callable[..., None]
Index = Callable[[], None]


@pytest.fixture(autouse=True)
def _on_valkey(settings: Settings, valkey_url: str) -> None:
    settings.EVDASH = replace(settings.EVDASH, redis_url=valkey_url, streams=(STREAM, "other"))


@pytest.fixture
def browser(db: None) -> Client:
    """A person's browser, signed in. An exception of a view is the test's."""
    client = Client()
    client.force_login(User.objects.create_user("the reader"), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def write(valkey: redis.Redis) -> Write:
    """XADD these entries as they are."""

    def add(*entries: Entry) -> None:
        for entry in entries:
            flat = [part for pair in entry.pairs for part in pair]
            valkey.execute_command("XADD", entry.stream, str(entry.entry_id), *flat)

    return add


@pytest.fixture
def index(valkey: redis.Redis, settings: Settings) -> Index:
    """Carry all that is written into the log."""

    def work(streams: Sequence[str] = (STREAM,)) -> None:
        group = settings.EVDASH.audit_group
        worker = Worker(GroupConsumer(valkey, group, "c"), AuditProjection(group), streams, batch_size=500)
        worker.connect()
        while worker.step():
            pass

    return work
