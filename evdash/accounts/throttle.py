"""The throttle of passwords: limits of failed attempts per name and address, per name and per address.

django-axes supplies the authentication backend, the middleware and the table. Its handler counts with one limit only,
and stores the form of each attempt. This handler has three limits, and stores a hash of the name.
"""

from __future__ import annotations

from typing import Any, Final

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F, QuerySet, Sum
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from evdash.accounts.actions import AccountAction, announce
from evdash.accounts.client_address import UNKNOWN, client_address

PER_NAME_AND_ADDRESS: Final = 5
PER_NAME: Final = 20
"""Failed attempts for one name from all addresses. A sign-in link still works, so nobody can lock a user out."""
PER_ADDRESS: Final = 20
"""Failed attempts from one address for all names."""


class Throttle(AxesDatabaseHandler):  # type: ignore[misc]
    """Handler of django-axes: counts failed attempts, and blocks when one of the limits is reached."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Return AXES_FAILURE_LIMIT or more if one of the limits is reached, else a smaller number."""
        return settings.AXES_FAILURE_LIMIT if blocked_by(request, credentials) else 0

    def user_login_failed(
        self, sender: object, credentials: dict[str, Any], request: Any = None, **kwargs: object
    ) -> None:
        """Count the failed attempt. Block the request if it reaches a limit, or was blocked before."""
        if request is None:
            return
        self.clean_expired_user_attempts(request, credentials)
        if not request.axes_locked_out:
            attempt, _ = AccessAttempt.objects.get_or_create(
                username=name_key(request, credentials),
                ip_address=request.axes_ip_address,
                user_agent="",
                defaults={"failures_since_start": 0, "attempt_time": request.axes_attempt_time},
            )
            AccessAttempt.objects.filter(pk=attempt.pk).update(
                failures_since_start=F("failures_since_start") + 1, attempt_time=request.axes_attempt_time
            )
            outcome = "Wrong old password." if request.user.is_authenticated else "Wrong name or password."
            _announce_failure(request, credentials, outcome, action="sign-in-failed")
        if blocked := blocked_by(request, credentials):
            request.axes_locked_out = True
            request.axes_credentials = credentials
            request.blocked_by = blocked
            _announce_failure(request, credentials, _sentence(blocked), action="sign-in-blocked")

    def reset_user_attempts(self, request: Any, credentials: dict[str, Any] | None = None) -> int:
        """Forget the failed attempts for this name from this address, after a sign-in. Return their number.

        Those of other names from this address stay. Otherwise an attacker with an account could reset the limit.
        """
        same = AccessAttempt.objects.filter(username=name_key(request, credentials), ip_address=request.axes_ip_address)
        return int(same.delete()[0])


def name_key(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """Return the key under which attempts for the entered name are counted.

    It is a keyed hash, because people enter passwords and links in the field for the name. It has 64 characters,
    whatever was entered.
    """
    name = (credentials or {}).get("username") or request.POST.get("username", "")
    return salted_hmac("evdash.accounts.throttle", str(name), algorithm="sha256").hexdigest()


def blocked_by(request: Any, credentials: dict[str, Any] | None = None) -> str:
    """Return the reached limit: `name and address`, `name`, `address`, or "" if none is reached.

    If the address is unknown, only the limit of the name counts. Otherwise one client could block all others.
    """
    since = request.axes_attempt_time - settings.AXES_COOLOFF_TIME
    attempts = AccessAttempt.objects.filter(attempt_time__gte=since)
    of_name = attempts.filter(username=name_key(request, credentials))
    from_address = attempts.filter(ip_address=request.axes_ip_address)
    is_known = request.axes_ip_address != UNKNOWN
    if is_known and _failures(of_name & from_address) >= PER_NAME_AND_ADDRESS:
        return "name and address"
    if _failures(of_name) >= PER_NAME:
        return "name"
    if is_known and _failures(from_address) >= PER_ADDRESS:
        return "address"
    return ""


def _failures(attempts: QuerySet[Any]) -> int:
    return attempts.aggregate(failures=Sum("failures_since_start"))["failures"] or 0


def _sentence(blocked: str) -> str:
    minutes = int(settings.AXES_COOLOFF_TIME.total_seconds() // 60)
    reason = {
        "name and address": "for this name from this address",
        "name": "for this name",
        "address": "from this address",
    }[blocked]
    return f"Too many failed attempts {reason}. Blocked for {minutes} minutes after the last one."


def _announce_failure(request: HttpRequest, credentials: dict[str, Any], outcome: str, *, action: str) -> None:
    """Announce a failed attempt. A name that is not of a user may be a password, so it is not recorded.

    A signed-in user enters the old password to change it.
    """
    name = str(credentials.get("username") or "")
    user = request.user if isinstance(request.user, User) else None
    if user is not None:
        title = f"Change password of {name}"
    elif User.objects.filter(username=name).exists():
        title = f"Sign in as {name}"
    else:
        title = "Sign in with an unknown name"
    announce(
        AccountAction(
            action=action,
            title=title,
            who=user.get_username() if user else "unknown",
            user=user,
            facts={"address": client_address(request), "authentication": "password"},
            outcome=outcome,
            succeeded=False,
            is_once_per_block=action == "sign-in-blocked",
        )
    )
