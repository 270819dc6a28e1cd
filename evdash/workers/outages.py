"""What a worker waits out: Redis or SQL out of reach, which speaks against no entry."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError

from evdash.streams.client import StreamsUnavailable
from evdash.streams.groups import GroupMissing

# Whatever the loop survives: the worker connects again and goes on.
OUTAGES: Final = (StreamsUnavailable, GroupMissing, DatabaseError, InterfaceError)
# SQLSTATE class "program limit exceeded", such as a value too long for an index: the entry's doing, although drivers
# call it operational (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_LIMIT_EXCEEDED: Final = "54"


def is_sql_outage(error: Exception) -> bool:
    """Whether a database's error says that it cannot do its work now, whatever it is given."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    return not str(getattr(error.__cause__, "sqlstate", None) or "").startswith(_LIMIT_EXCEEDED)
