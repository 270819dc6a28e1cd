"""Links that sign a person in once: created at the terminal, used in the browser."""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from evdash.accounts.actions import AccountAction, announce, terminal_user
from evdash.accounts.models import OneTimeLink
from evdash.accounts.roles import can_operate, make_operator
from evdash.accounts.secrets import new_secret, secret_hash
from evdash.events.formatting import format_duration

LIFETIME = timedelta(hours=1)
PREFIX = "evdash_link_"
"""Start of each secret. Logs remove texts that start with it, wherever they are."""
DEFAULT_USER = "operator"


def person(name: str) -> User:
    """Return the user of that name. If there is none, create one without a password.

    A new user is a viewer. A new DEFAULT_USER, with which evdash starts, is an operator.
    """
    user = User.objects.filter(username=name).first()
    if user is None:
        user = User.objects.create_user(name)
        if name == DEFAULT_USER:
            make_operator(user)
    return user


def create_link(user: User, lifetime: timedelta = LIFETIME) -> str:
    """Store a new link for `user` and return its path, the only place that contains its secret.

    The audit log names the user of the terminal, where links are created.
    """
    secret = new_secret(PREFIX)
    role = "operator" if can_operate(user) else "viewer"
    title = f"Create sign-in link for {user.get_username()}"
    with transaction.atomic():
        facts = {"role": role, "valid for": format_duration(lifetime)}
        announce(AccountAction("create-link", title, terminal_user(), facts=facts))
        OneTimeLink.objects.create(user=user, secret_hash=secret_hash(secret), expires_at=timezone.now() + lifetime)
    return reverse("sign-in-link", args=[secret])


def owner(secret: str) -> User | None:
    """Return the user that the link would sign in.

    Return None if the link is unknown, used or expired, or if its user is deactivated.
    """
    link = _open_links(secret).select_related("user").first()
    return link.user if link else None


def use_link(secret: str) -> User | None:
    """Use up the link and return the user that it signs in, or None.

    Of several concurrent calls, exactly one gets the user.
    """
    user = owner(secret)
    if user is None or not _open_links(secret).update(used_at=timezone.now()):
        return None
    return user


def refusal(secret: str) -> tuple[User, str] | None:
    """Return the user and the reason, in a sentence, if a link of evdash does not sign in. Return None otherwise.

    It is None for a secret that evdash never created, because anybody can invent such a link.
    """
    link = OneTimeLink.objects.filter(secret_hash=secret_hash(secret)).select_related("user").first()
    if link is None:
        return None
    if link.used_at is not None:
        return link.user, f"The link was used before, at {link.used_at:%Y-%m-%d %H:%M:%S} UTC."
    if link.expires_at <= timezone.now():
        return link.user, f"The link expired at {link.expires_at:%Y-%m-%d %H:%M:%S} UTC."
    return None if link.user.is_active else (link.user, "The user is deactivated.")


def _open_links(secret: str) -> QuerySet[OneTimeLink]:
    return OneTimeLink.objects.filter(
        secret_hash=secret_hash(secret), used_at=None, expires_at__gt=timezone.now(), user__is_active=True
    )
