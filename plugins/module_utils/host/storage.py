# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions about file systems: how full, whether writable, whether sound, whether there at all."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, given
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.mounts import FstabEntry
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings, View

#: However small a file system is, its levels are scaled down no further than to this.
_LOWEST_PERCENT = 70.0
#: A floor of free bytes must not swallow a small file system: it is never more than this share of the size.
_FLOOR_SHARE = 0.1
_NOT_AT_BOOT = ("noauto", "x-systemd.automount", "comment=systemd.automount")


def scaled(base: Levels, *, size: int, settings: Settings) -> Levels:
    """Levels of used space in percent for a file system of ``size`` bytes.

    What may stay free shrinks with growing size: ``free% = (100 - level) * (size / reference_size) ** (magic - 1)``,
    so with ``magic`` 1 nothing is scaled. A level never falls below 70 %, is not reached while ``free_enough``
    bytes are free, and is reached at the latest when fewer than ``free_floor`` bytes (at most a tenth) are.
    """
    factor = (size / settings.reference_size) ** (settings.magic - 1.0)
    floor = min(settings.free_floor, size * _FLOOR_SHARE)

    def moved(level: float | None) -> float | None:
        if level is None:
            return None
        percent = max(min(level, _LOWEST_PERCENT), 100.0 - (100.0 - level) * factor)
        if settings.free_enough:
            percent = max(percent, 100.0 * (1.0 - settings.free_enough / size))
        return round(min(percent, 100.0 * (1.0 - floor / size)), 1)

    return Levels(moved(base.info), moved(base.warning), moved(base.critical), base.direction, base.runs)


def disk_bytes(view: View) -> Iterator[Answer]:
    check = "host.disk_bytes"
    for system in given(view.host.file_systems).mounted:
        point, space = system.mount.point, system.space
        if isinstance(space, Absent):
            yield view.state(check, point, space.status, space.message, remedy=space.remedy)
            continue
        if system.mount.read_only:
            yield view.state(check, point, "ok", f"{point} is mounted read-only and cannot run full")
            continue
        base = view.catalogue[check].levels or Levels()
        levels = base if view.book.sets_limits(check, point) else scaled(base, size=space.size, settings=view.settings)
        reserve = f", {quantity(space.reserved, 'B')} more reserved for root" if space.reserved else ""
        yield from view.measure(
            check,
            point,
            space.used_percent,
            f"{point} in use",
            levels=levels,
            note=f"{quantity(space.available, 'B')} of {quantity(space.size, 'B')} free{reserve}",
        )
        yield Metric("host.disk_size", point, space.size, "B")
        yield Metric("host.disk_available", point, space.available, "B")
        yield Metric("host.disk_reserved", point, space.reserved, "B")


def disk_inodes(view: View) -> Iterator[Answer]:
    check = "host.disk_inodes"
    for system in given(view.host.file_systems).mounted:
        point, space = system.mount.point, system.space
        if isinstance(space, Absent):
            yield view.state(check, point, space.status, space.message, remedy=space.remedy)
        elif not space.inodes:
            yield view.state(check, point, "ok", f"{point} ({system.mount.kind}) makes inodes as it needs them")
        elif system.mount.read_only:
            yield view.state(check, point, "ok", f"{point} is mounted read-only and needs no new inodes")
        else:
            yield from view.measure(
                check,
                point,
                space.inodes_used_percent,
                f"inodes of {point} in use",
                note=f"{space.inodes_free} of {space.inodes} free",
            )


def disk_readonly(view: View) -> Iterator[Answer]:
    check = "host.disk_readonly"
    systems = given(view.host.file_systems)
    intended = {entry.point: entry for entry in systems.fstab}
    for system in systems.mounted:
        mount = system.mount
        entry = intended.get(mount.point)
        if mount.super_read_only and not mount.read_only:
            yield view.state(
                check,
                mount.point,
                "critical",
                f"{mount.point} was mounted writable, but its file system has turned read-only",
                evidence=[f"{mount.source} ({mount.kind})", *system.error_evidence],
            )
        elif mount.read_only and entry and "ro" not in entry.options:
            yield view.state(
                check,
                mount.point,
                "critical",
                f"{mount.point} is read-only although /etc/fstab wants it writable",
                evidence=[f"{mount.source} ({mount.kind})", f"fstab: {','.join(entry.options)}"],
            )
        else:
            intent = (
                "as /etc/fstab wants it" if entry else "and not by /etc/fstab, so whether it should be is not known"
            )
            word = f"read-only, {intent}" if mount.read_only else "writable"
            yield view.state(check, mount.point, "ok", f"{mount.point} is {word}")


def disk_errors(view: View) -> Iterator[Answer]:
    counted = [system for system in given(view.host.file_systems).mounted if system.errors is not None]
    if not counted:
        raise Absent("none of the file systems here keeps count of its errors (ext4 and btrfs do)")
    for system in counted:
        yield from view.measure(
            "host.disk_errors",
            system.mount.point,
            system.errors or 0,
            f"errors that {system.mount.kind} has recorded on {system.mount.point}",
            evidence=system.error_evidence,
        )


def disk_mounted(view: View) -> Iterator[Answer]:
    check = "host.disk_mounted"
    if view.host.boot.container:
        raise Absent("a container's file systems are mounted by its engine, not by /etc/fstab")
    systems = given(view.host.file_systems)
    expected = [entry for entry in systems.fstab if _at_boot(entry)]
    missing = [entry for entry in expected if entry.point not in systems.points]
    for entry in missing:
        yield view.state(
            check,
            entry.point,
            "warning" if "nofail" in entry.options else "critical",
            f"{entry.point} stands in /etc/fstab but is not mounted",
            evidence=[f"{entry.source} ({entry.kind}), options {','.join(entry.options)}"],
        )
    if not missing:
        yield view.state(check, "/etc/fstab", "ok", f"all {len(expected)} file systems of /etc/fstab are mounted")


def thin_pool(view: View) -> Iterator[Answer]:
    for pool in given(view.host.thin_pools):
        for what, percent in (("data", pool.data), ("metadata", pool.metadata)):
            item = f"{pool.name} {what}"
            yield from view.measure("host.thin_pool", item, percent, f"{what} space of thin pool {pool.name} in use")


def _at_boot(entry: FstabEntry) -> bool:
    return entry.kind not in ("swap", "none", "ignore") and not any(word in entry.options for word in _NOT_AT_BOOT)
