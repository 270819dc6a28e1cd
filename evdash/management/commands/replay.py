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


class Command(PlainCommand):
    help = (
        "Copies the entries of a filter, byte for byte, from the event log and the streams into a sandbox stream. Says "
        "how many first; done, it needs a reason, which is kept in the audit log under the name of the system's user. "
        "Ctrl-C ends it after a whole entry, and it says how far it came."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--session", action="append", default=[], metavar="S", help="of this session, or these")
        parser.add_argument("--since", default="", metavar="TIME", help="from then on: 2h, or 2026-11-23T14:00Z")
        parser.add_argument("--until", default="", metavar="TIME", help="before then")
        parser.add_argument("--filter", default="", metavar="FILTER", help="as it is written on the pages")
        prefix = settings.EVDASH.sandbox_prefix
        parser.add_argument("--to", required=True, metavar="STREAM", help=f"the sandbox; its name begins with {prefix}")
        parser.add_argument(
            "--ids", choices=("original", "new"), default="original", help="the IDs that the copies have"
        )
        parser.add_argument(
            "--speed",
            type=_number,
            metavar="N",
            help=f"1 to {SPEED_MAX} times as fast as it was recorded; else at full speed",
        )
        parser.add_argument("--max-gap", type=_span_s, metavar="SPAN", help="no gap counts for longer: 5s")
        parser.add_argument(
            "--expires", type=_span_s, default=float(EXPIRES_S), metavar="SPAN", help="24h if not said; at most 30d"
        )
        parser.add_argument("--reason", default="", help="why; required unless it is a --dry-run")
        parser.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        given = Namespace(**options)
        with open_client(settings.EVDASH.redis_url) as client:
            try:
                replay = _replay(given)
                preview = replay.preview(client)
                if not preview.refused:
                    self.stdout.write(preview.sentence)
                elif given.dry_run:
                    raise CommandError(preview.refused)
                if given.dry_run:
                    return
                outcome = operate(replay.who, replay, given.reason, client)
            except (FilterError, OperationRefused, StreamsUnavailable, OutcomeNotRecorded) as refusal:
                raise CommandError(str(refusal)) from refusal
            except DatabaseError as error:
                raise CommandError(f"The event log or the audit log cannot be used: {error}") from error
        self.stdout.write(outcome.sentence)
        if outcome.stopped:
            raise CommandError(outcome.stopped)


def _replay(given: Namespace) -> Replay:
    """Return the replay that the options describe.

    Raises FilterError, and OperationRefused if no option selects events.
    """
    query = {"q": [given.filter], "session": given.session, "since": [given.since], "until": [given.until]}
    event_filter = EventFilter.from_query(query)
    if not event_filter:
        raise OperationRefused("Say which events: by --session, --since, --until or --filter.")
    return Replay(
        stream=given.to,
        query=event_filter.text(),
        who=system_user(),
        reason=given.reason.strip(),
        ids=given.ids,
        speed=given.speed,
        max_gap_s=given.max_gap,
        expires_s=int(given.expires),
    )


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ArgumentTypeError(f"{text[:60]!r} is no number")
    return number


def _span_s(text: str) -> float:
    try:
        bound = TimeBound.parse(text)
    except InvalidTimeBound as error:
        raise ArgumentTypeError(str(error)) from error
    if bound.ago is None:
        raise ArgumentTypeError(f"{text[:60]!r} is no span of time: write 5s, 30m, 24h or 7d")
    return bound.ago.total_seconds()
