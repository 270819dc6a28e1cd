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
from evdash.streams.names import canonical_name
from evdash.streams.stream_info import stream_info

# The most dead-lettered entries that `--all` selects at once.
PARKED_MAX = 10_000
POSITION = "an entry ID, or start, or end"


class Command(PlainCommand):
    help = (
        "Operate streams and consumer groups. Use --dry-run for a preview. Every change needs --reason and is recorded "
        "in the audit log under your system user name."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="operation", required=True, metavar="OPERATION")

        def add(name: str, words: str, *positional: str) -> ArgumentParser:
            added: ArgumentParser = kinds.add_parser(name, help=words, description=words)
            for argument in ("stream", *positional):
                added.add_argument(argument, type=canonical_name)
            added.add_argument("--reason", default="", help="reason, required unless --dry-run")
            added.add_argument("--dry-run", action="store_true", help="preview only")
            return added

        claim = add("claim", "claim pending entries for another consumer", "group")
        claim.add_argument("--to", required=True, type=canonical_name, metavar="CONSUMER", help="target consumer")
        _add_selection(claim)
        _add_selection(add("acknowledge", "acknowledge pending entries, applied or not", "group"))
        _add_selection(add("park", "move pending entries to the dead-letter stream", "group"))
        _add_parked(add("redeliver", "apply parked entries again, or return them to an external group"))
        _add_parked(add("discard", "delete parked entries permanently"))
        consumer = add("delete-consumer", "delete a consumer without pending entries", "group", "consumer")
        consumer.add_argument(
            "--claim-first-to",
            type=canonical_name,
            metavar="CONSUMER",
            help="consumer that first claims its pending entries",
        )
        position = add("set-position", "set the position of a group", "group")
        position.add_argument("position", help=POSITION)
        create = add("create-group", "create a consumer group", "group")
        create.add_argument(
            "--at", default="start", metavar="ID", help=f"deliver entries after: {POSITION} (default: start)"
        )
        add("delete-group", "delete a consumer group", "group")
        trim = add(
            "trim", "trim the oldest entries that no group needs; the limit that removes the most entries applies"
        )
        trim.add_argument("--max-length", type=int, metavar="N", help="maximum length")
        trim.add_argument("--older-than", type=_moment, metavar="AGE", help="entries older than: 24h, 7d or a date")
        trim.add_argument("--min-id", type=_entry_id, metavar="ID", help="entries before this ID")
        trim.add_argument("--approximate", action="store_true", help="faster; some hundred entries more may stay")

    def handle(self, *args: Any, **options: Any) -> None:
        arguments = Namespace(**options)
        with open_client(settings.EVDASH.redis_url) as client:
            try:
                operation = _operation(client, arguments)
                if arguments.dry_run:
                    self._say_what_it_would_do(operation, client)
                else:
                    self._say_what_came_of_it(operate(system_user(), operation, arguments.reason, client))
            except (OperationRefused, StreamsUnavailable, GroupMissing, InvalidEntryId, OutcomeNotRecorded) as refusal:
                raise CommandError(str(refusal)) from refusal
            except DatabaseError as error:
                raise CommandError(f"Not executed: the audit log is not writable ({error})") from error

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
            raise CommandError(outcome.stopped or "Partly failed.")


def _add_selection(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--entry", action="append", type=_entry_id, default=[], metavar="ID", help="entry ID, repeatable"
    )
    parser.add_argument(
        "--from",
        dest="from_consumer",
        type=canonical_name,
        metavar="CONSUMER",
        help="only entries pending for this consumer",
    )
    parser.add_argument("--idle-over-s", type=float, metavar="SECONDS", help="only entries idle for at least this time")


def _add_parked(parser: ArgumentParser) -> None:
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument(
        "--parked", action="append", type=_entry_id, metavar="ID", help="ID in the dead-letter stream, repeatable"
    )
    chosen.add_argument("--all", action="store_true", help=f"all parked entries (at most the first {PARKED_MAX:,})")


def _operation(client: redis.Redis, arguments: Namespace) -> Operation:
    """Return the operation that the arguments describe. Raises InvalidEntryId."""
    own_groups = frozenset(projection.group for projection in projections().values())
    match arguments.operation:
        case "claim":
            return ClaimEntries(**_selection(arguments), to_consumer=arguments.to)
        case "acknowledge":
            return AcknowledgeEntries(**_selection(arguments))
        case "park":
            return ParkEntries(**_selection(arguments), reason=f"Parked by an operator: {arguments.reason.strip()}")
        case "redeliver" | "discard":
            parked = parked_entries(client, arguments.stream, count=PARKED_MAX) if arguments.all else []
            ids = tuple(parked_entry.parked_id for parked_entry in parked) if arguments.all else tuple(arguments.parked)
            operation_class = RedeliverParked if arguments.operation == "redeliver" else DiscardParked
            return operation_class(stream=arguments.stream, parked_ids=ids)
        case "delete-consumer":
            return DeleteConsumer(
                stream=arguments.stream,
                group=arguments.group,
                consumer=arguments.consumer,
                claim_first_to=arguments.claim_first_to,
            )
        case "set-position":
            at = _position(client, arguments.stream, arguments.position)
            return SetPosition(stream=arguments.stream, group=arguments.group, position=at, own_groups=own_groups)
        case "create-group":
            at = _position(client, arguments.stream, arguments.at)
            return CreateGroup(stream=arguments.stream, group=arguments.group, at=at, own_groups=own_groups)
        case "delete-group":
            return DeleteGroup(stream=arguments.stream, group=arguments.group, own_groups=own_groups)
        case _:
            return Trim(
                stream=arguments.stream,
                max_length=arguments.max_length,
                older_than=arguments.older_than,
                min_id=arguments.min_id,
                approximate=arguments.approximate,
                own_groups=own_groups,
            )


def _selection(arguments: Namespace) -> dict[str, Any]:
    idle_over_ms = None if arguments.idle_over_s is None else int(arguments.idle_over_s * 1000)
    return {
        "stream": arguments.stream,
        "group": arguments.group,
        "entry_ids": tuple(arguments.entry),
        "from_consumer": arguments.from_consumer,
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
