"""Saved views: a name for a list, private or shared, in the rail of those who may see it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evdash.accounts.roles import make_operator
from evdash.audit_log.models import AuditLogEntry
from evdash.saved_views import writing
from evdash.saved_views.models import NAME_MAX_CHARS, QUERY_MAX_CHARS, SavedView
from evdash.web.saved_view_display import RAIL_MAX
from tests.web.parsed_page import Page, parse_page

LISTS = ("live", "sessions", "users", "errors", "events")
HTMX = {"HTTP_HX_REQUEST": "true"}


def person(name: str, *, is_operator: bool = False) -> Client:
    user = User.objects.create_user(name)
    if is_operator:
        make_operator(user)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def operator(db: None) -> Client:
    return person("olga", is_operator=True)


def save(client: Client, name: str, query: str = "q=is%3Aerror", page: str = "events", *, shared: bool = False) -> int:
    """Save a view and return its number."""
    response = client.post(
        "/views/", {"name": name, "page": page, "query": query, **({"shared": "on"} if shared else {})}
    )
    assert response.status_code == 302, response.content.decode()
    return SavedView.objects.latest("pk").pk


def rail(page: Page) -> dict[str, str]:
    """Return the addresses of the views in the rail, by name."""
    return dict(zip(page.texts("#views li bdi"), page.values("href", "#views li a:not(.views-all)"), strict=True))


def current(page: Page) -> list[str]:
    return page.texts("#views a[aria-current=true]")


@pytest.mark.parametrize("page", LISTS)
def test_a_list_is_saved_without_its_position_and_is_current_under_its_address(browser: Client, page: str) -> None:
    form = parse_page(browser.get(f"/{page}/", {"before": "5-5", "since": "2h", "unknown": "1"}))
    if page in ("sessions", "users"):  # they have no filter bar
        fields = {"page": page, "query": "since=2h"}
    else:
        fields = {name: form.values("value", f".save-view [name={name}]")[0] for name in ("page", "query")}
    assert fields == {"page": page, "query": "since=2h"}
    answer = browser.post("/views/", {**fields, "name": "Recent"})
    assert answer["Location"] == f"/{page}/?since=2h"
    opened = parse_page(browser.get(answer["Location"]))
    assert rail(opened) == {"Recent": f"/{page}/?since=2h"}
    assert current(opened) == ["Recent"]
    assert current(parse_page(browser.get(f"/{page}/", {"since": "2h", "until": "1h"}))) == []
    assert current(parse_page(browser.get("/streams/"))) == []


def test_breakdown_and_order_are_part_of_a_view_whatever_the_order_of_parameters(browser: Client) -> None:
    save(browser, "By tool", "sort=errors&by=tool&q=tool%3Asearch&groups=all&end=1", "errors")
    address = "/errors/?q=tool%3Asearch&by=tool&groups=all&sort=errors"
    assert rail(parse_page(browser.get("/"))) == {"By tool": address}
    other_order = "/errors/?sort=errors&q=tool%3Asearch&groups=all&by=tool&before=5-5%40x"
    assert current(parse_page(browser.get(other_order))) == ["By tool"]


def test_a_private_view_exists_for_its_owner_only(browser: Client, operator: Client) -> None:
    number = save(browser, "Mine alone")
    for other in (operator, person("vera")):
        for address in ("/", "/views/"):
            assert "Mine alone" not in parse_page(other.get(address)).html
        assert other.get("/palette/", {"q": "mine"}).json() == {"results": []}
        assert parse_page(other.get(f"/views/{number}/"), 404).texts(".said-subject") == [str(number)]
        assert other.post(f"/views/{number}/", {"name": "Yours", "shared": "on"}).status_code == 404
        assert other.post(f"/views/{number}/delete").status_code == 404
    assert rail(parse_page(browser.get("/"))) == {"Mine alone": "/events/?q=is%3Aerror"}
    assert AuditLogEntry.objects.filter(action="view").count() == 0


def test_a_shared_view_is_seen_by_all_and_changed_by_operators(browser: Client, operator: Client) -> None:
    number = save(operator, "For all", shared=True)
    address = f"/views/{number}/"
    assert rail(parse_page(browser.get("/"))) == {"For all": "/events/?q=is%3Aerror"}
    listed = parse_page(browser.get("/views/"))
    assert listed.cells(".saved-views", "View", "Page", "Conditions", "Shared") == [
        ("For all", "Events", "Filter is:error", "Shared by olga")
    ]
    assert address not in listed.links.values()
    assert not parse_page(browser.get(address)).has("main form")
    assert browser.post(address, {"name": "Other"}).status_code == 409
    assert browser.post(f"{address}delete").status_code == 409
    another = person("oskar", is_operator=True)
    assert parse_page(another.get(address)).values("value", "main [name=name]") == ["For all"]
    assert another.post(address, {"name": "Renamed", "shared": "on"})["Location"] == "/views/"
    assert rail(parse_page(browser.get("/"))) == {"Renamed": "/events/?q=is%3Aerror"}
    assert another.post(address, {"name": "Renamed"}).status_code == 302
    assert rail(parse_page(browser.get("/"))) == rail(parse_page(another.get("/"))) == {}
    assert rail(parse_page(operator.get("/"))) == {"Renamed": "/events/?q=is%3Aerror"}


def test_the_audit_log_has_the_changes_that_others_see(operator: Client) -> None:
    private = save(operator, "Private")
    operator.post(f"/views/{private}/", {"name": "Still private"})
    assert AuditLogEntry.objects.filter(action="view").count() == 0
    operator.post(f"/views/{private}/", {"name": "Public", "shared": "on"})
    operator.post(f"/views/{private}/", {"name": "Public 2", "shared": "on"})
    shared = save(operator, "At once", "q=x", shared=True)
    operator.post(f"/views/{private}/", {"name": "Public 2"})
    operator.post(f"/views/{private}/delete")
    operator.post(f"/views/{shared}/delete")
    page = parse_page(operator.get("/audit-log/"))
    titles = [title for title in page.texts(".accesses td.says:nth-child(3)") if "view" in title]
    titles = [title.removesuffix(" Open view") for title in titles]
    assert titles == [
        "Deleted view At once",
        "Stopped sharing view Public 2",
        "Shared view At once",
        "Renamed view Public",
        "Shared view Still private",
    ]
    entry = parse_page(operator.get(page.links["Shared view At once"]))
    assert entry.links["Open view"] == f"/views/{shared}/"
    assert entry.facts["Query"] == "q=x"


def test_a_viewer_cannot_share(browser: Client) -> None:
    assert not parse_page(browser.get("/events/")).has(".save-view [name=shared]")
    fields = {"name": "x", "page": "events", "query": "q=x", "shared": "on"}
    [(level, refusal)] = parse_page(browser.post("/views/", fields), 400).notices
    assert (level, refusal.startswith("View not saved. Only operators")) == ("error", True)
    number = save(browser, "mine")
    assert browser.post(f"/views/{number}/", {"name": "mine", "shared": "on"}).status_code == 409
    assert not SavedView.objects.filter(is_shared=True).exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "  "},
        {"name": "x" * (NAME_MAX_CHARS + 1)},
        {"query": "q=" + "x" * QUERY_MAX_CHARS},
        {"query": "q=a%00b"},
        {"name": "taken"},
    ],
    ids=["no name", "a long name", "a long query", "NUL", "a name that is taken"],
)
def test_a_rejected_view_is_in_the_form_again(browser: Client, fields: dict[str, str]) -> None:
    save(browser, "taken", "q=other")
    sent = {"name": "a name", "page": "errors", "query": "q=tool%3Ax", **fields}
    page = parse_page(browser.post("/views/", sent), 400)
    [(level, refusal)] = page.notices
    assert (level, refusal.startswith("View not saved. ")) == ("error", True)
    assert page.values("value", "main [name=page]") == ["errors"]
    assert page.values("value", "main [name=name]") == [sent["name"]]
    assert SavedView.objects.count() == 1


def test_a_nul_in_a_name_gets_a_sentence(browser: Client) -> None:
    response = browser.post("/views/", {"name": "a\0b", "page": "events", "query": ""})
    assert response.status_code == 400
    assert b"name contains a NUL character" in response.content


@pytest.mark.parametrize(
    "page", ["https://evil.example/", "//evil.example", "streams", "session", "sandboxes/x/events"]
)
def test_only_lists_are_saved_and_nothing_leads_elsewhere(browser: Client, page: str) -> None:
    fields = {"name": "x", "page": page, "query": "q=x"}
    assert parse_page(browser.post("/views/", fields), 400).notices == []
    assert not SavedView.objects.exists()
    save(browser, "y", "//evil.example&next=https://evil.example")
    assert rail(parse_page(browser.get("/"))) == {"y": "/events/"}


def test_a_page_that_no_longer_exists_and_an_outdated_parameter_open_with_the_usual_warning(browser: Client) -> None:
    owner = User.objects.get(username="the reader")
    SavedView.objects.create(owner=owner, name="Old page", page="heatmap", query="q=x")
    SavedView.objects.create(owner=owner, name="Old parameter", page="errors", query="q=x&shape=round")
    links = rail(parse_page(browser.get("/")))
    assert links == {"Old page": "/events/?q=x", "Old parameter": "/errors/?q=x&shape=round"}
    [(level, sentence)] = parse_page(browser.get(links["Old parameter"])).notices
    assert (level, sentence.partition(",")[0]) == ("warning", "Unknown parameter shape=")
    assert ("Old page", "heatmap") in parse_page(browser.get("/views/")).cells(".saved-views", "View", "Page")


def test_names_of_any_characters_are_shown_escaped(browser: Client) -> None:
    save(browser, "<script>alert(1)</script> \u202e 👩‍👩‍👧 שלום\nnext", "q=%3Cb%3E%E2%80%AE")
    for address in ("/", "/views/", f"/views/{SavedView.objects.get().pk}/"):
        page = parse_page(browser.get(address))
        assert "<script>alert" not in page.html
        assert "\u202e" not in page.text  # the box of the name has it
        assert "\u202e" not in "".join(page.texts("#views, h1, title"))
    assert "👩‍👩‍👧 שלום next" in next(iter(rail(page)))


def test_the_same_form_sent_twice_saves_one_view(browser: Client) -> None:
    for _ in range(2):
        save(browser, "once")
    assert SavedView.objects.count() == 1


def test_two_windows_that_save_a_name_at_the_same_time_get_one_view(
    browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(browser, "a name")
    monkeypatch.setattr(writing, "_check_is_free", lambda *_: None)  # the other window has not saved it yet
    page = parse_page(browser.post("/views/", {"name": "a name", "page": "events", "query": "q=y"}), 400)
    assert "Another window" in page.notices[0][1]
    assert SavedView.objects.count() == 1


def test_the_number_of_views_is_limited(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "OWN_MAX", 3)
    monkeypatch.setattr(writing, "SHARED_MAX", 1)
    save(operator, "one", shared=True)
    save(operator, "two")
    fields = {"page": "events", "query": ""}
    refused = parse_page(operator.post("/views/", {**fields, "name": "three", "shared": "on"}), 400)
    assert "1 views are shared" in refused.notices[0][1]
    save(operator, "three")
    assert "You have 3 views" in parse_page(operator.post("/views/", {**fields, "name": "four"}), 400).notices[0][1]


def test_the_rail_has_few_views_and_the_current_one_in_any_case(browser: Client) -> None:
    assert not rail(parse_page(browser.get("/")))
    for number in range(RAIL_MAX + 3):
        save(browser, f"view {number:02}", f"q={number}")
    page = parse_page(browser.get("/events/", {"q": f"{RAIL_MAX + 2}"}))
    assert len(rail(page)) == RAIL_MAX
    assert current(page) == [f"view {RAIL_MAX + 2}"]
    assert page.links["All views"] == "/views/"


def test_a_page_reads_the_views_with_one_query_and_a_refresh_with_none(browser: Client) -> None:
    for number in range(3):
        save(browser, f"view {number}", f"q={number}")

    def queries(**headers: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            browser.get("/events/", **headers)  # type: ignore[arg-type]
        return sum("saved_views" in query["sql"] for query in captured)

    assert queries() == 1
    assert queries(**HTMX) == 1
    assert queries(**HTMX, HTTP_EVDASH_AUTOMATIC="1") == 0


def test_htmx_gets_the_button_and_the_rail(browser: Client) -> None:
    fields = {"name": "New", "page": "events", "query": "q=x"}
    saved = parse_page(browser.post("/views/", fields, **HTMX))
    assert saved.texts("[role=status]") == ["Saved as New"]
    assert saved.values("hx-swap-oob", "#views") == ["true"]
    assert rail(saved) == {"New": "/events/?q=x"}
    assert current(saved) == ["New"]
    refused = parse_page(browser.post("/views/", {**fields, "query": "q=y"}, **HTMX), 400)
    assert refused.has("details[open] .notice-error")
    assert not refused.has("#views")


def test_a_list_that_htmx_loads_renews_the_mark_in_the_rail(browser: Client) -> None:
    save(browser, "Errors", "q=is%3Aerror")
    fragment = parse_page(browser.get("/events/?q=is:error", **HTMX))
    assert fragment.values("hx-swap-oob", "#views") == ["true"]
    assert current(fragment) == ["Errors"]
    restored = parse_page(browser.get("/events/", **HTMX, HTTP_HX_HISTORY_RESTORE_REQUEST="true"))
    assert restored.has("main #views[hx-swap-oob]")


def test_views_end_with_their_owner(browser: Client) -> None:
    save(browser, "mine")
    User.objects.get(username="the reader").delete()
    assert not SavedView.objects.exists()


def test_forms_need_their_token_and_a_person(browser: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="the reader"), backend="django.contrib.auth.backends.ModelBackend")
    fields = {"name": "forged", "page": "events", "query": ""}
    assert strict.post("/views/", fields).status_code == 403
    assert Client().post("/views/", fields)["Location"].startswith("/sign-in/")
    number = save(browser, "mine")
    assert browser.get(f"/views/{number}/delete").status_code == 405
    assert SavedView.objects.get().name == "mine"
