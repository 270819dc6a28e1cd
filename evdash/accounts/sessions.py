"""Sessions in the database that end after a time without use, and at the latest some time after the sign-in.

The row of a session has the end in `expire_date`, so pages, sockets and `manage.py clearsessions` agree on it. Django
names this module in SESSION_ENGINE.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends import db
from django.db import DatabaseError
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from structlog.stdlib import get_logger

logger = get_logger(__name__)

AUTOMATIC: Final = "Evdash-Automatic"
"""Header of requests that a page sends by itself (static/refresh.js, static/live/polling.js)."""
SIGNED_IN_AT: Final = "signed_in_at"
STEP_MAX: Final = timedelta(minutes=5)
"""Longest time between a use and its record, so that most pages do not write."""
RETRY_S: Final = 60.0
"""Seconds without writes after one that failed. A locked database would otherwise delay every page."""


def idle_limit() -> timedelta | None:
    """Return the time without use after which a session ends, or None if it is not limited."""
    minutes: int = settings.EVDASH.session_idle_min
    return timedelta(minutes=minutes) if minutes else None


def total_limit() -> timedelta:
    """Return the time after the sign-in at which a session ends."""
    return timedelta(hours=settings.EVDASH.session_max_hours)


class SessionStore(db.SessionStore):
    """Session of a browser."""

    stored_end: datetime | None = None
    """The end in the loaded row."""

    def load(self) -> dict[str, Any]:
        """Return the data of the session; nothing if it has ended, also by a limit that was reduced meanwhile."""
        data: dict[str, Any] = super().load()
        if SIGNED_IN_AT in data and datetime.fromisoformat(data[SIGNED_IN_AT]) + total_limit() <= timezone.now():
            self.delete(self.session_key)
            self._session_key = None
            return {}
        return data

    def _get_session_from_db(self) -> Any:
        row: Any = super()._get_session_from_db()  # type: ignore[misc] # missing in its type stubs
        self.stored_end = row.expire_date if row else None
        return row

    @property
    def signed_in_at(self) -> datetime:
        """The time of the sign-in; the present time if nobody is signed in."""
        text = self.get(SIGNED_IN_AT)
        return datetime.fromisoformat(text) if text else timezone.now()

    @property
    def latest_end(self) -> datetime:
        """The time at which the session ends even if it is used."""
        return self.signed_in_at + total_limit()

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return the end of the session if it is used now and never again."""
        idle = idle_limit()
        return min(timezone.now() + idle, self.latest_end) if idle else self.latest_end

    def get_expiry_age(self, **kwargs: Any) -> int:
        """Return the seconds for which the browser keeps the cookie. The row ends the session earlier if it is idle."""
        return max(int((self.latest_end - timezone.now()).total_seconds()), 0)

    def record_use(self) -> None:
        """Move the end of the session to one idle limit from now, unless that was done a short time ago.

        This also applies limits that were reduced after the sign-in. An update cannot restore a session that another
        request ended in the meantime, and does not overwrite its data.
        """
        end = self.get_expiry_date()
        step = min(STEP_MAX, (idle_limit() or STEP_MAX) / 10)
        if self.session_key is None or (self.stored_end is not None and abs(end - self.stored_end) < step):
            return
        self.get_model_class().objects.filter(session_key=self.session_key).update(expire_date=end)
        self.stored_end = end


@receiver(user_logged_in, dispatch_uid="evdash.accounts.sessions")
def _begin(sender: object, request: Any, **_: object) -> None:
    """Store the time of the sign-in, and delete the sessions that have ended."""
    request.session[SIGNED_IN_AT] = datetime.now(UTC).isoformat()
    SessionStore.clear_expired()


class SessionLimits:
    """A middleware that records the use of a session.

    Requests of a page by itself, those that read no session, and errors, are not a use.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response
        self._retry_at_s = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        is_use = AUTOMATIC not in request.headers and request.session.accessed and response.status_code < 400
        if is_use and request.user.is_authenticated and time.monotonic() >= self._retry_at_s:
            try:
                cast(SessionStore, request.session).record_use()
            except DatabaseError as error:  # the page is made, and the session ends earlier than it could
                self._retry_at_s = time.monotonic() + RETRY_S
                logger.warning("use of session not recorded", reason=str(error), retry_in_s=RETRY_S)
        return response
