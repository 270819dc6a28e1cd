"""`manage.py sign_in_link`: print a link that signs a person in without a password."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.db import transaction

from evdash.accounts.actions import AccountAction, announce, terminal_user
from evdash.accounts.one_time_links import DEFAULT_USER, LIFETIME, create_link, person
from evdash.accounts.roles import can_operate, make_operator, make_viewer
from evdash.management.base import PlainCommand
from evdash.supervisor.addresses import served_address


class Command(PlainCommand):
    help = "Create a one-time sign-in link. A new name creates a user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", default=DEFAULT_USER, help="user name (default: %(default)s)")
        roles = parser.add_mutually_exclusive_group()
        roles.add_argument(
            "--operator", action="store_true", help="make the user an operator, who can change streams and groups"
        )
        roles.add_argument("--viewer", action="store_true", help="make the user a viewer (read-only)")

    def handle(self, *args: Any, user: str, operator: bool, viewer: bool, **options: Any) -> None:
        with transaction.atomic():  # without a row in the audit log, nothing is changed
            somebody = person(user)
            if operator and make_operator(somebody):
                announce(AccountAction("change-role", f"Make {user} an operator", terminal_user()))
            if viewer and make_viewer(somebody):
                announce(AccountAction("change-role", f"Make {user} a viewer", terminal_user()))
            link = create_link(somebody)
        minutes = int(LIFETIME.total_seconds() // 60)
        role = "operator" if can_operate(somebody) else "viewer"
        self.stderr.write(f"Sign-in link for {user} ({role}, {minutes} minutes, one use):")
        self.stdout.write(f"{served_address(settings.EVDASH)}{link}")
