"""What operations on the groups of projections mean for their tables: entries that were not applied are gaps."""

from __future__ import annotations

from evdash.projections.all import projection_of_group
from evdash.streams.operations import AcknowledgeEntries, Operation, Outcome, ParkEntries


def note_consequences(operation: Operation, outcome: Outcome, reason: str) -> int:
    """Record what an operation has kept from a projection; returns how many entries. Raises a database's error."""
    if not isinstance(operation, AcknowledgeEntries | ParkEntries):
        return 0
    projection = projection_of_group(operation.group)
    if projection is None or not outcome.done_ids:
        return 0
    if isinstance(operation, AcknowledgeEntries):
        return projection.note_acknowledged(operation.stream, outcome.done_ids, reason)
    for entry_id in outcome.done_ids:
        projection.note_parked(operation.stream, entry_id, reason)
    return len(outcome.done_ids)
