# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far in time each source was read, for a rate is a count over the time that it covers and not over that of a run.

After an outage the lines of a week are read at once; where the budget was spent, the lines of an hour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import parse_time
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError


@dataclass(frozen=True)
class Covered:
    """One reading of one source: from when to when (Unix seconds), with failed logins and blocked packets."""

    since: float
    until: float
    failures: int = 0
    packets: int = 0

    @property
    def hours(self) -> float:
        """At least one: a count of minutes says nothing of an hour."""
        return max(1.0, (self.until - self.since) / 3600)


def together(covered: Sequence[Covered], *, now: float) -> Covered:
    """What several readings cover as a whole."""
    if not covered:
        return Covered(now, now)
    return Covered(
        min(one.since for one in covered),
        max(one.until for one in covered),
        sum(one.failures for one in covered),
        sum(one.packets for one in covered),
    )


class Progress:
    """Until when each source was read by earlier runs and by this one; ``begin`` is where a first reading begins."""

    def __init__(self, remembered: Mapping[str, Any], *, now: float, begin: float) -> None:
        self._now = now
        self._begin = begin
        self._until: dict[str, float] = {}
        known = remembered.get("until")
        for source, until in known.items() if isinstance(known, dict) else ():
            if isinstance(until, (int, float)) and not isinstance(until, bool) and math.isfinite(until):
                self._until[str(source)] = min(float(until), now)
        # What an earlier release remembered for all sources together.
        self._at = _seconds(remembered.get("at")) if not isinstance(known, dict) else 0.0
        self.covered: list[Covered] = []

    def until(self, sources: Iterable[str]) -> float:
        """The latest moment until which any of these was read; 0 where none was."""
        return max((self._until.get(source, 0.0) for source in sources), default=0.0)

    def add(
        self, source: str, *, known: bool, times: Sequence[float], whole: bool, failures: int, packets: int
    ) -> None:
        """A source was read, of which ``times`` are the first and the last line's; ``whole``: to its end.

        Lines bear the times that their senders chose, so they move the span only where nothing better is known.
        """
        since = self._until.get(source) or (min(self._at, self._now) if known else 0.0)
        if not since:
            since = min(max(self._begin, min(times)), self._now) if times else self._begin
        until = self._now if whole else max(since, min(self._now, max(times, default=since)))
        self._until[source] = until
        self.covered.append(Covered(since, until, failures, packets))

    def as_data(self, sources: Iterable[str]) -> dict[str, float]:
        """Plain data for the state, of the sources that are still known."""
        return {source: self._until[source] for source in sources if source in self._until}


def _seconds(stamp: object) -> float:
    try:
        return parse_time(str(stamp), option="at").timestamp() if stamp else 0.0
    except (MaintenanceError, ValueError, OverflowError):
        return 0.0
