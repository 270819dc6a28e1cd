"""Execution of an operation on a stream or group: previewed, with a reason, and recorded in the audit log."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any, Final

import redis
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from evdash.audit_log.audit_log import REASON_MAX_CHARS, plain, record
from evdash.audit_log.models import AuditLogEntry
from evdash.eventlog.consumer_reads import claiming
from evdash.ingest.redelivery import record_operation_gaps
from evdash.streams.commands import Operation, OperationRefused, Outcome
from evdash.streams.commands.outcomes import receivers

NO_REASON: Final = "Enter a reason. It is recorded in the audit log."


class OutcomeNotRecorded(Exception):
    """Error after an operation that ran, but whose outcome is not completely recorded."""


def operate(
    user_name: str, operation: Operation, reason: str, client: redis.Redis, *, user: User | None = None
) -> Outcome:
    """Execute the operation and return its outcome.

    The audit log has a row before any change and another one after it, even if the operation fails. A refusal by the
    preview, and a preview that fails, have one row. Raise OperationRefused if there is no reason or if the operation
    refuses. Raise OutcomeNotRecorded, and the errors of the operation. Do not call this within a transaction: a
    rollback could remove the rows.
    """
    fields: dict[str, Any] = {
        "stream": operation.stream,
        "group": getattr(operation, "group", ""),
        "reason": reason.strip(),
        "user": user,
        "detail": {"title": operation.title, "asked": _without_reason(plain(operation))},
    }
    try:
        preview = operation.preview(client)
    except Exception as error:
        _write(user_name, operation.action, **fields, outcome=_in_words(error), succeeded=False)
        raise
    fields["detail"] |= {"preview": preview.sentence, "affected": preview.affected}
    refused = reason_problem(reason) or preview.refused
    if refused:
        _write(user_name, operation.action, **fields, outcome=refused, succeeded=False)
        raise OperationRefused(refused)
    begun = _write(user_name, operation.action, **fields, succeeded=None)
    try:
        with claiming(client, operation.stream, receivers(operation, client)):
            outcome = operation.execute(client)
    except BaseException as error:
        _write_end(begun, fields, outcome=_in_words(error), succeeded=False)
        raise
    fields["detail"] |= {
        "done": outcome.done,
        "done_ids": outcome.done_ids,
        "last_done_id": max(outcome.done_ids, default=None),  # the list is cut
        "failed": outcome.failed,
    }
    _note(operation, outcome, reason)
    _write_end(
        begun,
        fields,
        before=outcome.before,
        after=outcome.after,
        outcome=f"{outcome.sentence} {outcome.stopped}".strip(),
        succeeded=outcome.succeeded,
    )
    return outcome


def _without_reason(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments without the reason, which has a column of its own."""
    return {name: value for name, value in arguments.items() if name != "reason"}


def reason_problem(reason: str) -> str:
    """Return the sentence that refuses an empty or too long reason; "" if it is valid."""
    length = len(reason.strip())
    if length > REASON_MAX_CHARS:
        return f"The reason has {length:,} characters; the limit is {REASON_MAX_CHARS:,}. Shorten it."
    return "" if length else NO_REASON


def system_user() -> str:
    """Return the name of the system's user, for operations from a terminal. Raise OperationRefused without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise OperationRefused("User name unknown. Set the environment variable USER to your name.") from error


def _note(operation: Operation, outcome: Outcome, reason: str) -> None:
    try:
        record_operation_gaps(operation, outcome, reason)
    except DatabaseError as error:
        raise OutcomeNotRecorded(
            f"{outcome.sentence} The withheld entries could not be recorded as a gap: {error}. A worker that detects "
            "them applies them."
        ) from error


def _write(who: str, action: str, **fields: Any) -> AuditLogEntry:
    with transaction.atomic(durable=True):
        return record(who, action, **fields)


def _write_end(begun: AuditLogEntry, fields: Mapping[str, Any], **result: Any) -> None:
    try:
        _write(begun.who, begun.action, begun=begun, **fields, **result)
    except DatabaseError as error:
        raise OutcomeNotRecorded(
            f"{result['outcome']} The audit log has the start of this operation but not its result: {error}."
        ) from error


def _in_words(error: BaseException) -> str:
    words = str(error).strip()
    if isinstance(error, OperationRefused):  # by execute, after the preview had allowed it
        return words
    return f"Interrupted: {words if words.endswith('.') else f'{type(error).__name__} {words}'.strip() + '.'}"
