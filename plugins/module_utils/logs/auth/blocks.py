# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall threw away, added up by source, port and direction; bounded like the logins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.event import source_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.firewall import Packet
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.tally import Few, Tally

SOURCES = 2000
PORTS = 2000


@dataclass
class Blocked:
    """Packets of one source, or to one port, and what they were to, or from."""

    packets: int = 0
    last: float = 0.0
    others: Few = field(default_factory=lambda: Few(100))

    def add(self, when: float, other: str, amount: int) -> None:
        self.packets += amount
        self.last = max(self.last, when)
        self.others.add(other, amount)


def _weight(entry: Blocked) -> tuple[float, float]:
    return (entry.packets, entry.last)


class Blocks:
    """``other`` are packets that a rule logged without saying that it blocks them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pattern = re.compile(settings.blocked)
        self.sources: Tally[str, Blocked] = Tally(Blocked, weight=_weight, capacity=SOURCES)
        self.ports: Tally[tuple[str, int], Blocked] = Tally(Blocked, weight=_weight, capacity=PORTS)
        self.outgoing: Tally[str, Blocked] = Tally(Blocked, weight=_weight, capacity=SOURCES)
        self.packets = 0
        self.outgoing_packets = 0
        self.other = 0
        self.allowed = 0
        self.other_prefixes = Few(20)
        self.first = 0.0

    def take(self, packet: Packet, when: float, amount: int = 1) -> None:
        """One logged packet, ``amount`` times over."""
        self.first = min(self.first or when, when)
        if not self._pattern.search(packet.prefix):
            self.other += amount
            self.other_prefixes.add(clean(packet.prefix, limit=40) or "(no prefix)", amount)
            return
        place = f"{packet.protocol}/{packet.port}" if packet.port else packet.protocol
        if packet.outgoing:
            self.outgoing_packets += amount
            target = f"[{packet.target}]" if ":" in packet.target else packet.target
            self.outgoing.at(clean(f"{target} {place}", limit=80)).add(when, packet.source, amount)
            return
        if self._settings.allows(packet.source):
            self.allowed += amount
            return
        self.packets += amount
        source = source_of(packet.source)
        self.sources.at(source).add(when, clean(place, limit=40), amount)
        self.ports.at((clean(packet.protocol, limit=20), packet.port)).add(when, source, amount)
