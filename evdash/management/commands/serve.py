"""`manage.py serve`: one process of the web server.

If there are several, serving/processes.py starts each of them.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from evdash.config.checks import TAG
from evdash.config.command_line import add_options
from evdash.management.base import PlainCommand
from evdash.serving.processes import INHERITED_OPTION, Inherited
from evdash.serving.startup import collect_seldom, load_all
from evdash.supervisor.addresses import record
from evdash.supervisor.ports import PortTaken, refuse_taken_port


class Command(PlainCommand):
    help = "Start the web server: pages and live sockets (daphne)."
    requires_system_checks = [TAG]

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_options(parser)  # manage.py has applied them before the settings were read
        parser.add_argument(INHERITED_OPTION, type=Inherited.adopt, help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        inherited: Inherited | None = options["inherited"]
        if inherited is not None:
            inherited.end_with_parent()
            from evdash.config.asgi import application, pages

            load_all()
            collect_seldom()
            inherited.serve(application, pages)
            return
        configuration = settings.EVDASH
        try:
            refuse_taken_port(configuration.host, configuration.port)
        except PortTaken as taken:
            raise CommandError(str(taken)) from taken
        # Imported here, after the checks that can refuse the start: these imports take most of a second.
        from daphne.endpoints import build_endpoint_description_strings

        from evdash.config.asgi import application, pages
        from evdash.serving.server import PacedServer

        endpoints = build_endpoint_description_strings(host=configuration.host, port=configuration.port)
        record(configuration)
        load_all()
        collect_seldom()
        PacedServer(application, pages, endpoints=endpoints).run()
