# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reviews of a log, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import COMMON_ARGUMENTS, perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import ARGUMENTS

Review = Callable[..., dict[str, Any]]


class Hours(Clock):
    """A clock that goes on by a day with every review."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, tzinfo=timezone.utc)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "app.log"
    path.parent.mkdir()
    path.write_text("")
    return path


@pytest.fixture
def review(tmp_path: Path, log: Path) -> Review:
    """Review the log of the test with some options, a day later than the last time."""
    clock = Hours()

    def run(*, check_mode: bool = False, state: Path | None = None, hours: int = 24, **given: Any) -> dict[str, Any]:
        clock.moment += timedelta(hours=hours)
        spec = {**COMMON_ARGUMENTS, "checks": {"default": []}, **ARGUMENTS}
        params = {name: option.get("default") for name, option in spec.items()}
        params.update({"files": [str(log)], "state_dir": str(state or tmp_path / "state"), **given})
        return perform(
            check,
            params=params,
            check_mode=check_mode,
            name="log_review",
            catalogue=CATALOGUE,
            repair=False,
            clock=clock,
        )

    return run
