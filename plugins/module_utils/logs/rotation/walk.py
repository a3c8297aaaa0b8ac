# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Large files that look like logs, on every local file system: bounded in time and entries, never through a link."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import (
    choose,
    parse_mountinfo,
    parse_nodev,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import evidence
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.evidence import LargeFile

#: Folders of programs, of packages and of container layers: no log is written there.
_SKIPPED = (
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32",
    "/usr/lib64", "/usr/libexec", "/usr/sbin", "/usr/share", "/usr/src", "/var/lib/dpkg", "/var/lib/apt",
    "/var/lib/docker/overlay2", "/var/lib/docker/image", "/var/lib/containerd", "/var/lib/containers/storage/overlay",
    "/var/cache/apt", "/var/log/journal", "/run", "/nix/store", "/snap", "/proc", "/sys", "/dev",
)  # fmt: skip
_SKIPPED_NAMES = frozenset((".git", "node_modules", "__pycache__", "site-packages", "lost+found"))


@dataclass(frozen=True)
class LargeFiles:
    """What was found; ``incomplete`` says where the walk stopped, ``unreadable`` how many folders it may not enter.

    ``undecided`` are files that would be logs if a service wrote to them, which cannot be seen.
    """

    files: tuple[LargeFile, ...]
    entries: int
    unreadable: int = 0
    incomplete: str = ""
    undecided: int = 0


def collect_large_files(
    *, least: int, exclude: Sequence[str], seconds: float, entries: int, clock: Clock, roots: Sequence[str] = ()
) -> LargeFiles:
    """Walk /var/log first, then every local file system, each device once, and scratch last. Raises OSError."""
    points, local = _mounts()
    starts = list(roots) or [
        evidence.LOG_FOLDER,
        *local,
        *(folder for folder in evidence.SCRATCH if folder not in points),
    ]
    walker = _Walker(
        least=least, exclude=exclude, points=points, most=entries, until=clock.monotonic() + seconds, clock=clock
    )
    seen: set[str] = set()
    for start in starts:
        if start not in seen and os.path.isdir(start) and not os.path.islink(start):
            walker.walk(start, done=seen)
            seen.add(start)
    files = sorted(walker.files.values(), key=lambda file: (-file.used, file.path))
    return LargeFiles(tuple(files), walker.seen, walker.unreadable, walker.incomplete)


def _mounts() -> tuple[frozenset[str], list[str]]:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        mounts = parse_mountinfo(stream.read())
    with open("/proc/filesystems", encoding="ascii", errors="replace") as stream:
        nodev = parse_nodev(stream.read())
    local = [mount.point for mount in choose(mounts, nodev=nodev, exclude=_SKIPPED) if not mount.over_network]
    return frozenset(mount.point for mount in mounts), [point for point in local if os.path.isdir(point)]


@dataclass
class _Walker:
    least: int
    exclude: Sequence[str]
    points: frozenset[str]
    most: int
    until: float
    clock: Clock
    seen: int = 0
    unreadable: int = 0
    incomplete: str = ""

    def __post_init__(self) -> None:
        self.files: dict[tuple[int, int], LargeFile] = {}

    def walk(self, start: str, *, done: Iterable[str]) -> None:
        """Breadth first, so that a bound cuts off what lies deep and not what comes late in the alphabet."""
        waiting = deque([start])
        while waiting:
            folder = waiting.popleft()
            if self.seen >= self.most or self.clock.monotonic() > self.until:
                self.incomplete = self.incomplete or f"the walk stopped in {clean(folder)} after {self.seen} entries"
                return
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self.seen += 1
                        self._entry(entry, waiting, done)
            except PermissionError:
                self.unreadable += 1
            except OSError:
                continue

    def _entry(self, entry: os.DirEntry[str], waiting: deque[str], done: Iterable[str]) -> None:
        path = entry.path
        if entry.is_dir(follow_symlinks=False):
            if (
                entry.name in _SKIPPED_NAMES
                or path in _SKIPPED
                or path in self.points
                or path in done
                or path in evidence.SCRATCH
            ):
                return
            if not any(fnmatchcase(path, glob) for glob in self.exclude):
                waiting.append(path)
        elif entry.is_file(follow_symlinks=False):
            found = evidence.by_name(entry.name, path)
            if found != "none":
                self._file(entry, path, doubtful=found != "enough")

    def _file(self, entry: os.DirEntry[str], path: str, *, doubtful: bool) -> None:
        facts = entry.stat(follow_symlinks=False)
        # What the file takes counts, not what a sparse one claims.
        used = facts.st_blocks * 512
        if (
            used < self.least
            or not stat.S_ISREG(facts.st_mode)
            or any(fnmatchcase(path, glob) for glob in self.exclude)
            or not (path.startswith(evidence.LOG_FOLDER + "/") or evidence.ends_as_text(path))
            or evidence.rotated_by_docker(path)
        ):
            return
        key = (facts.st_dev, facts.st_ino)
        self.files.setdefault(key, LargeFile(path, used, key, doubtful))
