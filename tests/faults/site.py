"""An evdash whose parts can be disturbed one by one: browsers and Redis are each reached through a proxy."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from evdash.config.environment import CHECKOUT, declarations
from evdash.streams.embedded_server import EmbeddedServer
from tests.faults.proxy import HOST, Proxy
from tests.running import free_port, is_listened_on, wait_until


class Site:
    """Valkey, a worker and the web server, each a process of its own, in a directory of their own.

    Browser - `web_proxy` - web server - `redis_proxy` - Valkey; the worker goes through that proxy as well. `redis_url`
    leads past it, for who writes and compares.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = free_port()
        self._web: subprocess.Popen[bytes] | None = None
        self.valkey = EmbeddedServer(directory)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.redis_url = stack.enter_context(self.valkey).url
            self.redis_proxy = stack.enter_context(Proxy(int(self.redis_url.rpartition(":")[2])))
            self.web_proxy = stack.enter_context(Proxy(self._port))
            self.address = f"http://{HOST}:{self.web_proxy.port}"
            self._manage("migrate").wait(60)
            worker = self._manage("work")
            stack.callback(_end, worker, signal.SIGTERM)
            stack.callback(self._end_web)
            self.start_web()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.web_proxy.restore()
        self.redis_proxy.restore()
        self._stack.close()

    def sign_in_link(self) -> str:
        """Signs a person in, once."""
        command = [sys.executable, str(CHECKOUT / "manage.py"), "sign_in_link"]
        printed = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=True).stdout
        return self.address + re.sub(r"^http://[^/]+", "", printed.strip())

    def start_web(self) -> None:
        """Returns when the web server listens."""
        self._web = self._manage("serve")
        wait_until(lambda: is_listened_on(self._port))

    def kill_web(self) -> None:
        """As the power does: nobody is told."""
        self._end_web(signal.SIGKILL)

    def stop_web(self) -> None:
        """In order: its sockets are closed."""
        self._end_web(signal.SIGTERM)

    def log(self) -> str:
        """What web server and worker wrote."""
        return (self._directory / "site.log").read_text(errors="replace")

    def _end_web(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self._web is not None:
            _end(self._web, how)
            wait_until(lambda: not is_listened_on(self._port))  # its processes end a moment after a parent is killed
        self._web = None

    def _manage(self, command: str) -> subprocess.Popen[bytes]:
        with (self._directory / "site.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(CHECKOUT / "manage.py"), command], env=self._environment(), stdout=log, stderr=log
            )

    def _environment(self) -> dict[str, str]:
        left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
        return {name: value for name, value in os.environ.items() if name not in left_out} | {
            "EVDASH_DATA_DIR": str(self._directory / "data"),
            "EVDASH_PORT": str(self._port),
            "REDIS_URL": f"redis://{HOST}:{self.redis_proxy.port}",
        }


def _end(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    process.send_signal(how)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
