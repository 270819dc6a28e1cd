"""`manage.py serve`: the web server, pages and sockets in one process."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from evdash.configuration import add_options


class Command(BaseCommand):
    help = "Serves pages and sockets (daphne)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_options(parser)  # read before the settings were (manage.py)

    def handle(self, *args: Any, **options: Any) -> None:
        from daphne.endpoints import build_endpoint_description_strings
        from daphne.server import Server

        from evdash.asgi import application

        configuration = settings.EVDASH
        endpoints = build_endpoint_description_strings(host=configuration.host, port=configuration.port)
        Server(application=application, endpoints=endpoints, server_name="evdash").run()
