# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of ``log_review``, read and refused before anything is touched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.files import require_pattern
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import First
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import FORMATS

#: Logs looked at when none is named, as far as they are there. What a syslog daemon writes is in the journal as well.
USUAL_FILES = (
    "/var/log/nginx/*error*.log",
    "/var/log/apache2/*error*.log",
    "/var/log/httpd/*error_log",
    "/var/log/postgresql/*.log",
    "/var/log/mysql/error.log",
    "/var/log/mariadb/mariadb.log",
)
SOCKET = "/var/run/docker.sock"
SYSLOG_FILES = ("/var/log/syslog", "/var/log/messages")
_SIZE = re.compile(r"(\d{1,12}) ?(?:([kmgt])(?:i?b)?|b)?", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE_KEYS = ("path", "format", "exclude")

ARGUMENTS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "default": "default"},
    "files": {"type": "list", "elements": "raw", "default": []},
    "journal": {"type": "bool"},
    "journal_units": {"type": "list", "elements": "str", "default": []},
    "journal_identifiers": {"type": "list", "elements": "str", "default": []},
    "journal_kernel": {"type": "bool", "default": False},
    "containers": {"type": "list", "elements": "str", "default": []},
    "docker_socket": {"type": "path", "default": SOCKET},
    "severity": {"type": "str", "choices": ["fatal", "error", "warning"], "default": "error"},
    "include": {"type": "list", "elements": "str", "default": []},
    "ignore": {"type": "list", "elements": "str", "default": []},
    "first": {"type": "str", "default": "1M"},
    "max_bytes": {"type": "str", "default": "2G"},
    "workers": {"type": "int", "default": 1},
    "release": {"type": "str"},
    "examples": {"type": "bool", "default": False},
    "top": {"type": "int", "default": 10},
    "alive": {
        "type": "dict",
        "options": {
            "command": {"type": "list", "elements": "str"},
            "log": {"type": "str"},
            "seconds": {"type": "float", "default": 10.0},
        },
    },
}


@dataclass(frozen=True)
class Files:
    """Some globs of one entry, the format of what they match (``auto``: seen from the first line), and exceptions."""

    patterns: tuple[str, ...]
    form: str = "auto"
    exclude: tuple[str, ...] = ()
    usual: bool = False


@dataclass(frozen=True)
class Alive:
    """A marker is logged by ``command``, and must come out of ``log`` within ``seconds``."""

    command: tuple[str, ...]
    log: str
    seconds: float


@dataclass(frozen=True)
class Asked:
    """What is to be reviewed, and how."""

    name: str
    files: list[Files]
    journal: bool | None
    units: tuple[str, ...]
    identifiers: tuple[str, ...]
    kernel: bool
    containers: tuple[str, ...]
    socket: str
    wanted: Wanted
    first: First
    budget: int
    workers: int
    release: str
    top: int
    alive: Alive | None


def parse(params: Mapping[str, Any]) -> Asked:
    """Raises OptionError."""
    if not _NAME.fullmatch(params["name"]):
        raise OptionError("name", params["name"], "1 to 64 letters, digits, dots, dashes or underscores")
    require_between(params["top"], 1, 19, option="top", expected="a whole number from 1 to 19")
    budget = size_of(params["max_bytes"], option="max_bytes")
    require_between(params["workers"], 1, 64, option="workers", expected="a number of processes from 1 to 64")
    require_between(budget, 1 << 20, 1 << 50, option="max_bytes", expected="a size from 1M to 1024T")
    narrow = bool(params["journal_units"] or params["journal_identifiers"] or params["journal_kernel"])
    if narrow and params["journal"] is False:
        raise OptionError("journal", False, "true or absent where entries of the journal are chosen")
    files = [_files(entry, number) for number, entry in enumerate(params["files"])]
    # Without a word about what to read, what is usual is read.
    nothing_named = not files and not params["containers"] and not narrow and params["journal"] is None
    if nothing_named:
        files = [Files(USUAL_FILES, usual=True)]
    return Asked(
        name=params["name"],
        files=files,
        journal=True if narrow or params["journal"] else None if nothing_named else False,
        units=tuple(params["journal_units"]),
        identifiers=tuple(params["journal_identifiers"]),
        kernel=params["journal_kernel"],
        containers=tuple(params["containers"]),
        socket=params["docker_socket"],
        wanted=Wanted(
            least=params["severity"],
            include=_expressions(params["include"], option="include"),
            ignore=_expressions(params["ignore"], option="ignore"),
            examples=params["examples"],
        ),
        first=_first(params["first"]),
        budget=budget,
        workers=params["workers"],
        release=_release(params["release"]),
        top=params["top"],
        alive=_alive(params["alive"]),
    )


def size_of(raw: str, *, option: str) -> int:
    """Bytes of a size such as ``512K``, ``1M``, ``2GiB``. Raises OptionError."""
    found = _SIZE.fullmatch(raw.strip())
    if not found:
        raise OptionError(option, raw, "a size such as 512K, 1M or 2G")
    power = " kmgt".index((found.group(2) or " ").lower())
    return int(found.group(1)) << (10 * power)


def _first(raw: str) -> First:
    if raw in ("start", "end"):
        return raw
    try:
        return size_of(raw, option="first")
    except OptionError:
        raise OptionError("first", raw, "start, end, or a size such as 1M") from None


def _release(raw: str | None) -> str:
    if raw is None:
        return ""
    if not raw.strip() or len(raw) > 200:
        raise OptionError("release", raw, "a text of 1 to 200 characters that names the release")
    return raw.strip()


def _files(entry: Any, number: int) -> Files:
    place = f"files[{number}]"
    if isinstance(entry, str):
        require_pattern(entry, option=place)
        return Files((entry,))
    if not isinstance(entry, dict):
        raise OptionError(place, entry, "a path, a glob, or a mapping with path, format and exclude")
    for key in entry:
        if key not in _FILE_KEYS:
            raise OptionError(f"{place}.{key}", entry[key], "absent: an entry has only path, format and exclude")
    path, form, exclude = entry.get("path"), entry.get("format", "auto"), entry.get("exclude") or []
    if not isinstance(path, str):
        raise OptionError(f"{place}.path", path, "a path or a glob")
    require_pattern(path, option=f"{place}.path")
    if form not in ("auto", *FORMATS) or form == "journal":
        known = ", ".join(name for name in FORMATS if name != "journal")
        raise OptionError(f"{place}.format", form, f"auto, or one of {known}")
    if not isinstance(exclude, list) or not all(isinstance(one, str) for one in exclude):
        raise OptionError(f"{place}.exclude", exclude, "a list of globs")
    return Files((path,), form, tuple(exclude))


def _expressions(raw: Sequence[str], *, option: str) -> list[re.Pattern[bytes]]:
    compiled = []
    for number, text in enumerate(raw):
        try:
            compiled.append(re.compile(text.encode(), re.MULTILINE))
        except re.error as error:
            raise OptionError(f"{option}[{number}]", text, f"a regular expression ({error})") from None
    return compiled


def _alive(raw: Mapping[str, Any] | None) -> Alive | None:
    if raw is None:
        return None
    require_between(raw["seconds"], 0.1, 300, option="alive.seconds", expected="a number from 0.1 to 300")
    command = tuple(raw.get("command") or ("logger", "-t", "fleetcare-maintenance", "{marker}"))
    if not any("{marker}" in word for word in command):
        raise OptionError("alive.command", list(command), "a list of words with {marker} in one of them")
    log = raw.get("log") or "journal"
    if log != "journal" and not log.startswith("/"):
        raise OptionError("alive.log", log, "journal, or the absolute path of a log")
    return Alive(command, log, raw["seconds"])
