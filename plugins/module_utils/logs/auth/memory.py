# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the review remembers between runs: bounded, aged out, and plain data for the state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import (
    address_of,
    network_of,
    source_of,
)

USERS = 500
NETWORKS = 50
ADDRESSES = 500
PORTS = 200
_DAY = 86400


class Memory:
    """Networks of each user (by the day they were last seen), failures of addresses, ports that were knocked at.

    ``data`` is what ``as_data`` gave on the last run, and may be damaged: what does not fit is left out.
    """

    def __init__(self, data: Mapping[str, Any], *, now: float, networks_days: int) -> None:
        self._today = int(now // _DAY)
        self._oldest = self._today - networks_days
        learned = data.get("learned")
        self.learned = isinstance(data.get("networks"), dict) and learned is not False
        self.networks: dict[str, dict[str, int]] = {}
        for user, known in _mapping(data.get("networks")).items():
            alive = {
                network: day for network, day in _mapping(known).items() if isinstance(day, int) and day >= self._oldest
            }
            if alive:
                self.networks[str(user)] = alive
        self._failures: dict[str, tuple[int, int, float]] = {}
        for address, entry in _mapping(data.get("failures")).items():
            known = address_of(str(address).partition("/")[0])
            if known and isinstance(entry, list) and len(entry) == 3 and all(map(_is_number, entry)):
                self._failures[source_of(known)] = (int(entry[0]), int(entry[1]), float(entry[2]))
        ports = data.get("ports")
        self.ports = {str(port) for port in ports} if isinstance(ports, list) else set()

    def meet(self, user: str, address: str, when: float) -> bool:
        """Take in a login; whether it is the first of this user from this network, and networks were known before."""
        day, network = int(when // _DAY) or self._today, network_of(address)
        known = self.networks.setdefault(user, {})
        new = network not in known
        known[network] = max(day, known.get(network, 0))
        if len(known) > NETWORKS:
            del known[min(known, key=known.__getitem__)]
        if len(self.networks) > 2 * USERS:
            self._prune()
        return new and self.learned

    def failures(self, address: str, *, since: float) -> tuple[int, int]:
        """Failures by password and by key that earlier runs saw of an address after ``since``."""
        passwords, keys, last = self._failures.get(address, (0, 0, 0.0))
        return (passwords, keys) if last >= since else (0, 0)

    def forgive(self, address: str) -> None:
        """Forget the failures of an address: it has succeeded, and that was told."""
        self._failures.pop(address, None)

    def add_failures(self, counted: Iterable[tuple[str, int, int, float]], *, since: float) -> None:
        """Add what this run counted, and let go what is older than ``since`` or too little to be kept."""
        alive = {address: entry for address, entry in self._failures.items() if entry[2] >= since}
        for address, passwords, keys, last in counted:
            before = alive.get(address, (0, 0, 0.0))
            alive[address] = (before[0] + passwords, before[1] + keys, max(before[2], last))
        heaviest = sorted(alive.items(), key=lambda pair: (pair[1][0] + pair[1][1], pair[1][2]), reverse=True)
        self._failures = dict(heaviest[:ADDRESSES])

    def as_data(self, *, learned: bool = True) -> dict[str, Any]:
        """Plain data for the state. ``learned`` is whether this run has seen who logs in here."""
        self._prune()
        return {
            "learned": self.learned or learned,
            "networks": self.networks,
            "failures": {address: list(entry) for address, entry in self._failures.items()},
            "ports": sorted(self.ports)[:PORTS],
        }

    def _prune(self) -> None:
        newest = sorted(self.networks.items(), key=lambda pair: max(pair[1].values()), reverse=True)
        self.networks = dict(newest[:USERS])


def _mapping(raw: object) -> Mapping[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _is_number(raw: object) -> bool:
    return isinstance(raw, (int, float)) and not isinstance(raw, bool) and math.isfinite(raw)
