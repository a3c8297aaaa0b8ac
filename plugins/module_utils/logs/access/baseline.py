# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sizes a route's answers have, from this run and those before, and whether an attack's answer is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.sketch import Sketch
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.tally import Answered, Share

#: Ordinary answers below which a route has no baseline, and routes that are remembered.
LEAST_ANSWERS = 30
MAX_ROUTES = 500
#: How far a remembered edge moves towards that of this run; what a run has seen always lies within.
_LEARN = 0.2
#: Beyond the edges: a tenth, and what a date or a name more makes of a page.
_TOLERANCE = 0.1
_SLACK = 64
#: Different places that answered attacks with one and the same size: a page for everything that is not known.
_CATCH_ALL = 3
#: Classes whose success is to have got what no route of the application gives away.
_EXPOSING = frozenset({"file", "traversal", "upload"})


@dataclass(frozen=True)
class Range:
    """Answers seen, and their sizes in bytes: the first and the 99th percentile."""

    answers: int
    low: float
    high: float

    def holds(self, size: int) -> bool:
        return self.low * (1 - _TOLERANCE) - _SLACK <= size <= self.high * (1 + _TOLERANCE) + _SLACK


@dataclass
class Baselines:
    """The ranges by route."""

    ranges: dict[str, Range] = field(default_factory=dict)

    @classmethod
    def from_memory(cls, raw: object) -> Baselines:
        """What ``as_memory`` gave; what does not fit is left out."""
        made = cls()
        if isinstance(raw, Mapping):
            for route, entry in raw.items():
                if isinstance(entry, list) and len(entry) == 3 and all(isinstance(one, (int, float)) for one in entry):
                    made.ranges[str(route)] = Range(int(entry[0]), float(entry[1]), float(entry[2]))
        return made

    def learn(self, shares: Mapping[tuple[str, str], Share]) -> None:
        """Take in the ordinary answers of a run."""
        sizes: dict[str, Sketch] = {}
        for (route, status), share in shares.items():
            if status[0] == "2" and share.sizes.buckets:
                sizes.setdefault(route, Sketch()).merge(share.sizes)
        for route, sketch in sizes.items():
            now = Range(len(sketch), sketch.percentile(1), sketch.percentile(99))
            before = self.ranges.get(route)
            self.ranges[route] = now if before is None else _moved(before, now)

    def as_memory(self) -> dict[str, list[float]]:
        """Plain data for the state: the routes with the most answers."""
        kept = sorted(self.ranges.items(), key=lambda pair: -pair[1].answers)[:MAX_ROUTES]
        return {route: [one.answers, round(one.low, 1), round(one.high, 1)] for route, one in kept}

    def of(self, route: str) -> Range | None:
        """The range of a route that was answered often enough."""
        known = self.ranges.get(route)
        return known if known and known.answers >= LEAST_ANSWERS else None


def _moved(before: Range, now: Range) -> Range:
    return Range(
        min(before.answers, 1_000_000) + now.answers,
        min(now.low, before.low + _LEARN * (now.low - before.low)),
        max(now.high, before.high + _LEARN * (now.high - before.high)),
    )


@dataclass
class Verdicts:
    """Attacks that got a success status, by what their size says: unusual, usual, or nothing for want of a baseline."""

    possible: list[Answered] = field(default_factory=list)
    usual: int = 0
    unjudged: list[Answered] = field(default_factory=list)


def judge(answered: Iterable[Answered], baselines: Baselines) -> Verdicts:
    """Hold each answer against its route's ordinary ones."""
    verdicts = Verdicts()
    unknown: list[Answered] = []
    for one in answered:
        known = baselines.of(one.route)
        if known is None:
            unknown.append(one)
        elif known.holds(one.size):
            verdicts.usual += 1
        else:
            verdicts.possible.append(one)
    by_size: dict[int, set[str]] = {}
    for one in unknown:
        by_size.setdefault(one.size, set()).add(one.place)
    for one in unknown:
        if len(by_size[one.size]) >= _CATCH_ALL or one.size == 0:
            verdicts.usual += 1
        elif one.kind in _EXPOSING:
            verdicts.possible.append(one)
        else:
            verdicts.unjudged.append(one)
    return verdicts
