# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the images of the tests: ``build.py [NAME...]``, every image when none is named.

An image is tagged with the hash of everything that goes into it, so an unchanged one is never built
twice. The Debian base is pulled where a registry answers and made with mmdebstrap where none does;
``FLEETCARE_TEST_BASE_BOOKWORM=image`` (and so on for each suite) names another one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
PREFIX = "fleetcare-test"
PULL_SECONDS = 60


class ImageError(RuntimeError):
    """An image cannot be had; the text says which and why."""


@dataclass(frozen=True)
class Image:
    """One image: a context directory beside this file, on a Debian suite or on another image."""

    context: str
    base: str
    args: dict[str, str] = field(default_factory=dict)


SUITES = ("bookworm", "trixie", "sid")

IMAGES: dict[str, Image] = {
    "debian12": Image(context="host", base="bookworm"),
    "debian13": Image(context="host", base="trixie"),
    "debiansid": Image(context="host", base="sid"),
    "postgresql15": Image(context="postgresql", base="debian12"),
    "postgresql17": Image(context="postgresql", base="debian13"),
    "postgresql18": Image(context="postgresql", base="debiansid"),
    "mysql9": Image(context="mysql", base="debiansid", args={"SERVER": "mysql-server"}),
    "mariadb11": Image(context="mysql", base="debian13", args={"SERVER": "mariadb-server"}),
    "postgresql17peers": Image(context="postgresql_peers", base="postgresql17"),
}


def image_tag(name: str) -> str:
    """Return the full name and tag that the image ``name`` has for the present state of its sources."""
    image = _known(name)
    digest = hashlib.sha256()
    context = HERE / image.context
    for path in sorted(p for p in context.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(context)).encode() + b"\0" + path.read_bytes() + b"\0")
    for key, value in sorted(image.args.items()):
        digest.update(f"{key}={value}\0".encode())
    digest.update(_base_source(image.base).encode())
    return f"{PREFIX}/{name}:{digest.hexdigest()[:12]}"


def ensure_image(name: str) -> str:
    """Build the image ``name`` unless it is there, with what it stands on, and return its tag.

    Raises ImageError with the end of the builder's output.
    """
    tag = image_tag(name)
    with _lock(name):
        if _exists(tag):
            return tag
        image = _known(name)
        base = ensure_image(image.base) if image.base in IMAGES else _ensure_base(image.base)
        argv = ["docker", "build", "--tag", tag, "--build-arg", f"BASE={base}"]
        for key, value in sorted(image.args.items()):
            argv += ["--build-arg", f"{key}={value}"]
        print(f"Building {tag}", file=sys.stderr)
        _run([*argv, str(HERE / image.context)], what=f"building image {name}")
    return tag


def _known(name: str) -> Image:
    if name not in IMAGES:
        raise ImageError(f"there is no test image '{name}'; there are {', '.join(sorted(IMAGES))}")
    return IMAGES[name]


def _base_source(base: str) -> str:
    return image_tag(base) if base in IMAGES else _override(base) or base


def _override(suite: str) -> str | None:
    return os.environ.get(f"FLEETCARE_TEST_BASE_{suite.upper()}")


def _ensure_base(suite: str) -> str:
    override = _override(suite)
    if override:
        return override
    tag = f"{PREFIX}/base-{suite}:1"
    with _lock(f"base-{suite}"):
        if _exists(tag):
            return tag
        if not _pull(f"debian:{suite}-slim", tag=tag):
            _bootstrap(suite, tag=tag)
    return tag


def _pull(reference: str, *, tag: str) -> bool:
    """Pull ``reference`` and give it our tag; False when no registry answers."""
    try:
        pulled = subprocess.run(
            ["docker", "pull", "--quiet", reference],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=PULL_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    if pulled.returncode == 0:
        _run(["docker", "tag", reference, tag], what=f"tagging {reference}")
    return pulled.returncode == 0


def _bootstrap(suite: str, *, tag: str) -> None:
    """Make a minimal Debian from the package mirror of this machine and import it."""
    print(f"No registry answers: making {tag} with mmdebstrap", file=sys.stderr)
    _run([str(HERE / "prepare"), "base"], what="preparing mmdebstrap")
    tarball = CACHE / f"base-{suite}.tar"
    _run(
        [
            "mmdebstrap", "--variant=minbase", "--aptopt=Acquire::Check-Valid-Until \"false\"",
            "--include=ca-certificates", suite, str(tarball), debian_mirror(),
        ],
        what=f"mmdebstrap {suite}",
    )  # fmt: skip
    _run(["docker", "import", str(tarball), tag], what=f"importing {tag}")
    tarball.unlink()


def debian_mirror() -> str:
    """Return the mirror that this machine's own apt uses, or Debian's."""
    for path in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        if path.is_file():
            found = re.search(
                r"^(?:URIs:|deb(?: +\[[^]]*\])?) +(https?://\S*/debian)/?(?=\s)", path.read_text(), re.MULTILINE
            )
            if found:
                return found.group(1)
    return "http://deb.debian.org/debian"


def _exists(tag: str) -> bool:
    argv = ["docker", "image", "inspect", "--format", "{{.Id}}", tag]
    return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0


def _run(argv: list[str], *, what: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ImageError(f"{what} failed with exit status {done.returncode}:\n{tail}")


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let one process at a time make the image ``name``."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"image-{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def main(names: list[str]) -> int:
    """Build the images named, or all, and print their tags; one that cannot be had does not keep the next from it."""
    missing = 0
    for name in names or sorted(IMAGES):
        try:
            print(f"{name:<16} {ensure_image(name)}", flush=True)
        except ImageError as error:
            print(f"build.py: {error}", file=sys.stderr)
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
