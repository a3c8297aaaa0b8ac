# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the questions on an access log are asked of, and its figures by route."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.baseline import Verdicts
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.collect import Reviewed
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.heads import tellable
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.sketch import Sketch
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import Tally

PERCENTILES = (50, 90, 95, 99)


#: So many times as many paths are looked at as are told, for several may be told as one.
_FOLDED = 10


@dataclass
class Figures:
    """Requests of a route, or of all: by the first digit of their status, bytes sent, and times in seconds."""

    requests: int = 0
    sent: int = 0
    classes: dict[str, int] = field(default_factory=dict)
    times: Sketch = field(default_factory=Sketch)

    def share(self, digit: str) -> float:
        """Percentage of the requests whose status begins with the digit."""
        return 100 * self.classes.get(digit, 0) / self.requests if self.requests else 0.0


def figures_of(tally: Tally) -> tuple[Figures, dict[str, Figures]]:
    """All requests together, and those of each route."""
    total = Figures()
    routes: dict[str, Figures] = {}
    for (route, status), share in tally.shares.items():
        for one in (total, routes.setdefault(route, Figures())):
            one.requests += share.requests
            one.sent += share.sent
            one.classes[status[0]] = one.classes.get(status[0], 0) + share.requests
            one.times.merge(share.times)
    return total, routes


@dataclass
class LogView:
    """One log with its figures; ``verdicts`` are of the attacks that got a success status."""

    log: Reviewed
    verdicts: Verdicts
    total: Figures = field(default_factory=Figures)
    routes: dict[str, Figures] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.total, self.routes = figures_of(self.log.tally)

    @property
    def path(self) -> str:
        return self.log.path

    @property
    def tally(self) -> Tally:
        return self.log.tally

    def busiest(self, least: int) -> list[tuple[str, Figures]]:
        """Routes with at least so many requests, the busiest first."""
        chosen = [(route, one) for route, one in self.routes.items() if one.requests >= least]
        return sorted(chosen, key=lambda pair: (-pair[1].requests, pair[0]))

    def missing(self, most: int) -> list[tuple[str, int]]:
        """Paths that are not there, fit to be told, and how often each was asked for, the most wanted first."""
        together: Counter[str] = Counter()
        for raw, many in self.tally.missing.top(_FOLDED * most):
            together[tellable(raw.decode("utf-8", "replace"))] += many
        return together.most_common(most)


@dataclass(frozen=True)
class View(Words):
    """``sources`` are the findings on reading; ``mask`` hides the last part of addresses."""

    logs: Sequence[LogView]
    sources: Sequence[Finding]
    min_requests: int
    mask: bool

    def address(self, raw: Any) -> str:
        """An address as it is told."""
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
        return masked(text) if self.mask else text

    def with_requests(self) -> Iterator[LogView]:
        return (log for log in self.logs if log.total.requests)


def masked(text: str) -> str:
    """The network of an address: a /24, or a /48; what is no address is hidden whole."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return "***"
    return str(ipaddress.ip_network((address, 24 if address.version == 4 else 48), strict=False))


def told(counts: Sequence[tuple[Any, int]], view: View) -> list[str]:
    """``203.0.113.7: 12 requests`` for each, those of one masked network together."""
    together: dict[str, int] = {}
    for address, many in counts:
        name = view.address(address)
        together[name] = together.get(name, 0) + many
    return [f"{name}: {counted(many, 'request')}" for name, many in together.items()]
