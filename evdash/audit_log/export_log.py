"""Exports in the audit log: the person, the filter, the time and the number of bytes."""

from __future__ import annotations

from collections.abc import Iterator

from django.contrib.auth.models import User
from django.db import DatabaseError
from structlog.stdlib import get_logger

from evdash.audit_log.audit_log import record
from evdash.audit_log.models import AuditLogEntry
from evdash.events.filters.event_filter import EventFilter

logger = get_logger(__name__)


def recorded_export(
    who: str,
    event_filter: EventFilter,
    form: str,
    pieces: Iterator[bytes],
    *,
    user: User | None = None,
    sandbox: str = "",
) -> Iterator[bytes]:
    """Return the pieces of an export unchanged, and record the export in the audit log.

    The first row is written before the first piece. A second row is written after the last piece or after a failure.
    There is no second row if the client disconnects in between. `form` names the kind of file. `sandbox` names the
    sandbox that is exported instead of the watched streams.

    Raise the database's error if the first row cannot be written. The caller must then not send anything.
    """
    detail = {
        "title": f"Export {event_filter.describe()}{f' of {sandbox}' if sandbox else ''} as {form}",
        "asked": {"filter": event_filter.text(), "form": form},
    }
    begun = record(who, "export", user=user, stream=sandbox, detail=detail, succeeded=None)
    return _with_end_recorded(begun, pieces)


def _with_end_recorded(begun: AuditLogEntry, pieces: Iterator[bytes]) -> Iterator[bytes]:
    sent_bytes = 0
    try:
        for piece in pieces:
            yield piece
            sent_bytes += len(piece)
    except Exception as error:
        _end(begun, f"Interrupted after {sent_bytes:,} bytes: {error}", succeeded=False)
        raise
    _end(begun, f"Exported {sent_bytes:,} bytes.", succeeded=True)


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
