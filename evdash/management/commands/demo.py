"""`manage.py demo`: simulated agents write events, marked as simulated."""

from __future__ import annotations

import signal
import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from evdash.demo.writing import MAX_LENGTH, may_write, run
from evdash.management.base import PlainCommand
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.publisher import Publisher


class Command(PlainCommand):
    help = "Write demo events to the first embedded stream if it has no events of other producers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seed", type=int, help="random seed: the same seed writes the same events (default: different each time)"
        )

    def handle(self, *args: Any, seed: int | None, **options: Any) -> None:
        configuration = settings.EVDASH
        if not configuration.embedded:
            raise CommandError("Demo events are written only to the embedded server. Start it with `manage.py up`.")
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        stream = configuration.streams[0]
        client = open_client(configuration.redis_url)
        try:
            if not may_write(client, stream):
                self.stdout.write(f"No demo events: {stream} has events of other producers.")
                return
            with Publisher(configuration.redis_url, stream, MAX_LENGTH) as publisher:
                run(client, publisher, seed=time.time_ns() if seed is None else seed, stop=stop)
        except StreamsUnavailable as error:
            raise CommandError(str(error)) from error
        finally:
            client.close()
