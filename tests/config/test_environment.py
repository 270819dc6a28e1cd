"""Variables: what may be written, what it becomes, and the sentence that refuses the rest."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, given, settings

from evdash.config.command_line import take_options
from evdash.config.environment import CHECKOUT, Configuration, ConfigurationError, declarations
from evdash.streams.address import UNENCODED
from tests.conftest import ManagePy
from tests.streams.test_address import PASSWORD, passwords


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, _, declared in declarations():
        monkeypatch.delenv(declared.name, raising=False)


def test_without_any_variable_evdash_listens_on_this_machine_only() -> None:
    configuration = Configuration.from_environment()

    assert configuration.host == "127.0.0.1"
    assert configuration.hosts() == ["localhost", "127.0.0.1", "[::1]"]
    assert configuration.redis_url == ""
    assert configuration.streams == ("memory:events",)
    assert configuration.data_dir == CHECKOUT / "data"
    assert configuration.databases()["default"]["NAME"] == str(CHECKOUT / "data" / "evdash.sqlite3")


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for _, _, declared in declarations():
        monkeypatch.setenv(declared.name, " ")

    assert Configuration.from_environment().port == 8000


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("EVDASH_STREAMS", "memory:events, audit:events", "streams", ("memory:events", "audit:events")),
        ("EVDASH_STREAMS", r"a\x2ab,\xc3\xa9,\xff,a\x2cb", "streams", ("a*b", "é", r"\xff", "a,b")),
        ("EVDASH_STREAMS", os.fsdecode(b"\xff,\xc3\xa9"), "streams", (r"\xff", "é")),
        ("EVDASH_QUEUES", r"a\x2ab", "queues", ("a*b",)),
        ("EVDASH_AUDIT_GROUP", r"a\x2ab", "audit_group", "a*b"),
        ("EVDASH_SANDBOX_PREFIX", r"try\x2a:", "sandbox_prefix", "try*:"),
        ("EVDASH_BATCH_SIZE", "100000", "batch_size", 100_000),
        ("EVDASH_CLAIM_IDLE_MS", "1000", "claim_idle_ms", 1000),
        ("EVDASH_MAX_LENGTH", "1000000", "max_length", 1_000_000),
        ("EVDASH_MAX_LENGTH_EXACT", "yes", "max_length_exact", True),
        ("EVDASH_RETENTION_HOURS", "0", "retention_hours", 0),
        ("EVDASH_DEMO", "no", "demo", False),
        ("EVDASH_DEMO", "1", "demo", True),
        ("EVDASH_DATA_DIR", "/var/lib/evdash", "data_dir", Path("/var/lib/evdash")),
        ("REDIS_URL", "localhost:6380", "redis_url", "redis://localhost:6380"),
        ("EVDASH_LOG_FORMAT", "json", "log_format", "json"),
        ("EVDASH_LOG_LEVEL", "WARNING", "log_level", "warning"),
    ],
)
def test_a_value_becomes_what_it_stands_for(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, field: str, value: object
) -> None:
    monkeypatch.setenv(name, text)

    assert getattr(Configuration.from_environment(), field) == value


def test_the_password_of_its_own_variable_goes_into_the_bare_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "localhost:6379")
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss")

    assert Configuration.from_environment().redis_url == "redis://:p%40ss@localhost:6379"


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "EVDASH_PORT",
            "http",
            "EVDASH_PORT (or --port) is not valid: 'http'. Allowed: a whole number from 1 to 65535.",
        ),
        ("EVDASH_PORT", "0", "EVDASH_PORT (or --port) is not valid: '0'. Allowed: a whole number from 1 to 65535."),
        (
            "EVDASH_CLAIM_IDLE_MS",
            "999",
            "EVDASH_CLAIM_IDLE_MS is not valid: '999'. Allowed: a whole number from 1000 to 86400000.",
        ),
        ("EVDASH_MAX_LENGTH", "-1", "EVDASH_MAX_LENGTH is not valid: '-1'. Allowed: a whole number of at least 0."),
        ("EVDASH_BATCH_SIZE", "-3", "EVDASH_BATCH_SIZE is not valid: '-3'. Allowed: a whole number from 1 to 100000."),
        ("EVDASH_DEMO", "maybe", "EVDASH_DEMO (or --no-demo) is not valid: 'maybe'. Allowed: yes or no."),
        ("EVDASH_LOG_FORMAT", "xml", "EVDASH_LOG_FORMAT is not valid: 'xml'. Allowed: console or json."),
        (
            "EVDASH_LOG_LEVEL",
            "loud",
            "EVDASH_LOG_LEVEL is not valid: 'loud'. Allowed: debug, info, warning or error.",
        ),
        (
            "DATABASE_URL",
            "oracle://scott:tiger@host/x",
            "DATABASE_URL is not valid: (not shown). Allowed: postgres://user:password@host:5432/name or sqlite:///path.",
        ),
        (
            "DATABASE_URL",
            "mysql://scott:tiger@host/x",
            "DATABASE_URL is not valid: (not shown). Allowed: postgres://user:password@host:5432/name or sqlite:///path.",
        ),
    ],
)
def test_a_wrong_value_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, sentence: str
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigurationError) as refused:
        Configuration.from_environment()

    assert str(refused.value) == sentence


def test_a_redis_address_that_is_none_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://me:hidden@redis.example")

    with pytest.raises(ConfigurationError, match=r"^REDIS_URL is not valid: .*redis://host:6379") as refused:
        Configuration.from_environment()

    assert "hidden" not in str(refused.value)


def test_passwords_are_not_in_what_is_printed_of_a_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hidden@localhost")
    monkeypatch.setenv("EVDASH_SECRET_KEY", "hidden" * 9)
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hidden@localhost/evdash")
    monkeypatch.setattr(
        "evdash.config.environment.find_spec", lambda name: object()
    )  # the driver need not be installed

    assert "hidden" not in repr(Configuration.from_environment())


def test_sqlite_writes_ahead_and_takes_the_lock_at_the_start_of_a_transaction() -> None:
    options = Configuration.from_environment().databases()["default"]["OPTIONS"]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]


def test_postgresql_without_its_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hidden@localhost/evdash")
    monkeypatch.setattr("evdash.config.environment.find_spec", lambda name: None)

    with pytest.raises(ConfigurationError, match=r"pip install -r requirements-postgresql\.txt"):
        Configuration.from_environment()


@given(passwords)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_encoded_password_of_the_database_is_read(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setattr("evdash.config.environment.find_spec", lambda name: object())
    monkeypatch.setenv("DATABASE_URL", f"postgres://me:{quote(password, safe='')}@db.example:5433/evdash")

    database = Configuration.from_environment().databases()["default"]

    assert (database["PASSWORD"], database["HOST"], database["PORT"]) == (password, "db.example", 5433)


@given(passwords)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_password_of_the_database_is_read_whole_or_refused_without_it(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setattr("evdash.config.environment.find_spec", lambda name: object())
    monkeypatch.setenv("DATABASE_URL", f"postgres://me:{password}@db.example:5433/evdash")
    refusal = (
        "DATABASE_URL is not valid: (not shown). Allowed: postgres://user:password@host:5432/name or sqlite:///path."
    )
    database, sentence = read_database()
    if database:
        assert (database["PASSWORD"], database["HOST"]) == (unquote(password), "db.example")
    else:
        assert sentence in (refusal, f"{refusal} {UNENCODED}")


def read_database() -> tuple[dict[str, Any], str]:
    """The database of the environment, and the sentence that refuses it; one of them is empty."""
    try:
        return Configuration.from_environment().databases()["default"], ""
    except ConfigurationError as refused:
        return {}, str(refused)


@pytest.mark.parametrize("name", ["REDIS_URL", "DATABASE_URL"])
@pytest.mark.parametrize("command", [("check",), ("work", "--until-caught-up"), ("up",), ("migrate",)])
def test_no_command_prints_a_part_of_a_password_that_is_not_encoded(
    manage_py: ManagePy, name: str, command: tuple[str, ...]
) -> None:
    scheme = "redis" if name == "REDIS_URL" else "postgres"

    ended = manage_py(*command, **{name: f"{scheme}://me:{PASSWORD}@127.0.0.1:1/1"})

    assert ended.returncode == 1
    output = ended.stdout + ended.stderr
    assert output.startswith(f"{name} is not valid")
    assert not [part for start in range(len(PASSWORD) - 3) if (part := PASSWORD[start : start + 4]) in output]


@pytest.mark.parametrize(
    "command", [("work", "--until-caught-up"), ("up",), ("streams", "trim", "s", "--max-length", "1")]
)
def test_no_command_prints_an_encoded_password(manage_py: ManagePy, command: tuple[str, ...]) -> None:
    manage_py("migrate")
    encoded = quote(PASSWORD, safe="")

    ended = manage_py(*command, REDIS_URL=f"redis://me:{encoded}@127.0.0.1:1/1")

    assert ended.returncode == 1
    output = ended.stdout + ended.stderr
    assert "Redis at 127.0.0.1:1 is unreachable" in output
    assert PASSWORD not in output
    assert encoded not in output


def test_the_address_listened_on_is_let_in_but_not_every_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVDASH_HOST", "fd00::5")
    assert "[fd00::5]" in Configuration.from_environment().hosts()

    monkeypatch.setenv("EVDASH_HOST", "0.0.0.0")
    assert "0.0.0.0" not in Configuration.from_environment().hosts()


def test_options_of_up_set_the_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ, EVDASH_PORT="9000"))

    take_options(["manage.py", "up", "--port", "8001", "--data-dir=/tmp/x", "--no-demo", "--traceback"])

    configuration = Configuration.from_environment()
    assert (configuration.port, configuration.data_dir, configuration.demo) == (8001, Path("/tmp/x"), False)


def test_options_of_other_commands_are_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))

    take_options(["manage.py", "work", "--port", "8001"])

    assert Configuration.from_environment().port == 8000


@pytest.mark.parametrize("command", ["check", "migrate", "up", "serve", "help"])
def test_a_wrong_value_stops_every_command_without_a_traceback(command: str, manage_py: ManagePy) -> None:
    ended = manage_py(command, EVDASH_BLOCK_MS="soon")

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == "EVDASH_BLOCK_MS is not valid: 'soon'. Allowed: a whole number from 1 to 60000.\n"


def test_upcasters_that_cannot_be_imported_stop_every_command_with_a_sentence(manage_py: ManagePy) -> None:
    ended = manage_py("check", EVDASH_UPCASTERS="no.such.module")

    assert ended.returncode == 1
    assert ended.stderr == (
        "EVDASH_UPCASTERS cannot be 'no.such.module': it cannot be imported "
        "(ModuleNotFoundError: No module named 'no').\n"
    )


def test_the_stream_of_a_namespace_is_read_with_its_escapes(manage_py: ManagePy) -> None:
    printed = "from evdash.events.namespaces import NAMESPACES; print(NAMESPACES)"

    ended = manage_py("shell", "--no-imports", "--command", printed, EVDASH_SESSION_NAMESPACES=r"a\x2ab\x3d=one")

    assert ended.stdout == "{'a*b=': 'one'}\n"


def test_upcasters_are_imported_at_the_start(manage_py: ManagePy, tmp_path: Path) -> None:
    (tmp_path / "own_steps.py").write_text("print('imported')\n")

    ended = manage_py("check", EVDASH_UPCASTERS="own_steps", PYTHONPATH=str(tmp_path))

    assert (ended.returncode, ended.stdout.splitlines()[0]) == (0, "imported")
