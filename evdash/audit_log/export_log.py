"""Exports in the audit log: the person, the filter, the time and the number of events and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Self

from django.contrib.auth.models import User
from django.db import DatabaseError
from structlog.stdlib import get_logger

from evdash.audit_log.audit_log import record
from evdash.audit_log.models import AuditLogEntry
from evdash.eventlog.export import Piece
from evdash.events.filters.event_filter import EventFilter

logger = get_logger(__name__)


class Exported(NamedTuple):
    """The content of an export: its filter in words and as written, and the noun of what it counts."""

    described: str
    written: str
    noun: str = "event"

    @classmethod
    def events(cls, event_filter: EventFilter) -> Self:
        """Return the events of a filter."""
        return cls(event_filter.describe(), event_filter.text())


def recorded_export(
    who: str,
    what: Exported,
    form: str,
    pieces: Iterator[bytes],
    *,
    user: User | None = None,
    sandbox: str = "",
) -> Iterator[bytes]:
    """Return the pieces of an export unchanged, and record the export in the audit log.

    The first row is written before the first piece. A second row is written after the last piece, after a failure, or
    when the client has disconnected. It has the number of events and bytes that were sent. `form` names the kind of
    file. `sandbox` names the sandbox that is exported instead of the watched streams.

    Raise the database's error if the first row cannot be written. The caller must then not send anything.
    """
    detail = {
        "title": f"Export {what.described}{f' of {sandbox}' if sandbox else ''} as {form}",
        "asked": {"filter": what.written, "form": form},
    }
    begun = record(who, "export", user=user, stream=sandbox, detail=detail, succeeded=None)
    return _with_end_recorded(begun, pieces, what.noun)


def _with_end_recorded(begun: AuditLogEntry, pieces: Iterator[bytes], noun: str) -> Iterator[bytes]:
    sent_bytes = sent_events = 0

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
