# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles that do not promise more than the samples hold.

The nearest-rank percentile is always a value that was really measured (NIST/SEMATECH e-Handbook, section 7.2.6.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99)


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest-rank percentile; ``percent`` from 1 to 100. Raises ValueError without values."""
    if not values or not 1 <= percent <= 100:
        raise ValueError(f"percentile {percent} of {len(values)} values")
    ordered = sorted(values)
    return ordered[math.ceil(percent * len(ordered) / 100) - 1]


def distribution(values: Sequence[float]) -> dict[str, float]:
    """``p50``, ``p90``, ``p95``, ``p99`` and ``max``; empty without values."""
    if not values:
        return {}
    ordered = sorted(values)
    spread = {f"p{percent}": ordered[math.ceil(percent * len(ordered) / 100) - 1] for percent in PERCENTILES}
    spread["max"] = ordered[-1]
    return spread


def is_maximum(amount: int, percent: int) -> bool:
    """Whether a percentile of so few samples is simply the largest of them."""
    return math.ceil(percent * amount / 100) >= amount
