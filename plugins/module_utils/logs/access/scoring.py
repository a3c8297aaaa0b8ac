# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What scoring may cost. Clients choose what is scored, and could choose what takes long; they cannot have all day."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access.attacks import (
    MAX_PARAMETERS,
    MAX_TARGET,
    NOTHING,
    Judge,
    Verdict,
)

#: Seconds of CPU that scoring may take, and how many more for each text: several times what an ordinary one takes.
SECONDS = 60.0
SECONDS_EACH = 0.0005


@dataclass
class Scorer:
    """A judge with a budget. ``unscored`` texts came when it was spent, ``shortened`` ones were not scored whole.

    ``clock`` gives seconds of CPU.
    """

    judge_of: Judge
    seconds: float = SECONDS
    clock: Callable[[], float] = time.process_time
    spent: float = 0.0
    scored: int = 0
    unscored: int = 0
    shortened: int = 0

    def judge(self, target: bytes, *, status: str, route: str = "", method: str = "GET") -> Verdict:
        """As ``Judge.judge``; nothing once the budget is spent."""
        if not self.judge_of.may_be_attack(target, method):
            return NOTHING
        self.shortened += len(target) > MAX_TARGET or target.count(b"&") >= MAX_PARAMETERS
        return self._within(lambda: self.judge_of.score(target, status=status, route=route, method=method))

    def judge_agent(self, agent: bytes) -> Verdict:
        """As ``Judge.judge_agent``; nothing once the budget is spent."""
        self.shortened += len(agent) > MAX_TARGET
        return self._within(lambda: self.judge_of.judge_agent(agent))

    def _within(self, work: Callable[[], Verdict]) -> Verdict:
        if self.spent > self.seconds + SECONDS_EACH * self.scored:
            self.unscored += 1
            return NOTHING
        began = self.clock()
        verdict = work()
        self.spent += self.clock() - began
        self.scored += 1
        return verdict
