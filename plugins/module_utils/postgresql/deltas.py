# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server's counters did between two runs, also where they began anew in between."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import iso
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Recalled


@dataclass(frozen=True)
class Grown:
    """How much each counter grew in ``seconds``; ``reset``: the counters began anew since the last run.

    ``seconds`` is 0 where the clock has been set back meanwhile, so that nobody knows.
    """

    by: Mapping[str, float]
    seconds: float
    reset: bool = False

    def __getitem__(self, name: str) -> float:
        return self.by[name]

    def rate(self, name: str) -> float:
        """Per second; two runs within the same second count as one. Raises Absent where it is not known."""
        if not self.seconds:
            raise Absent("the clock has been set back since the last run: the next one compares")
        return self.by[name] / max(1.0, self.seconds)


@dataclass(frozen=True)
class Counters:
    """Counters of one thing and when they were set to zero, as far as the server tells."""

    counts: Mapping[str, float]
    reset: datetime | None = None

    def plain(self) -> dict[str, Any]:
        """The counters as the next run gets them."""
        return {"counts": dict(self.counts), "reset": self._reset_text}

    def grown(self, past: object, *, recalled: Recalled, now: datetime) -> Grown | None:
        """What happened since ``past``, an entry of the last run; None where that did not know these counters."""
        then = past.get("counts") if isinstance(past, dict) else None
        if not isinstance(past, dict) or not isinstance(then, dict):
            return None
        if any(not isinstance(then.get(name), (int, float)) for name in self.counts):
            return None
        # After a crash the server starts from zero without saying when it did.
        began_anew = past.get("reset") != self._reset_text or any(
            value < then[name] for name, value in self.counts.items()
        )
        if not began_anew:
            return Grown({name: value - then[name] for name, value in self.counts.items()}, recalled.seconds(now))
        began = self.reset or recalled.at
        return Grown(dict(self.counts), max(0.0, (now - began).total_seconds()), reset=True)

    @property
    def _reset_text(self) -> str:
        return iso(self.reset) if self.reset else ""


def grown_by_name(current: Mapping[str, Counters], recalled: Recalled, *, now: datetime) -> dict[str, Grown]:
    """What each of several things did since the last run; those that are new since then are left out."""
    found = {
        name: counters.grown(recalled.data.get(name), recalled=recalled, now=now) for name, counters in current.items()
    }
    return {name: grown for name, grown in found.items() if grown is not None}


def plain_by_name(current: Mapping[str, Counters]) -> dict[str, Any]:
    """Several counters as the next run gets them."""
    return {name: counters.plain() for name, counters in current.items()}


def total(several: Iterable[Grown], name: str) -> float:
    """One counter of several things together."""
    return sum(grown[name] for grown in several)
