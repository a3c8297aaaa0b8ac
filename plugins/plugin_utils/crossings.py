# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses that go from host to host: too slow to be noticed on any one of them, and plain on all of them together.

Every host tells of its busiest addresses (``sources`` of ``auth_log_review`` and ``access_log_review``). They are added
up one host at a time, in memory that grows neither with the fleet nor with those who knock at it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.fold import HostView

#: From so many hosts on an address is told: two may share a user who mistyped a password.
SEVERAL = 3
#: Addresses that are kept apart; at twice as many the half that was seen on the fewest hosts is let go.
CAPACITY = 50_000
_EXAMPLES = 5


@dataclass(slots=True)
class Crossing:
    """One address: on how many hosts, with failed logins, blocked packets and attacks in all; the first few hosts."""

    address: str
    hosts: int = 0
    failures: int = 0
    blocked: int = 0
    attacks: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def weight(self) -> tuple[int, int, int, int, str]:
        return (self.hosts, self.failures, self.attacks, self.blocked, self.address)


class Crossings:
    """The sums over the hosts of a run. ``let_go`` are addresses that were dropped on the way."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: dict[str, Crossing] = {}
        self.let_go = 0

    def add(self, view: HostView) -> None:
        """Take in what one host saw."""
        for address, (failures, blocked, attacks) in view.sources.items():
            crossing = self._known.get(address)
            if crossing is None:
                if len(self._known) >= 2 * self._capacity:
                    self._prune()
                crossing = self._known[address] = Crossing(address)
            crossing.hosts += 1
            crossing.failures += failures
            crossing.blocked += blocked
            crossing.attacks += attacks
            if len(crossing.examples) < _EXAMPLES:
                crossing.examples.append(view.host)

    def several(self, least: int = SEVERAL) -> list[Crossing]:
        """Those that were seen on ``least`` hosts or more, on the most hosts first."""
        found = (crossing for crossing in self._known.values() if crossing.hosts >= least)
        return sorted(found, key=lambda crossing: crossing.weight, reverse=True)

    def _prune(self) -> None:
        kept = sorted(self._known.values(), key=lambda crossing: crossing.weight, reverse=True)[: self._capacity]
        self.let_go += len(self._known) - len(kept)
        self._known = {crossing.address: crossing for crossing in kept}
