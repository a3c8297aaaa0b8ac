# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which file systems are worth watching, and how full they are.

Sources: man 5 fstab, man 3 statvfs, Documentation/admin-guide/ext4.rst (sysfs entries).
"""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import (
    Mount,
    choose,
    parse_mountinfo,
    parse_nodev,
    unescape,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.bounded import bounded
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import (
    content,
    content_or,
    integer_or_none,
)


@dataclass(frozen=True)
class FstabEntry:
    """A line of /etc/fstab."""

    source: str
    point: str
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Space:
    """statvfs in bytes and inodes. ``available`` is what an ordinary user may still take, ``free`` what root may."""

    size: int
    free: int
    available: int
    inodes: int
    inodes_free: int

    @property
    def used(self) -> int:
        return self.size - self.free

    @property
    def used_percent(self) -> float:
        """As df counts: the reserve for root is neither used nor to be had."""
        reachable = self.used + self.available
        return 100.0 * self.used / reachable if reachable > 0 else 100.0

    @property
    def reserved(self) -> int:
        return max(0, self.free - self.available)

    @property
    def inodes_used_percent(self) -> float:
        return 100.0 * (self.inodes - self.inodes_free) / self.inodes if self.inodes > 0 else 0.0


@dataclass(frozen=True)
class FileSystem:
    """A mount and what was learned of it; ``errors`` is the superblock's count, None where none is kept."""

    mount: Mount
    space: Space | Absent
    errors: int | None = None
    error_evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileSystems:
    """All watched file systems and the administrator's intentions for them."""

    mounted: tuple[FileSystem, ...]
    points: frozenset[str]
    fstab: tuple[FstabEntry, ...]


def parse_fstab(text: str) -> tuple[FstabEntry, ...]:
    """What should be mounted; comments, swap and lines that are no entry are left out."""
    entries = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith("#") and fields[1].startswith("/"):
            options = tuple(fields[3].split(",")) if len(fields) > 3 else ("defaults",)
            point = os.path.normpath(unescape(fields[1]))
            entries.append(FstabEntry(unescape(fields[0]), point, fields[2], options))
    return tuple(entries)


def collect_file_systems(*, exclude: Sequence[str], timeout: float) -> FileSystems:
    """Ask every watched file system for its space; network ones in children that may be left behind."""
    mounts = parse_mountinfo(content("/proc/self/mountinfo"))
    nodev = parse_nodev(content_or("/proc/filesystems"))
    candidates = [mount for mount in mounts if not _is_file(mount)]
    watched = choose(candidates, nodev=nodev, exclude=exclude)
    answers = bounded(
        {mount.point: mount.over_network for mount in watched},
        statvfs,
        timeout=timeout,
    )
    file_systems = []
    for mount in watched:
        space = read_space(answers[mount.point], mount.point)
        if isinstance(space, Space) and space.size <= 0:
            continue
        errors, evidence = superblock_errors(mount)
        file_systems.append(FileSystem(mount, space, errors, evidence))
    return FileSystems(
        mounted=tuple(file_systems),
        points=frozenset(mount.point for mount in mounts),
        fstab=parse_fstab(content_or("/etc/fstab")),
    )


def _is_file(mount: Mount) -> bool:
    """Container engines bind single files such as /etc/hosts; a network mount is not asked, for it may hang."""
    if mount.over_network:
        return False
    try:
        return not stat.S_ISDIR(os.stat(mount.point).st_mode)
    except OSError:
        return False


def statvfs(point: str) -> list[int]:
    """The five figures of ``Space`` as plain integers, so that a child can send them. Raises OSError."""
    facts = os.statvfs(point)
    unit = facts.f_frsize
    return [facts.f_blocks * unit, facts.f_bfree * unit, facts.f_bavail * unit, facts.f_files, facts.f_ffree]


def read_space(answer: list[int] | OSError | None, point: str) -> Space | Absent:
    """What a bounded call brought back: figures, an error, or nothing in time."""
    if answer is None:
        return Absent(
            f"{point} did not answer in time",
            status="unknown",
            remedy="Look whether the server behind the mount is up; a dead mount is let go with umount -l.",
        )
    if isinstance(answer, PermissionError):
        return Absent(f"{point} may not be entered by this user", remedy="Run the check with become.")
    if isinstance(answer, OSError):
        return Absent(f"{point} cannot be asked: {answer.strerror}", status="unknown")
    return Space(*answer)


def superblock_errors(mount: Mount) -> tuple[int | None, tuple[str, ...]]:
    """Errors the kernel has recorded in an ext4 superblock or in btrfs's device statistics, with details."""
    name = os.path.basename(os.path.realpath(f"/sys/dev/block/{mount.device}"))
    if mount.kind in ("ext2", "ext3", "ext4"):
        folder = f"/sys/fs/ext4/{name}"
        details = [f"{field}: {content_or(f'{folder}/{field}')}" for field in ("last_error_func", "last_error_time")]
        count = integer_or_none(f"{folder}/errors_count")
        return count, tuple(details) if count else ()
    if mount.kind == "btrfs":
        return _btrfs_errors(os.path.basename(os.path.realpath(mount.source)))
    return None, ()


def _btrfs_errors(device: str) -> tuple[int | None, tuple[str, ...]]:
    for folder in glob.glob("/sys/fs/btrfs/*-*"):
        if not os.path.exists(f"{folder}/devices/{device}"):
            continue
        lines = [line for path in glob.glob(f"{folder}/devinfo/*/error_stats") for line in content_or(path).split("\n")]
        pairs = [line.split() for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]
        return (sum(int(value) for _name, value in pairs) if pairs else None), tuple(
            f"{name}: {value}" for name, value in pairs if value != "0"
        )
    return None, ()
