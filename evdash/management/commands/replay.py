"""`manage.py replay … --to STREAM`: copy entries into a sandbox, from a terminal."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError, Namespace
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from evdash.audit_log.run_operation import OutcomeNotRecorded, operate, system_user
from evdash.events.filters.event_filter import EventFilter, FilterError
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.management.base import PlainCommand
from evdash.replay.replay import EXPIRES_S, SPEED_MAX, Replay
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.commands import OperationRefused
from evdash.streams.names import canonical_name


class Command(PlainCommand):
    help = (
        "Copy the entries of a filter, byte for byte, from the event log and the streams to a sandbox stream. Use "
        "--dry-run for a preview. A replay needs --reason and is recorded in the audit log under your system user "
        "name. Ctrl-C stops after a complete entry and prints progress."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--session", action="append", default=[], metavar="S", help="session ID, repeatable")
        parser.add_argument("--since", default="", metavar="TIME", help="start time: 2h or 2026-11-23T14:00Z")
        parser.add_argument("--until", default="", metavar="TIME", help="end time, exclusive")
        parser.add_argument("--filter", default="", metavar="FILTER", help="filter, as on the Events page")
        prefix = settings.EVDASH.sandbox_prefix
        parser.add_argument(
            "--to",
            required=True,
            type=canonical_name,
            metavar="STREAM",
            help=f"sandbox name, starts with {prefix}",
        )
        parser.add_argument(
            "--ids", choices=("original", "new"), default="original", help="entry IDs of the copies (default: original)"
        )
        parser.add_argument(
            "--speed",
            type=_number,
            metavar="N",
            help=f"1 to {SPEED_MAX} times the recorded speed (default: full speed)",
        )
        parser.add_argument("--max-pause", type=_span_s, metavar="SPAN", help="longest pause between two entries: 5s")
        parser.add_argument(
            "--expires", type=_span_s, default=float(EXPIRES_S), metavar="SPAN", help="default 24h, at most 30d"
        )
        parser.add_argument("--reason", default="", help="reason, required unless --dry-run")
        parser.add_argument("--dry-run", action="store_true", help="preview only")

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = Namespace(**options)
        with open_client(settings.EVDASH.redis_url) as client:
            try:
                replay = _replay(arguments)
                preview = replay.preview(client)
                if not preview.refused:
                    self.stdout.write(preview.sentence)
                elif arguments.dry_run:
                    raise CommandError(preview.refused)
                if arguments.dry_run:
                    return
                outcome = operate(replay.who, replay, arguments.reason, client)
            except (FilterError, OperationRefused, StreamsUnavailable, OutcomeNotRecorded) as refusal:
                raise CommandError(str(refusal)) from refusal
            except DatabaseError as error:
                raise CommandError(f"The event log or the audit log is not available: {error}") from error
        self.stdout.write(outcome.sentence)
        if outcome.stopped:
            raise CommandError(outcome.stopped)


def _replay(arguments: Namespace) -> Replay:
    """Return the replay that the options describe.

    Raises FilterError, and OperationRefused if no option selects events.
    """
    query = {
        "q": [arguments.filter],
        "session": arguments.session,
        "since": [arguments.since],
        "until": [arguments.until],
    }
    event_filter = EventFilter.from_query(query)
    if not event_filter:
        raise OperationRefused("Select events with --session, --since, --until or --filter.")
    return Replay(
        stream=arguments.to,
        query=event_filter.text(),
        who=system_user(),
        reason=arguments.reason.strip(),
        ids=arguments.ids,
        speed=arguments.speed,
        max_pause_s=arguments.max_pause,
        expires_s=int(arguments.expires),
    )


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentTypeError(f"{text[:60]!r} is not a number")
    return number


def _span_s(text: str) -> float:
    try:
        bound = TimeBound.parse(text)
    except InvalidTimeBound as error:
        raise ArgumentTypeError(str(error)) from error
    if bound.ago is None:
        raise ArgumentTypeError(f"{text[:60]!r} is not a duration. Write 5s, 30m, 24h or 7d")
    return bound.ago.total_seconds()
