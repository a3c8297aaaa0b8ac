# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user wants of the review, checked."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Union

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class Settings:
    """``span`` is the seconds within which failures are one burst, ``networks_days`` how long a network is known."""

    span: float = 600.0
    networks_allowed: tuple[Network, ...] = ()
    users_allowed: tuple[str, ...] = ()
    networks_days: int = 90
    blocked: str = ""

    def allows(self, address: str, user: str = "") -> bool:
        """Whether nothing that this address or user does is judged."""
        if user and any(fnmatchcase(user, glob) for glob in self.users_allowed):
            return True
        return bool(address and self.networks_allowed) and _within(address, self.networks_allowed)


@lru_cache(maxsize=4096)
def _within(address: str, networks: tuple[Network, ...]) -> bool:
    parsed = ipaddress.ip_address(address)
    return any(parsed.version == network.version and parsed in network for network in networks)


def read_networks(values: Sequence[str], *, option: str) -> tuple[Network, ...]:
    """Addresses and networks as the user wrote them. Raises OptionError for the first that is neither."""
    networks: list[Network] = []
    for at, value in enumerate(values):
        try:
            networks.append(ipaddress.ip_network(value.strip(), strict=False))
        except ValueError:
            raise OptionError(f"{option}[{at}]", value, "an address or a network such as 192.0.2.0/24") from None
    return tuple(networks)
