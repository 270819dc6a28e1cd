"""Everything of one user as a file that anybody can read."""

from __future__ import annotations

import re

from django.http import HttpResponse
from django.test import Client

from evdash.accounts.token_grants import TokenGrant
from evdash.accounts.tokens import create_token
from evdash.audit_log.audit_log import recent
from evdash.eventlog.models import Gap, GroupPosition
from evdash.events.entry import EntryId
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import Page, parse_page
from tests.web.test_pages import conversation
from tests.web.test_session_exports import Strict


def in_file(browser: Client, address: str) -> Page:
    """The parts of the exported file, which has inline styles and is harmless nevertheless."""
    answer = browser.get(address)
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment; ")
    html = answer.getvalue().decode()
    Strict(html)
    return Page(HttpResponse(re.sub(r"(?s)<style.*?</style>", "", html)))


def test_the_file_is_three_clicks_away_and_has_every_event_of_every_session(browser: Client, write: Write) -> None:
    write(
        *conversation("s-1", "ada"),
        *conversation("s-2", "ada", 60_000, failing=True),
        *conversation("s-3", "bob", 120_000),
    )
    [users] = [link for link in parse_page(browser.get("/")).values("href", ".rail a") if "users" in link]
    [user] = parse_page(browser.get(users)).values("href", "tr[data-key=ada] th a")
    [address] = parse_page(browser.get(user)).values("href", ".page-actions a[data-export=html]")
    file = in_file(browser, address)
    assert file.texts("h1") == ["User ada"]
    assert file.texts(".file-made b, .file-made code") == ["the reader", STREAM, "user:ada"]
    [number] = re.findall(r"audit log entry (\d+)", file.texts(".file-made")[0])
    assert (recent(1)[0].begun.pk, recent(1)[0].title) == (int(number), "Export events of user ada as HTML file")
    assert file.has(".completeness:not(.is-incomplete)")
    assert {name: file.facts[name] for name in ("Sessions", "Events", "Errors")} == {
        "Sessions": "2",
        "Events": "12",
        "Errors": "1",
    }
    assert sorted(file.values("data-key", "tbody tr[data-key]")) == ["s-1", "s-2"]
    assert file.texts(".row .row-session") == ["s-1"] * 6 + ["s-2"] * 6
    assert file.texts(".file-end .total") == ["12 events, 1 error"]


def test_a_gap_makes_the_file_incomplete(browser: Client, write: Write, index: Index) -> None:
    write(*(entry(f"{at}000-0", user_id="ada", type="note") for at in (1, 4)))
    index()
    Gap.objects.create(
        position=GroupPosition.objects.get(group="evdash-audit", stream__name=STREAM),
        kind=Gap.Kind.REMOVED,
        first_id=EntryId.parse("2000-0"),
        last_id=EntryId.parse("3000-0"),
        entries=7,
        noticed_at="2026-01-01T00:00:00Z",
    )
    file = in_file(browser, "/users/ada/export.html")
    assert file.has(".completeness.is-incomplete")
    assert [name == "gap" for name in file.values("class", ".rows > li")] == [False, True, False]


def test_a_user_without_events_has_no_file(browser: Client, write: Write) -> None:
    write(*conversation("s-1", "ada"))
    assert browser.get("/users/bob/export.html").status_code == 404


def test_a_token_for_some_users_exports_only_those(browser: Client, write: Write) -> None:
    write(*conversation("s-1", "ada"), *conversation("s-2", "bob", 60_000))
    program = {"Authorization": f"Bearer {create_token('audit', TokenGrant(('export',), users=('ada',)))}"}
    assert Client().get("/users/ada/export.html", headers=program).status_code == 200
    assert Client().get("/users/bob/export.html", headers=program).status_code == 403


def test_the_order_of_a_file_is_that_of_its_entries(browser: Client, write: Write) -> None:
    write(*(entry(f"{at}-0", user_id="ada", session_id=f"s-{at % 2}", type="note") for at in range(1, 8)))
    ids = [key.split("@")[0] for key in in_file(browser, "/users/ada/export.html").values("id", "li.row")]
    assert ids == [f"e-{EntryId(at, 0)}" for at in range(1, 8)]
