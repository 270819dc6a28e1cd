"""Whatever a request holds in whatever position: no page fails, and what is stored or logged has a length limit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import redis
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncClient, Client
from django.urls import URLPattern, URLResolver, get_resolver
from selectolax.lexbor import LexborHTMLParser

from evdash.accounts.roles import make_operator
from evdash.audit_log.audit_log import REASON_MAX_CHARS, TEXT_MAX_CHARS, recent, record
from evdash.audit_log.models import AuditLogEntry
from evdash.config.asgi import application
from evdash.config.environment import CHECKOUT
from evdash.streams.stream_info import group_infos
from evdash.web.input_limits import (
    FIELD_MAX_CHARS,
    LIMITS,
    PARAMETER_MAX_CHARS,
    PASSWORD_MAX_CHARS,
    USER_NAME_MAX_CHARS,
)
from evdash.web.pages.registry import BY_NAME, LIST
from evdash.web.pages.streams.forms import FORMS
from evdash.web.pages.streams.forms.sandboxes import SANDBOX_FORMS
from tests.builders import STREAM, entry
from tests.web.conftest import Index, Write
from tests.web.parsed_page import parse_page

pytestmark = pytest.mark.django_db(transaction=True)

NUL = "a\x00b"
# Longer than any column and any row of an index; shorter than the limit, so that the page itself is tested.
LONG = "x" * 5_000
TOO_LONG = "x" * (PARAMETER_MAX_CHARS + 1)
SAMPLES = {
    "opaque": ["s"], "identifier": ["s"], "str": ["secret"], "int": ["1"], "entry_id": ["1800000000000-0"],
    "name": ["evdash-audit"],
}  # fmt: skip
KINDS = {"operation": FORMS, "sandbox_operation": SANDBOX_FORMS}
PLACEHOLDER = re.compile(r"<(\w+):(\w+)>")
FIELDS = ("reason", "seen", "before_id", "text", "username", "password", "next", "new_password1", "old_password")
HEADERS = ("User-Agent", "Referer", "HX-Current-URL", "HX-Request", "Authorization", "Accept", "Origin")
COOKIES = (settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME, "other")


def routes() -> Iterator[tuple[str, str]]:
    """The name and the route of every URL of the site."""

    def below(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, str]]:
        for each in patterns:
            route = prefix + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from below(each.url_patterns, route)
            else:
                yield each.name or route, route

    return below(get_resolver().url_patterns, "/")


def filled(route: str, value: str = "") -> Iterator[str]:
    """Addresses of a route: with samples, or with this value in one of its placeholders at a time."""
    parts = [(match[0], match[1], match[2]) for match in PLACEHOLDER.finditer(route)]

    def sample(kind: str, name: str) -> str:
        return STREAM if name == "stream" else [*SAMPLES.get(kind, []), *KINDS.get(kind, [])][0]

    for chosen in parts if value else [None]:
        address = route
        for part in parts:
            text = value if part == chosen else sample(part[1], part[2])
            address = address.replace(part[0], quote(text, safe=":"), 1)
        yield address


def parameters(name: str) -> tuple[str, ...]:
    """The parameters of a page, as far as they are declared, and those of every page."""
    page = BY_NAME.get(name)
    forms = [form for kinds in KINDS.values() for form in kinds.values()] if name.endswith("-operation") else []
    fields = [field for form in forms for field in form.base_fields]
    return tuple(dict.fromkeys([*((page and page.parameters) or LIST), "stream", "group", "next", "q", *fields]))


@pytest.fixture
def site(transactional_db: None, valkey: redis.Redis, write: Write, index: Index) -> Client:
    """An operator's browser on a site with an event in the log and one past it. It gets errors as responses."""
    person = User.objects.create_user("mia")
    make_operator(person)
    client = Client(raise_request_exception=False)
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    write(entry("1800000000000-0", type="message.added", session_id="s", user_id="s", content="hello"))
    index()
    write(entry("1800000000001-0", type="tool.called", session_id="s", user_id="s", content="bye"))
    valkey.execute_command("XGROUP", "CREATE", STREAM, "billing", "0")
    return client


def failures(responses: Iterator[tuple[str, int, str]], allowed: range) -> list[str]:
    return [f"{what[:120]!r}: {status} {body[:90]}" for what, status, body in responses if status not in allowed]


BELOW_500 = range(200, 500)
BAD_REQUEST = range(400, 405)  # also a page that does not exist, and a method that is not allowed


def get(client: Client, address: str) -> tuple[str, int, str]:
    response = client.get(address)
    body = "" if response.streaming else response.content.decode(errors="replace")
    if response.streaming:
        b"".join(response.streaming_content)  # type: ignore[arg-type]
    return address, response.status_code, body


def test_nul_in_an_address_is_refused_on_every_url(site: Client) -> None:
    def responses() -> Iterator[tuple[str, int, str]]:
        for name, route in routes():
            for address in (*filled(route, NUL), *(f"{each}%00" for each in filled(route))):
                yield get(site, address)
            for address in filled(route):
                for parameter in parameters(name):
                    yield get(site, f"{address}?{parameter}=a%00b")
                yield get(site, f"{address}?a%00b=1")
                yield get(site, f"/sandboxes/sandbox:a%00b{address}")

    assert failures(responses(), range(400, 401)) == []


def test_nul_that_is_encoded_twice_fails_nowhere(site: Client) -> None:
    def responses() -> Iterator[tuple[str, int, str]]:
        for _, route in routes():
            for address in filled(route, "a%00b"):
                yield get(site, address)
                yield get(site, f"/sandboxes/sandbox:a%2500b{address}")

    assert failures(responses(), BELOW_500) == []


def test_long_values_in_an_address_fail_nowhere(site: Client) -> None:
    def responses() -> Iterator[tuple[str, int, str]]:
        for name, route in routes():
            for address in filled(route, LONG):
                yield get(site, address)
            for address in filled(route):
                for parameter in parameters(name):
                    yield get(site, f"{address}?{parameter}={LONG}")
                yield get(site, f"{address}?{LONG}=1")
                yield get(site, f"{address}?{'&'.join(f'{each}={LONG[:900]}' for each in parameters(name))}")

    assert failures(responses(), BELOW_500) == []


def test_longer_values_are_refused_with_a_sentence(site: Client) -> None:
    def responses() -> Iterator[tuple[str, int, str]]:
        for name, route in routes():
            for address in filled(route):
                for parameter in parameters(name):
                    yield get(site, f"{address}?{parameter}={TOO_LONG}")

    assert failures(responses(), range(400, 401)) == []
    sentence = get(site, f"/events/?q={TOO_LONG}")[2]
    assert sentence == "The parameter q has 8,001 characters; the limit is 8,000. Shorten it.\n"


def test_a_search_whose_address_would_be_too_long_is_refused_with_a_sentence(site: Client) -> None:
    response = site.get("/search/", {"q": "漢" * 3_000})
    assert response.status_code == 400
    assert "more than 16,384 characters. Shorten the text." in response.content.decode()


@pytest.mark.parametrize("value", [NUL, LONG, "x" * (FIELD_MAX_CHARS + 1)], ids=["NUL", "long", "too long"])
def test_bad_form_fields_fail_nowhere(site: Client, value: str) -> None:
    def responses() -> Iterator[tuple[str, int, str]]:
        for _, route in routes():
            for address in filled(route):
                if "sign-out" in address:
                    continue
                for field in FIELDS:
                    response = site.post(f"{address}?stream={STREAM}&group=billing", {field: value})
                    yield f"{address} {field}", response.status_code, ""
                yield address, site.post(address, {value: "1"}).status_code, ""

    allowed = BELOW_500 if value == LONG else range(400, 401)
    assert failures(responses(), allowed) == []


@pytest.mark.parametrize("value", [NUL, LONG], ids=["NUL", "long"])
def test_bad_headers_and_cookies_fail_nowhere(site: Client, value: str) -> None:
    cookie = '"a\\000b"' if value == NUL else value  # a quoted cookie may have any character

    def responses() -> Iterator[tuple[str, int, str]]:
        for _, route in routes():
            for address in filled(route):
                for header in HEADERS:
                    response = site.get(address, headers={header: value})
                    yield f"{address} {header}", response.status_code, ""
                for name in COOKIES:
                    response = Client(raise_request_exception=False).get(
                        address, headers={"Cookie": f"{name}={cookie}"}
                    )
                    yield f"{address} {name}", response.status_code, ""

    assert failures(responses(), range(400, 401) if value == NUL else BELOW_500) == []


@pytest.mark.parametrize("name", ["username", "password"])
@pytest.mark.parametrize("value", [NUL, LONG], ids=["NUL", "long"])
def test_a_sign_in_with_a_bad_name_or_password_is_refused(client: Client, name: str, value: str) -> None:
    response = client.post("/sign-in/", {"username": "mia", "password": "x", name: value})

    assert response.status_code == 400
    assert f"The field {name} " in response.content.decode()


async def test_files_are_served_without_bad_addresses(transactional_db: None) -> None:
    assert (await AsyncClient().get(f"{settings.STATIC_URL}icon.svg")).status_code == 200
    assert (await AsyncClient().get(f"{settings.STATIC_URL}icon%00.svg")).status_code == 400
    assert (await AsyncClient().get(f"/static/{TOO_LONG}")).status_code == 400


@pytest.mark.parametrize(
    ("query", "cookie"),
    [(b"q=a%00b", b""), (b"a%00=1", b""), (b"q=" + TOO_LONG.encode(), b""), (b"", f'{COOKIES[0]}="a\\000b"'.encode())],
    ids=["NUL", "NUL in a name", "too long", "NUL in a cookie"],
)
async def test_a_socket_with_bad_input_is_refused_before_it_is_accepted(
    transactional_db: None, query: bytes, cookie: bytes
) -> None:
    headers = [(b"host", b"localhost"), (b"origin", b"http://localhost"), (b"cookie", cookie)]
    socket = WebsocketCommunicator(application, f"/live/socket/?{query.decode()}", headers)
    is_accepted, code = await socket.connect()
    assert (is_accepted, code) == (False, 1000)


def test_a_browser_gets_the_sentence_as_a_page(site: Client) -> None:
    response = site.get("/events/?q=a%00b", headers={"Accept": "text/html"})
    page = parse_page(response, 400)
    sentence = "The parameter q contains a NUL character, which is not allowed. Remove it."
    assert page.texts("main p:not(.brand):not(.actions)") == [sentence]
    assert response["Cache-Control"] == "no-store"
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_a_form_that_is_too_large_or_cannot_be_read_is_refused_with_a_sentence(site: Client) -> None:
    too_large = site.post("/sessions/s/notes", {"text": "x" * 3_000_000})
    assert (too_large.status_code, too_large.content.decode()[:22]) == (400, "The form is too large.")
    torn = site.post("/sessions/s/notes", b"--x\r\nbroken", content_type="multipart/form-data; boundary=")
    assert (torn.status_code, torn.content.decode()[:27]) == (400, "The form could not be read.")
    many = site.get("/events/?" + "&".join(f"a{n}=1" for n in range(1_500)))
    assert (many.status_code, many.content.decode()[:33]) == (400, "The request has too many paramete")


def test_a_reason_has_a_limit_that_the_form_states(site: Client, valkey: redis.Redis) -> None:
    address = f"/streams/operations/create-group/?stream={STREAM}&name=invoices&at=end"
    form = parse_page(site.get(address))
    assert form.values("maxlength", "#reason") == [str(REASON_MAX_CHARS)]
    assert "At most 1,000 characters." in form.texts("#reason-kept")[0]

    refused = parse_page(site.post(address, {"reason": "r" * (REASON_MAX_CHARS + 1), "seen": ""}), 400)

    assert refused.texts(".refusal, .notice-error")[0].startswith(
        "The reason has 1,001 characters; the limit is 1,000."
    )
    assert refused.values("value", "#reason") == ["r" * REASON_MAX_CHARS]
    assert "invoices" not in {info.name for info in group_infos(valkey, STREAM)}
    [logged] = recent(5)
    assert (logged.succeeded, logged.outcome[:30]) == (False, "The reason has 1,001 character")
    assert len(str(vars(logged.begun))) < 3 * REASON_MAX_CHARS

    done = site.post(address, {"reason": "r" * REASON_MAX_CHARS, "seen": ""})
    assert done.status_code == 302
    assert recent(1)[0].begun.reason == "r" * REASON_MAX_CHARS


def test_a_viewer_cannot_fill_the_audit_log(site: Client) -> None:
    viewer = Client()
    viewer.force_login(User.objects.create_user("leo"), backend="django.contrib.auth.backends.ModelBackend")
    address = f"/streams/operations/trim/?stream={STREAM}&group={LONG}"

    assert viewer.post(address, {"reason": "y" * 2_000_000}).status_code == 400
    assert not AuditLogEntry.objects.exists()
    assert viewer.post(address, {"reason": "y" * FIELD_MAX_CHARS}).status_code == 403

    row = AuditLogEntry.objects.get()
    assert row.reason == f"{'y' * REASON_MAX_CHARS}… (40,000 characters)"


def test_no_row_of_the_audit_log_has_a_text_without_limit() -> None:
    huge = "z" * 1_000_000
    row = record(huge, huge, stream=huge, group=huge, reason=huge, outcome=huge, detail={"a": huge, "b": [huge]})

    texts = [row.who, row.action, row.stream, row.group, row.outcome, row.detail["a"], row.detail["b"][0]]
    assert set(texts) == {f"{'z' * TEXT_MAX_CHARS}… (1,000,000 characters)"}
    assert len(row.reason) < REASON_MAX_CHARS + 40


def test_every_text_input_of_every_page_has_a_limit(site: Client) -> None:
    addresses = [address for name, route in routes() for address in filled(route) if "sign-" not in address]
    forms = [f"/streams/operations/{kind}/?stream={STREAM}&group=evdash-audit" for kind in FORMS]
    forms += [f"/streams/sandboxes/{kind}/" for kind in SANDBOX_FORMS]
    unlimited = []
    pages = 0
    for client, address in (*((site, each) for each in (*addresses, *forms)), (Client(), "/sign-in/")):
        response = client.get(address)
        if response.streaming or not response["Content-Type"].startswith("text/html"):
            continue
        pages += 1
        for each in LexborHTMLParser(response.content.decode()).css("input, textarea"):
            kind = each.attributes.get("type") or "text"
            is_typed = each.tag == "textarea" or kind in ("text", "search", "password", "email", "url")
            if is_typed and "hidden" not in each.attributes and "maxlength" not in each.attributes:
                unlimited.append(f"{address} {each.attributes.get('name')}")
    assert pages > 35
    assert unlimited == []


def test_passwords_on_the_account_page_have_the_limit_that_is_applied(client: Client) -> None:
    client.force_login(User.objects.create_user("mia", password="x"), "django.contrib.auth.backends.ModelBackend")
    limits = parse_page(client.get("/account/")).values("maxlength", ".account-password label input")
    assert limits == [str(PASSWORD_MAX_CHARS)] * 3


def test_the_documentation_states_every_limit() -> None:
    lines = (CHECKOUT / "docs/security.md").read_text().splitlines()
    assert {f"| {name} | {limit:,} |" for name, limit in LIMITS.items()} <= set(lines)
    assert LIMITS["User name at the sign-in"] == USER_NAME_MAX_CHARS == User._meta.get_field("username").max_length
