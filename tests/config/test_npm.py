"""Packages from npm: only the pinned tarball is installed."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from evdash.config.npm import Package, PackageUnavailable, missing_packages, packages


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A package whose tarball is a local file."""
    files = {"package.json": json.dumps({"version": "1.2.3"}), "dist/script.js": "export const one = 1;\n"}
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    tarball = tmp_path / "script-1.2.3.tgz"
    tarball.write_bytes(written.getvalue())
    digest = b64encode(hashlib.sha512(written.getvalue()).digest()).decode()
    return Package("script", "1.2.3", tarball.as_uri(), f"sha512-{digest}")


def test_the_pinned_package_is_installed_with_its_files(package: Package, tmp_path: Path) -> None:
    folder = tmp_path / "node_modules"
    assert not package.is_installed(folder)
    package.install(folder)
    assert package.is_installed(folder)
    assert (folder / "script/dist/script.js").read_text() == "export const one = 1;\n"


def test_another_version_is_not_the_pinned_one(package: Package, tmp_path: Path) -> None:
    package.install(tmp_path)
    assert not replace(package, version="1.2.4").is_installed(tmp_path)


def test_a_file_with_another_digest_is_refused(package: Package, tmp_path: Path) -> None:
    other = replace(package, integrity="sha512-AAAA")
    with pytest.raises(PackageUnavailable, match=r"package-lock\.json has sha512-AAAA"):
        other.install(tmp_path / "node_modules")
    assert not (tmp_path / "node_modules").exists()


def test_a_download_that_fails_names_its_url(package: Package, tmp_path: Path) -> None:
    gone = replace(package, url=package.url + ".gone")
    with pytest.raises(PackageUnavailable, match=r"script-1\.2\.3\.tgz\.gone was not downloaded: "):
        gone.install(tmp_path / "node_modules")


def test_every_package_is_pinned_with_its_digest() -> None:
    assert {each.name for each in packages() if not each.is_development} == {"idiomorph"}
    for each in packages():
        assert re.fullmatch(r"sha512-[\w+/]{86}==", each.integrity)
        file_name = each.name.removeprefix("@dprint/")
        assert each.url == f"https://registry.npmjs.org/{each.name}/-/{file_name}-{each.version}.tgz"


def test_a_package_that_pages_load_is_missing_until_it_is_installed(tmp_path: Path) -> None:
    assert [each.name for each in missing_packages(tmp_path)] == ["idiomorph"]
    [pinned] = missing_packages(tmp_path)
    (tmp_path / "idiomorph").mkdir()
    (tmp_path / "idiomorph/package.json").write_text(json.dumps({"version": pinned.version}))
    assert missing_packages(tmp_path) == []
