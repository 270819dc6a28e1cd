"""The tables: the event log, its read models, and the progress of each consumer group."""

from evdash.eventlog.models.analytics import CallTiming, LatencyCount
from evdash.eventlog.models.delivery import (
    AppliedEntry,
    ConsumerClaim,
    EntryTries,
    Gap,
    GroupMinute,
    GroupPosition,
    WorkerProblem,
)
from evdash.eventlog.models.error_groups import ErrorGroup, ErrorGroupMember
from evdash.eventlog.models.log import CallEntry, Decoder, LoggedEvent, Stream
from evdash.eventlog.models.snapshots import SessionSnapshot
from evdash.eventlog.models.summaries import AgentSession, AgentUser, Participation, Tally, TypeCount, UserDay

__all__ = [
    "AgentSession",
    "AgentUser",
    "AppliedEntry",
    "CallEntry",
    "CallTiming",
    "ConsumerClaim",
    "Decoder",
    "EntryTries",
    "ErrorGroup",
    "ErrorGroupMember",
    "Gap",
    "GroupMinute",
    "GroupPosition",
    "LatencyCount",
    "LoggedEvent",
    "Participation",
    "SessionSnapshot",
    "Stream",
    "Tally",
    "TypeCount",
    "UserDay",
    "WorkerProblem",
]
