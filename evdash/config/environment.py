"""The environment variables of evdash, each declared once with its type, default and meaning.

The settings are read from here. Tests compare the table of docs/configuration.md with it. The options of
`manage.py up` and `serve` (command_line.py) are another way to set the same variables.
"""

import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, cast

import dj_database_url
from environs import Env, EnvError

from evdash.streams.address import UNENCODED, InvalidRedisUrl, has_unencoded_credentials, redis_url
from evdash.streams.names import canonical_name

CHECKOUT = Path(__file__).resolve().parents[2]
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
WILDCARD_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, not bound


class ConfigurationError(Exception):
    """An invalid setting. The message names the variable, its value and the allowed values."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One environment variable: its name, its allowed values and its effect."""

    name: str
    default: Any
    meaning: str
    default_in_words: str = ""
    """The documentation's text for a default that is computed or unclear by itself."""
    takes: str = ""
    """The allowed values, if the type does not define them completely."""
    choices: tuple[str, ...] = ()
    """All allowed values, in lower case; empty if any text is allowed."""
    option: str = ""
    """The option of `up` and `serve` that sets it. One that begins with `--no-` takes no value and sets it to "no"."""
    option_help: str = ""
    """The help of an option that begins with `--no-`. The help of any other option is the meaning."""
    is_name: bool = False
    """True if the text names streams, groups or consumers, with the escapes of `streams/names.py`."""
    least: int = 0
    most: int = sys.maxsize
    secret: bool = False
    """True if messages must not contain the value."""

    def allowed(self, kind: type) -> str:
        """Return the allowed values in plain language, for a variable of type `kind`."""
        if self.takes:
            return self.takes
        if self.choices:
            return f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        if kind is bool:
            return "yes or no"
        if kind is int and self.most != sys.maxsize:
            return f"a whole number from {self.least} to {self.most}"
        if kind is int:
            return f"a whole number of at least {self.least}"
        if kind is Path:
            return "the path of a directory"
        return "text" if kind is str else "a comma-separated list"

    def read(self, kind: type) -> Any:
        """Return the value in the environment, of type `kind`; the default if it is not set or empty.

        Raises ConfigurationError for an invalid value.
        """
        text = os.environ.get(self.name, "")
        if not text.strip():
            return self.default
        env = Env()
        try:
            if kind is bool:
                return env.bool(self.name)
            if kind is int:
                number = env.int(self.name)
                if not self.least <= number <= self.most:
                    raise self.error(kind)
                return number
            if kind is Path:
                return env.path(self.name).expanduser()
            if kind is str and self.choices:
                choice = env.str(self.name).strip().lower()
                if choice not in self.choices:
                    raise self.error(kind)
                return choice
            if kind is str:
                return env.str(self.name).strip()
            values: list[str] = env.list(self.name)
            return tuple(value.strip() for value in values if value.strip()) or self.default
        except EnvError as error:
            raise self.error(kind) from error

    def error(self, kind: type) -> ConfigurationError:
        """Return the exception that refuses the present value."""
        value = "(not shown)" if self.secret else repr(os.environ.get(self.name, ""))
        name = f"{self.name} (or {self.option})" if self.option else self.name
        return ConfigurationError(f"{name} is not valid: {value}. Allowed: {self.allowed(kind)}.")


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def variable(name: str, default: Any, meaning: str, **more: Any) -> Any:
    """Return a field of Configuration that is read from the environment variable `name`."""
    declared = Variable(name, default, meaning, **more)
    return field(metadata={"variable": declared}, repr=not declared.secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The values of all variables, read and checked. `settings.EVDASH` is the one in use."""

    data_dir: Path = variable(
        "EVDASH_DATA_DIR",
        CHECKOUT / "data",
        "Directory of the secret key, the SQLite file and the data of the embedded server. Created if missing.",
        default_in_words="`data` in the checkout",
        option="--data-dir",
    )
    redis_url: str = variable(
        "REDIS_URL",
        "",
        "The Redis server: `redis://`, `rediss://`, `unix://` or a bare `host:port`. Percent-encode special characters "
        "of user name and password, or set REDIS_PASSWORD.",
        default_in_words="none: `up` starts an embedded Valkey",
        secret=True,  # it may contain a password
    )
    redis_password: str = variable(
        "REDIS_PASSWORD",
        "",
        "Password of the Redis server, not percent-encoded. Used if REDIS_URL has none.",
        secret=True,
    )
    embedded: bool = variable(
        "EVDASH_EMBEDDED", False, "Set by `up` for its processes if REDIS_URL is the embedded server."
    )
    embedded_port: int = variable(
        "EVDASH_EMBEDDED_PORT",
        0,
        "Port of the embedded server.",
        default_in_words="the previous port, or a free one",
        most=65535,
    )
    streams: tuple[str, ...] = variable(
        "EVDASH_STREAMS", ("memory:events",), "Streams to watch, comma separated.", is_name=True
    )
    queues: tuple[str, ...] = variable(
        "EVDASH_QUEUES",
        (),
        "Streams of EVDASH_STREAMS that are work queues, comma separated. Entries that their consumers delete are "
        "counted and are not a gap.",
        default_in_words="none",
        is_name=True,
    )
    sandbox_prefix: str = variable(
        "EVDASH_SANDBOX_PREFIX",
        "sandbox:",
        "Name prefix of sandbox streams. Events are replayed only into these.",
        is_name=True,
    )
    session_namespaces: tuple[str, ...] = variable(
        "EVDASH_SESSION_NAMESPACES",
        (),
        "Namespaces of session IDs by stream, such as `billing:events=billing`, comma separated. The session `s-1` of "
        "that stream is then `billing/s-1`. Without one, equal IDs in several streams are one session.",
        default_in_words="none",
        takes="STREAM=NAMESPACE, comma separated; a namespace has no slash",
    )
    upcasters: str = variable(
        "EVDASH_UPCASTERS",
        "",
        "Python module with upcasters for older versions of your events (see the wire format), imported at the start.",
        takes="the dotted name of a Python module",
    )
    audit_group: str = variable(
        "EVDASH_AUDIT_GROUP", "evdash-audit", "Consumer group that fills the event log.", is_name=True
    )
    analytics_group: str = variable(
        "EVDASH_ANALYTICS_GROUP",
        "evdash-analytics",
        "Consumer group that measures the latency of operations.",
        is_name=True,
    )
    debug_group: str = variable(
        "EVDASH_DEBUG_GROUP", "evdash-debug", "Consumer group that groups errors.", is_name=True
    )
    consumer: str = variable(
        "EVDASH_CONSUMER",
        "",
        "Consumer name of a worker, different for each worker.",
        default_in_words="host name and process ID",
        is_name=True,
    )
    batch_size: int = variable(
        "EVDASH_BATCH_SIZE", 1_000, "Maximum number of entries per batch of a worker.", least=1, most=100_000
    )
    batch_ms: int = variable(
        "EVDASH_BATCH_MS",
        200,
        "Maximum delay in ms from XADD to the event log, while workers keep up. Between two batches, workers collect "
        "entries for this time, less the time of a batch. 0 reads each entry at once.",
        most=10_000,
    )
    block_ms: int = variable(
        "EVDASH_BLOCK_MS",
        2000,
        "Maximum wait for new entries, in ms (BLOCK of a read).",
        least=1,
        most=60_000,
    )
    claim_idle_ms: int = variable(
        "EVDASH_CLAIM_IDLE_MS",
        60_000,
        "Idle time in ms after which another worker of the group claims a pending entry.",
        least=1000,
        most=86_400_000,
    )
    max_deliveries: int = variable(
        "EVDASH_MAX_DELIVERIES", 5, "Number of tries before an entry is parked.", least=1, most=1000
    )
    max_length: int = variable(
        "EVDASH_MAX_LENGTH",
        0,
        "Maximum length of a stream. Workers trim older entries that all groups have committed. 0: unlimited.",
    )
    max_length_exact: bool = variable(
        "EVDASH_MAX_LENGTH_EXACT",
        False,
        "Trim to exactly that length. Otherwise Redis removes whole nodes, which is faster.",
    )
    retention_hours: int = variable(
        "EVDASH_RETENTION_HOURS",
        0,
        "Maximum age of stream entries in hours. Workers trim older entries that all groups have committed. 0: "
        "unlimited.",
        most=876_000,  # a hundred years
    )
    abandoned_after_min: int = variable(
        "EVDASH_ABANDONED_AFTER_MIN",
        60,
        "Minutes without an event after which a session that has not ended counts as abandoned.",
        least=1,
        most=525_600,  # a year
    )
    demo: bool = variable(
        "EVDASH_DEMO",
        True,
        "Let simulated agents write demo events to an empty embedded stream.",
        option="--no-demo",
        option_help="Do not start simulated agents",
    )
    database_url: str = variable(
        "DATABASE_URL",
        "",
        "Database of the event log: `postgres://user:password@host:5432/name` or `sqlite:///path`. Percent-encode "
        "special characters of user name and password.",
        default_in_words="SQLite, `evdash.sqlite3` in the data directory",
        takes="postgres://user:password@host:5432/name or sqlite:///path",
        secret=True,
    )
    host: str = variable("EVDASH_HOST", "127.0.0.1", "Listening address of the web server.", option="--host")
    port: int = variable("EVDASH_PORT", 8000, "Port of the web server.", option="--port", least=1, most=65535)
    requests_at_once: int = variable(
        "EVDASH_REQUESTS_AT_ONCE", 2, "Maximum number of concurrent pages per web process.", least=1, most=64
    )
    requests_waiting: int = variable(
        "EVDASH_REQUESTS_WAITING",
        64,
        "Maximum number of waiting requests, for up to 4 s each. Others get a page with status 503.",
        most=10_000,
    )
    web_processes: int = variable(
        "EVDASH_WEB_PROCESSES",
        min(available_cores(), 4),
        "Number of web processes behind the port. Default: one per core, at most 4. With more than 1, another process "
        "serves the live sockets.",
        default_in_words="fits the machine",
        least=1,
        most=64,
    )
    allowed_hosts: tuple[str, ...] = variable(
        "EVDASH_ALLOWED_HOSTS",
        LOOPBACK_NAMES,
        "Host names that browsers may use, comma separated. EVDASH_HOST is included unless it is a wildcard address.",
    )
    https: bool = variable(
        "EVDASH_HTTPS",
        False,
        "Browsers use https, through a proxy that sets X-Forwarded-Proto and appends the client to X-Forwarded-For. "
        "Cookies are then sent by https only.",
    )
    session_idle_min: int = variable(
        "EVDASH_SESSION_IDLE_MIN",
        480,
        "Minutes without use after which a sign-in ends. Refreshes of an open page are not a use. 0: unlimited.",
        most=525_600,  # a year
    )
    session_max_hours: int = variable(
        "EVDASH_SESSION_MAX_HOURS",
        168,
        "Maximum duration of a sign-in in hours.",
        least=1,
        most=8_760,  # a year
    )
    secret_key: str = variable(
        "EVDASH_SECRET_KEY",
        "",
        "Key that signs sessions, the same for all web processes.",
        default_in_words="created in the data directory, readable by its owner only",
        secret=True,
    )
    log_format: str = variable(
        "EVDASH_LOG_FORMAT",
        "console",
        "Format of the logs on standard error: `console`, lines for people, or `json`, one object per line.",
        choices=("console", "json"),
    )
    log_level: str = variable(
        "EVDASH_LOG_LEVEL",
        "info",
        "Lowest level that is logged: `debug`, `info`, `warning` or `error`. `debug` adds each batch of a worker.",
        choices=("debug", "info", "warning", "error"),
    )
    debug: bool = variable("EVDASH_DEBUG", False, "Django's debug pages, for development only.")

    @classmethod
    def from_environment(cls) -> Self:
        """Read every variable and return the configuration. Raises ConfigurationError for the first invalid one."""
        values = {name: declared.read(kind) for name, kind, declared in declarations()}
        values["consumer"] = values["consumer"] or f"{socket.gethostname()}-{os.getpid()}"
        values["data_dir"] = values["data_dir"].absolute()
        for name in (name for name, _, declared in declarations() if declared.is_name):
            written = values[name]
            values[name] = canonical_name(written) if isinstance(written, str) else tuple(map(canonical_name, written))
        if values["redis_url"]:
            try:
                values["redis_url"] = redis_url(values["redis_url"], values["redis_password"])
            except InvalidRedisUrl as error:
                raise ConfigurationError(f"REDIS_URL is not valid: {error}") from error
        configuration = cls(**values)
        configuration.databases()
        return configuration

    def databases(self) -> dict[str, Any]:
        """Return Django's DATABASES.

        Raises ConfigurationError if DATABASE_URL is invalid, or if the driver for its PostgreSQL server is not
        installed.
        """
        url = self.database_url or f"sqlite:///{self.data_dir / 'evdash.sqlite3'}"
        if not url.startswith("sqlite:") and has_unencoded_credentials(url):
            raise ConfigurationError(f"{declaration('database_url').error(str)} {UNENCODED}")
        try:
            database = dict(dj_database_url.parse(url))
        except ValueError as error:
            raise declaration("database_url").error(str) from error
        if database["ENGINE"] == "django.db.backends.sqlite3":
            database["ENGINE"] = "evdash.config.sqlite3"
            # With WAL, readers and the one writer do not block each other. With IMMEDIATE, a writer waits for the lock
            # at its first statement instead of failing later. Measured with these options: 52,000 rows/s.
            database["OPTIONS"] = {
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
            }
        elif database["ENGINE"] != "django.db.backends.postgresql":
            raise declaration("database_url").error(str)
        elif find_spec("psycopg") is None:
            raise ConfigurationError(
                "DATABASE_URL names a PostgreSQL server, but its driver is not installed. "
                f"Run `{sys.executable} -m pip install -r requirements-postgresql.txt`."
            )
        else:
            database["OPTIONS"] = {"connect_timeout": 3} | cast(dict[str, Any], database.get("OPTIONS", {}))
        # The threads that render pages keep their connections.
        return {"default": database | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}}

    def address(self) -> str:
        """Return the URL at which browsers reach evdash, without a slash at the end."""
        if self.https:
            return f"https://{next((name for name in self.hosts() if name not in LOOPBACK_NAMES), 'localhost')}"
        host = "127.0.0.1" if self.host in WILDCARD_HOSTS else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def hosts(self) -> list[str]:
        """Return Django's ALLOWED_HOSTS.

        These are the allowed hosts, and EVDASH_HOST if it is a name or one address.
        """
        listened_on = f"[{self.host}]" if ":" in self.host else self.host
        own = [] if self.host in WILDCARD_HOSTS or listened_on in self.allowed_hosts else [listened_on]
        return [*self.allowed_hosts, *own]


def declarations() -> Iterator[tuple[str, type, Variable]]:
    """Yield field name, type and variable of every setting, in the documentation's order."""
    for each in fields(Configuration):
        yield each.name, cast(type, each.type), each.metadata["variable"]


def declaration(name: str) -> Variable:
    """Return the variable of the field `name` of Configuration."""
    return next(declared for field_name, _, declared in declarations() if field_name == name)
