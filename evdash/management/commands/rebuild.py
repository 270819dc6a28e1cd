"""`manage.py rebuild GROUP`: rebuild a projection's tables."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError

from evdash.ingest.projections.registry import projections
from evdash.ingest.rebuild import rebuild
from evdash.management.base import PlainCommand
from evdash.streams.client import StreamsUnavailable


class Command(PlainCommand):
    help = (
        "Rebuild the tables of a projection from the event log and the streams, in one transaction. Pages show the old "
        "tables until it commits; workers wait. For audit, this rebuilds sessions, users and counts from the event log."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", metavar="GROUP", help="audit, analytics, debug, or a group name")

    def handle(self, *args: Any, group: str, **options: Any) -> None:
        configuration = settings.EVDASH
        matching = [projection for name, projection in projections().items() if group in (name, projection.group)]
        if not matching:
            names = ", ".join(projections())
            raise CommandError(f"Unknown projection {group}. Use one of {names}.")
        started_s = time.monotonic()
        try:
            events = rebuild(matching[0], configuration.redis_url, configuration.streams)
        except (StreamsUnavailable, DatabaseError) as error:
            raise CommandError(f"{error} Nothing changed.") from error
        duration_s = time.monotonic() - started_s
        self.stdout.write(f"{matching[0].group}: rebuilt from {events:,} events in {duration_s:.1f} s.")
