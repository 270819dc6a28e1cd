"""`manage.py revoke_token`: revoke a program's API token."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from evdash.accounts.tokens import revoke_token
from evdash.management.base import PlainCommand


class Command(PlainCommand):
    help = "Makes an API token useless at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the name that it was created with")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not revoke_token(name):
            raise CommandError(f"No token named {name} is in use.")
        self.stdout.write(f"{name} is revoked.")
