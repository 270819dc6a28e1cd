"""Caches: browsers and proxies store no response but static files."""

import gzip
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from evdash.accounts.one_time_links import create_link, person
from evdash.config.static_files import version_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client: Client) -> Client:
    client.force_login(User.objects.create_user("mia"))
    return client


@pytest.mark.parametrize(
    "address", ["/account/", "/audit-log/", "/access-log/", "/nowhere/", "/sign-out/", "/notes/1/"]
)
def test_no_response_to_a_person_is_stored(signed_in: Client, address: str) -> None:
    assert "no-store" in signed_in.get(address)["Cache-Control"]


@pytest.mark.parametrize("address", ["/sign-in/", "/sign-in/unknown/", "/account/", "/healthz", "/events.csv"])
def test_no_response_to_a_stranger_is_stored(client: Client, address: str) -> None:
    assert "no-store" in client.get(address)["Cache-Control"]


def test_no_response_of_a_sign_in_is_stored(client: Client) -> None:
    link = create_link(person("ada"))

    for answer in (client.get(link), Client(enforce_csrf_checks=True).post(link), client.post(link)):
        assert "no-store" in answer["Cache-Control"]


def test_browsers_keep_a_static_file_whose_address_has_its_version(client: Client) -> None:
    page = client.get("/sign-in/").content.decode()

    [address] = re.findall(r'href="(/static/[0-9a-f]{12}/css/row\.css)"', page)
    answer = client.get(address)

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "max-age=31536000, public, immutable"
    assert client.get("/static/css/row.css").status_code == 404


def test_the_version_of_static_files_follows_their_names_and_content(tmp_path: Path) -> None:
    file = tmp_path / "a.js"
    versions = []
    for name, content in (("a.js", "1"), ("a.js", "2"), ("b.js", "2"), ("css/b.js", "2")):
        file.unlink(missing_ok=True)
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        versions.append(version_of((tmp_path,), "django"))

    assert len({*versions, version_of((tmp_path,), "redis")}) == 5
    assert version_of((tmp_path,), "django") == versions[-1]


def test_pages_are_compressed_and_exports_are_not(signed_in: Client) -> None:
    accepts = {"Accept-Encoding": "gzip"}
    page = signed_in.get("/account/", headers=accepts)

    assert page["Content-Encoding"] == "gzip"
    assert b"<!doctype html>" in gzip.decompress(page.content).lower()
    assert "Content-Encoding" not in signed_in.get("/account/")
    assert "Content-Encoding" not in signed_in.get("/events.ndjson", headers=accepts)
