"""Exports in the audit log: the person, the filter, the time and the number of events and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from django.contrib.auth.models import User
from django.db import DatabaseError
from structlog.stdlib import get_logger

from evdash.audit_log.audit_log import record
from evdash.audit_log.models import AuditLogEntry
from evdash.eventlog.export import Piece

logger = get_logger(__name__)


class Described(Protocol):
    """The filter of an export."""

    def describe(self) -> str:
        """Return what is exported, in words."""

    def text(self) -> str:
        """Return the filter as it is written."""


def begin_export(
    who: str,
    exported: Described,
    form: str,
    *,
    user: User | None = None,
    sandbox: str = "",
    noun: str = "event",
) -> AuditLogEntry:
    """Record the beginning of an export, and return the row; its number can be in the file.

    `form` names the kind of file, `noun` what it has. `sandbox` names the sandbox that is exported instead of the
    watched streams.

    Raise the database's error if the row cannot be written. The caller must then not send anything.
    """
    detail = {
        "title": f"Export {exported.describe()}{f' of {sandbox}' if sandbox else ''} as {form}",
        "noun": noun,
        "asked": {"filter": exported.text(), "form": form},
    }
    return record(who, "export", user=user, stream=sandbox, detail=detail, succeeded=None)


def with_end_recorded(begun: AuditLogEntry, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of an export unchanged, and record its end in the audit log.

    The row is written after the last piece, after a failure, or when the client has disconnected. It has the number
    of events, or of other things, and bytes that were sent.
    """
    sent_bytes = sent_events = 0
    noun = begun.detail["noun"]

    def sent() -> str:
        return f"{sent_events:,} {noun if sent_events == 1 else f'{noun}s'} ({sent_bytes:,} bytes)"

    try:
        for piece in pieces:
            yield piece
            sent_bytes += len(piece)
            sent_events += piece.events if isinstance(piece, Piece) else 0
    except GeneratorExit:  # the piece that was under way may have arrived in part
        _end(begun, f"Interrupted after {sent()}: the client disconnected.", succeeded=False)
        raise
    except Exception as error:
        _end(begun, f"Interrupted after {sent()}: {error}", succeeded=False)
        raise
    _end(begun, f"Exported {sent()}.", succeeded=True)


def _end(begun: AuditLogEntry, outcome: str, *, succeeded: bool) -> None:
    try:
        record(
            begun.who,
            begun.action,
            user=begun.user,
            stream=begun.stream,
            detail=begun.detail,
            outcome=outcome,
            succeeded=succeeded,
            begun=begun,
        )
    except DatabaseError as error:  # the events are sent, and the audit log has the first row
        logger.warning("export result not in audit log", audit_log_id=begun.pk, reason=str(error))
