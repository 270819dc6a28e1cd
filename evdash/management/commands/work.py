"""`manage.py work`: apply events from the streams to the tables."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from evdash.config.checks import TAG
from evdash.config.environment import Configuration
from evdash.ingest.batch import OUTAGES
from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.registry import projections
from evdash.ingest.redecoding import Redecoding
from evdash.ingest.retention import Retention
from evdash.ingest.runner import WorkerRunner, run
from evdash.ingest.shared_decoding import SharedDecoding
from evdash.ingest.snapshots import StateKeeping
from evdash.ingest.worker import Worker
from evdash.management.base import PlainCommand
from evdash.serving.startup import collect_seldom
from evdash.streams.client import open_blocking_client
from evdash.streams.consumer_group import GroupConsumer

# Pages read entries from the stream until analytics and debug have applied them. These two may take larger batches:
# a fourth of the batches, and of their fixed cost. A full batch is never delayed.
DERIVED_BATCHES = 4


class Command(PlainCommand):
    help = "Apply stream entries to the projections until stopped."
    requires_system_checks = [TAG]  # all checks would import every page

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "projection",
            nargs="*",
            choices=[[], *projections()],
            metavar=f"{{{','.join(projections())}}}",
            help="projections to apply (default: all)",
        )
        parser.add_argument(
            "--consumer", help="consumer name in the group, different for each worker (EVDASH_CONSUMER)"
        )
        parser.add_argument("--until-caught-up", action="store_true", help="exit when caught up")

    def handle(
        self, *args: Any, projection: list[str], consumer: str | None, until_caught_up: bool, **options: Any
    ) -> None:
        configuration: Configuration = settings.EVDASH
        chosen = [each for name, each in projections().items() if not projection or name in projection]
        name, decoding = consumer or configuration.consumer, SharedDecoding(len(chosen))
        workers = [
            _Thread(upkeep_of(each, configuration, name, decoding), self.stop, until_caught_up) for each in chosen
        ]
        _stop_on_signals(self.stop)
        if self._called_from_command_line:  # a program that calls the command keeps its own settings
            collect_seldom()
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(0.2)  # signals are handled between two of these
        failures = [worker.failure for worker in workers if worker.failure is not None]
        if failures:
            if isinstance(failures[0], OUTAGES):
                raise CommandError(str(failures[0])) from failures[0]
            raise failures[0]
        if until_caught_up:
            for worker in workers:
                self.stdout.write(
                    f"{worker.name}: applied {worker.carried:,} {'entry' if worker.carried == 1 else 'entries'}."
                )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.stop = threading.Event()


class _Thread(threading.Thread):
    """The loop of one worker. If it fails, the other workers stop, and the process ends with the error.

    The program that started the process starts it again.
    """

    def __init__(self, upkeep: WorkerRunner, stop: threading.Event, until_caught_up: bool) -> None:
        super().__init__(name=upkeep.worker.projection.group, daemon=True)
        self.upkeep, self.stop, self.until_caught_up = upkeep, stop, until_caught_up
        self.carried = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            self.carried = run(
                self.upkeep,
                self.stop,
                block_ms=settings.EVDASH.block_ms,
                batch_ms=settings.EVDASH.batch_ms * (1 if self.upkeep.worker.projection.fills_log else DERIVED_BATCHES),
                until_caught_up=self.until_caught_up,
            )
        except Exception as error:  # noqa: BLE001 - raised again by the command
            self.failure = error
            self.stop.set()
        finally:
            connection.close()


def upkeep_of(
    projection: Projection, configuration: Configuration, consumer: str, decoding: SharedDecoding
) -> WorkerRunner:
    """Return the worker of a projection, as configured.

    The projection that fills the event log also trims the streams, if configured, and stores snapshots. Each worker
    decodes again what another decoder has written into its tables.
    """
    client = open_blocking_client(configuration.redis_url, configuration.block_ms)
    worker = Worker(
        GroupConsumer(client, projection.group, consumer),
        projection,
        configuration.streams,
        batch_size=configuration.batch_size,
        max_deliveries=configuration.max_deliveries,
        claim_idle_ms=configuration.claim_idle_ms,
        decode=decoding.decode,
    )
    retention = Retention(
        worker.consumer,
        lambda: worker.streams,
        [each.group for each in projections().values()],
        max_length=configuration.max_length,
        exact=configuration.max_length_exact,
        hours=configuration.retention_hours,
    )
    retain = retention.trim if projection.fills_log and retention.is_configured else None
    keeping = StateKeeping(worker) if projection.fills_log else None
    redecoding = Redecoding(
        projection, configuration.redis_url, configuration.streams, keeping.start_over if keeping else None
    )
    return WorkerRunner(worker, retain, keeping.keep if keeping else None, redecoding)


def _stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` at the first SIGTERM or Ctrl-C, so that the present batch is finished.

    The second signal ends the process at once.
    """

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
