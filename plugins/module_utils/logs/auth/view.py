# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the questions on logins and on the firewall are asked of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Listener
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Words
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Reading
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import duration
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.blocks import Blocks
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.review import Review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.settings import Settings


@dataclass(frozen=True)
class View(Words):
    """``since`` is where the span of this review begins and ``now`` where it ends, in Unix seconds.

    ``logins`` and ``kernel`` are what was added up, or why nothing could be.
    """

    settings: Settings
    logins: Reading[Review]
    kernel: Reading[Blocks]
    sources: Sequence[Finding]
    listeners: Sequence[Listener]
    since: float
    now: float

    @property
    def hours(self) -> float:
        """The hours that were looked at, at least one: a count of minutes says nothing of an hour."""
        return max(1.0, (self.now - self.since) / 3600)

    @property
    def spanned(self) -> str:
        """``in 23 h 59 min``."""
        return f"in {duration(max(1, round(self.now - self.since)))}"
