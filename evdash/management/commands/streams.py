"""`manage.py streams OPERATION …`: the operations on streams and groups, from a terminal."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from datetime import UTC, datetime
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import DatabaseError

from evdash.audit_log.run_operation import OutcomeNotRecorded, operate, system_user
from evdash.events.entry import EntryId, InvalidEntryId
from evdash.events.filters.time_range import InvalidTimeBound, TimeBound
from evdash.ingest.projections.registry import projections
from evdash.ingest.redelivery import DiscardParked, RedeliverParked
from evdash.management.base import PlainCommand
from evdash.streams.client import StreamsUnavailable, open_client
from evdash.streams.commands import (
    AcknowledgeEntries,
    ClaimEntries,
    CreateGroup,
    DeleteConsumer,
    DeleteGroup,
    Operation,
    OperationRefused,
    Outcome,
    ParkEntries,
    SetPosition,
    Trim,
)
from evdash.streams.consumer_group import GroupMissing, PendingEntry
from evdash.streams.dead_letters import parked_entries
from evdash.streams.stream_info import stream_info

# The most dead-lettered entries that `--all` selects at once.
PARKED_MAX = 10_000
POSITION = "an entry ID, or start, or end"


class Command(PlainCommand):
    help = (
        "Changes streams and consumer groups. Each operation says what it would do with --dry-run; done, it needs a "
        "reason, which is kept in the audit log under the name of the system's user."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="operation", required=True, metavar="OPERATION")

        def add(name: str, words: str, *positional: str) -> ArgumentParser:
            added: ArgumentParser = kinds.add_parser(name, help=words, description=words)
            for argument in ("stream", *positional):
                added.add_argument(argument)
            added.add_argument("--reason", default="", help="why; required unless it is a --dry-run")
            added.add_argument("--dry-run", action="store_true", help="say what it would do, and do nothing")
            return added

        claim = add("claim", "give pending entries to another consumer", "group")
        claim.add_argument("--to", required=True, metavar="CONSUMER", help="who gets them")
        _add_selection(claim)
        _add_selection(add("acknowledge", "count pending entries as done, applied or not", "group"))
        _add_selection(add("park", "put pending entries beside the stream", "group"))
        _add_parked(add("redeliver", "apply parked entries in the projection that gave them up"))
        _add_parked(add("discard", "remove parked entries for good"))
        consumer = add("delete-consumer", "delete a consumer that has nothing pending", "group", "consumer")
        consumer.add_argument("--claim-first-to", metavar="CONSUMER", help="who gets what is pending for it")
        position = add("set-position", "have a group go on after an entry", "group")
        position.add_argument("position", help=POSITION)
        create = add("create-group", "make a consumer group", "group")
        create.add_argument("--at", default="start", metavar="ID", help=f"it gets what comes after: {POSITION}")
        add("delete-group", "delete a consumer group", "group")
        trim = add("trim", "remove the oldest entries, none that a group still needs; the furthest bound counts")
        trim.add_argument("--max-length", type=int, metavar="N", help="so many entries stay")
        trim.add_argument("--older-than", type=_moment, metavar="AGE", help="such as 24h or 7d, or a date")
        trim.add_argument("--min-id", type=_entry_id, metavar="ID", help="what lies before it")
        trim.add_argument("--approximate", action="store_true", help="quicker; some hundred entries more may stay")

    def handle(self, *args: Any, **options: Any) -> None:
        given = Namespace(**options)
        with open_client(settings.EVDASH.redis_url) as client:
            try:
                operation = _operation(client, given)
                if given.dry_run:
                    self._say_what_it_would_do(operation, client)
                else:
                    self._say_what_came_of_it(operate(system_user(), operation, given.reason, client))
            except (OperationRefused, StreamsUnavailable, GroupMissing, InvalidEntryId, OutcomeNotRecorded) as refusal:
                raise CommandError(str(refusal)) from refusal
            except DatabaseError as error:
                raise CommandError(f"The audit log cannot be written, so nothing was done: {error}") from error

    def _say_what_it_would_do(self, operation: Operation, client: redis.Redis) -> None:
        preview = operation.preview(client)
        if preview.refused:
            raise CommandError(preview.refused)
        self.stdout.write(preview.sentence)
        for example in preview.examples:
            if isinstance(example, PendingEntry):
                deliveries = "1 delivery" if example.deliveries == 1 else f"{example.deliveries:,} deliveries"
                self.stdout.write(
                    f"  {example.entry_id}  {example.consumer}, idle {example.idle_ms:,} ms, {deliveries}"
                )
            else:
                self.stdout.write(f"  {example}")
        if preview.examples and preview.affected and preview.affected > len(preview.examples):
            self.stdout.write(f"  and {preview.affected - len(preview.examples):,} more")

    def _say_what_came_of_it(self, outcome: Outcome) -> None:
        self.stdout.write(outcome.sentence)
        for name in (*outcome.before, *(name for name in outcome.after if name not in outcome.before)):
            before, after = outcome.before.get(name, "none"), outcome.after.get(name, "none")
            if before != after:
                self.stdout.write(f"  {name.replace('_', ' ')}: {_plain(before)} -> {_plain(after)}")
        for entry_id, why in outcome.failed:
            self.stdout.write(f"  {entry_id}: {why}")
        if not outcome.succeeded:
            raise CommandError(outcome.stopped or "Not everything was done.")


def _add_selection(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--entry", action="append", type=_entry_id, default=[], metavar="ID", help="only this, or these"
    )
    parser.add_argument("--from", dest="from_consumer", metavar="CONSUMER", help="only what is pending for it")
    parser.add_argument("--idle-over-s", type=float, metavar="SECONDS", help="only what is idle for that long")


def _add_parked(parser: ArgumentParser) -> None:
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--parked", action="append", type=_entry_id, metavar="ID", help="its ID among the parked")
    chosen.add_argument("--all", action="store_true", help=f"the first {PARKED_MAX:,} that are parked")


def _operation(client: redis.Redis, given: Namespace) -> Operation:
    """Return the operation that the arguments describe. Raises InvalidEntryId."""
    own_groups = frozenset(projection.group for projection in projections().values())
    match given.operation:
        case "claim":
            return ClaimEntries(**_selection(given), to_consumer=given.to)
        case "acknowledge":
            return AcknowledgeEntries(**_selection(given))
        case "park":
            return ParkEntries(**_selection(given), reason=f"Parked by an operator: {given.reason.strip()}")
        case "redeliver" | "discard":
            parked = parked_entries(client, given.stream, count=PARKED_MAX) if given.all else []
            ids = tuple(each.parked_id for each in parked) if given.all else tuple(given.parked)
            wanted = RedeliverParked if given.operation == "redeliver" else DiscardParked
            return wanted(stream=given.stream, parked_ids=ids)
        case "delete-consumer":
            return DeleteConsumer(
                stream=given.stream, group=given.group, consumer=given.consumer, claim_first_to=given.claim_first_to
            )
        case "set-position":
            at = _position(client, given.stream, given.position)
            return SetPosition(stream=given.stream, group=given.group, position=at, own_groups=own_groups)
        case "create-group":
            at = _position(client, given.stream, given.at)
            return CreateGroup(stream=given.stream, group=given.group, at=at, own_groups=own_groups)
        case "delete-group":
            return DeleteGroup(stream=given.stream, group=given.group, own_groups=own_groups)
        case _:
            return Trim(
                stream=given.stream,
                max_length=given.max_length,
                older_than=given.older_than,
                min_id=given.min_id,
                approximate=given.approximate,
                own_groups=own_groups,
            )


def _selection(given: Namespace) -> dict[str, Any]:
    idle_over_ms = None if given.idle_over_s is None else int(given.idle_over_s * 1000)
    return {
        "stream": given.stream,
        "group": given.group,
        "entry_ids": tuple(given.entry),
        "from_consumer": given.from_consumer,
        "idle_over_ms": idle_over_ms,
    }


def _position(client: redis.Redis, stream: str, text: str) -> EntryId:
    if text == "end":
        info = stream_info(client, stream)
        return info.last_generated_id if info else EntryId.MIN
    return EntryId.MIN if text == "start" else EntryId.parse(text)


def _entry_id(text: str) -> EntryId:
    try:
        return EntryId.parse(text)
    except InvalidEntryId as error:
        raise ArgumentTypeError(str(error)) from error


def _moment(text: str) -> datetime:
    try:
        return TimeBound.parse(text).at(datetime.now(UTC))
    except InvalidTimeBound as error:
        raise ArgumentTypeError(str(error)) from error


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number:,}" for name, number in value.items()) or "none"
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
