"""What is typed in a terminal beside a running evdash, or before it was ever started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from evdash.config.environment import CHECKOUT
from evdash.management.base import PlainCommand
from evdash.streams.client import open_client
from evdash.streams.embedded_server import EmbeddedServer
from evdash.supervisor.addresses import COMMANDS_WITHOUT_REDIS, commands
from tests.builders import STREAM
from tests.conftest import ManagePy


def test_commands_load_without_prometheus_client() -> None:
    """It takes 40 ms and 6 MiB that only web processes need."""
    lines = (
        "import django, sys; django.setup()\n"
        "from django.core.management import load_command_class\n"
        "from evdash.supervisor.addresses import commands\n"
        "for name in commands(): load_command_class('evdash', name)\n"
        "print('prometheus_client' in sys.modules)"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    ended = subprocess.run([sys.executable, "-c", lines], env=environment, cwd=CHECKOUT, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("False\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ("streams", "create-group", STREAM, "billing", "--reason", "invoices"),
        ("rebuild", "audit"),
        ("work", "--until-caught-up"),
        ("replay", "--session", "s", "--to", "sandbox:s", "--dry-run"),
        ("export_session", "s", "--format", "ndjson"),
    ],
)
def test_without_any_server_a_command_says_so_and_takes_no_other(
    tmp_path: Path, manage_py: ManagePy, command: tuple[str, ...]
) -> None:
    answer = manage_py(*command, EVDASH_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert answer.stderr.startswith("No running embedded server for data directory")
    assert answer.stderr.count("\n") == 1


def test_a_command_finds_the_embedded_server_that_runs(tmp_path: Path, manage_py: ManagePy) -> None:
    def output_of(*arguments: str) -> str:
        answer = manage_py(*arguments, EVDASH_DATA_DIR=str(tmp_path))
        return answer.stdout + answer.stderr

    output_of("migrate")
    with EmbeddedServer(tmp_path) as server, open_client(server.url) as client:
        client.xgroup_create(STREAM, "other", id="0", mkstream=True)  # evdash creates no stream
        assert "evdash-audit: applied 0 entries." in output_of("work", "--until-caught-up")
        assert "billing" in output_of("streams", "create-group", STREAM, "billing", "--reason", "invoices")
        assert "rebuilt from 0 events" in output_of("rebuild", "audit")
        assert output_of("replay", "--session", "s", "--to", "s", "--dry-run").startswith("s is not a sandbox name.")
        assert output_of("export_session", "s").startswith("Session not found. No event in the event log")
    assert "No running embedded server" in output_of("rebuild", "audit")


def test_every_command_ends_with_a_sentence_and_those_without_redis_exist() -> None:
    own = {name for name, app in get_commands().items() if str(app).startswith("evdash")}
    assert own == commands()
    assert own > COMMANDS_WITHOUT_REDIS
    assert all(isinstance(load_command_class("evdash", name), PlainCommand) for name in own)


@pytest.mark.parametrize("command", [("sign_in_link",), ("create_token", "ci")])
def test_before_the_tables_are_made_a_command_says_what_to_run(
    tmp_path: Path, manage_py: ManagePy, command: tuple[str, ...]
) -> None:
    answer = manage_py(*command, EVDASH_DATA_DIR=str(tmp_path))
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "`manage.py migrate`" in answer.stderr
