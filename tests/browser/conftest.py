"""A real browser on the real server: `manage.py up` on an embedded Valkey, Chromium driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from evdash.config.environment import declarations
from evdash.streams.publisher import Publisher
from tests.running import Up, free_port

_INSTALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
FLAGS = (
    "--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
)  # fmt: skip


def browser_path(playwright: Playwright) -> str:
    """Where the browser is: the one installed, else Playwright's own download."""
    for name in _INSTALLED:
        if found := shutil.which(name):
            return found
    for path in (_MAC, Path(playwright.chromium.executable_path)):
        if path.exists():
            return str(path)
    raise RuntimeError(
        "The browser tests need Chromium or Chrome: install one (Debian: apt install chromium), "
        "or run `.venv/bin/playwright install chromium`."
    )


@dataclass(frozen=True)
class Running:
    """The address of a running evdash and of its Redis, and where its data are."""

    address: str
    redis_url: str
    link: str
    data: Path


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from started(tmp_path_factory.mktemp("up"))


def started(directory: Path) -> Iterator[Running]:
    """An evdash with an embedded Valkey of its own, and without the demonstration."""
    left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment["EVDASH_DATA_DIR"] = str(directory / "data")
    environment["EVDASH_WEB_PROCESSES"] = "2"  # whatever the machine: no page may depend on the process that answers
    up = Up(environment, directory / "up.log", "--port", str(free_port()), "--no-demo")
    try:
        up.wait_for("Ctrl-C stops")
        link = up.wait_for(r"http://\S+/sign-in/\S+")[0]
        redis_url = up.wait_for(r"Redis +(redis://\S+)")[1]
        yield Running(link.partition("/sign-in/")[0], redis_url, link, directory / "data")
    finally:
        up.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(playwright), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(browser: Browser, running: Running, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of a browser that used the one-time link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.link)
    if "/sign-in/" in page.url:
        page.locator("form button").first.click()
    page.wait_for_url(f"{running.address}/")
    state = tmp_path_factory.mktemp("browser") / "state.json"
    context.storage_state(path=state)
    context.close()
    return state


@pytest.fixture
def context(browser: Browser, running: Running, signed_in: Path) -> Iterator[BrowserContext]:
    context = browser.new_context(base_url=running.address, storage_state=signed_in)
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page of a signed-in person; what its console complains of fails the test."""
    page = context.new_page()
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    assert complaints == []


@pytest.fixture(scope="session")
def publisher(running: Running) -> Iterator[Publisher]:
    with Publisher(running.redis_url) as publisher:
        yield publisher
