"""`manage.py create_token`: create an API token with which a program reads events and metrics."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from evdash.accounts.token_grants import DEFAULT_SCOPES, SCOPES, InvalidGrant, TokenGrant
from evdash.accounts.tokens import InvalidTokenName, TokenExists, create_token
from evdash.management.base import PlainCommand


class Command(PlainCommand):
    help = "Create an API token and print it once. Only its hash is stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        scopes = "; ".join(f"{name} ({meaning})" for name, meaning in SCOPES.items())
        parser.add_argument("name", help="token name, also for revoke_token")
        parser.add_argument(
            "--scope",
            action="append",
            default=[],
            help=f"scope: {scopes}; repeatable or comma separated (default: {','.join(DEFAULT_SCOPES)})",
        )
        parser.add_argument(
            "--streams",
            action="append",
            default=[],
            metavar="PATTERN",
            help="stream name or prefix*, repeatable (default: all)",
        )
        parser.add_argument(
            "--users",
            action="append",
            default=[],
            metavar="PATTERN",
            help="user ID or prefix*, repeatable (default: all)",
        )
        parser.add_argument("--expires", default="", metavar="SPAN", help="lifetime, such as 12h or 30d. Default: none")

    def handle(
        self,
        *args: Any,
        name: str,
        scope: list[str],
        streams: list[str],
        users: list[str],
        expires: str,
        **options: Any,
    ) -> None:
        try:
            grant = TokenGrant.from_text(scope, streams, users, expires)
            secret = create_token(name, grant)
        except (InvalidGrant, InvalidTokenName, TokenExists) as error:
            raise CommandError(str(error)) from error
        if "ingest" in grant.scopes:
            self.stderr.write("Scope ingest is reserved for a later version: no URL accepts it yet.")
        self.stdout.write(secret)
