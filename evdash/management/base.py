"""What every command of evdash is: one that ends with a sentence when it cannot do what it should."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, SystemCheckError


class PlainCommand(BaseCommand):
    """A command whose CommandError reaches a person as its sentence alone, as that of a wrong setting does."""

    _called_from_command_line: bool  # Django's, and unknown to its type stubs

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            # Called by other code, or with --traceback, it raises as Django's commands do.
            if not self._called_from_command_line or options["traceback"] or isinstance(error, SystemCheckError):
                raise
            self.stderr.write(str(error))
            sys.exit(error.returncode)
