# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole of ``host_check``: options, one look, all questions, and the memory for the next run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.arguments import require_between
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import answer, parts_for
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.collect import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.questions import QUESTIONS, remember
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings, View

MOUNTS_EXCLUDE = [
    "/proc/*",
    "/sys/*",
    "/run/credentials/*",
    "/run/user/*",
    "/run/docker/*",
    "/run/containerd/*",
    "/snap/*",
    "/var/lib/docker/*",
    "/var/lib/containers/*",
    "/var/lib/kubelet/*",
]
INTERFACES_EXCLUDE = [
    "lo",
    "ifb*",
    "veth*",
    "docker*",
    "br-*",
    "virbr*",
    "vnet*",
    "tap*",
    "cali*",
    "cni*",
    "flannel*",
    "lxc*",
    "podman*",
]

ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "sample_seconds": {"type": "float", "default": 1.0},
    "mounts_exclude": {"type": "list", "elements": "str", "default": MOUNTS_EXCLUDE},
    "mounts_timeout": {"type": "float", "default": 5.0},
    "reference_size": {"type": "bytes", "default": "20G"},
    "magic": {"type": "float", "default": 0.8},
    "free_enough": {"type": "bytes", "default": "0"},
    "free_floor": {"type": "bytes", "default": "256M"},
    "interfaces_exclude": {"type": "list", "elements": "str", "default": INTERFACES_EXCLUDE},
    "units_exclude": {"type": "list", "elements": "str", "default": []},
    "needrestart": {"type": "bool", "default": False},
}


def check(context: Context) -> Result:
    """Look at the host and answer the chosen checks."""
    settings = read_settings(context.params)
    snapshot = collect(
        parts_for(QUESTIONS, context.checks), settings=settings, clock=context.clock, memory=context.memory
    )
    view = View(
        host=snapshot,
        memory=context.memory,
        settings=settings,
        catalogue=context.catalogue,
        book=context.book,
    )
    findings, metrics = answer(view, QUESTIONS, context.checks, item="host")
    return Result(findings=findings, metrics=metrics, memory=remember(snapshot, context.memory))


#: Least and largest value of every figure, and what it should be in words.
_LIMITS: Mapping[str, tuple[float, float, str]] = {
    "sample_seconds": (0.1, 60.0, "seconds from 0.1 to 60"),
    "mounts_timeout": (0.1, 300.0, "seconds from 0.1 to 300"),
    "magic": (0.01, 1.0, "a factor above 0 (at least 0.01) and up to 1"),
    "reference_size": (1024**2, 2**60, "a size of at least 1M"),
    "free_enough": (0, 2**60, "a size such as 100G, or 0"),
    "free_floor": (0, 2**60, "a size such as 256M, or 0"),
}


def read_settings(params: Mapping[str, Any]) -> Settings:
    """The module's own options, each refused in one sentence where it makes no sense. Raises OptionError."""
    for option, (least, most, expected) in _LIMITS.items():
        require_between(params[option], least, most, option=option, expected=expected)
    return Settings(
        sample_seconds=params["sample_seconds"],
        mounts_exclude=tuple(params["mounts_exclude"]),
        mounts_timeout=params["mounts_timeout"],
        reference_size=params["reference_size"],
        magic=params["magic"],
        free_enough=params["free_enough"],
        free_floor=params["free_floor"],
        interfaces_exclude=tuple(params["interfaces_exclude"]),
        units_exclude=tuple(params["units_exclude"]),
        needrestart=params["needrestart"],
    )
