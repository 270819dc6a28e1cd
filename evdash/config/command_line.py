"""The options of `manage.py up` and `serve`: another way to set the variables of `config.environment`."""

import argparse
import os
from collections.abc import Sequence

from evdash.config.environment import declarations

COMMANDS_WITH_OPTIONS = ("up", "serve")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `up` and `serve` to the parser of the command."""
    for _, _, declared in declarations():
        if declared.option.startswith("--no-"):
            parser.add_argument(
                declared.option, action="store_const", const="no", help=f"{declared.option_help} ({declared.name}=no)"
            )
        elif declared.option:
            parser.add_argument(declared.option, help=f"{declared.meaning} ({declared.name})")


def take_options(argv: Sequence[str]) -> None:
    """Set the environment variables of the given `up` and `serve` options, before the settings are read."""
    if len(argv) < 2 or argv[1] not in COMMANDS_WITH_OPTIONS:
        return
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    add_options(parser)
    try:
        options, _ = parser.parse_known_args(argv[2:])
    except argparse.ArgumentError:
        return  # the command's own parser reports the error, with its usage
    for _, _, declared in declarations():
        value = declared.option and getattr(options, declared.option.removeprefix("--").replace("-", "_"))
        if value:
            os.environ[declared.name] = value
