"""Logs of the processes: one format for the records of evdash and of all libraries, without secrets.

evdash's modules log with structlog: a fixed event name and fields. The records pass through the standard library's
`logging`, whose filters and levels apply. `formatter` formats them all. https://www.structlog.org/en/stable/
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from logging.config import dictConfig
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.dev import Column, ConsoleRenderer, KeyValueColumnFormatter, plain_traceback
from structlog.typing import EventDict, WrappedLogger

logger = structlog.stdlib.get_logger(__name__)

VALUE_MAX_CHARS: Final = 1_000
"""Longest event name and longest value of a field, in characters."""
EXCEPTION_MAX_CHARS: Final = 20_000
"""Longest traceback, in characters. The middle of a longer one is removed."""
REMOVED: Final = "***"
"""The text in place of a secret."""

_RESET, _BOLD, _DIM, _RED, _YELLOW, _CYAN = "\033[0m", "\033[1m", "\033[2m", "\033[31m", "\033[33m", "\033[36m"
_COLOURS: Final = {"DEBUG": _DIM, "INFO": "", "WARNING": _YELLOW, "ERROR": _RED, "CRITICAL": _RED}
_LEVEL_WIDTH: Final = len("CRITICAL")
_EVENT_WIDTH: Final = 26


def logging_configuration(log_format: str, level: str) -> dict[str, Any]:
    """Return the value of `settings.LOGGING` for a format (`console` or `json`) and the lowest level of evdash.

    Libraries log from `info` on, daphne and axes from `warning` on, or less if `level` is higher.
    """
    least = logging.getLevelNamesMapping()[level.upper()]
    of_libraries, of_talkative = max(least, logging.INFO), max(least, logging.WARNING)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"evdash": {"()": "evdash.logs.formatter", "log_format": log_format}},
        "filters": {"not_abandoned": {"()": "evdash.serving.abandonment.NotAbandoned"}},
        "handlers": {
            "terminal": {"class": "logging.StreamHandler", "formatter": "evdash", "filters": ["not_abandoned"]}
        },
        "root": {"handlers": ["terminal"], "level": of_libraries},
        "loggers": {
            "evdash": {"level": least},
            "daphne": {"level": of_talkative},
            "axes": {"level": of_talkative},
            # Without handlers of their own, the records of Django and its development server reach the root's.
            "django": {"level": of_libraries},
            "django.server": {"level": of_libraries, "propagate": True},
        },
    }


def configure(configuration: dict[str, Any]) -> None:
    """Configure the logs of this process. Django calls it with `settings.LOGGING`.

    Warnings of Python and exceptions that nothing catches become records, too.
    """
    dictConfig(configuration)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, _to_record],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def formatter(log_format: str) -> logging.Formatter:
    """Return the formatter for all records: `json`, or `console` with colours if standard error is a terminal."""
    if log_format == "json":
        rendered: list[Any] = [structlog.processors.JSONRenderer()]
    else:
        rendered = [_indent_exception, _console_renderer(is_coloured=sys.stderr.isatty())]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=["status_code"])],
        keep_exc_info=True,  # for _describe_record
        processors=[_describe_record, structlog.processors.format_exc_info, remove_secrets, *rendered],
    )


def _describe_record(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Return the fields in the order of output, with time, level, logger and exception of the record."""
    record: logging.LogRecord = fields.pop("_record")
    del fields["_from_structlog"]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    # The record is a copy. The standard library would append its exception to the output.
    exception, record.exc_info, record.exc_text = record.exc_info, None, None
    fields.pop("exc_info", None)
    described = {
        "timestamp": at.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": fields.pop("event"),
        **fields,
        "logger": record.name,
    }
    # The ID that the error page of the request shows (web/error_pages.py).
    if error_id := getattr(getattr(record, "request", None), "error_id", ""):
        described["error_id"] = error_id
    return described | {"exc_info": exception} if exception else described


def remove_secrets(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Return the fields without secrets, with each value as a number, a text or a list of these, and cut.

    Secrets are removed before the cut. Otherwise the rest of a cut secret would not be recognised.
    """
    return {name: _safe_exception(str(value)) if name == "exception" else _safe(name, value)
            for name, value in fields.items()}  # fmt: skip


_SECRET_FIELD: Final = re.compile(r"passw|secret|token(?!s)|cookie|authorization|session_?key|csrf", re.IGNORECASE)
# Every pattern needs time in proportion to the text, because streams supply a part of it.
_ADDRESS: Final = re.compile(r"://\S+")
_AUTHORIZATION: Final = re.compile(
    r"""(authorization["']?\s*[=:]\s*["']?)(?:\w+\s+)?\S+|(bearer\s+)\S+""", re.IGNORECASE
)
_NAMED_SECRET: Final = re.compile(
    r"""(passwd|passw(?:or)?d|pwd|secret|token|cookie|sessionid|session_?key|csrf|api_?key|secret_?key
    |evdash_(?:session|csrf)_[0-9a-f]{8})  # the name ends
    (["']?\s*[=:]\s*)
    (?:b?"(?:[^"\\]|\\.)*"?|b?'(?:[^'\\]|\\.)*'?|\S+)""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_ONE_TIME_LINK: Final = re.compile(r"""(sign-in(?:/|%2f))[^/\s"'?#<>]+""", re.IGNORECASE)
# Outside of its address, the secret of a link is recognised by its prefix (accounts/one_time_links.py).
_LINK_SECRET: Final = re.compile(r"evdash(?:_|%5f)link(?:_|%5f)[A-Za-z0-9_%-]+", re.IGNORECASE)
_API_TOKEN: Final = re.compile(r"evdash_[A-Za-z0-9_-]{40,}")


def without_secrets(text: str) -> str:
    """Return the text with REMOVED in place of its secrets.

    These are user names and passwords in URLs, API tokens, one-time links, `Authorization` and `Cookie` headers, and
    values after a name such as `password=` or `sessionid=`.
    """
    text = _ADDRESS.sub(_without_credentials, text)
    text = _AUTHORIZATION.sub(lambda match: f"{match[1] or match[2]}{REMOVED}", text)
    text = _NAMED_SECRET.sub(lambda match: f"{match[1]}{match[2]}{REMOVED}", text)
    text = _ONE_TIME_LINK.sub(lambda match: f"{match[1]}{REMOVED}", text)
    text = _LINK_SECRET.sub(REMOVED, text)
    return _API_TOKEN.sub(REMOVED, text)


def _without_credentials(match: re.Match[str]) -> str:
    _, mark, after = match[0].rpartition("@")  # a password may contain "@"
    return f"://{REMOVED}@{after}" if mark else after


def _safe(name: str, value: object) -> object:
    if _SECRET_FIELD.search(name):
        return REMOVED
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list):
        return [_safe(name, each) for each in value]
    text = without_secrets(str(value))
    return text if len(text) <= VALUE_MAX_CHARS else f"{text[: VALUE_MAX_CHARS - 1]}…"


def _safe_exception(text: str) -> str:
    text = without_secrets(text)
    if len(text) <= EXCEPTION_MAX_CHARS:
        return text
    half = EXCEPTION_MAX_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters removed …\n{text[-half:]}"


def _console_renderer(*, is_coloured: bool) -> ConsoleRenderer:
    """Return the renderer of lines: time, level, event, then the fields as `key=value`."""

    def style(code: str) -> str:
        return code if is_coloured else ""

    def level(key: str, value: object) -> str:
        name = str(value).upper()
        return f"{style(_COLOURS.get(name, ''))}{name:<{_LEVEL_WIDTH}}{style(_RESET)}"

    def column(colour: str, shown: Callable[[object], str], width: int = 0) -> KeyValueColumnFormatter:
        return KeyValueColumnFormatter(None, style(colour), style(_RESET), shown, width)

    return ConsoleRenderer(
        columns=[
            Column("timestamp", column(_DIM, str)),
            Column("level", level),
            Column("event", column(_BOLD, shown_event, _EVENT_WIDTH)),
            Column("", KeyValueColumnFormatter(style(_CYAN), "", style(_RESET), shown_value)),
        ],
        exception_formatter=plain_traceback,
        sort_keys=False,
    )


_AMBIGUOUS: Final = re.compile('[ ="]|^$')


def shown_event(event: object) -> str:
    """Return the event name of a line, quoted if it could be read as fields or as another line."""
    text = str(event)
    return text if text.isprintable() and "=" not in text else _quoted(text)


def shown_value(value: object) -> str:
    """Return a value of a line as one word or in quotes, and a list with commas. It has no control character."""
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if text.isprintable() and not _AMBIGUOUS.search(text) else _quoted(text)


def _quoted(text: str) -> str:
    return _without_control_characters(json.dumps(text, ensure_ascii=False))


def _without_control_characters(text: str) -> str:
    """Return the text with escapes such as `\\u001b` for characters that terminals act on or do not show."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _indent_exception(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    """Return the fields with an indented traceback. No line of it can be taken for a record."""
    if "exception" in fields:
        lines = str(fields["exception"]).split("\n")
        fields["exception"] = "\n".join(f"    {_without_control_characters(line)}" for line in lines)
    return fields


def _to_record(logger: WrappedLogger, method: str, fields: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of the method of `logging`. The record has the exception, for filters and other handlers."""
    exception = fields.pop("exc_info", None)
    return (fields,), {"exc_info": exception, "extra": {"_logger": logger, "_name": method}}


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if not issubclass(kind, Exception) or hasattr(sys, "ps1"):  # Ctrl-C, or an error in `manage.py shell`
        sys.__excepthook__(kind, error, traceback)
    else:
        logger.critical("process failed", exc_info=error)


def _log_uncaught_in_thread(uncaught: threading.ExceptHookArgs) -> None:
    name = uncaught.thread.name if uncaught.thread else ""
    logger.critical("thread failed", thread=name, exc_info=uncaught.exc_value)
