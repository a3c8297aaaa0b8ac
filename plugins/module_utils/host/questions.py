# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function answers which check, from which parts of the host, and what the next run has to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import devices, load, storage, upkeep
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import Sample
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.units import Units
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import (
    Question,
    Snapshot,
    written_down,
)

#: check: (function, parts of the Snapshot that have to be collected for it)
QUESTIONS: Mapping[str, tuple[Question, tuple[str, ...]]] = {
    "host.disk_bytes": (storage.disk_bytes, ("file_systems",)),
    "host.disk_inodes": (storage.disk_inodes, ("file_systems",)),
    "host.disk_readonly": (storage.disk_readonly, ("file_systems",)),
    "host.disk_errors": (storage.disk_errors, ("file_systems",)),
    "host.disk_mounted": (storage.disk_mounted, ("file_systems",)),
    "host.thin_pool": (storage.thin_pool, ("thin_pools",)),
    "host.cpu": (load.cpu, ("earlier", "sample")),
    "host.cpu_steal": (load.cpu_steal, ("earlier", "sample")),
    "host.load": (load.load, ("load",)),
    "host.memory": (load.memory, ("memory", "group_memory", "processes")),
    "host.memory_growth": (load.memory_growth, ("memory", "processes")),
    "host.swap_activity": (load.swap_activity, ("earlier", "sample")),
    "host.oom_kills": (load.oom_kills, ("sample", "oom_messages")),
    "host.pressure_cpu": (load.pressure_cpu, ("pressure",)),
    "host.pressure_memory": (load.pressure_memory, ("pressure",)),
    "host.pressure_io": (load.pressure_io, ("pressure",)),
    "host.disk_io": (devices.disk_io, ("earlier", "sample")),
    "host.network_errors": (devices.network_errors, ("sample",)),
    "host.network_drops": (devices.network_drops, ("sample",)),
    "host.network_link": (devices.network_link, ("links",)),
    "host.network_flaps": (devices.network_flaps, ("links",)),
    "host.conntrack": (devices.conntrack, ("conntrack",)),
    "host.failed_units": (upkeep.failed_units, ("units",)),
    "host.flapping_units": (upkeep.flapping_units, ("units",)),
    "host.overdue_timers": (upkeep.overdue_timers, ("units",)),
    "host.zombies": (upkeep.zombies, ("processes", "processes_twice")),
    "host.blocked": (upkeep.blocked, ("processes", "processes_twice")),
    "host.file_handles": (upkeep.file_handles, ("limits",)),
    "host.threads": (upkeep.threads, ("limits",)),
    "host.time_sync": (upkeep.time_sync, ("clock", "processes")),
    "host.time_offset": (upkeep.time_offset, ("clock", "processes")),
    "host.reboot": (upkeep.reboot, ("reboot", "needrestart")),
    "host.libraries": (upkeep.libraries, ("outdated", "processes", "needrestart")),
    "host.needrestart": (upkeep.needrestart_answer, ("needrestart",)),
    "host.uptime": (upkeep.uptime, ()),
}

#: Growth is looked for among the processes that hold most, so that the memory of a run stays small.
_REMEMBERED_PROCESSES = 50


def remember(snapshot: Snapshot, memory: Mapping[str, Any]) -> dict[str, Any]:
    """The memory for the next run: what this one saw, and of parts it did not look at what earlier ones saw."""
    seen: dict[str, Any] = {"boot": {}}
    if isinstance(snapshot.sample, Sample):
        total = load.oom_total(snapshot.sample)
        if total is not None:
            seen["oom_kill"] = {"total": total}
        seen["interfaces"] = {name: dict(fields) for name, fields in snapshot.sample.interfaces.items()}
    if isinstance(snapshot.links, Mapping):
        seen["speeds"] = {link.name: link.speed for link in snapshot.links.values() if link.speed}
        changes = {link.name: link.carrier_changes for link in snapshot.links.values()}
        seen["carrier_changes"] = {name: amount for name, amount in changes.items() if amount is not None}
    if isinstance(snapshot.units, Units):
        seen["restarts"] = {unit.name: unit.restarts for unit in snapshot.units.units if unit.restarts}
        seen["timers"] = {timer.name: iso(timer.due) for timer in snapshot.units.timers if timer.due}
    if isinstance(snapshot.processes, Processes) and not load.young(memory, snapshot):
        ranked = sorted(snapshot.processes.running, key=lambda process: -process.resident)[:_REMEMBERED_PROCESSES]
        seen["resident"] = {process.key: process.resident for process in ranked if process.resident}
    return {**memory, **{name: written_down(data, snapshot) for name, data in seen.items()}}
