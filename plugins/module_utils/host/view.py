# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the questions of this subject look at: the host at this moment, what the last run remembered, and the levels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Callable

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso, parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer, Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import Sample
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.links import Link
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.mounts import FileSystems
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Outdated, Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import (
    Boot,
    ClockState,
    GroupMemory,
    Limits,
    Needrestart,
    Reboot,
    ThinPool,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.units import Units


@dataclass(frozen=True)
class Settings:
    """The module's own options. Sizes in bytes, times in seconds."""

    sample_seconds: float = 1.0
    mounts_exclude: tuple[str, ...] = ()
    mounts_timeout: float = 5.0
    reference_size: int = 20 * 1024**3
    magic: float = 0.8
    free_enough: int = 0
    free_floor: int = 256 * 1024**2
    interfaces_exclude: tuple[str, ...] = ()
    units_exclude: tuple[str, ...] = ()
    needrestart: bool = False


@dataclass(frozen=True)
class Snapshot:
    """The host at ``now``. A part is None where no chosen check needs it, Absent where it cannot be had."""

    now: datetime
    boot: Boot
    processors: int = 1
    file_systems: Reading[FileSystems] = None
    thin_pools: Reading[tuple[ThinPool, ...]] = None
    earlier: Reading[Sample] = None
    sample: Reading[Sample] = None
    load: Reading[tuple[float, float, float]] = None
    memory: Reading[Mapping[str, int]] = None
    group_memory: GroupMemory | None = None
    pressure: Mapping[str, Reading[Mapping[tuple[str, str], float]]] = field(default_factory=dict)
    links: Reading[Mapping[str, Link]] = None
    conntrack: Reading[tuple[int, int]] = None
    units: Reading[Units] = None
    processes: Reading[Processes] = None
    outdated: Reading[tuple[Outdated, ...]] = None
    limits: Reading[Limits] = None
    clock: Reading[ClockState] = None
    reboot: Reading[Reboot] = None
    needrestart: Reading[Needrestart] = None
    oom_messages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recalled:
    """Something the last run wrote down: ``at`` what time, and whether the host has been up ever since."""

    data: Mapping[str, Any]
    at: datetime
    same_boot: bool

    def grown(self, name: str, now: int) -> int | None:
        """How much a counter grew since then; after a boot or a reset it counts from zero. None if it is new."""
        before = self.data.get(name)
        if not self.same_boot or (isinstance(before, int) and before > now):
            return now
        return now - before if isinstance(before, int) else None


def recall(memory: Mapping[str, Any], name: str, *, boot: str) -> Recalled:
    """What the last run that looked at ``name`` wrote down. Raises Absent when there was none."""
    entry = memory.get(name)
    try:
        data, moment, same_boot = entry["data"], parse_time(entry["at"], option="state"), entry["boot"] == boot  # type: ignore[index]
    except (TypeError, KeyError, AttributeError, OptionError):
        data = moment = None
    if not isinstance(data, dict) or moment is None:
        raise Absent("this run is the first to look, the next one compares with it")
    return Recalled(data, moment, same_boot)


def written_down(data: Any, snapshot: Snapshot) -> dict[str, Any]:
    """An entry for the memory of the next run."""
    return {"data": data, "at": iso(snapshot.now), "boot": snapshot.boot.id}


@dataclass(frozen=True)
class View(Words):
    """All that a question needs, and the words it answers in."""

    host: Snapshot
    settings: Settings

    def recall(self, name: str) -> Recalled:
        return recall(self.memory, name, boot=self.host.boot.id)


Question = Callable[[View], Iterator[Answer]]
