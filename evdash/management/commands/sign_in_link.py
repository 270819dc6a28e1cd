"""`manage.py sign_in_link`: let a person in without a password."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from evdash.accounts.one_time_links import DEFAULT_USER, LIFETIME, create_link, person


class Command(BaseCommand):
    help = "Prints a link that signs a person in, once. A name that is new becomes a new person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", nargs="?", default=DEFAULT_USER, help="who signs in (%(default)s)")

    def handle(self, *args: Any, user: str, **options: Any) -> None:
        link = create_link(person(user))
        minutes = int(LIFETIME.total_seconds() // 60)
        self.stderr.write(f"Signs {user} in, once, within {minutes} minutes:")
        self.stdout.write(f"{settings.EVDASH.address()}{link}")
