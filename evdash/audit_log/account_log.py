"""Sign-ins and changes of accounts in the audit log: the person, the address, the kind of authentication."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.dispatch import receiver
from django.utils import timezone

from evdash.accounts.actions import AccountAction, account_action
from evdash.audit_log.audit_log import plain, record
from evdash.audit_log.models import AuditLogEntry
from evdash.logs import without_secrets

COMPARED_ROWS: Final = 200
"""Number of newest rows among which an equal action is searched. More rows would delay each blocked attempt."""


@receiver(account_action, dispatch_uid="evdash.audit_log.account_log")
def record_action(sender: object, done: AccountAction, **_: object) -> None:
    """Add a row for the action, unless it is repeated while a block of the throttle lasts."""
    title = without_secrets(done.title)
    detail = {"title": title, "asked": plain(done.facts)}
    if done.is_once_per_block and _is_recorded(done.action, detail):
        return
    record(
        done.who,
        done.action,
        user=done.user,
        detail=detail,
        outcome=done.outcome,
        succeeded=done.succeeded,
    )


def _is_recorded(action: str, detail: dict[str, object]) -> bool:
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    newest = AuditLogEntry.objects.values_list("action", "at", "detail")[:COMPARED_ROWS]
    return any(row[0] == action and row[1] >= since and row[2] == detail for row in newest)
