# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history.cadence import judge, parse_intervals
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import AT, DAY


def only(runs, **options):
    (judged,) = judge(runs, expected=options.pop("expected", {}), now=AT)
    return judged


@pytest.mark.parametrize(("days", "late"), [(0, False), (1, False), (1.4, False), (1.6, True), (9, True)])
def test_daily_run_is_late_after_a_day_and_a_half(days, late):
    assert only({"daily": [(int(AT - days * DAY), 14)]})["late"] is late


def test_missed_runs_are_counted():
    judged = only({"weekly": [(AT - 16 * DAY, 14), (AT - 23 * DAY, 14), (AT - 51 * DAY, 14)]})
    assert judged["late"]
    assert judged["missed"] == 4
    assert judged["summary"].startswith("last ran 16 d ago on 14 hosts, due every 7 d; 4 runs missed")


def test_a_cadence_that_never_ran_is_silent_unless_it_is_expected():
    assert judge({}, expected={}, now=AT) == []
    judged = only({}, expected={"weekly": 7.0})
    assert judged["late"]
    assert judged["age_seconds"] is None
    assert "never run" in judged["summary"]


def test_expected_interval_replaces_the_usual_one():
    assert not only({"daily": [(AT - 3 * DAY, 1)]}, expected={"daily": 7.0})["late"]


@pytest.mark.parametrize(
    "raw",
    [
        ["weekly"],
        {"hourly": 1},
        {"weekly": 0},
        {"weekly": 0.5},
        {"weekly": 3661},
        {"weekly": float("nan")},
        {"weekly": True},
        {"weekly": "often"},
    ],
)
def test_wrong_intervals_are_told(raw):
    with pytest.raises(OptionError, match="expected_cadences"):
        parse_intervals(raw, option="expected_cadences")
