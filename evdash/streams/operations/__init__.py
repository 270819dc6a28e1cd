"""What an operator may do to a stream and its groups: each operation can be previewed before it is carried out."""

from evdash.streams.operations.consumers import DeleteConsumer
from evdash.streams.operations.entries import AcknowledgeEntries, ClaimEntries, ParkEntries
from evdash.streams.operations.groups import CreateGroup, DeleteGroup, SetPosition
from evdash.streams.operations.outcomes import Operation, OperationRefused, Outcome, Preview
from evdash.streams.operations.sandboxes import DeleteSandbox
from evdash.streams.operations.trimming import Trim

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
