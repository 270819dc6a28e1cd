"""Account tables that Django does not have: links that work once, tokens for programs, roles."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class OneTimeLink(models.Model):
    """A link that signs one person in, once, until it expires."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="one_time_links")
    secret_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"a link for {self.user}, until {self.expires_at:%Y-%m-%d %H:%M} UTC"


class ApiToken(models.Model):
    """A token that lets a program use the URLs of its scopes (tokens.py), until it expires or is revoked.

    A token with patterns reads only events of matching streams and users. An ended token is kept, so that its name
    stays explained.
    """

    name = models.CharField(max_length=100, unique=True)
    secret_hash = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(default=list)
    stream_patterns = models.JSONField(default=list)
    user_patterns = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """The state: `active`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= timezone.now() else "active"

    @property
    def is_restricted(self) -> bool:
        """True if the token has patterns."""
        return bool(self.stream_patterns or self.user_patterns)


class Operating(models.Model):
    """Holder of the permission to change streams and groups (roles.py). It has no table."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = [("operate", "May change streams and consumer groups")]

    def __str__(self) -> str:
        return "operating"
