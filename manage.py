#!/usr/bin/env python
"""Command line of evdash: `python manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line
from django.db import DatabaseError

from evdash.config.command_line import take_options
from evdash.config.environment import Configuration, ConfigurationError
from evdash.serving.processes import run, serves_in_processes
from evdash.supervisor.addresses import take_embedded_address
from evdash.supervisor.ports import PortTaken


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evdash.config.settings")
    try:
        take_options(sys.argv)
        take_embedded_address(sys.argv)
        if sys.argv[1:2] == ["serve"] and serves_in_processes(sys.argv, Configuration.from_environment()):
            sys.exit(run(sys.argv, Configuration.from_environment()))
        execute_from_command_line(sys.argv)
    except (ConfigurationError, PortTaken) as error:
        sys.exit(str(error))
    except DatabaseError as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(f"The database refuses: {error}. If it is new or of an older evdash, run `manage.py migrate`.")


if __name__ == "__main__":
    main()
