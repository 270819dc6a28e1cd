"""The app of the audit log. Its label is that of its tables."""

from django.apps import AppConfig


class AuditLogConfig(AppConfig):
    name = "evdash.audit_log"
    label = "audit"
