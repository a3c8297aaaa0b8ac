# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that stands still, and modules run as the runner runs them."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)


class Still(Clock):
    """The time that it was told, and seconds that count the looks at them."""

    def __init__(self, now: datetime = NOW) -> None:
        self.moment, self.looks = now, 0

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        self.looks += 1
        return float(self.looks)


@pytest.fixture
def still():
    return Still()


@pytest.fixture
def run_repair(tmp_path, still):
    """Run a repair of logs with its options' defaults, and state below the test's own folder."""

    def run(work, arguments, *, check=False, clock=None, **given):
        params = {
            **{name: spec.get("default") for name, spec in arguments.items()},
            "levels": {},
            "state_dir": str(tmp_path / "state"),
            "state_consumer": "default",
            "state_acknowledged": None,
            "deadline": None,
            **given,
        }
        return perform(
            work,
            params=params,
            check_mode=check,
            name="fleetcare.maintenance.repair",
            catalogue=CATALOGUE,
            repair=True,
            clock=clock or still,
        )

    return run
