# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's files on the disk, and the limits that journald has for them.

Sources: man 5 journald.conf, man 8 systemd-journald.service (FILES), man 1 journalctl (``--vacuum-*``).
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cmp_to_key

PERSISTENT = "/var/log/journal"
VOLATILE = "/run/log/journal"
CONFIGURATION = "journald.conf"
#: From the least to the most important, as man 5 journald.conf orders them.
CONFIGURATION_FOLDERS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
#: What journald takes where nothing is configured: a share of the file system, and a limit to that.
DEFAULT_USE_PERCENT, DEFAULT_KEEP_FREE_PERCENT, DEFAULT_MOST = 10, 15, 4 * 1024**3

_ARCHIVED = re.compile(r".+@(?P<source>[0-9a-f]{32})-(?P<sequence>[0-9a-f]{16})-(?P<head>[0-9a-f]{16})\.journal")
_CORRUPT = re.compile(r".+@(?P<head>[0-9a-f]{16})-[0-9a-f]{16}\.journal~")
_SIZE = re.compile(r"(?P<figure>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[KMGTPE]?)B?")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Archived:
    """An archived journal file: when its first entry was written, when it was last changed, bytes on the disk.

    ``source`` and ``sequence`` count its first entry; empty and 0 for a file that journald has put aside as corrupt.
    """

    name: str
    head: datetime
    changed: datetime
    used: int
    source: str = ""
    sequence: int = 0


@dataclass(frozen=True)
class Folder:
    """A folder of journal files, the archived ones in the order in which journald removes them.

    ``active`` is what the files take that are still being written.
    """

    path: str
    archived: tuple[Archived, ...]
    active: int

    @property
    def used(self) -> int:
        return self.active + sum(file.used for file in self.archived)


def archived(name: str, *, changed: datetime, used: int) -> Archived | None:
    """What the name of an archived file says; None for a file in use."""
    found = _ARCHIVED.fullmatch(name) or _CORRUPT.fullmatch(name)
    if not found:
        return None
    try:
        head = _EPOCH + timedelta(microseconds=int(found["head"], 16))
    except OverflowError:
        return None
    if found.re is _CORRUPT:
        return Archived(name, head, changed, used)
    return Archived(name, head, changed, used, found["source"], int(found["sequence"], 16))


def in_order(files: Iterable[Archived]) -> tuple[Archived, ...]:
    """As journald orders what it removes: by the count of entries where two files share it, else by their first entry.

    Source: vacuum_info_compare in src/libsystemd/sd-journal/journal-vacuum.c.
    """

    def compare(one: Archived, other: Archived) -> int:
        if one.source and one.source == other.source and one.sequence != other.sequence:
            return -1 if one.sequence < other.sequence else 1
        return -1 if (one.head, one.name) < (other.head, other.name) else 1

    return tuple(sorted(files, key=cmp_to_key(compare)))


def collect_folders(roots: Sequence[str] = (PERSISTENT,)) -> list[Folder]:
    """Every folder of journal files below the roots. Raises OSError where a root may not be read."""
    folders = []
    for root in roots:
        try:
            names = sorted(os.listdir(root))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in names:
            path = f"{root}/{name}"
            if stat.S_ISDIR(os.lstat(path).st_mode):
                folders.append(_folder(path))
    return folders


def _folder(path: str) -> Folder:
    files: list[Archived] = []
    active = 0
    for name in os.listdir(path):
        try:
            facts = os.lstat(f"{path}/{name}")
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(facts.st_mode) or not name.endswith((".journal", ".journal~")):
            continue
        changed = _moment(facts.st_mtime_ns // 10**9)
        file = archived(name, changed=changed, used=facts.st_blocks * 512)
        if file:
            files.append(file)
        else:
            active += facts.st_blocks * 512
    return Folder(path, in_order(files), active)


def _moment(seconds: int) -> datetime:
    """A time of the file system, which may have one that no calendar has (btrfs counts in 64 bits)."""
    try:
        return _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=timezone.utc) if seconds > 0 else _EPOCH


def read_configuration(folders: Iterable[str] = CONFIGURATION_FOLDERS) -> dict[str, str]:
    """The settings of journald by name, drop-ins by file name over the main file. Raises OSError."""
    main: list[str] = []
    drop_ins: dict[str, str] = {}
    for folder in folders:
        if os.path.isfile(f"{folder}/{CONFIGURATION}"):
            main = [f"{folder}/{CONFIGURATION}"]
        beside = f"{folder}/{CONFIGURATION}.d"
        for name in sorted(os.listdir(beside)) if os.path.isdir(beside) else ():
            if name.endswith(".conf"):
                drop_ins[name] = f"{beside}/{name}"
    settings: dict[str, str] = {}
    for path in [*main, *(drop_ins[name] for name in sorted(drop_ins))]:
        with open(path, encoding="utf-8", errors="backslashreplace") as stream:
            settings.update(parse_configuration(stream.read(1024 * 1024)))
    return settings


def parse_configuration(text: str) -> dict[str, str]:
    """The settings of one file's [Journal] section; an empty value takes back what was set before."""
    settings: dict[str, str] = {}
    section = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line
        elif section == "[Journal]" and line and line[0] not in "#;":
            name, equals, value = line.partition("=")
            if equals:
                settings[name.strip()] = value.strip()
    return settings


def parse_size(text: str) -> int | None:
    """A size as journald.conf has it, in bytes: ``500M``, ``1.5G``; None for what is none."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        return None
    return int(float(found["figure"]) * 1024 ** " KMGTPE".index(found["unit"] or " "))


def most_use(settings: Mapping[str, str], *, prefix: str, size: int) -> tuple[int, bool]:
    """What journald lets the journal take of a file system of ``size`` bytes, and whether that was configured.

    ``prefix`` is ``System`` for the disk or ``Runtime`` for memory.
    """
    configured = parse_size(settings.get(f"{prefix}MaxUse", ""))
    if configured is not None:
        return configured, True
    return min(size * DEFAULT_USE_PERCENT // 100, DEFAULT_MOST), False
