# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of this host, as far as we may see them. Source: proc(5)."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import read_process

MAX_COMMAND_LINE = 4096
_DEAD = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """One living process: ``name`` is the kernel's (at most 15 characters), ``line`` its arguments with blanks."""

    pid: int
    parent: int
    name: str
    line: str
    state: str
    uid: int

    @property
    def user(self) -> str:
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


@dataclass(frozen=True)
class Processes:
    """All processes but the ones that look; ``complete`` is False where the kernel hides other users' (hidepid)."""

    all: tuple[Process, ...]
    complete: bool


def snapshot(root: Path = Path("/proc"), *, own_pid: int | None = None) -> Processes:
    """Read the process table once. Zombies are left out: what has ended does not run.

    Our own process and what started it are left out as well: a pattern such as ``python3`` must not count the one who
    looks. Up to the daemon in which that began: an sshd or cron that process 1 started is a service like others.
    """
    found = {
        process.pid: process
        for entry in os.scandir(root)
        if entry.name.isdigit() and (process := _read(Path(entry.path))) is not None
    }
    hidden = 1 not in found
    pid = os.getpid() if own_pid is None else own_pid
    own = found.pop(pid, None)
    while own is not None and own.parent in found and found[own.parent].parent > 1:
        own = found.pop(own.parent)
    return Processes(tuple(process for process in found.values() if process.state not in _DEAD), not hidden)


def _read(folder: Path) -> Process | None:
    """One process; None where it has gone or is hidden."""
    try:
        said = read_process(folder.name, root=folder.parent)
        line = (folder / "cmdline").read_bytes()[:MAX_COMMAND_LINE]
        uid = folder.stat().st_uid
    except OSError:
        return None
    if said is None:
        return None
    text = line.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    return Process(said.pid, said.parent, said.name, text, said.state, uid)


def name_of(pid: int, root: Path = Path("/proc")) -> str:
    """The kernel's name of a process; empty when it is gone."""
    try:
        return (root / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
