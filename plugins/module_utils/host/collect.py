# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at the host: only the parts that are asked for, and one wait between the two samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading, attempt
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import (
    counters,
    links,
    mounts,
    processes,
    system,
    units,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import Sample
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import content, content_or
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings, Snapshot, recall

_RESOURCES = ("cpu", "memory", "io")
_MESSAGES = 10


def collect(
    parts: Collection[str], *, settings: Settings, clock: Clock, memory: Mapping[str, Any] | None = None
) -> Snapshot:
    """Look at the host. ``parts`` are fields of Snapshot; ``memory`` tells since when OOM kills are news."""
    boot = system.collect_boot()
    disks = counters.whole_disks()

    def sample() -> Sample:
        return counters.collect_sample(
            at=clock.monotonic(), disks=disks, exclude_interfaces=settings.interfaces_exclude
        )

    earlier = attempt(sample) if "earlier" in parts else None
    first = attempt(_all_processes) if "processes" in parts else None
    if "earlier" in parts or "processes_twice" in parts:
        clock.sleep(settings.sample_seconds)
    later = attempt(sample) if {"sample", "links"} & set(parts) else None
    now = clock.now()
    snapshot = Snapshot(now=now, boot=boot, earlier=earlier, sample=later)
    snapshot = replace(snapshot, processes=_twice(first, again="processes_twice" in parts))
    snapshot = replace(snapshot, **_load_parts(parts))
    booted = now - timedelta(seconds=boot.uptime)
    names = [process.name for process in first.running] if isinstance(first, Processes) else []
    collectors: dict[str, Callable[[], Any]] = {
        "file_systems": lambda: mounts.collect_file_systems(
            exclude=settings.mounts_exclude, timeout=settings.mounts_timeout
        ),
        "thin_pools": system.collect_thin_pools,
        "links": lambda: links.collect_links(later.interfaces if isinstance(later, Sample) else ()),
        "conntrack": _conntrack,
        "units": lambda: units.collect_units(booted=booted, exclude=settings.units_exclude),
        "outdated": lambda: processes.collect_outdated(first.running if isinstance(first, Processes) else ()),
        "limits": system.collect_limits,
        "clock": lambda: system.collect_clock(names),
        "reboot": lambda: system.collect_reboot(container=boot.container),
    }
    if settings.needrestart:
        collectors["needrestart"] = system.collect_needrestart
    readings: dict[str, Any] = {part: attempt(collector) for part, collector in collectors.items() if part in parts}
    if "oom_messages" in parts:
        readings["oom_messages"] = _oom_messages(snapshot, memory or {})
    return replace(snapshot, **readings)


def _load_parts(parts: Collection[str]) -> dict[str, Any]:
    """What is read from the kernel in one line each."""
    found: dict[str, Any] = {"processors": counters.count_processors(content_or("/proc/stat"))}
    if "load" in parts:
        found["load"] = attempt(_load)
    if "memory" in parts:
        facts = attempt(lambda: counters.parse_meminfo(content("/proc/meminfo")))
        found["memory"] = facts
        if not isinstance(facts, Absent) and "group_memory" in parts:
            found["group_memory"] = system.collect_group_memory(total=facts.get("MemTotal", 0))
    if "pressure" in parts:
        found["pressure"] = {resource: attempt(_pressure(resource)) for resource in _RESOURCES}
    return found


def _load() -> tuple[float, float, float]:
    one, five, fifteen = content("/proc/loadavg").split()[:3]
    return float(one), float(five), float(fifteen)


def _pressure(resource: str) -> Callable[[], dict[tuple[str, str], float]]:
    def read() -> dict[tuple[str, str], float]:
        try:
            return counters.parse_pressure(content(f"/proc/pressure/{resource}"))
        except OSError:
            raise Absent(
                "the kernel does not measure pressure stalls", remedy="Boot the kernel (4.20 or newer) with psi=1."
            ) from None

    return read


def _conntrack() -> tuple[int, int]:
    folder = "/proc/sys/net/netfilter"
    try:
        return int(content(f"{folder}/nf_conntrack_count")), int(content(f"{folder}/nf_conntrack_max"))
    except FileNotFoundError:
        raise Absent("the kernel does not track connections here") from None


def _all_processes() -> Processes:
    processes.must_see_all()
    return Processes(processes.read_processes())


def _twice(first: Reading[Processes], *, again: bool) -> Reading[Processes]:
    """Look once more at those that seemed stuck or dead, which a healthy process is not for long."""
    if not isinstance(first, Processes) or not again:
        return first
    second: tuple[Process, ...] = processes.read_processes(
        str(process.pid) for process in first.running if process.state in "DZ"
    )
    return replace(
        first,
        stuck=processes.still(first.running, second, "D"),
        zombies=processes.still(first.running, second, "Z"),
    )


def _oom_messages(snapshot: Snapshot, memory: Mapping[str, Any]) -> tuple[str, ...]:
    """The kernel's own words on the kills since the last run, where this user may read them."""
    if not isinstance(snapshot.sample, Sample) or os.geteuid() != 0:
        return ()
    total = snapshot.sample.vmstat.get("oom_kill", 0)
    try:
        before = recall(memory, "oom_kill", boot=snapshot.boot.id)
        if not before.grown("total", total):
            return ()
        since = f"@{int(before.at.timestamp())}"
        argv = ["journalctl", "-k", "-q", "--no-pager", "-o", "cat", "--since", since, "-n", "10000"]
        lines = command.run(argv, timeout=5.0).lines()
    except MaintenanceError:
        return ()
    return tuple(line for line in lines if "Killed process" in line)[-_MESSAGES:]
