"""Packages from npm, pinned in package-lock.json, and their installation without Node.js.

    python -m evdash.config.npm [--development]

It writes the same files as `npm ci`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import ssl
import sys
import tarfile
from argparse import ArgumentParser
from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from evdash.config.environment import CHECKOUT

NODE_MODULES: Final = CHECKOUT / "node_modules"
REGISTRY: Final = "https://registry.npmjs.org"
TIMEOUT_S: Final = 20.0
_MACOS_CERTIFICATES: Final = Path("/etc/ssl/cert.pem")


class PackageUnavailable(Exception):
    """A package that cannot be downloaded, or that is not the pinned one. The message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package: its version, the URL of its tarball, and the digest of the tarball that npm has published."""

    name: str
    version: str
    url: str
    integrity: str
    """`sha512-` and the digest in base64: https://www.w3.org/TR/SRI/"""
    is_development: bool = False
    """True if only tests and development need it."""

    def is_installed(self, node_modules: Path = NODE_MODULES) -> bool:
        """Return True if the pinned version is installed."""
        try:
            installed = json.loads((node_modules / self.name / "package.json").read_text())
        except (OSError, ValueError):
            return False
        return bool(installed.get("version") == self.version)

    def install(self, node_modules: Path = NODE_MODULES) -> None:
        """Download, verify and unpack the package. Raises PackageUnavailable."""
        tarball = self._download()
        digest = "sha512-" + b64encode(hashlib.sha512(tarball).digest()).decode()
        if digest != self.integrity:
            raise PackageUnavailable(
                f"{self.url} has the digest {digest}, but package-lock.json has {self.integrity}. "
                "Nothing was installed. Look for a proxy that changes downloads."
            )
        with tarfile.open(fileobj=BytesIO(tarball)) as archive:
            shutil.rmtree(node_modules / self.name, ignore_errors=True)  # another version
            files = [member for member in archive if member.isfile()]
            # package.json states that the package is installed, so it is written last.
            for member in sorted(files, key=lambda each: each.name == "package/package.json"):
                path = node_modules / self.name / Path(*Path(member.name).parts[1:])
                path.parent.mkdir(parents=True, exist_ok=True)
                if content := archive.extractfile(member):
                    path.write_bytes(content.read())

    def _download(self) -> bytes:
        context = ssl.create_default_context()
        if _MACOS_CERTIFICATES.exists():  # the Python of python.org has no certificates of its own
            context.load_verify_locations(_MACOS_CERTIFICATES)
        try:
            with urlopen(self.url, timeout=TIMEOUT_S, context=context) as answer:  # noqa: S310 - a URL of REGISTRY
                return bytes(answer.read())
        except OSError as error:
            raise PackageUnavailable(
                f"{self.url} was not downloaded: {error}. "
                f"Try again, set HTTPS_PROXY, or copy node_modules/{self.name} from another installation."
            ) from error


def packages() -> list[Package]:
    """Return the packages in package-lock.json."""
    pinned = json.loads((CHECKOUT / "package-lock.json").read_text())["packages"]
    named = {path.removeprefix("node_modules/"): each for path, each in pinned.items() if path}  # "" is evdash itself
    return [
        Package(
            name,
            each["version"],
            f"{REGISTRY}/{name}/-/{name.rpartition('/')[2]}-{each['version']}.tgz",
            each["integrity"],
            is_development=each.get("dev", False),
        )
        for name, each in named.items()
    ]


def missing_packages(node_modules: Path = NODE_MODULES) -> list[Package]:
    """Return the packages that pages load and that are not installed."""
    return [package for package in packages() if not package.is_development and not package.is_installed(node_modules)]


def main() -> int:
    """Install the packages. Return the exit code."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--development", action="store_true", help="also install what only tests and development need")
    development = parser.parse_args().development
    try:
        for package in packages():
            if not package.is_installed() and (development or not package.is_development):
                package.install()
    except PackageUnavailable as unavailable:
        print(unavailable, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
