# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person would have looked at before the restart that wiped it out.

Taken before anything is changed, cleaned and redacted, and kept in files that root alone can read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import listeners
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    StateError,
    prepare_directory,
    write_atomically,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import processes, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import Unit

#: Files of a unit beyond this many are removed, oldest first.
FILES_KEPT = 20
MAX_STATUS_LINES = 40
MAX_PROCESSES = 40
_CGROUPS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
_STATUS_KEYS = ("State", "Threads", "VmRSS", "VmSwap")


def take(unit: Unit, *, lines: int, said: str) -> list[str]:
    """The evidence on a unit: state, processes, sockets, pressure on the host, and ``lines`` lines of its journal."""
    pids = _members(unit)
    return [
        f"probe: {said}",
        f"state: {unit.state()}, main process {unit.main_pid or 'none'}, {unit.restarts} restarts by systemd",
        *_processes(pids),
        *_sockets(pids),
        *_host(),
        "--- systemctl status",
        *systemd.status_lines(unit.name)[:MAX_STATUS_LINES],
        f"--- journalctl --unit={unit.name} --lines={lines}",
        *(systemd.journal_lines(unit.name, lines=lines) if lines else []),
    ]


def _members(unit: Unit) -> list[int]:
    """The processes of a unit, from its control group; the main process alone where that cannot be read."""
    for root in _CGROUPS if unit.control_group else ():
        with contextlib.suppress(OSError, ValueError):
            raw = (root / unit.control_group.lstrip("/") / "cgroup.procs").read_text(encoding="ascii")
            return [int(line) for line in raw.split()][:MAX_PROCESSES]
    return [unit.main_pid] if unit.main_pid else []


def _processes(pids: Sequence[int]) -> list[str]:
    return [line for pid in pids if (line := _process(Path(f"/proc/{pid}")))]


def _process(folder: Path) -> str:
    """``pid 812 node: State T (stopped), Threads 11, waits in do_signal_stop``; empty when it is gone."""
    try:
        status = dict(
            line.split(":\t", 1)
            for line in (folder / "status").read_text(encoding="utf-8", errors="replace").splitlines()
            if ":\t" in line
        )
        name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    facts = [f"{key} {' '.join(status[key].split())}" for key in _STATUS_KEYS if key in status]
    with contextlib.suppress(OSError):
        waits = (folder / "wchan").read_text(encoding="ascii", errors="replace").strip()
        facts += [f"waits in {waits}"] if waits not in ("", "0") else []
    return clean(f"pid {folder.name} {name}: {', '.join(facts)}")


def _sockets(pids: Sequence[int]) -> list[str]:
    names = {name for pid in pids if (name := processes.name_of(pid))}
    listening = listeners.collect(owners=False)
    owners = listeners.holders({one.inode for one in listening})
    own = [one for one in listening if names & set(owners.of(one))]
    return [clean(f"listens: {one.place} ({', '.join(owners.of(one))})") for one in own]


def _host() -> list[str]:
    facts = []
    with contextlib.suppress(OSError, ValueError):
        load = " ".join(f"{value:.2f}" for value in os.getloadavg())
        facts.append(f"host: load {load} on {os.cpu_count()} cores")
    with contextlib.suppress(OSError, ValueError, IndexError):
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        free = next(line for line in text.splitlines() if line.startswith("MemAvailable:"))
        facts.append(f"host: {quantity(int(free.split()[1]) * 1024, 'B')} of memory available")
    return facts


def save(lines: Sequence[str], *, unit: str, directory: Path, now: datetime) -> Path:
    """Write evidence to ``<directory>/evidence/<unit>.<UTC time>.txt``, mode 0600, and thin out old files.

    ``unit`` has been checked to hold no slash. Raises StateError.
    """
    folder = directory / "evidence"
    stamp = now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{unit}.{stamp}.txt"
    try:
        prepare_directory(directory)
        prepare_directory(folder)
        write_atomically(path, ("\n".join(lines) + "\n").encode("utf-8", "replace"), mode=0o600)
        for old in sorted(folder.glob(f"{_escaped(unit)}.*T*Z.txt"))[:-FILES_KEPT]:
            old.unlink()
    except OSError as error:
        raise StateError(f"Evidence cannot be written to {path}: {error.strerror}.") from error
    return path


def _escaped(unit: str) -> str:
    """The unit's name for a glob: a name of a unit may hold a backslash, but none of a glob's own signs."""
    return unit.replace("\\", "[\\\\]")
