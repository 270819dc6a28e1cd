"""The registry of all projections, by name."""

from __future__ import annotations

from django.conf import settings

from evdash.ingest.projections.base import Projection
from evdash.ingest.projections.error_groups import DebugProjection
from evdash.ingest.projections.event_log import AuditProjection
from evdash.ingest.projections.latency import AnalyticsProjection


def projections() -> dict[str, Projection]:
    """Return the projections by name, each with its configured group; the event log's projection is first."""
    configuration = settings.EVDASH
    return {
        AuditProjection.name: AuditProjection(configuration.audit_group),
        AnalyticsProjection.name: AnalyticsProjection(configuration.analytics_group),
        DebugProjection.name: DebugProjection(configuration.debug_group),
    }


def projection_of_group(group: str) -> Projection | None:
    """Return the projection that the group feeds; None if the group belongs to another program."""
    return next((projection for projection in projections().values() if projection.group == group), None)
