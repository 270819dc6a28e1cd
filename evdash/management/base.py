"""The base class of evdash's commands: a command that fails ends with a sentence."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, SystemCheckError


class PlainCommand(BaseCommand):
    """A command that prints a CommandError as its sentence alone, as evdash does for an invalid setting."""

    _called_from_command_line: bool  # set by Django, missing in its type stubs

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            # Called by other code, or with --traceback, the command raises as Django's commands do.
            if not self._called_from_command_line or options["traceback"] or isinstance(error, SystemCheckError):
                raise
            self.stderr.write(str(error))
            sys.exit(error.returncode)
