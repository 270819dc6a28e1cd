"""The Django app of the audit log. Its label is the prefix of its tables."""

from django.apps import AppConfig


class AuditLogConfig(AppConfig):
    name = "evdash.audit_log"
    label = "audit"

    def ready(self) -> None:
        from evdash.audit_log import account_log  # noqa: F401 - connects its receiver
