# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which regular files the processes of the host hold open, also those that have no name any more.

Source: man 5 proc_pid_fd, man 5 proc_pid_fdinfo.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import parse_mountinfo

DELETED = " (deleted)"


@dataclass(frozen=True)
class OpenFile:
    """A descriptor of a process; sizes in bytes, ``used`` is what the file takes on its file system."""

    pid: int
    program: str
    descriptor: int
    path: str
    device: int
    inode: int
    size: int
    used: int
    links: int
    writing: bool

    @property
    def deleted(self) -> bool:
        return self.links == 0

    @property
    def key(self) -> tuple[int, int]:
        return self.device, self.inode


@dataclass(frozen=True)
class Descriptors:
    """Every regular file that is open; ``unseen`` are the processes whose descriptors may not be read."""

    files: tuple[OpenFile, ...]
    unseen: tuple[str, ...] = ()

    def holder(self, device: int, inode: int) -> str:
        """``nginx (process 812)`` for a file that is open, empty for one that is not."""
        for file in self.files:
            if file.key == (device, inode):
                return f"{file.program} (process {file.pid})"
        return ""


def collect_descriptors(proc: str = "/proc") -> Descriptors:
    """Walk the descriptors of all processes; those that end meanwhile have nothing open."""
    remote = _network_points(proc)
    files: list[OpenFile] = []
    unseen: list[str] = []
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            numbers = os.listdir(f"{proc}/{name}/fd")
        except PermissionError:
            unseen.append(_program(proc, name))
            continue
        except OSError:
            continue
        program = ""
        for number in numbers:
            found = _look(proc, name, number, remote)
            if found:
                program = program or _program(proc, name)
                path, facts = found
                files.append(_open_file(proc, name, number, path, facts, program))
    return Descriptors(tuple(files), tuple(sorted(unseen)))


def _network_points(proc: str) -> tuple[str, ...]:
    try:
        with open(f"{proc}/self/mountinfo", encoding="utf-8", errors="backslashreplace") as stream:
            mounts = parse_mountinfo(stream.read())
    except OSError:
        return ()
    return tuple(mount.point.rstrip("/") + "/" for mount in mounts if mount.over_network)


def _look(proc: str, pid: str, number: str, remote: Iterable[str]) -> tuple[str, os.stat_result] | None:
    """Path and facts of a regular file. One on the network is not asked: a dead server would hold us up for ever."""
    link = f"{proc}/{pid}/fd/{number}"
    try:
        path = os.readlink(link)
        if not path.startswith("/") or path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:", *remote)):
            return None
        facts = os.stat(link)
    except OSError:
        return None
    return (path, facts) if stat.S_ISREG(facts.st_mode) else None


def _open_file(proc: str, pid: str, number: str, path: str, facts: os.stat_result, program: str) -> OpenFile:
    deleted = facts.st_nlink == 0
    return OpenFile(
        pid=int(pid),
        program=program,
        descriptor=int(number),
        path=path[: -len(DELETED)] if deleted and path.endswith(DELETED) else path,
        device=facts.st_dev,
        inode=facts.st_ino,
        size=facts.st_size,
        used=facts.st_blocks * 512,
        links=facts.st_nlink,
        writing=_is_writing(f"{proc}/{pid}/fdinfo/{number}"),
    )


def _is_writing(info: str) -> bool:
    """The access mode among the octal ``flags`` of a descriptor; where it cannot be read it may well write."""
    try:
        with open(info, encoding="ascii", errors="replace") as stream:
            for line in stream:
                if line.startswith("flags:"):
                    return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    except (OSError, ValueError, IndexError):
        pass
    return True


def _program(proc: str, pid: str) -> str:
    try:
        with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="backslashreplace") as stream:
            return stream.read().strip() or pid
    except OSError:
        return pid
