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
        "Makes the tables of a projection anew from the event log and the streams, in one transaction: pages show the "
        "old ones until the new ones are whole. Workers wait meanwhile. For audit: the log's rows are read anew, "
        "and sessions, users and counts made of them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("group", metavar="GROUP", help="audit, analytics or debug, or the name of its group")

    def handle(self, *args: Any, group: str, **options: Any) -> None:
        configuration = settings.EVDASH
        found = [each for name, each in projections().items() if group in (name, each.group)]
        if not found:
            known = ", ".join(projections())
            raise CommandError(f"There is no projection {group}: it is one of {known}.")
        started_s = time.monotonic()
        try:
            events = rebuild(found[0], configuration.redis_url, configuration.streams)
        except (StreamsUnavailable, DatabaseError) as error:
            raise CommandError(f"{error} Everything is as it was.") from error
        took_s = time.monotonic() - started_s
        self.stdout.write(f"{found[0].group}: made anew of {events:,} events in {took_s:.1f} s.")
