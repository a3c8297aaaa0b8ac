# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's counters, read twice, and what happened in between.

Sources: man 5 proc_stat, proc_meminfo, proc_vmstat; Documentation/admin-guide/iostats.rst;
Documentation/accounting/psi.rst; Documentation/ABI/testing/sysfs-class-net.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import (
    content,
    content_or,
    integer_or_none,
)

CPU_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
SECTOR = 512
_BLOCK_WITHOUT_MEDIUM = ("loop*", "ram*", "zram*", "sr*", "fd*", "dm-*", "md*", "nbd*", "zd*")
INTERFACE_FIELDS = (
    "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", "rx_fifo", "rx_frame", "rx_compressed", "rx_multicast",
    "tx_bytes", "tx_packets", "tx_errors", "tx_dropped", "tx_fifo", "tx_collisions", "tx_carrier", "tx_compressed",
)  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A line of /proc/diskstats: requests done, sectors of 512 B, milliseconds spent."""

    reads: int
    read_sectors: int
    read_ms: int
    writes: int
    written_sectors: int
    write_ms: int
    in_flight: int
    busy_ms: int
    queue_ms: int


@dataclass(frozen=True)
class Sample:
    """All fast counters at one moment; ``at`` is monotonic, in seconds."""

    at: float
    cpu: Mapping[str, int]
    vmstat: Mapping[str, int]
    blocks: Mapping[str, Block]
    interfaces: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class CpuShare:
    """Shares of all processor time between two samples, in percent, and how many processors there are."""

    busy: float
    iowait: float
    steal: float
    user: float
    system: float


@dataclass(frozen=True)
class BlockRate:
    """What a disk did between two samples; ``await_ms`` is None when no request ended."""

    await_ms: float | None
    busy_percent: float
    queue: float
    read_bytes: float
    written_bytes: float
    in_flight: int


def grown(now: int, before: int) -> int:
    """How much a counter grew; one that is smaller than before was reset and counts from zero."""
    return now - before if now >= before else now


def parse_cpu(text: str) -> dict[str, int]:
    """The first line of /proc/stat in ticks, by field; old kernels have fewer fields. Guest time is within user."""
    for line in text.splitlines():
        if line.startswith("cpu "):
            figures = [int(figure) for figure in line.split()[1 : 1 + len(CPU_FIELDS)]]
            return dict(zip(CPU_FIELDS, [*figures, *[0] * (len(CPU_FIELDS) - len(figures))]))
    raise Absent("/proc/stat has no line for all processors", status="unknown")


def count_processors(text: str) -> int:
    """How many processors are online, by /proc/stat; at least 1."""
    return max(1, sum(line.startswith("cpu") and line[3:4].isdigit() for line in text.splitlines()))


def parse_pairs(text: str) -> dict[str, int]:
    """``name value`` lines such as /proc/vmstat's."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].lstrip("-").isdigit()}


def parse_meminfo(text: str) -> dict[str, int]:
    """/proc/meminfo in bytes by name; entries that are counts (HugePages_Total) are left out."""
    sizes = {}
    for line in text.splitlines():
        name, _colon, rest = line.partition(":")
        fields = rest.split()
        if len(fields) == 2 and fields[1] == "kB" and fields[0].isdigit():
            sizes[name] = int(fields[0]) * 1024
    return sizes


def parse_diskstats(text: str, *, whole: frozenset[str]) -> dict[str, Block]:
    """The lines of /proc/diskstats of the devices in ``whole``."""
    blocks = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 14 or fields[2] not in whole:
            continue
        figures = [int(field) for field in fields[3:14]]
        blocks[fields[2]] = Block(
            reads=figures[0], read_sectors=figures[2], read_ms=figures[3],
            writes=figures[4], written_sectors=figures[6], write_ms=figures[7],
            in_flight=figures[8], busy_ms=figures[9], queue_ms=figures[10],
        )  # fmt: skip
    return blocks


def parse_interfaces(text: str, *, exclude: Sequence[str]) -> dict[str, dict[str, int]]:
    """/proc/net/dev by interface and field."""
    interfaces = {}
    for line in text.splitlines():
        name, colon, rest = line.strip().rpartition(":")
        figures = rest.split()
        if not colon or len(figures) != len(INTERFACE_FIELDS) or any(fnmatchcase(name, glob) for glob in exclude):
            continue
        interfaces[name] = dict(zip(INTERFACE_FIELDS, map(int, figures)))
    return interfaces


def parse_pressure(text: str) -> dict[tuple[str, str], float]:
    """A file of /proc/pressure: ``("some", "avg60")`` in percent, ``("some", "total")`` in microseconds."""
    pressure = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        for pair in pairs:
            name, _equals, value = pair.partition("=")
            pressure[kind, name] = float(value)
    return pressure


def cpu_share(first: Mapping[str, int], second: Mapping[str, int]) -> CpuShare:
    """Shares of the time between two samples; iowait is idle time by another name. Raises Absent for no time at all.

    The kernel may set idle and iowait back a little, which counts as nothing.
    """
    spent = {field: max(0, second[field] - first[field]) for field in CPU_FIELDS}
    total = sum(spent.values())
    if total <= 0:
        raise Absent("the processors' counters did not move between the two samples", status="unknown")
    share = {field: 100.0 * ticks / total for field, ticks in spent.items()}
    system = share["system"] + share["irq"] + share["softirq"]
    return CpuShare(
        busy=share["user"] + share["nice"] + system,
        iowait=share["iowait"],
        steal=share["steal"],
        user=share["user"] + share["nice"],
        system=system,
    )


def block_rate(first: Block, second: Block, *, seconds: float) -> BlockRate:
    """What a disk did in ``seconds``: iostat's await, %util and aqu-sz."""
    ended = grown(second.reads, first.reads) + grown(second.writes, first.writes)
    spent_ms = grown(second.read_ms, first.read_ms) + grown(second.write_ms, first.write_ms)
    window_ms = seconds * 1000.0
    return BlockRate(
        await_ms=spent_ms / ended if ended else None,
        busy_percent=min(100.0, 100.0 * grown(second.busy_ms, first.busy_ms) / window_ms),
        queue=grown(second.queue_ms, first.queue_ms) / window_ms,
        read_bytes=grown(second.read_sectors, first.read_sectors) * SECTOR / seconds,
        written_bytes=grown(second.written_sectors, first.written_sectors) * SECTOR / seconds,
        in_flight=second.in_flight,
    )


def whole_disks() -> frozenset[str]:
    """Disks with a medium of their own: no partitions, loops, memory disks, nor what is stacked on other disks."""
    try:
        names = os.listdir("/sys/block")
    except OSError:
        return frozenset()
    return frozenset(
        name
        for name in names
        if not any(fnmatchcase(name, glob) for glob in _BLOCK_WITHOUT_MEDIUM)
        and integer_or_none(f"/sys/block/{name}/size") not in (None, 0)
    )


def collect_sample(*, at: float, disks: frozenset[str], exclude_interfaces: Sequence[str]) -> Sample:
    """Read all fast counters in one go."""
    return Sample(
        at=at,
        cpu=parse_cpu(content("/proc/stat")),
        vmstat=parse_pairs(content("/proc/vmstat")),
        blocks=parse_diskstats(content_or("/proc/diskstats"), whole=disks),
        interfaces=parse_interfaces(content_or("/proc/net/dev"), exclude=exclude_interfaces),
    )
