"""`manage.py create_token`: create an API token with which a program reads exports."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from evdash.accounts.tokens import TokenExists, create_token
from evdash.management.base import PlainCommand


class Command(PlainCommand):
    help = "Create an API token and print it once. Only its hash is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="token name, also for revoke_token")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        try:
            self.stdout.write(create_token(name))
        except TokenExists as error:
            raise CommandError(str(error)) from error
