"""Statements of a database that hangs end, so that their page can say so."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from evdash.eventlog.models import Stream
from evdash.eventlog.read_transaction import read_transaction
from evdash.serving import abandonment
from evdash.serving.abandonment import Abandoned, Abandonment

PQTRANS_IDLE, PQTRANS_ACTIVE = 0, 1


class Hanging:
    """What waits for a server, as psycopg does: on a socket."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.begun = threading.Event()

    def wait(self) -> bytes:
        self.begun.set()
        return self.ours.recv(1)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    hanging = Hanging()
    yield hanging
    for end in (hanging.ours, hanging.theirs):
        end.close()


@pytest.mark.parametrize("has_executed", [False, True])
@pytest.mark.parametrize(
    ("status", "after_s", "is_cut"),
    [(PQTRANS_ACTIVE, 0.0, True), (PQTRANS_ACTIVE, 60.0, False), (PQTRANS_IDLE, 0.0, False)],
)
def test_a_database_that_does_not_answer_loses_its_connection(
    hanging: Hanging, status: int, after_s: float, is_cut: bool, has_executed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandonment, "HANGING_AFTER_S" if has_executed else "CHECK_MAX_S", after_s)
    pgconn = SimpleNamespace(socket=hanging.ours.fileno(), transaction_status=status)
    database = SimpleNamespace(connection=SimpleNamespace(pgconn=pgconn))
    monkeypatch.setattr(abandonment, "connections", {"default": database})
    page = Abandonment()
    page._has_executed = has_executed
    page.end_hanging()  # nothing has begun
    results: list[bytes] = []

    def work() -> None:
        with page.ends_statements():
            results.append(hanging.wait())

    thread = threading.Thread(target=work)
    thread.start()
    hanging.begun.wait(10)
    page.end_hanging()
    if not is_cut:
        hanging.theirs.send(b"1")
    thread.join(10)
    assert results == ([b""] if is_cut else [b"1"])
    hanging.ours.close()
    page.end_hanging()


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_abandoned_in_a_snapshot_leaves_the_connection_to_the_next() -> None:
    abandoned = Abandonment()

    def read() -> None:
        with abandoned.ends_statements(), read_transaction():
            assert not Stream.objects.exists()
            abandoned.abandon()
            Stream.objects.exists()

    with pytest.raises(Abandoned):
        read()
    with Abandonment().ends_statements(), read_transaction():
        assert not Stream.objects.exists()


def test_a_statement_that_ends_restarts_the_wait() -> None:
    page = Abandonment()
    page._active_since_s = 0.0
    context = {"connection": SimpleNamespace(connection=None)}
    assert page._execute(lambda *_: 1, "SELECT 1", None, False, context) == 1
    assert page._active_since_s is None
