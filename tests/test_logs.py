"""Logs: one format for all records, one line each, and no secrets."""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st
from structlog.stdlib import get_logger

from evdash.accounts.one_time_links import create_link, person
from evdash.accounts.secrets import new_secret
from evdash.accounts.tokens import PREFIX
from evdash.config.environment import CHECKOUT
from evdash.events.entry import EntryId
from evdash.logs import (
    EXCEPTION_MAX_CHARS,
    REMOVED,
    VALUE_MAX_CHARS,
    _console_renderer,
    _log_uncaught_in_thread,
    logging_configuration,
    shown_value,
    without_secrets,
)
from evdash.serving.abandonment import Abandoned, NotAbandoned
from tests.conftest import ManagePy
from tests.logged import written

NAME = "evdash.tests.logs"
FORMATS = ("console", "json")
TIMESTAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

log = get_logger(NAME)
texts = st.text(st.characters(exclude_categories=()), max_size=60)

in_each_format = pytest.mark.parametrize("log_format", FORMATS)


def test_a_line_of_the_console_has_time_level_event_and_fields() -> None:
    with written("console", NAME) as output:
        log.warning("gap recorded", group="audit", entries=2, first_id=EntryId(7, 1), reason="Deleted by others.")

    assert re.fullmatch(
        rf"{TIMESTAMP} WARNING  gap recorded {{15}}"
        r'group=audit entries=2 first_id=7-1 reason="Deleted by others\." logger=evdash\.tests\.logs\n',
        output.getvalue(),
    )


def test_a_json_record_is_one_object_with_typed_values() -> None:
    with written("json", NAME) as output:
        log.info("consumer group created", group="audit", streams=["a", "b"], ms=31, exact=True)

    record = json.loads(output.getvalue())
    assert re.fullmatch(TIMESTAMP, record.pop("timestamp"))
    assert record == {
        "level": "info",
        "event": "consumer group created",
        "group": "audit",
        "streams": ["a", "b"],
        "ms": 31,
        "exact": True,
        "logger": NAME,
    }


def test_records_of_libraries_have_the_same_format() -> None:
    with written("json", NAME) as output:
        logging.getLogger(NAME).warning("Not Found: %s", "/x", extra={"status_code": 404, "request": object()})

    record = json.loads(output.getvalue())
    assert {name: record[name] for name in record if name != "timestamp"} == {
        "level": "warning",
        "event": "Not Found: /x",
        "status_code": 404,
        "logger": NAME,
    }


@pytest.mark.parametrize("logger", [log, logging.getLogger(NAME)], ids=["structlog", "logging"])
def test_an_exception_is_a_field_of_a_json_record_and_indented_lines_on_the_console(logger: logging.Logger) -> None:
    outputs = []
    for log_format in FORMATS:
        with written(log_format, NAME) as output:
            try:
                raise ValueError("broken")
            except ValueError:
                logger.exception("entry not applied")
        outputs.append(output.getvalue())

    first, *others = outputs[0].splitlines()
    assert " ERROR    entry not applied " in first
    assert others[0] == "    Traceback (most recent call last):"
    assert others[-1] == "    ValueError: broken"
    [line] = outputs[1].splitlines()
    record = json.loads(line)
    assert record["exception"].startswith("Traceback (most recent call last):\n")
    assert record["exception"].endswith("\nValueError: broken")


@given(text=texts, other=texts)
def test_no_text_makes_a_second_line_or_a_control_character_on_the_console(text: str, other: str) -> None:
    with written("console", NAME) as output:
        log.error("entry parked", session_id=text, reason=other, exc_info=ValueError(f"{text}\n{other}"))
        logging.getLogger(NAME).warning("Not Found: %s", text)

    lines = output.getvalue().split("\n")
    assert [bool(re.match(TIMESTAMP, line)) for line in lines if not line.startswith("    ")] == [True, True, False]
    assert lines[-1] == ""
    assert all(line.isprintable() for line in lines)


@given(text=texts, other=texts)
def test_any_text_stays_a_field_of_its_own_record_in_json(text: str, other: str) -> None:
    with written("json", NAME) as output:
        log.error("entry parked", session_id=text, reason=other)

    [line, end] = output.getvalue().split("\n")
    assert end == ""
    record = json.loads(line)
    assert (record["session_id"], record["reason"]) == (without_secrets(text), without_secrets(other))
    assert line.isascii()


@given(text=texts)
def test_a_value_of_a_line_is_one_word_or_in_quotes_and_can_be_read_back(text: str) -> None:
    shown = shown_value(text)

    if shown.startswith('"'):
        assert json.loads(shown) == text
    else:
        assert shown == text
        assert not set(shown) & set(' ="\n')


def test_lists_are_joined_by_commas() -> None:
    assert shown_value(["memory:events", "other"]) == "memory:events,other"
    assert shown_value("") == '""'


MARK = "S3CR3T"
# A whole secret, and each of its ends, must be gone: the mark is at both.
secrets = st.text(st.characters(exclude_categories=("Z", "C")), max_size=20).map(lambda text: f"{MARK}{text}{MARK}")
words = st.text(st.characters(exclude_categories=("C",)), max_size=20)
SECRET_TEXTS = (
    lambda secret: f"redis://:{quote(secret, safe='')}@localhost:6379/0",
    lambda secret: f"postgres://me:{secret}@db/evdash",  # as people write it, unquoted
    lambda secret: f"unix:///run/redis.sock?password={quote(secret, safe='')}",
    lambda secret: f"password={secret}",
    lambda secret: f"{{'password': {secret!r}}}",
    lambda secret: json.dumps({"api_token": secret, "user": "me"}),
    lambda secret: f"Authorization: Bearer {secret}",
    lambda secret: f"{{'Authorization': 'Basic {quote(secret)}'}}",
    lambda secret: f"Cookie: csrftoken={quote(secret)}; sessionid={quote(secret)}",
    lambda secret: f"evdash_csrf_0123abcd={quote(secret)}; evdash_session_0123abcd={quote(secret)}",
    lambda secret: f"Forbidden: /sign-in/{quote(secret, safe='')}/",
    lambda secret: f"GET /sign-in/?next=%2Fsign-in%2F{quote(secret, safe='')}%2F",
)


@in_each_format
@given(secret=secrets, make=st.sampled_from(SECRET_TEXTS), before=words, after=words)
def test_no_secret_reaches_the_output(log_format: str, secret: str, make, before: str, after: str) -> None:  # type: ignore[no-untyped-def]
    text = f"{before} {make(secret)} {after}"
    with written(log_format, NAME) as output:
        log.error("entry parked", reason=text, streams=[text], exc_info=ValueError(text))
        logging.getLogger(NAME).warning("Forbidden: %s", text)

    assert MARK not in output.getvalue()
    assert output.getvalue().count(REMOVED) >= 4


@in_each_format
@pytest.mark.parametrize("name", ["password", "redis_password", "api_token", "session_key", "Cookie", "secret_key"])
def test_a_field_named_after_a_secret_has_no_value(log_format: str, name: str) -> None:
    with written(log_format, NAME) as output:
        log.info("signed in", **{name: MARK})

    assert MARK not in output.getvalue()


@in_each_format
def test_api_tokens_are_removed_wherever_they_are(log_format: str) -> None:
    token = new_secret(PREFIX)
    with written(log_format, NAME) as output:
        log.info(f"used {token}.", reason=f"token {token}", metric="evdash_request_refused_timestamp_seconds")

    assert token not in output.getvalue()
    assert "evdash_request_refused_timestamp_seconds" in output.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/events/?q=user%3Au-1",
        "Redis at 127.0.0.1:6379 is unreachable: connection refused.",
        "Token name ci is taken (by an active, expired or revoked token). Choose another name.",
        "max_tokens=500 tokens: 31",
        "Not Found: /sign-in/",
        "mail ada@example.com",
    ],
)
def test_texts_without_secrets_stay(text: str) -> None:
    assert without_secrets(text) == text


def test_an_address_keeps_its_host() -> None:
    assert without_secrets("no answer of rediss://me:p@ss@redis.example:6380/1.") == (
        f"no answer of rediss://{REMOVED}@redis.example:6380/1."
    )


@pytest.mark.django_db
@in_each_format
def test_a_refused_request_for_a_one_time_link_does_not_log_the_link(log_format: str) -> None:
    link = create_link(person("ada"))
    with written(log_format, "django.security.csrf") as output:
        assert Client(enforce_csrf_checks=True).post(link).status_code == 403

    assert "Forbidden (CSRF cookie not set.): /sign-in/***/" in output.getvalue()
    assert link.split("/")[2] not in output.getvalue()


@in_each_format
def test_values_and_exceptions_are_cut(log_format: str) -> None:
    with written(log_format, NAME) as output:
        log.error("entry parked", reason="x" * 100_000, exc_info=ValueError("y" * 1_000_000))

    assert output.getvalue().count("x") < VALUE_MAX_CHARS + 50
    assert len(output.getvalue()) < VALUE_MAX_CHARS + EXCEPTION_MAX_CHARS + 500
    assert "ValueError: yyy" in output.getvalue()  # the beginning stays


@in_each_format
def test_a_secret_at_the_cut_is_removed_as_a_whole(log_format: str) -> None:
    with written(log_format, NAME) as output:
        log.error("entry parked", reason="x" * (VALUE_MAX_CHARS - 20) + f" redis://:{MARK * 30}@localhost")

    assert MARK not in output.getvalue()


@pytest.mark.parametrize("logger", [log, logging.getLogger(NAME)], ids=["structlog", "logging"])
def test_records_of_abandoned_pages_are_dropped(logger: logging.Logger) -> None:
    with written("console", NAME) as output:
        logging.getLogger(NAME).handlers[-1].addFilter(NotAbandoned())
        logger.error("page failed", exc_info=Abandoned("The client has disconnected."))
        logger.error("page broken", exc_info=ValueError("The client has not."))

    assert "page failed" not in output.getvalue()
    assert "page broken" in output.getvalue()


def test_colours_are_for_terminals_only() -> None:
    fields = {"timestamp": "2026-01-01T00:00:00.000Z", "level": "error", "event": "entry parked", "group": "audit"}

    assert "\033[" in _console_renderer(is_coloured=True)(None, "error", dict(fields))
    assert "\033[" not in _console_renderer(is_coloured=False)(None, "error", dict(fields))


@pytest.mark.parametrize(
    ("level", "of_evdash", "of_libraries", "of_daphne"),
    [
        ("debug", logging.DEBUG, logging.INFO, logging.WARNING),
        ("info", logging.INFO, logging.INFO, logging.WARNING),
        ("error", logging.ERROR, logging.ERROR, logging.ERROR),
    ],
)
def test_the_level_is_that_of_evdash_and_libraries_are_not_noisier(
    level: str, of_evdash: int, of_libraries: int, of_daphne: int
) -> None:
    configuration = logging_configuration("console", level)

    assert configuration["loggers"]["evdash"]["level"] == of_evdash
    assert configuration["root"]["level"] == configuration["loggers"]["django"]["level"] == of_libraries
    assert configuration["loggers"]["daphne"]["level"] == of_daphne


def test_an_exception_that_ends_a_process_is_a_record(manage_py: ManagePy) -> None:
    ended = manage_py("revoke_token", "nobody's", "--traceback", EVDASH_LOG_FORMAT="json")

    assert ended.returncode == 1
    record = json.loads(ended.stderr)
    assert (record["level"], record["event"]) == ("critical", "process failed")
    assert record["exception"].startswith("Traceback")


@in_each_format
def test_an_exception_that_ends_a_thread_is_a_record(log_format: str) -> None:
    error = RuntimeError("no such thing")
    with written(log_format, "evdash.logs") as output:
        # pytest has its own hook for threads, so this one is called by hand.
        _log_uncaught_in_thread(
            threading.ExceptHookArgs((RuntimeError, error, None, threading.Thread(name="parent-watch")))
        )

    assert "thread failed" in output.getvalue()
    assert "parent-watch" in output.getvalue()
    assert "RuntimeError: no such thing" in output.getvalue()


def test_a_warning_of_python_is_a_record_of_one_line(manage_py: ManagePy, tmp_path: Path) -> None:
    (tmp_path / "own_steps.py").write_text("import warnings\nwarnings.warn('old\\nstep')\n")

    ended = manage_py("check", EVDASH_UPCASTERS="own_steps", PYTHONPATH=str(tmp_path), EVDASH_LOG_FORMAT="json")

    record = json.loads(ended.stderr)
    assert (record["level"], record["logger"]) == ("warning", "py.warnings")
    assert "UserWarning: old\nstep" in record["event"]


LOG_METHODS = {"debug", "info", "warning", "error", "critical", "exception"}


def calls() -> list[tuple[str, ast.Call]]:
    """The calls of loggers in evdash, each with its file and line."""
    return [
        (f"{path.relative_to(CHECKOUT)}:{node.lineno}", node)
        for path in sorted((CHECKOUT / "evdash").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOG_METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "logger"
    ]


def test_every_record_has_a_fixed_event_name_and_fields() -> None:
    """Values in a name would make one event look like many."""
    found = calls()
    assert len(found) > 20
    for place, call in found:
        [name] = call.args
        if isinstance(name, ast.Constant):
            assert re.fullmatch(r"[a-z][a-zA-Z -]+[a-z]", name.value), place
        else:
            assert ast.unparse(name) == "_event_of(error)", place


def test_every_field_is_documented() -> None:
    text = (CHECKOUT / "docs" / "operations.md").read_text()
    section = text.partition("## Logs")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    used = {keyword.arg for _, call in calls() for keyword in call.keywords if keyword.arg} - {"exc_info"}

    assert used - documented == set()
    assert documented - used == {"timestamp", "level", "event", "logger", "exception", "status_code", "error_id"}


def test_documented_events_are_logged() -> None:
    text = (CHECKOUT / "docs" / "operations.md").read_text()
    section = text.partition("## Logs")[2].partition("\n## ")[0]
    documented = set(re.findall(r"event `([^`]+)`", section))
    names = {
        each for path in (CHECKOUT / "evdash").rglob("*.py") for each in re.findall(r'"([a-z -]+)"', path.read_text())
    }

    assert documented
    assert documented <= names


def test_logs_load_no_twisted() -> None:
    """The parent of the web processes and the workers do without it."""
    code = "import sys, evdash.logs; print(sorted(name for name in sys.modules if name.startswith('twisted')))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CHECKOUT).stdout == "[]\n"


def test_no_module_logs_without_structlog() -> None:
    found = [
        str(path.relative_to(CHECKOUT))
        for path in (CHECKOUT / "evdash").rglob("*.py")
        if "logging.getLogger(" in path.read_text() or "basicConfig" in path.read_text()
    ]
    assert found == []
