"""`manage.py export_session ID`: export a session."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import DatabaseError

from evdash.accounts.actions import terminal_user
from evdash.audit_log.export_log import begin_export, with_end_recorded
from evdash.eventlog.export import ndjson_lines
from evdash.events.filters.event_filter import EventFilter
from evdash.events.identifiers import identifier_of
from evdash.management.base import PlainCommand
from evdash.streams.client import StreamsUnavailable
from evdash.web.downloads import BrokenOff, incomplete_line, incomplete_reason
from evdash.web.pages.session_export.export import SessionUnknown, session_export
from evdash.web.pages.session_export.html_file import html_file
from evdash.web.pages.session_export.transcript import transcript

FORMATS: Final = {"ndjson": "NDJSON", "markdown": "transcript", "html": "HTML file"}  # values: names in the audit log


class Command(PlainCommand):
    help = (
        "Export a session as NDJSON, as a Markdown transcript, or as one HTML file that opens offline. "
        "The file is written completely or not at all. Put `--` before an ID that starts with a dash."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("session", metavar="ID", help="session ID")
        parser.add_argument("--format", choices=FORMATS, default="html", help="default: html")
        parser.add_argument("--output", metavar="FILE", type=Path, help="default: standard output")

    def handle(self, *args: Any, session: str, format: str, output: Path | None, **options: Any) -> None:
        session = identifier_of(session)
        try:
            who, within = terminal_user(), EventFilter().also("session", session)
            numbered = _pieces(session, who, format)
            begun = begin_export(who, within, FORMATS[format])
            pieces = with_end_recorded(begun, numbered(begun.pk))
            if self._called_from_command_line:
                _break_off_on_sigterm()
            if output is None:
                _write_out(pieces, FORMATS[format])
            else:
                _write_file(pieces, output)
                self.stderr.write(f"{output}: {output.stat().st_size:,} bytes.")
        except (SessionUnknown, StreamsUnavailable, BrokenOff) as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(
                f"{output or 'The standard output'} is not writable: {error.strerror or error}."
            ) from error


def _pieces(session: str, who: str, file_format: str) -> Callable[[int], Iterator[bytes]]:
    """Return the function that makes the file's pieces, with the number of its row in the audit log."""
    export = session_export(session, who, with_picture=file_format == "html")
    match file_format:
        case "ndjson":
            lines = ndjson_lines(EventFilter().also("session", session))
            return lambda _: lines
        case "markdown":
            return transcript(export)
        case _:
            return html_file(export)


def _break_off_on_sigterm() -> None:
    """Raise BrokenOff from the running code at SIGTERM, so that the file and the audit log state the early end."""

    def on_signal(_number: int, _frame: object) -> None:
        raise BrokenOff("The command was stopped.")

    signal.signal(signal.SIGTERM, on_signal)


def _write_out(pieces: Iterator[bytes], form: str) -> None:
    """Write the pieces to the standard output. After a failure, the last line states that it is incomplete."""
    try:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
    except (StreamsUnavailable, DatabaseError, BrokenOff) as cause:
        sys.stdout.buffer.write(incomplete_line(form, incomplete_reason(cause)).encode())
        raise
    finally:
        sys.stdout.buffer.flush()


def _write_file(pieces: Iterator[bytes], path: Path) -> None:
    """Write the file in full under a temporary name, then move it to `path`.

    Only its owner can read it, because it contains personal data.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:80]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(name, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(name)
        raise
