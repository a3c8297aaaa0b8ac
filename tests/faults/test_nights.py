# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two nights of the year that are an hour shorter and longer, lived through with the clock set for every process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import repair

CLOCK = Path(__file__).resolve().parents[1] / "shadow" / "clock"
BERLIN = "Europe/Berlin"


def set_clock(site, moment: str) -> None:
    """From ``moment`` (UTC) on, for controller and module alike."""
    site.environment.update(PYTHONPATH=str(CLOCK), CLOCK_STARTS_AT=f"{moment}+00:00", CLOCK_STARTED=str(time.time()))


@pytest.mark.parametrize(
    ("moment", "start", "end", "deadline"),
    [
        pytest.param("2026-03-29 00:58:00", "02:00", "03:00", None, id="spring: before the hour that is not there"),
        pytest.param("2026-03-29 01:05:00", "02:00", "03:00", None, id="spring: after the hour that is not there"),
        pytest.param("2026-03-29 01:05:00", "01:00", "04:00", "2026-03-29T02:00:00", id="spring: an hour is lost"),
        pytest.param("2026-10-25 00:30:00", "02:15", "03:30", "2026-10-25T02:30:00", id="autumn: the first time"),
        pytest.param("2026-10-25 01:30:00", "02:15", "03:30", "2026-10-25T02:30:00", id="autumn: the second time"),
        pytest.param("2026-10-25 02:35:00", "02:15", "03:30", None, id="autumn: over"),
    ],
)
def test_a_repair_keeps_to_its_window_in_the_nights_that_the_clocks_change(site, moment, start, end, deadline):
    set_clock(site, moment)
    site.variables["maintenance_windows"] = [{"name": "night", "start": start, "end": end, "timezone": BERLIN}]
    made = site.folder / "made"
    outcome = site.tasks(repair(files=[str(made)]))
    assert outcome.results("repair"), outcome.stdout + outcome.stderr
    (result,) = outcome.results("repair")
    assert made.exists() == (deadline is not None)
    if deadline is None:
        assert result["skip_reason"].startswith("outside every maintenance window; night opens ")
    else:
        assert result["deadline_given"].startswith(deadline)
    assert site.problems() == []
