# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about processors and memory: how busy, how short, and who waits."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.counters import (
    CpuShare,
    Sample,
    cpu_share,
    grown,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Snapshot, View, recall

_DAY = 86400.0
_SHORTEST_TREND = 3600.0
#: Growth below this many bytes a day is noise, whatever the free memory.
_SMALLEST_TREND = 16 * 1024**2
_LARGEST = 5


def _share(view: View) -> tuple[CpuShare, float]:
    first, second = given(view.host.earlier), given(view.host.sample)
    return cpu_share(first.cpu, second.cpu), second.at - first.at


def cpu(view: View) -> Iterator[Answer]:
    share, seconds = _share(view)
    processors = view.host.processors
    yield from view.measure(
        "host.cpu",
        "processors",
        share.busy,
        f"processor time in use over {quantity(seconds, 's')}",
        note=f"iowait {quantity(share.iowait, '%')}, {processors} online",
        evidence=[f"user {quantity(share.user, '%')}", f"system {quantity(share.system, '%')}"],
    )
    for name, value in (("user", share.user), ("system", share.system), ("iowait", share.iowait)):
        yield Metric(f"host.cpu_{name}", "processors", value, "%")


def cpu_steal(view: View) -> Iterator[Answer]:
    share, seconds = _share(view)
    phrase = f"processor time the hypervisor gave to others over {quantity(seconds, 's')}"
    yield from view.measure("host.cpu_steal", "processors", share.steal, phrase)


def load(view: View) -> Iterator[Answer]:
    averages = given(view.host.load)
    processors = view.host.processors
    yield from view.measure(
        "host.load",
        "processors",
        averages[1] / processors,
        "load of the last 5 minutes for each processor",
        note="{:.2f}, {:.2f} and {:.2f} over 1, 5 and 15 minutes on ".format(*averages) + f"{processors} online",
    )
    for minutes, average in zip((1, 5, 15), averages):
        yield Metric(f"host.load{minutes}", "processors", average)


def memory(view: View) -> Iterator[Answer]:
    facts = given(view.host.memory)
    total, available = facts.get("MemTotal", 0), facts.get("MemAvailable")
    if not total or available is None:
        raise Absent("/proc/meminfo does not tell MemAvailable, as in kernels before 3.14", status="unknown")
    processes = view.host.processes
    yield from view.measure(
        "host.memory",
        "memory",
        100.0 * (total - available) / total,
        "memory in use",
        note=f"{quantity(available, 'B')} of {quantity(total, 'B')} available",
        evidence=largest(processes.running) if isinstance(processes, Processes) else (),
    )
    yield Metric("host.memory_available", "memory", available, "B")
    yield Metric("host.memory_size", "memory", total, "B")
    swap = facts.get("SwapTotal", 0)
    if swap:
        yield Metric("host.swap_used", "swap", 100.0 * (swap - facts.get("SwapFree", 0)) / swap, "%")
    group = view.host.group_memory
    if group:
        yield from view.measure(
            "host.memory",
            "container",
            100.0 * group.used / group.limit,
            "memory of this container's limit in use",
            note=f"{quantity(group.used, 'B')} of {quantity(group.limit, 'B')}",
        )


def largest(processes: Iterable[Process]) -> list[str]:
    """The programs that hold most memory, all processes of a name together."""
    sums: dict[str, tuple[int, int]] = {}
    for process in processes:
        size, amount = sums.get(process.name, (0, 0))
        sums[process.name] = (size + process.resident, amount + 1)
    ranked = sorted(sums.items(), key=lambda entry: (-entry[1][0], entry[0]))[:_LARGEST]
    return [
        f"{name}: {quantity(size, 'B')} resident" + (f" in {amount} processes" if amount > 1 else "")
        for name, (size, amount) in ranked
        if size
    ]


def young(memory: Mapping[str, Any], snapshot: Snapshot) -> bool:
    """Whether the sizes of the last run are too fresh to show growth, and are therefore kept for the next run."""
    try:
        before = recall(memory, "resident", boot=snapshot.boot.id)
    except Absent:
        return False
    return before.same_boot and 0 <= (snapshot.now - before.at).total_seconds() < _SHORTEST_TREND


def memory_growth(view: View) -> Iterator[Answer]:
    check = "host.memory_growth"
    running = given(view.host.processes).running
    available = given(view.host.memory).get("MemAvailable", 0)
    before = view.recall("resident")
    elapsed = (view.host.now - before.at).total_seconds()
    if not before.same_boot or elapsed < _SHORTEST_TREND:
        raise Absent(f"the last look is {quantity(max(0.0, elapsed), 's')} old; growth shows after an hour of one boot")
    trends = [
        ((process.resident - before.data[process.key]) * _DAY / elapsed, process)
        for process in running
        if isinstance(before.data.get(process.key), int)
    ]
    fastest, process = max(trends, key=lambda trend: trend[0], default=(0.0, None))
    if process is None or fastest < _SMALLEST_TREND:
        yield view.state(check, "processes", "ok", "no process that was there at the last run has grown much since")
        return
    yield from view.measure(
        check,
        process.name,
        available / fastest,
        f"days until {process.name} (process {process.pid}) has grown into all available memory",
        note=f"it grew by {quantity(fastest, 'B')} a day over {quantity(elapsed, 's')} to "
        f"{quantity(process.resident, 'B')}",
    )


def swap_activity(view: View) -> Iterator[Answer]:
    first, second = given(view.host.earlier), given(view.host.sample)
    seconds = second.at - first.at
    page = os.sysconf("SC_PAGE_SIZE")
    rates = {}
    for name in ("pswpin", "pswpout"):
        rates[name] = grown(second.vmstat.get(name, 0), first.vmstat.get(name, 0)) * page / seconds
    yield from view.measure(
        "host.swap_activity",
        "swap",
        rates["pswpin"] + rates["pswpout"],
        f"swapped over {quantity(seconds, 's')}",
        note=f"{quantity(rates['pswpin'], 'B/s')} in, {quantity(rates['pswpout'], 'B/s')} out",
    )


def oom_kills(view: View) -> Iterator[Answer]:
    check = "host.oom_kills"
    total = oom_total(given(view.host.sample))
    if total is None:
        raise Absent("/proc/vmstat does not count OOM kills, as in kernels before 4.13")
    try:
        before = view.recall("oom_kill")
    except Absent as absent:
        since_boot = f"{absent.message}; {total} since boot"
        yield view.state(check, "memory", "skipped", since_boot)
        return
    killed = before.grown("total", total)
    yield from view.measure(
        check,
        "memory",
        total if killed is None else killed,
        "processes killed for want of memory since the last run",
        note=f"{total} since boot",
        evidence=view.host.oom_messages,
    )


def oom_total(sample: Sample) -> int | None:
    """Kills since boot; None where the kernel does not count."""
    return sample.vmstat.get("oom_kill")


def _pressure(view: View, resource: str, kind: str) -> Iterator[Answer]:
    figures: Mapping[tuple[str, str], float] = given(view.host.pressure.get(resource))
    words = "some task" if kind == "some" else "every task"
    yield from view.measure(
        f"host.pressure_{resource}",
        resource,
        figures.get((kind, "avg60"), 0.0),
        f"share of the last minute in which {words} waited for {_WAITED[resource]}",
        note=f"{quantity(figures.get((kind, 'avg300'), 0.0), '%')} over 5 minutes",
    )
    yield Metric(f"host.pressure_{resource}_some", resource, figures.get(("some", "avg60"), 0.0), "%")


_WAITED = {"cpu": "a processor", "memory": "memory", "io": "disks"}


def pressure_cpu(view: View) -> Iterator[Answer]:
    # For the machine as a whole the kernel leaves cpu "full" at zero.
    yield from _pressure(view, "cpu", "some")


def pressure_memory(view: View) -> Iterator[Answer]:
    yield from _pressure(view, "memory", "full")


def pressure_io(view: View) -> Iterator[Answer]:
    yield from _pressure(view, "io", "full")
