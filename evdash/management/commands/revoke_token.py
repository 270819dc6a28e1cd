"""`manage.py revoke_token`: revoke a program's API token."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from evdash.accounts.tokens import revoke_token
from evdash.management.base import PlainCommand


class Command(PlainCommand):
    help = "Revoke an API token at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="token name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not revoke_token(name):
            raise CommandError(f"No active token named {name}.")
        self.stdout.write(f"Token {name} revoked.")
