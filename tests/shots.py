"""Pictures of every page with the demonstration: 1440 and 400 px wide, light and dark.

    python -m tests.shots --output shots --only session

Prints each page that is wider than its window or has an unexpected status; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from evdash.config.environment import declarations
from tests.browser.conftest import FLAGS, browser_path
from tests.running import Up, free_port

WIDTHS: Final = (1440, 400)
SCHEMES: Final = ("light", "dark")
STATUS: Final = {"not-found": 404, "events-invalid": 400}
"""The status of pages that have another one than 200."""
DEMO_S: Final = 8.0
"""Time for the demonstration to write its first sessions, in seconds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("shots"), help="folder of the pictures (%(default)s)")
    parser.add_argument("--only", default="", help="pages whose name contains this text")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    faults = 0
    with running() as link, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(playwright), args=list(FLAGS))
        page = browser.new_context().new_page()
        page.goto(link)
        page.locator("form button").first.click()
        page.wait_for_selector("nav")
        time.sleep(DEMO_S)
        address = link.partition("/sign-in/")[0]
        pages = {name: path for name, path in paths(page, address).items() if arguments.only in name}
        state = page.context.storage_state()
        for width in WIDTHS:
            for scheme in SCHEMES:
                context = browser.new_context(
                    storage_state=state, viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                tab = context.new_page()
                for name, path in pages.items():
                    answer = tab.goto(address + path)
                    tab.wait_for_timeout(1_000)  # live pages and charts fill themselves
                    tab.screenshot(path=arguments.output / f"{name}-{width}-{scheme}.png", full_page=width == 400)
                    status = answer.status if answer else 0
                    drawn = tab.evaluate("document.documentElement.scrollWidth")
                    if status != STATUS.get(name, 200) or drawn > width:
                        print(f"{path}: status {status}, {drawn} px in a window of {width} px", file=sys.stderr)
                        faults += 1
                context.close()
        browser.close()
    print(f"{len(pages) * len(WIDTHS) * len(SCHEMES)} pictures in {arguments.output}/")
    return 1 if faults else 0


def paths(page: Page, address: str) -> dict[str, str]:
    """Return the path of each page by name, with a session, a user and an event that exist."""
    lines = page.request.get(f"{address}/events.ndjson?since=1h").text().splitlines()
    events = [each for each in map(json.loads, lines) if each.get("session_id") and each.get("user_id")]
    event, other = events[0], next(each for each in events if each["session_id"] != events[0]["session_id"])
    [group, *_] = re.findall(r"/errors/groups/\w+/", page.request.get(f"{address}/errors/").text())
    session, stream = quote(event["session_id"], safe=""), quote(event["stream"], safe="")
    return {
        "overview": "/",
        "live": "/live/",
        "sessions": "/sessions/",
        "session": f"/sessions/{session}/",
        "session-conversation": f"/sessions/{session}/?view=conversation",
        "session-raw": f"/sessions/{session}/?view=raw",
        "session-trace": f"/sessions/{session}/?trace={quote(event['user_id'], safe='')}",
        "compare": f"/compare/?a={session}&b={quote(other['session_id'], safe='')}",
        "users": "/users/",
        "user": f"/users/{quote(event['user_id'], safe='')}/",
        "errors": "/errors/",
        "errors-by-tool": "/errors/?by=tool",
        "error-group": group,
        "events": "/events/",
        "events-filtered": "/events/?q=is:error",
        "events-invalid": "/events/?q=nokey:1",
        "event": f"/events/{stream}/{event['entry_id']}/",
        "views": "/views/",
        "streams": "/streams/",
        "group": f"/streams/{stream}/groups/evdash-audit/",
        "parked": f"/streams/{stream}/parked/",
        "operation": f"/streams/operations/claim/?stream={stream}&group=evdash-audit",
        "audit-log": "/audit-log/",
        "account": "/account/",
        "not-found": "/nothing/",
    }


@contextmanager
def running() -> Iterator[str]:
    """Run evdash with the demonstration; yield the link that signs an operator in."""
    left_out = {"DJANGO_SETTINGS_MODULE", *(declared.name for _, _, declared in declarations())}
    with TemporaryDirectory(prefix="evdash-shots-") as directory:
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        environment["EVDASH_DATA_DIR"] = str(Path(directory) / "data")
        up = Up(environment, Path(directory) / "up.log", "--port", str(free_port()))
        try:
            up.wait_for("Ctrl-C stops", seconds=60)
            yield re.split(r"\s", up.wait_for(r"http://\S+/sign-in/\S+")[0])[0]
        finally:
            up.stop()


if __name__ == "__main__":
    sys.exit(main())
