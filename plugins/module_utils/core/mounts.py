# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's table of mounts, and which of them hold files of their own.

Sources: man 5 proc_pid_mountinfo, man 5 filesystems.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: File systems the kernel lists as ``nodev`` that can nevertheless run full.
_SPACE_WITHOUT_DEVICE = ("tmpfs", "overlay", "zfs", "ubifs", "bcachefs", "aufs", "fuse-overlayfs")
_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "9p", "afs", "glusterfs", "lustre", "beegfs", "gpfs", "ocfs2",
    "gfs2", "virtiofs", "ncpfs", "coda",
)  # fmt: skip
#: Full and read-only by nature.
IMAGES = ("squashfs", "iso9660", "erofs", "cramfs", "udf", "romfs")
_FUSE_WITHOUT_SPACE = ("fuse.lxcfs", "fuse.gvfsd-fuse", "fuse.portal", "fuse.fusectl", "fuse.snapfuse")


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo. ``read_only`` is the mount's own flag, ``super_read_only`` the file system's."""

    device: str
    root: str
    point: str
    kind: str
    source: str
    read_only: bool
    super_read_only: bool

    @property
    def over_network(self) -> bool:
        return self.kind in _NETWORK or self.kind.startswith("fuse.") or self.kind == "fuse"


def parse_mountinfo(text: str) -> list[Mount]:
    """The lines of /proc/self/mountinfo; a mount that a later one covers at the same point is left out."""
    by_point: dict[str, Mount] = {}
    for line in text.split("\n"):
        left, dash, right = line.partition(" - ")
        fields, tail = left.split(" "), right.split(" ")
        if not dash or len(fields) < 6 or len(tail) < 3:
            continue
        point = unescape(fields[4])
        by_point.pop(point, None)
        by_point[point] = Mount(
            device=fields[2],
            root=unescape(fields[3]),
            point=point,
            kind=tail[0],
            source=unescape(tail[1]),
            read_only="ro" in fields[5].split(","),
            super_read_only="ro" in tail[2].split(","),
        )
    return list(by_point.values())


def parse_nodev(text: str) -> frozenset[str]:
    """The types in /proc/filesystems that have no device behind them."""
    return frozenset(
        line.split()[1] for line in text.splitlines() if line.startswith("nodev") and len(line.split()) > 1
    )


def choose(mounts: Iterable[Mount], *, nodev: frozenset[str], exclude: Sequence[str]) -> list[Mount]:
    """The mounts to watch: with space of their own, not excluded, and each device once.

    Of several mounts of one device (bind mounts, subvolumes) the whole one with the shortest path stands for all.
    """
    chosen: dict[str, Mount] = {}
    for mount in mounts:
        if not _has_space(mount.kind, nodev) or any(fnmatchcase(mount.point, pattern) for pattern in exclude):
            continue
        rival = chosen.get(mount.device)
        if rival is None or _rank(mount) < _rank(rival):
            chosen[mount.device] = mount
    return sorted(chosen.values(), key=lambda mount: mount.point)


def _rank(mount: Mount) -> tuple[bool, int, str]:
    return (mount.root != "/", len(mount.point), mount.point)


def _has_space(kind: str, nodev: frozenset[str]) -> bool:
    if kind in IMAGES or kind in _FUSE_WITHOUT_SPACE or kind in ("autofs", "devtmpfs"):
        return False
    if kind in _SPACE_WITHOUT_DEVICE or kind in _NETWORK or kind.startswith("fuse"):
        return kind not in ("fusectl",)
    return kind not in nodev


def unescape(text: str) -> str:
    r"""Undo the octal escapes of mount tables: blank, tab, newline and backslash come as ``\040`` (man 5 fstab)."""
    if "\\" not in text:
        return text
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text
