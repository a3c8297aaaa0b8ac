# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One pass over /proc: states, threads, memory, and who still runs on files that an update has replaced.

Sources: man 5 proc_pid_maps, proc_pid_cgroup.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process, read_process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import content_or

BECOME = "Run the check with become."
_DELETED = b" (deleted)"
_LIBRARY = re.compile(r"/\S*\.so(?:\.[\w.-]+)?$")
_VOLATILE = ("/dev/", "/memfd:", "/SYSV", "/tmp/", "/var/tmp/", "/run/", "/proc/", "/[aio]", "/i915", "/drm")  # noqa: S108
_UNIT = re.compile(r"/([^/]+\.(?:service|scope))(?:/|$)")
_HIDEPID = re.compile(r"\bhidepid=(?:1|2|4|noaccess|invisible|ptraceable)\b")


@dataclass(frozen=True)
class Processes:
    """Everything that runs. ``stuck`` and ``zombies`` were in that state in two looks, a sample apart."""

    running: tuple[Process, ...]
    stuck: tuple[Process, ...] = ()
    zombies: tuple[Process, ...] = ()


@dataclass(frozen=True)
class Outdated:
    """A program that still has a replaced file mapped: its unit (or name) and the files."""

    owner: str
    pid: int
    files: tuple[str, ...]


def read_processes(pids: Iterable[str] | None = None) -> tuple[Process, ...]:
    """Every process of /proc, or those named; the ones that end meanwhile are left out."""
    found = []
    for pid in pids if pids is not None else filter(str.isdigit, os.listdir("/proc")):
        try:
            process = read_process(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if process:
            found.append(process)
    return tuple(found)


def must_see_all() -> None:
    """Raises Absent where /proc hides the processes of others from this user (man 5 proc, hidepid)."""
    if os.geteuid() == 0:
        return
    for line in content_or("/proc/self/mountinfo").splitlines():
        if " /proc " in line and _HIDEPID.search(line):
            raise Absent("/proc is mounted with hidepid, so other users' processes cannot be seen", remedy=BECOME)


def still(first: Iterable[Process], second: Iterable[Process], states: str) -> tuple[Process, ...]:
    """The processes that were in one of these states in both looks; our own children are not the host's trouble."""
    before = {process.key for process in first if process.state in states}
    own = os.getpid()
    return tuple(
        process for process in second if process.state in states and process.key in before and process.parent != own
    )


def replaced_files(maps: bytes) -> tuple[str, ...]:
    """The shared libraries in a /proc/<pid>/maps that have been deleted or replaced since they were loaded."""
    if _DELETED not in maps:
        return ()
    files = set()
    for line in maps.splitlines():
        if not line.endswith(_DELETED):
            continue
        fields = line[: -len(_DELETED)].split(None, 5)
        path = fields[5].decode("utf-8", "backslashreplace") if len(fields) == 6 else ""
        if _LIBRARY.search(path) and not path.startswith(_VOLATILE):
            files.add(path)
    return tuple(sorted(files))


def unit_of(cgroup: str) -> str:
    """The innermost systemd unit in a /proc/<pid>/cgroup, empty where there is none."""
    for line in cgroup.splitlines():
        units = _UNIT.findall(line.split(":", 2)[-1] + "/")
        if units:
            return str(units[-1])
    return ""


def collect_outdated(processes: Iterable[Process]) -> tuple[Outdated, ...]:
    """Who runs on replaced libraries or on a replaced program. Only root may look into other users' processes."""
    if os.geteuid() != 0:
        raise Absent("only root may see which libraries other users' processes have loaded", remedy=BECOME)
    outdated = []
    for process in processes:
        files = _replaced(process.pid)
        if files:
            owner = unit_of(content_or(f"/proc/{process.pid}/cgroup")) or process.name
            outdated.append(Outdated(owner, process.pid, files))
    return tuple(outdated)


def _replaced(pid: int) -> tuple[str, ...]:
    try:
        program = os.readlink(f"/proc/{pid}/exe")
        with open(f"/proc/{pid}/maps", "rb") as stream:
            maps = stream.read()
    except OSError:
        return ()
    files = replaced_files(maps)
    bare = program[: -len(" (deleted)")]
    if program.endswith(" (deleted)") and not bare.startswith(_VOLATILE):
        return (bare, *files)
    return files
