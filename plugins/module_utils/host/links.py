# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces beyond their counters: link, speed, duplex (Documentation/ABI/testing/sysfs-class-net)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.reading import content_or, integer_or_none

_IFF_UP = 0x1


@dataclass(frozen=True)
class Link:
    """One interface. ``speed`` in Mb/s and ``duplex`` are None where the driver does not tell."""

    name: str
    physical: bool
    up: bool
    carrier: bool | None
    carrier_changes: int | None
    speed: int | None
    duplex: str | None
    master: str = ""


def collect_links(names: Iterable[str]) -> dict[str, Link]:
    """The links of these interfaces, by name."""
    return {name: _read(name) for name in names if os.path.isdir(f"/sys/class/net/{name}")}


def _read(name: str) -> Link:
    folder = f"/sys/class/net/{name}"
    carrier = integer_or_none(f"{folder}/carrier")
    speed = integer_or_none(f"{folder}/speed")
    duplex = content_or(f"{folder}/duplex")
    master = f"{folder}/master"
    return Link(
        name=name,
        physical=os.path.exists(f"{folder}/device"),
        up=bool(_flags(folder) & _IFF_UP),
        carrier=None if carrier is None else bool(carrier),
        carrier_changes=integer_or_none(f"{folder}/carrier_changes"),
        speed=speed if speed is not None and speed > 0 else None,
        duplex=duplex if duplex in ("full", "half") else None,
        master=os.path.basename(os.path.realpath(master)) if os.path.islink(master) else "",
    )


def _flags(folder: str) -> int:
    try:
        return int(content_or(f"{folder}/flags", "0"), 16)
    except ValueError:
        return 0
