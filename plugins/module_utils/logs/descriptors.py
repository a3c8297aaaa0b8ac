# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which regular files the processes of the host hold open, also those that have no name any more.

Source: man 5 proc_pid_fd, man 5 proc_pid_fdinfo.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import parse_mountinfo
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted

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
    """Every regular file that is open, but for those on network file systems.

    ``unseen`` are the processes whose descriptors may not be read; ``whole`` is false where there may be processes that
    are not even listed.
    """

    files: tuple[OpenFile, ...]
    unseen: tuple[str, ...] = ()
    whole: bool = True

    @property
    def hidden(self) -> str:
        """Whose open files may not be seen, in words; empty where all are."""
        if self.unseen:
            return counted(len(self.unseen), "process", "processes")
        return "" if self.whole else "other processes"

    def holder(self, device: int, inode: int) -> str:
        """``nginx (process 812)`` for a file that is open, empty for one that is not."""
        for file in self.files:
            if file.key == (device, inode):
                return f"{file.program} (process {file.pid})"
        return ""

    def writers(self, logs: Mapping[tuple[int, int], str]) -> dict[str, list[str]]:
        """Who writes to which of some logs, given as path by device and inode: a container has paths of its own."""
        found: dict[str, list[str]] = {}
        for file in self.files:
            path = logs.get(file.key)
            who = f"{file.program} (process {file.pid})"
            if path is not None and file.writing and not file.deleted and who not in found.setdefault(path, []):
                found[path].append(who)
        return found


def collect_descriptors(proc: str = "/proc") -> Descriptors:
    """Walk the descriptors of all processes; those that end meanwhile have nothing open."""
    processes = [name for name in os.listdir(proc) if name.isdigit()]
    remote = _network_mounts(proc, processes)
    files: list[OpenFile] = []
    unseen: list[str] = []
    for name in processes:
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
                path, facts, flags = found
                files.append(_open_file(name, number, path, facts, flags, program))
    return Descriptors(tuple(files), tuple(sorted(unseen)), _sees_all(proc))


def _sees_all(proc: str) -> bool:
    """Whether all processes are listed: with ``hidepid`` (man 5 proc) only those that one may look into are."""
    try:
        os.listdir(f"{proc}/1/fd")
    except OSError:
        return False
    return os.geteuid() == 0


def _network_mounts(proc: str, processes: Iterable[str]) -> frozenset[str]:
    """Ids of the mounts of network file systems in all mount namespaces: a container has paths of its own."""
    known: set[str] = set()
    found: set[str] = set()
    for name in processes:
        try:
            namespace = os.readlink(f"{proc}/{name}/ns/mnt")
            if namespace in known:
                continue
            with open(f"{proc}/{name}/mountinfo", encoding="utf-8", errors="backslashreplace") as stream:
                lines = stream.read().split("\n")
        except OSError:
            continue
        known.add(namespace)
        found.update(
            line.partition(" ")[0] for line in lines if any(mount.over_network for mount in parse_mountinfo(line))
        )
    return frozenset(found)


def _look(proc: str, pid: str, number: str, remote: Collection[str]) -> tuple[str, os.stat_result, str] | None:
    """Path, facts and flags of a regular file.

    One on the network is not asked, for a dead server would hold us up for ever.
    """
    link = f"{proc}/{pid}/fd/{number}"
    try:
        path = os.readlink(link)
        if not path.startswith("/") or path.startswith(("/dev/", "/proc/", "/sys/", "/memfd:")):
            return None
        info = _info(f"{proc}/{pid}/fdinfo/{number}")
        if info.get("mnt_id") in remote:
            return None
        facts = os.stat(link)
    except OSError:
        return None
    return (path, facts, info.get("flags", "")) if stat.S_ISREG(facts.st_mode) else None


def _info(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            fields = [line.partition(":") for line in stream]
    except OSError:
        return {}
    return {name: value.strip() for name, _colon, value in fields}


def _open_file(pid: str, number: str, path: str, facts: os.stat_result, flags: str, program: str) -> OpenFile:
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
        writing=_is_writing(flags),
    )


def _is_writing(flags: str) -> bool:
    """The access mode among the octal flags of a descriptor; where there are none it may well write."""
    try:
        return int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
    except ValueError:
        return True


def _program(proc: str, pid: str) -> str:
    try:
        with open(f"{proc}/{pid}/comm", encoding="utf-8", errors="backslashreplace") as stream:
            return stream.read().strip() or pid
    except OSError:
        return pid
