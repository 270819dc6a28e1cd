#!/usr/bin/env python
"""The command line of evdash: `python manage.py help` lists the commands."""

import os
import sys

from django.core.management import execute_from_command_line

from evdash.command_options import take_options
from evdash.configuration import ConfigurationError


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "evdash.settings")
    try:
        take_options(sys.argv)
        execute_from_command_line(sys.argv)
    except ConfigurationError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
