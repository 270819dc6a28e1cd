"""Announcements of sign-ins and changes of accounts, which the audit log records."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from django.contrib.auth.models import User
from django.dispatch import Signal

account_action: Final = Signal()
"""The signal of an action. Receivers get it as `done`. An error of a receiver reaches the caller."""


@dataclass(frozen=True, slots=True)
class AccountAction:
    """A sign-in, a sign-out, or a change of an account, link or token."""

    action: str
    title: str
    who: str
    user: User | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    outcome: str = ""
    succeeded: bool = True
    is_once_per_block: bool = False
    """True if the audit log needs an equal action only once while a block of the throttle lasts."""


def announce(done: AccountAction) -> None:
    """Announce the action. Raise the error of the database if the audit log cannot be written."""
    account_action.send(sender=AccountAction, done=done)


def terminal_user() -> str:
    """Return the name of the system's user, for an action from a terminal; "terminal" if it is unknown."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "terminal"
