"""The migration leaves the rows of the log as they are, and counts them as those of an unknown decoder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from evdash.eventlog.decoders import decoder_number, redecoding_progress
from evdash.eventlog.models import Decoder, GroupPosition, LoggedEvent
from evdash.events.decoding import decode
from evdash.ingest.projections.event_log import AuditProjection
from tests.builders import entry
from tests.eventlog.conftest import GROUP

BEFORE = ("eventlog", "0007_snapshots")


def migrate(*targets: tuple[str, str]) -> None:
    """Migrate to these states, by default to the newest."""
    executor = MigrationExecutor(connection)
    executor.migrate(list(targets or executor.loader.graph.leaf_nodes()))


@pytest.fixture
def before(transactional_db: None) -> Iterator[None]:
    """The tables of the version before, with three events."""
    AuditProjection(GROUP).apply([decode(entry(f"{number}-0", type="x")) for number in range(1, 4)])
    migrate(BEFORE)
    yield
    migrate()


@pytest.mark.usefixtures("before")
def test_rows_of_the_version_before_are_counted_and_kept() -> None:
    migrate()

    assert list(LoggedEvent.objects.values_list("decoder_id", flat=True)) == [0, 0, 0]
    assert list(GroupPosition.objects.values_list("decoder_id", flat=True)) == [0]
    assert list(Decoder.objects.values_list("pk", "fingerprint", "rows")) == [(0, "", 3)]
    left = redecoding_progress([GROUP])
    assert left is not None
    assert (left.rows_left, left.rows, left.read_models_left, left.is_running) == (3, 3, True, False)
    assert decoder_number() > 0


@pytest.mark.django_db
def test_an_empty_log_has_nothing_to_decode_again() -> None:
    assert redecoding_progress([GROUP]) is None
    decoder_number()
    assert redecoding_progress([GROUP]) is None


@pytest.mark.django_db
def test_a_decoder_is_registered_once() -> None:
    assert decoder_number() == decoder_number()
    assert Decoder.objects.count() == 1
