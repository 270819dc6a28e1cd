"""`manage.py sign_in_link`: print a link that signs a person in without a password."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings

from evdash.accounts.one_time_links import DEFAULT_USER, LIFETIME, create_link, person
from evdash.accounts.roles import can_operate, make_operator, make_viewer
from evdash.management.base import PlainCommand
from evdash.supervisor.addresses import served_address


class Command(PlainCommand):
    help = "Prints a link that signs a person in, once. A name that is new becomes a new person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", default=DEFAULT_USER, help="who signs in (%(default)s)")
        roles = parser.add_mutually_exclusive_group()
        roles.add_argument(
            "--operator", action="store_true", help="they may change streams and groups from now on, not only look"
        )
        roles.add_argument("--viewer", action="store_true", help="they may only look from now on")

    def handle(self, *args: Any, user: str, operator: bool, viewer: bool, **options: Any) -> None:
        somebody = person(user)
        if operator:
            make_operator(somebody)
        if viewer:
            make_viewer(somebody)
        link = create_link(somebody)
        minutes = int(LIFETIME.total_seconds() // 60)
        as_what = "an operator" if can_operate(somebody) else "a viewer"
        self.stderr.write(f"Signs {user} in, once, within {minutes} minutes, as {as_what}:")
        self.stdout.write(f"{served_address(settings.EVDASH)}{link}")
