# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles from bounded memory: counts in buckets that grow by a constant factor.

The idea is DDSketch's (Masson, Rim, Lee; VLDB 2019): the value that is given for a percentile is within ``ERROR`` of
one that was measured at that rank, whatever the distribution, and two sketches add up without loss.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

#: Relative error of every percentile: 1 %.
ERROR = 0.01
_GAMMA = (1 + ERROR) / (1 - ERROR)
_STEP = math.log(_GAMMA)
#: Below a microsecond, and below a byte, everything is nothing.
LEAST = 1e-6
_NOTHING = -(10**6)


def key(value: float) -> int:
    """The bucket of a value: the least ``k`` with ``value <= gamma ** k``."""
    return math.ceil(math.log(value) / _STEP) if value >= LEAST else _NOTHING


def value_of(bucket: int) -> float:
    """The value that stands for a bucket, within ``ERROR`` of everything in it."""
    return 0.0 if bucket == _NOTHING else 2 * math.exp(bucket * _STEP) / (_GAMMA + 1)


class Sketch:
    """How often each bucket was met."""

    __slots__ = ("buckets",)

    def __init__(self, buckets: Mapping[int, int] | None = None) -> None:
        self.buckets: Counter[int] = Counter(buckets or {})

    def __len__(self) -> int:
        return sum(self.buckets.values())

    def add(self, value: float, times: int = 1) -> None:
        self.buckets[key(value)] += times

    def merge(self, other: Sketch) -> None:
        self.buckets.update(other.buckets)

    def percentile(self, share: float) -> float:
        """The nearest-rank percentile: the value at rank ``ceil(share / 100 * n)``. Zero of an empty sketch."""
        rank, seen = max(1, math.ceil(share / 100 * len(self))), 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return value_of(bucket)
        return 0.0

    def percentiles(self, shares: Iterable[float]) -> list[float]:
        return [self.percentile(share) for share in shares]
