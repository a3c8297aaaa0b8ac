# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the questions on logins and on the firewall are asked of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.progress import Covered, together
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings

#: What is counted over time, by its name in ``Covered``.
Counted = Literal["failures", "packets"]


@dataclass(frozen=True)
class View(Words):
    """``covered`` says of each source over which time it was read; ``now`` is in Unix seconds.

    ``logins`` and ``kernel`` are what was added up, or why nothing could be.
    """

    settings: Settings
    logins: Reading[Review]
    kernel: Reading[Blocks]
    sources: Sequence[Finding]
    listeners: Sequence[Listener]
    covered: Sequence[Covered]
    now: float

    def over(self, counted: Counted) -> Covered:
        """The time over which something was counted: that of the sources that told of it, or of all where none did."""
        told = [one for one in self.covered if getattr(one, counted)]
        return together(told or self.covered, now=self.now)

    def rate(self, counted: Counted, number: int) -> float:
        """How often an hour; each source counts over its own time, and what none of them brought over that of all."""
        parts = [(getattr(one, counted), one.hours) for one in self.covered]
        rest = number - sum(amount for amount, _hours in parts)
        return round(sum(amount / hours for amount, hours in parts) + rest / self.over(counted).hours, 2)

    def spanned(self, counted: Counted) -> str:
        """``in 23 h 59 min``."""
        over = self.over(counted)
        return f"in {duration(max(1, round(over.until - over.since)))}"
