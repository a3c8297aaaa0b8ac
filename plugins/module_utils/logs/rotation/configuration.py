# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of logrotate's configuration as it is in force: files in the order of reading, includes followed.

An overlay shows how it would be with files that are not written yet. Source: man 8 logrotate (include, tabooext).
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import syntax
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.syntax import Rule

MAIN = "/etc/logrotate.conf"
FOLDER = "/etc/logrotate.d"
MAX_FILE = 1024 * 1024
MAX_DEPTH = 16
#: What logrotate takes for the leftovers of editors and package managers.
TABOO = (
    "*,v", "*.bak", "*.cfsaved", "*.disabled", "*.dpkg-bak", "*.dpkg-del", "*.dpkg-dist", "*.dpkg-new", "*.dpkg-old",
    "*.dpkg-tmp", "*.new", "*.old", "*.orig", "*.pacnew", "*.pacorig", "*.pacsave", "*.rhn-cfg-tmp-*", "*.rpmnew",
    "*.rpmorig", "*.rpmsave", "*.swp", "*.ucf-dist", "*.ucf-new", "*.ucf-old", "*~",
)  # fmt: skip


@dataclass
class Configuration:
    """``preludes`` has for each file the settings in force where it begins; ``ignored`` why a file is not read."""

    rules: list[Rule] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)
    preludes: dict[str, dict[str, str]] = field(default_factory=dict)


def read_configuration(main: str = MAIN, *, overlay: Mapping[str, str] | None = None) -> Configuration:
    """Read the whole configuration. Raises Absent where there is none, PermissionError where it may not be read."""
    if not os.path.exists(main):
        raise Absent(f"there is no {main}", remedy="Install logrotate, or say what rotates the logs of this host.")
    reader = _Reader(overlay or {})
    reader.file(main, main, depth=0)
    return reader.result


@dataclass
class _Reader:
    overlay: Mapping[str, str]
    result: Configuration = field(default_factory=Configuration)
    settings: dict[str, str] = field(default_factory=dict)

    def file(self, path: str, asked: str, *, depth: int) -> None:
        """Read one file, ``asked`` being what an error would name."""
        text = self.overlay.get(path)
        if text is None:
            why = _unusable(path)
            if why:
                self.result.ignored[path] = why
                return
            with open(path, encoding="utf-8", errors="surrogateescape") as stream:
                text = stream.read(MAX_FILE)
        self.result.files.append(path)
        self.result.preludes[path] = dict(self.settings)
        self.result.rules += syntax.parse(
            text, file=path, settings=self.settings, include=lambda target: self.include(target, depth=depth + 1)
        )

    def include(self, target: str, *, depth: int) -> None:
        path = os.path.expanduser(target).rstrip("/")
        if depth > MAX_DEPTH:
            self.result.ignored[path] = "is included too deep"
        elif os.path.isdir(path):
            for name in self._names(path):
                self.file(f"{path}/{name}", name, depth=depth)
        elif path in self.overlay or os.path.exists(path):
            self.file(path, target, depth=depth)
        else:
            self.result.ignored[path] = "is included and not there"

    def _names(self, folder: str) -> list[str]:
        new = {os.path.basename(path) for path in self.overlay if os.path.dirname(path) == folder}
        names = []
        for name in sorted({*os.listdir(folder), *new}):
            if any(fnmatchcase(name, pattern) for pattern in self._taboo()):
                self.result.ignored[f"{folder}/{name}"] = "has a name that logrotate leaves out"
            elif name not in (".", ".."):
                names.append(name)
        return names

    def _taboo(self) -> list[str]:
        patterns = list(TABOO)
        for setting, lead in (("tabooext", "*"), ("taboopat", "")):
            raw = self.settings.get(setting, "").replace(",", " ").split()
            if raw and raw[0] == "+":
                patterns += [lead + one for one in raw[1:]]
            elif raw:
                patterns = [lead + one for one in raw]
        return patterns


def _unusable(path: str) -> str:
    """Why logrotate does not read a file; empty where it does. Raises OSError."""
    facts = os.stat(path)
    if not stat.S_ISREG(facts.st_mode):
        return "is no regular file"
    if facts.st_mode & 0o022:
        return f"can be written to by group or others (mode {stat.S_IMODE(facts.st_mode):04o})"
    if facts.st_uid != 0:
        return f"belongs to uid {facts.st_uid} and not to root"
    return ""


def expand(pattern: str) -> list[str]:
    """The paths that a pattern of a rule names at present: those that match, or the name itself without wildcards."""
    if not glob.has_magic(pattern):
        return [pattern]
    return sorted(glob.glob(pattern))


def overlap(one: str, other: str) -> str:
    """A path that two patterns both name, now or as soon as it exists; empty where they have none in common."""
    both = set(expand(one)) & set(expand(other))
    if both:
        return min(both)
    if one == other or fnmatchcase(one, other):
        return one
    return other if fnmatchcase(other, one) else ""
