"""`manage.py work`: carry events from the stream into the event log."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from evdash.projections.audit import AuditProjection
from evdash.streams.client import StreamsUnavailable, open_blocking_client
from evdash.streams.groups import GroupConsumer
from evdash.workers.loop import run
from evdash.workers.worker import Worker


class Command(BaseCommand):
    help = "Carries events from the streams into the event log, until it is stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--until-caught-up", action="store_true", help="end when there is nothing left to carry over"
        )

    def handle(self, *args: Any, until_caught_up: bool, **options: Any) -> None:
        configuration = settings.EVDASH
        client = open_blocking_client(configuration.redis_url, configuration.block_ms)
        worker = Worker(
            GroupConsumer(client, configuration.audit_group, configuration.consumer),
            AuditProjection(configuration.audit_group),
            configuration.streams,
            batch_size=configuration.batch_size,
        )
        stop = _stop_on_signals()
        try:
            carried = run(worker, stop, block_ms=configuration.block_ms, until_caught_up=until_caught_up)
        except (StreamsUnavailable, DatabaseError) as error:
            raise CommandError(str(error)) from error
        if until_caught_up:
            self.stdout.write(f"{carried:,} entries carried over.")


def _stop_on_signals() -> threading.Event:
    """Set by the first SIGTERM or Ctrl-C, so that the batch in hand is finished; the second one ends at once."""
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop
