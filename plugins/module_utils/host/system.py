# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine as a whole: boot, clock, handles, limits, and what waits for a restart.

Sources: man 2 adjtimex, man 5 proc_sys_fs, proc_sys_kernel, Documentation/admin-guide/cgroup-v2.rst,
needrestart's README.batch.md, Documentation/admin-guide/device-mapper/thin-provisioning.rst.
"""

from __future__ import annotations

import ctypes
import glob
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import command
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import (
    content,
    content_or,
    integer_or_none,
)

_STA_UNSYNC = 0x40
_STA_NANO = 0x2000
#: Those who let the kernel work the offset off, and so leave it where adjtimex shows it; for others it shows 0.
_TELLS_KERNEL = ("systemd-timesyncd", "ntpd")
_VERSION_PARTS = re.compile(r"\d+|[a-z]+")
_LEADING_FIGURES = re.compile(r"^[\d.+~-]+")
# el9_3, fc40, deb12u1, amzn2023: a newer minor release of the distribution is no other kind of kernel.
_DISTRIBUTION = re.compile(r"(?<![a-z])(?:el|fc|deb|bpo|amzn)\d\w*(?:\.\d+)*[.-]?")


@dataclass(frozen=True)
class Boot:
    """``id`` is new with every boot; ``uptime`` in seconds."""

    id: str
    uptime: float
    container: bool


@dataclass(frozen=True)
class ClockState:
    """The kernel clock: whether somebody disciplines it, how far it is off, and how sure that is, in seconds.

    ``offset`` is None where the one who keeps the time tells nobody.
    """

    synchronised: bool
    offset: float | None
    maximum_error: float
    daemon: str = ""


@dataclass(frozen=True)
class Limits:
    """What is in use of what may be had: file handles, and threads on the whole machine and in this control group."""

    handles: int
    handles_max: int
    threads: int
    threads_max: int
    group_threads: int | None = None
    group_threads_max: int | None = None


@dataclass(frozen=True)
class GroupMemory:
    """The memory limit of the container this runs in; bytes."""

    used: int
    limit: int


@dataclass(frozen=True)
class Reboot:
    """What asks for a reboot: the distribution's mark with packages, and kernels; times are when it began to."""

    marked: datetime | None
    packages: tuple[str, ...]
    running: str
    newest: str = ""
    newest_since: datetime | None = None


@dataclass(frozen=True)
class Needrestart:
    """needrestart's verdict: kernel and microcode states (1 current, 2 and 3 outdated, 0 unknown), services."""

    kernel: int
    microcode: int
    services: tuple[str, ...]


@dataclass(frozen=True)
class ThinPool:
    """A device-mapper thin pool, in percent of its data and metadata space."""

    name: str
    data: float
    metadata: float


class _Timeval(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("fraction", ctypes.c_long)]


class _Timex(ctypes.Structure):
    _fields_ = [
        ("modes", ctypes.c_uint), ("offset", ctypes.c_long), ("freq", ctypes.c_long), ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long), ("status", ctypes.c_int), ("constant", ctypes.c_long),
        ("precision", ctypes.c_long), ("tolerance", ctypes.c_long), ("time", _Timeval), ("tick", ctypes.c_long),
        ("ppsfreq", ctypes.c_long), ("jitter", ctypes.c_long), ("shift", ctypes.c_int), ("stabil", ctypes.c_long),
        ("jitcnt", ctypes.c_long), ("calcnt", ctypes.c_long), ("errcnt", ctypes.c_long), ("stbcnt", ctypes.c_long),
        ("tai", ctypes.c_int), ("reserved", ctypes.c_int * 11),
    ]  # fmt: skip


def collect_boot() -> Boot:
    """Boot id, uptime, and whether this is a container, whose kernel is somebody else's."""
    return Boot(
        id=content_or("/proc/sys/kernel/random/boot_id"),
        uptime=float(content("/proc/uptime").split()[0]),
        container=_in_container(),
    )


def _in_container() -> bool:
    # A machine made from a container's image still carries its marks; only a machine sees the kernel's threads.
    if content_or("/proc/2/comm").strip() == "kthreadd":
        return False
    if any(map(os.path.exists, ("/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/dev/lxc"))):
        return True
    environment = content_or("/proc/1/environ")
    return any(entry.startswith("container=") for entry in environment.split("\0"))


def collect_clock(names: Iterable[str]) -> ClockState:
    """Ask the kernel (no privilege needed), and chrony, which keeps its offset to itself. Raises Absent.

    ``names`` are the names of running processes, among which the time daemon is looked for.
    """
    timex = _Timex(modes=0)
    library = ctypes.CDLL(None, use_errno=True)
    if library.adjtimex(ctypes.byref(timex)) < 0:
        raise Absent(f"the kernel does not tell about its clock: {os.strerror(ctypes.get_errno())}")
    daemon = time_daemon(names)
    return ClockState(
        synchronised=not timex.status & _STA_UNSYNC,
        offset=_offset(daemon, timex.offset / (1e9 if timex.status & _STA_NANO else 1e6)),
        maximum_error=timex.maxerror / 1e6,
        daemon=daemon,
    )


def time_daemon(names: Iterable[str]) -> str:
    """The daemon among these process names that keeps time, empty for none."""
    # The kernel cuts a process's name after 15 characters.
    known = {"chronyd": "chronyd", "systemd-timesyn": "systemd-timesyncd", "ntpd": "ntpd", "openntpd": "openntpd",
             "ptp4l": "ptp4l", "phc2sys": "phc2sys"}  # fmt: skip
    return next((known[name] for name in names if name in known), "")


def _offset(daemon: str, told: float) -> float | None:
    """How far the clock is off by whoever knows it; ``told`` is what the kernel shows."""
    if daemon == "chronyd":
        return _chrony_offset()
    return told if daemon in _TELLS_KERNEL else None


def _chrony_offset() -> float | None:
    try:
        done = command.run(["chronyc", "-n", "-c", "tracking"], timeout=5.0)
    except MaintenanceError:
        return None
    return parse_chrony(done.stdout) if done.rc == 0 else None


def parse_chrony(text: str) -> float | None:
    """Seconds the system clock is off, by ``chronyc -c tracking``, whose fifth field it is."""
    fields = text.strip().split(",")
    try:
        return float(fields[4])
    except (IndexError, ValueError):
        return None


def collect_limits() -> Limits:
    """File handles and threads. Raises OSError."""
    handles = content("/proc/sys/fs/file-nr").split()
    ceilings = [integer_or_none(f"/proc/sys/kernel/{name}") for name in ("pid_max", "threads-max")]
    known = [ceiling for ceiling in ceilings if ceiling]
    if len(handles) != 3 or not known:
        raise Absent("the kernel's limits cannot be read from /proc/sys", status="unknown")
    group_max = _group_file("pids", "pids.max")
    group_now = _group_file("pids", "pids.current")
    return Limits(
        handles=int(handles[0]) - int(handles[1]),
        handles_max=int(handles[2]),
        threads=int(content("/proc/loadavg").split()[3].split("/")[1]),
        threads_max=min(known),
        group_threads=group_now if group_max else None,
        group_threads_max=group_max if group_now is not None else None,
    )


def _group_file(controller: str, name: str) -> int | None:
    """A figure of the control group that is the root for this container; None where it sets no limit."""
    for folder in ("/sys/fs/cgroup", f"/sys/fs/cgroup/{controller}"):
        figure = integer_or_none(f"{folder}/{name}")
        if figure is not None:
            return figure
    return None


def collect_group_memory(*, total: int) -> GroupMemory | None:
    """The limit of this container, None where it has none or one above the machine's memory (``total``, bytes)."""
    for limit_file, usage_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        limit, usage = integer_or_none(limit_file), integer_or_none(usage_file)
        if limit and usage is not None and limit < total:
            statistics = content_or(os.path.join(os.path.dirname(limit_file), "memory.stat"))
            reclaimable = re.search(r"^(?:total_)?inactive_file (\d+)$", statistics, re.MULTILINE)
            return GroupMemory(used=max(0, usage - int(reclaimable.group(1) if reclaimable else 0)), limit=limit)
    return None


def collect_reboot(*, container: bool) -> Reboot:
    """The distribution's mark, and whether a newer kernel of the running one's flavour lies installed."""
    packages = [line.strip() for line in content_or("/run/reboot-required.pkgs").splitlines() if line.strip()]
    running = os.uname().release
    newest = "" if container else newest_kernel(running, _installed_kernels())
    return Reboot(
        marked=_changed("/run/reboot-required"),
        packages=tuple(dict.fromkeys(packages)),
        running=running,
        newest=newest,
        newest_since=_changed(f"/lib/modules/{newest}") if newest else None,
    )


def _installed_kernels() -> list[str]:
    return [
        os.path.basename(folder)
        for folder in glob.glob("/lib/modules/*")
        if os.path.exists(f"/boot/vmlinuz-{os.path.basename(folder)}") or os.path.exists(f"{folder}/vmlinuz")
    ]


def _changed(path: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(os.stat(path).st_mtime, timezone.utc)
    except OSError:
        return None


def flavour(release: str) -> str:
    """What kind of kernel a release is, without figures and distribution marks: ``cloud-amd64``, ``generic``."""
    return _DISTRIBUTION.sub("", _LEADING_FIGURES.sub("", release))


def version_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts releases as people read them: figures as figures, and ``-rc1`` before the release itself."""
    parts = _VERSION_PARTS.findall(release.lower())
    return tuple((1, int(part), "") if part.isdigit() else (-1 if part == "rc" else 0, 0, part) for part in parts)


def newest_kernel(running: str, installed: Iterable[str]) -> str:
    """The newest installed kernel of the running one's flavour if it is newer than that, else empty."""
    rivals = [release for release in installed if flavour(release) == flavour(running)]
    newest = max(rivals, key=version_key, default="")
    return newest if newest and version_key(newest) > version_key(running) else ""


def collect_needrestart() -> Needrestart:
    """needrestart in batch mode, which only lists. Raises Absent."""
    if os.geteuid() != 0:
        raise Absent("needrestart only tells root", remedy="Run the check with become.")
    try:
        done = command.run(["needrestart", "-b", "-r", "l"], timeout=120.0)
    except command.CommandMissing as error:
        raise Absent(
            str(error), remedy="Install the package needrestart or leave the option needrestart off."
        ) from error
    except command.CommandUnfinished as error:
        raise Absent(str(error), status="unknown") from error
    if "NEEDRESTART-VER" not in done.stdout:
        raise Absent(f"needrestart failed: {done.first_error()}", status="unknown")
    return parse_needrestart(done.stdout)


def parse_needrestart(text: str) -> Needrestart:
    """The ``NEEDRESTART-KSTA:``, ``-UCSTA:`` and ``-SVC:`` lines of batch mode."""
    pairs = [line.partition(":")[::2] for line in text.splitlines() if line.startswith("NEEDRESTART-")]
    single = {key: value.strip() for key, value in pairs}
    return Needrestart(
        kernel=_state(single.get("NEEDRESTART-KSTA", "")),
        microcode=_state(single.get("NEEDRESTART-UCSTA", "")),
        services=tuple(value.strip() for key, value in pairs if key == "NEEDRESTART-SVC"),
    )


def _state(text: str) -> int:
    return int(text) if text.isdigit() else 0


def collect_thin_pools() -> tuple[ThinPool, ...]:
    """Every thin pool that LVM or the device mapper has set up. Raises Absent."""
    uuids = glob.glob("/sys/block/dm-*/dm/uuid")
    if not any(content_or(path).endswith("-tpool") for path in uuids):
        raise Absent("there is no thin pool on this host")
    if os.geteuid() != 0:
        raise Absent("only root may ask the device mapper", remedy="Run the check with become.")
    try:
        done = command.run(["dmsetup", "status", "--target", "thin-pool"], timeout=10.0)
    except command.CommandMissing as error:
        raise Absent(str(error), remedy="Install the package dmsetup.") from error
    except command.CommandUnfinished as error:
        raise Absent(str(error), status="unknown") from error
    if done.rc != 0:
        raise Absent(f"dmsetup failed: {done.first_error()}", status="unknown")
    return parse_thin_pools(done.stdout)


def parse_thin_pools(text: str) -> tuple[ThinPool, ...]:
    """``name: start length thin-pool transaction meta-used/meta-total data-used/data-total ...`` lines."""
    pools = []
    for line in text.splitlines():
        name, _colon, rest = line.partition(": ")
        fields = rest.split()
        if len(fields) >= 6 and fields[2] == "thin-pool":
            pools.append(ThinPool(name, data=_fraction(fields[5]), metadata=_fraction(fields[4])))
    return tuple(pools)


def _fraction(text: str) -> float:
    used, _slash, total = text.partition("/")
    return 100.0 * int(used) / int(total) if total.isdigit() and int(total) else 100.0
