# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A healthy host to break in one place, and real output to read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import Mount
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import Block, Sample, parse_pairs
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.links import Link
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.mounts import FileSystem, FileSystems, Space
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.questions import QUESTIONS, remember
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import Boot, ClockState, Limits, Reboot
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.units import Units
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings, Snapshot, View

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
GIB = 1024**3
FIXTURES = Path(__file__).parent / "fixtures"


def real(name: str) -> str:
    """Output captured from a real host."""
    return (FIXTURES / name).read_text()


def process(pid: int, name: str = "sleeper", state: str = "S", *, resident: int = 0, parent: int = 1) -> Process:
    return Process(pid, name, state, parent, threads=1, started=pid * 10, resident=resident)


def mount(point: str = "/", *, kind: str = "ext4", read_only: bool = False, super_read_only: bool = False) -> Mount:
    return Mount("254:0", "/", point, kind, "/dev/vda", read_only, super_read_only)


def space(size: int = 20 * GIB, percent: float = 50.0, inodes: int = 1000, inodes_free: int = 900) -> Space:
    free = round(size * (100 - percent) / 100)
    return Space(size, free, free, inodes, inodes_free)


def sample(at: float, *, interfaces: dict[str, dict[str, int]] | None = None, **ticks: int) -> Sample:
    cpu = {"user": 0, "nice": 0, "system": 0, "idle": 0, "iowait": 0, "irq": 0, "softirq": 0, "steal": 0, **ticks}
    eth0 = {"rx_bytes": 0, "rx_packets": 0, "tx_bytes": 0, "tx_packets": 0}
    faults = ("rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "tx_errors", "tx_dropped", "tx_fifo", "tx_carrier")
    return Sample(
        at=at,
        cpu=cpu,
        vmstat={"oom_kill": 0, "pswpin": 0, "pswpout": 0},
        blocks={"vda": Block(0, 0, 0, 0, 0, 0, 0, 0, 0)},
        interfaces=interfaces or {"eth0": {**eth0, **dict.fromkeys(faults, 0), "tx_collisions": 0}},
    )


HEALTHY = Snapshot(
    now=NOW,
    boot=Boot(id="boot-one", uptime=864000.0, container=False),
    processors=2,
    file_systems=FileSystems((FileSystem(mount(), space(), 0),), frozenset({"/"}), ()),
    thin_pools=(),
    earlier=sample(0.0),
    sample=sample(1.0, idle=190, user=10),
    load=(0.1, 0.2, 0.3),
    memory={"MemTotal": 8 * GIB, "MemAvailable": 6 * GIB, "SwapTotal": 0, "SwapFree": 0},
    pressure={name: {("some", "avg60"): 0.0, ("full", "avg60"): 0.0} for name in ("cpu", "memory", "io")},
    links={"eth0": Link("eth0", True, True, True, 2, 1000, "full")},
    conntrack=(100, 1000),
    units=Units((), ()),
    processes=Processes((process(1, "init"),)),
    outdated=(),
    limits=Limits(handles=1000, handles_max=100_000, threads=200, threads_max=32768),
    clock=ClockState(synchronised=True, offset=0.0001, maximum_error=0.02, daemon="chronyd"),
    reboot=Reboot(marked=None, packages=(), running="6.1.0-18-amd64"),
)


@pytest.fixture
def healthy() -> Snapshot:
    return HEALTHY


@pytest.fixture
def later() -> Callable[..., Snapshot]:
    """The healthy host some hours later, changed where the test says so."""

    def made(*, hours: float = 24.0, boot: str = "boot-one", **changes: Any) -> Snapshot:
        moment = NOW + timedelta(hours=hours)
        uptime = HEALTHY.boot.uptime + hours * 3600 if boot == "boot-one" else 600.0
        return replace(HEALTHY, now=moment, boot=replace(HEALTHY.boot, id=boot, uptime=uptime), **changes)

    return made


@pytest.fixture
def ask() -> Callable[..., list[Finding]]:
    """The findings of some checks: ``ask(snapshot, "cpu", memory=...)``."""

    def asked(snapshot: Snapshot, *checks: str, **options: Any) -> list[Finding]:
        return asked_with_metrics(snapshot, *checks, **options)[0]

    return asked


@pytest.fixture
def ask_one(ask: Callable[..., list[Finding]]) -> Callable[..., Finding]:
    """The only finding of one check."""

    def asked(snapshot: Snapshot, check: str, **options: Any) -> Finding:
        (finding,) = ask(snapshot, check, **options)
        return finding

    return asked


@pytest.fixture
def metrics_of() -> Callable[..., dict[tuple[str, str], float]]:
    def asked(snapshot: Snapshot, *checks: str, **options: Any) -> dict[tuple[str, str], float]:
        return {(one.name, one.item): one.value for one in asked_with_metrics(snapshot, *checks, **options)[1]}

    return asked


def asked_with_metrics(
    snapshot: Snapshot,
    *checks: str,
    memory: dict[str, Any] | None = None,
    levels: dict[str, Any] | None = None,
    settings: Settings | None = None,
    catalogue: Catalogue = CATALOGUE,
) -> tuple[list[Finding], list[Metric]]:
    view = View(
        host=snapshot,
        memory=memory or {},
        settings=settings or Settings(),
        catalogue=catalogue,
        book=LevelBook(levels),
    )
    return answer(view, QUESTIONS, catalogue.select(checks), item="host")


@pytest.fixture
def remembered() -> Callable[..., dict[str, Any]]:
    """What a run leaves to the next."""
    return lambda snapshot, memory=None: remember(snapshot, memory or {})


@pytest.fixture
def make() -> Any:
    """Builders of parts."""

    class Make:
        process = staticmethod(process)
        mount = staticmethod(mount)
        space = staticmethod(space)
        sample = staticmethod(sample)
        real = staticmethod(real)
        pairs = staticmethod(parse_pairs)
        now = NOW
        gib = GIB

    return Make
