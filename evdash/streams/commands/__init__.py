"""The operations on a stream and its groups. An operator can preview each one before executing it."""

from evdash.streams.commands.consumers import DeleteConsumer
from evdash.streams.commands.entries import AcknowledgeEntries, ClaimEntries, ParkEntries
from evdash.streams.commands.groups import CreateGroup, DeleteGroup, SetPosition
from evdash.streams.commands.outcomes import Operation, OperationRefused, Outcome, Preview
from evdash.streams.commands.sandboxes import DeleteSandbox
from evdash.streams.commands.trim import Trim

__all__ = [
    "AcknowledgeEntries",
    "ClaimEntries",
    "CreateGroup",
    "DeleteConsumer",
    "DeleteGroup",
    "DeleteSandbox",
    "Operation",
    "OperationRefused",
    "Outcome",
    "ParkEntries",
    "Preview",
    "SetPosition",
    "Trim",
]
