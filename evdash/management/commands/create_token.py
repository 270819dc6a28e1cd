"""`manage.py create_token`: create an API token with which a program reads exports."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from evdash.accounts.tokens import TokenExists, create_token
from evdash.management.base import PlainCommand


class Command(PlainCommand):
    help = "Makes an API token and prints it, once: only its hash is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the token is for: it is listed and revoked by this name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        try:
            self.stdout.write(create_token(name))
        except TokenExists as error:
            raise CommandError(str(error)) from error
