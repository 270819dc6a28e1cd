"""`manage.py up`: run all processes that evdash needs, in one terminal, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import socket
import time
from argparse import ArgumentParser
from http.client import HTTPConnection, HTTPException
from select import select
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError
from structlog.stdlib import get_logger

from evdash.accounts.one_time_links import DEFAULT_USER, LIFETIME, create_link, person
from evdash.config.checks import TAG
from evdash.config.command_line import add_options
from evdash.config.environment import WILDCARD_HOSTS, Configuration
from evdash.management.base import PlainCommand
from evdash.streams.client import StreamsUnavailable, open_client, shown_address
from evdash.streams.embedded_server import EmbeddedServer, EmbeddedServerError
from evdash.streams.loading import Progress, wait_until_loaded
from evdash.supervisor.ports import PortTaken, refuse_taken_port
from evdash.supervisor.processes import Child, RestartPause

logger = get_logger(__name__)

LOOK_EVERY_S = 0.05
READY_WAIT_S = 30.0
STOP_WAIT_S = 20.0
TELL_OF_LOADING_AFTER_S = 3.0
TELL_OF_LOADING_EVERY_S = 10.0


class Command(PlainCommand):
    help = "Start evdash: an embedded Valkey unless REDIS_URL is set, the worker and the web server."
    requires_system_checks = [TAG]  # all checks would import every page, as `serve` does anyway

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_options(parser)  # manage.py has applied them before the settings were read

    def handle(self, *args: Any, **options: Any) -> None:
        self.configuration: Configuration = settings.EVDASH
        self.signals = 0
        self.tell_of_loading_at_s = TELL_OF_LOADING_AFTER_S
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            refuse_taken_port(self.configuration.host, self.configuration.port)
        except PortTaken as taken:
            raise CommandError(str(taken)) from taken
        server = None if self.configuration.redis_url else self._embedded_server()
        children: list[Child] = []
        try:
            redis_url = server.url if server else self.configuration.redis_url
            self._refuse_unreachable(redis_url)
            if self.signals:
                return
            link = self._prepared_link()
            children = self._children(redis_url, embedded=server is not None)
            web, *others = children
            web.start()
            self._wait_until_served(web)
            if not self.signals:
                for child in others:  # a second later, so that the first page is fast: pages need no worker
                    child.start()
                self._tell(link, redis_url, server)
            self._watch(children, server)
        finally:
            self._stop(children, server)

    def _on_signal(self, number: int, frame: object) -> None:
        self.signals += 1

    def _embedded_server(self) -> EmbeddedServer:
        server = EmbeddedServer(self.configuration.data_dir, self.configuration.embedded_port or None)
        try:
            server.start(self._may_go_on_loading)
        except EmbeddedServerError as error:
            raise CommandError(str(error)) from error
        return server

    def _refuse_unreachable(self, redis_url: str) -> None:
        """Raise CommandError if Redis is unreachable.

        A server that is still loading, for example after a restart of its machine, is waited for.
        """
        client = open_client(redis_url)
        try:
            wait_until_loaded(client, self._may_go_on_loading)
        except StreamsUnavailable as outage:
            raise CommandError(str(outage)) from outage
        finally:
            client.close()

    def _may_go_on_loading(self, progress: Progress) -> bool:
        """Return True until Ctrl-C (or SIGTERM), and print the loading progress.

        The first report is after 3 s, the next ones every 10 s.
        """
        if progress.waited_s >= self.tell_of_loading_at_s:
            self.tell_of_loading_at_s = progress.waited_s + TELL_OF_LOADING_EVERY_S
            loaded, total = (f"{size / 1_000_000:,.0f}" for size in (progress.loaded_bytes, progress.total_bytes))
            how_far = f" ({loaded} of {total} MB)" if progress.total_bytes else ""
            self.stdout.write(f"Waiting for Redis to load{how_far}.")
            self.stdout.flush()
        return not self.signals

    def _prepared_link(self) -> str:
        """Migrate the database and return the path that signs a person in."""
        try:
            call_command("migrate", verbosity=0, interactive=False)
            return create_link(person(DEFAULT_USER))
        except DatabaseError as error:
            raise CommandError(f"The database is not available: {error}.") from error

    def _children(self, redis_url: str, *, embedded: bool) -> list[Child]:
        """Return the processes in their start order. They are stopped in the opposite order."""
        shared = {"REDIS_URL": redis_url, "REDIS_PASSWORD": "", "EVDASH_EMBEDDED": "yes" if embedded else "no"}
        # The same name at every start: the worker then finds the entries that a killed one left pending.
        worker = {"EVDASH_CONSUMER": os.environ.get("EVDASH_CONSUMER") or f"{socket.gethostname()}-up"}
        children = [Child("web server", ["serve"], shared), Child("worker", ["work"], shared | worker)]
        if embedded and self.configuration.demo:
            children.append(Child("demonstration", ["demo"], shared))
        return children

    def _wait_until_served(self, web: Child) -> None:
        deadline = time.monotonic() + READY_WAIT_S
        host = "localhost" if self.configuration.host in WILDCARD_HOSTS else self.configuration.host
        connection = HTTPConnection(host, self.configuration.port, timeout=1)
        try:
            while not self.signals:
                if web.exit_code is not None:
                    raise CommandError(f"Web server failed to start (exit code {web.exit_code}).")
                if time.monotonic() > deadline:
                    raise CommandError(f"Web server not ready after {READY_WAIT_S:.0f} s.")
                try:
                    if connection.sock is None:
                        connection.request("GET", "/healthz")
                    # The web server's parent listens before its processes answer.
                    if select([connection.sock], [], [], LOOK_EVERY_S)[0]:
                        connection.getresponse()  # any status is fine: EVDASH_ALLOWED_HOSTS may not include this name
                        return
                except (OSError, HTTPException):
                    connection.close()
                    time.sleep(0.02)
        finally:
            connection.close()

    def _tell(self, link: str, redis_url: str, server: EmbeddedServer | None) -> None:
        stream = self.configuration.streams[0]
        minutes = int(LIFETIME.total_seconds() // 60)
        self.stdout.write(
            f"\nSign in   {self.configuration.address()}{link} ({DEFAULT_USER}, one use, {minutes} minutes)"
        )
        self.stdout.write(f"Dashboard {self.configuration.address()}/")
        if server is None:
            self.stdout.write(
                f"Redis     {shown_address(redis_url)} (attached; streams: {', '.join(self.configuration.streams)})"
            )
        else:
            self.stdout.write(f"Redis     {redis_url} (embedded; data in {self.configuration.data_dir})")
            for remark in server.remarks:
                self.stdout.write(f"          {remark}")
            self.stdout.write(
                f"Try       redis-cli -u {redis_url} XADD {stream} '*' type message.added session_id s-1 user_id u-1 "
                "role user content hello"
            )
            if self.configuration.demo:
                self.stdout.write("Demo      on until others have written 10 events (off: --no-demo)")
        self.stdout.write("Ctrl-C stops all processes in order.\n")
        self.stdout.flush()

    def _watch(self, children: list[Child], server: EmbeddedServer | None) -> None:
        """Watch the processes until a signal.

        A worker that ends, or a demonstration that fails, is started again after a pause (RestartPause). If the web
        server or the embedded server ends, raise CommandError.
        """
        restart_at: dict[str, float] = {}
        pauses = {child.name: RestartPause() for child in children}
        while not self.signals:
            if server is not None and not server.is_running:
                raise CommandError(f"Embedded server ended. All processes stopped. Log: {server.log_path}")
            for child in children:
                if child.exit_code is None:
                    continue
                if child.name == "web server":
                    raise CommandError(f"Web server ended (exit code {child.exit_code}). All processes stopped.")
                if child.name == "demonstration" and child.exit_code == 0:
                    continue  # the stream has events of other producers
                due = restart_at.get(child.name)
                if due is None:
                    child.forget()
                    pause_s = pauses[child.name].after(child.ran_s)
                    logger.warning(
                        "process ended", process=child.name, exit_code=child.exit_code, restart_in_s=round(pause_s)
                    )
                    restart_at[child.name] = time.monotonic() + pause_s
                elif time.monotonic() >= due:
                    del restart_at[child.name]
                    child.start()
            time.sleep(LOOK_EVERY_S)

    def _stop(self, children: list[Child], server: EmbeddedServer | None) -> None:
        """Stop the processes after their present work, and the embedded server last: it stores their writes.

        A second Ctrl-C kills them, as does a wait of 20 s (STOP_WAIT_S).
        """
        signals_before = max(self.signals, 1)
        for child in reversed(children):
            child.ask_to_end()
        deadline = time.monotonic() + STOP_WAIT_S
        while any(child.is_running for child in children):
            if self.signals > signals_before or time.monotonic() > deadline:
                break
            time.sleep(LOOK_EVERY_S)
        for child in children:
            child.kill()
        if server is not None:
            server.stop()
        if self.signals:
            self.stdout.write("Stopped.")
