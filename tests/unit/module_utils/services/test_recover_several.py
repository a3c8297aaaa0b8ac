# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several units in one run: the window they share, and those that need each other."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.services.conftest import (
    APP,
    BAD,
    DB,
    GOOD,
    START,
    Fake,
    Frozen,
    app,
    hanging,
    shown,
    status,
)

WEB = "tcp 127.0.0.1:443"


class TwoHanging(Fake):
    """A restart cures the restarted one alone, and takes ``seconds`` of the clock."""

    def __init__(self, clock, *, seconds=0):
        super().__init__(shown("app.service"), shown("web.service"), answers={APP: [BAD], WEB: [BAD]})
        self.clock, self.seconds = clock, seconds

    def act(self, verb, unit, *, timeout):
        self.clock.sleep(self.seconds)
        self.done.append((verb, unit))
        self.answers[APP if unit == "app.service" else WEB] = [GOOD]


@pytest.mark.parametrize(("seconds", "planned"), [(0, 0), (12, 0), (130, 0), (140, 1)])
def test_a_window_that_closes_too_soon(attempt, seconds, planned):
    deadline = (START + timedelta(seconds=seconds)).isoformat()
    world = hanging()
    result = attempt(world, deadline=deadline, verify_seconds=10.0)
    assert (len(result["plan"]), len(world.done), len(result["kept"])) == (planned, planned, 1 - planned)


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("seconds", "planned"), [(263, 1), (264, 2)])
def test_a_plan_holds_only_what_fits_into_the_window_one_after_the_other(attempt, check, seconds, planned):
    # 4 s of listening, and twice 120 s for systemd and 10 s for the proof.
    deadline = (START + timedelta(seconds=seconds)).isoformat()
    clock = Frozen()
    web = {"name": "web", "probe": {"port": 443}}
    result = attempt(TwoHanging(clock), app(), web, check=check, deadline=deadline, clock=clock)
    assert [step["target"] for step in result["plan"]] == ["app.service", "web.service"][:planned]
    assert [one["target"] for one in result["kept"]] == ["app.service", "web.service"][planned:]
    if planned == 1:
        assert result["kept"][0]["reason"] == (
            "4 min 19 s is left until the deadline, of which the steps before it may take 2 min 10 s; "
            "the restart may take 2 min, and the proof 10 s"
        )
    if not check:
        assert [step["target"] for step in result["applied"]] == [step["target"] for step in result["plan"]]


def test_a_step_whose_time_the_steps_before_it_have_used_up_is_not_begun(attempt):
    clock = Frozen()
    world = TwoHanging(clock, seconds=150)
    deadline = (START + timedelta(seconds=264)).isoformat()
    result = attempt(world, app(), {"name": "web", "probe": {"port": 443}}, clock=clock, deadline=deadline)
    assert len(result["plan"]) == 2
    assert world.done == [("restart", "app.service")]
    assert result["kept"] == [
        {
            "target": "web.service",
            "reason": "restart was planned, but it may take 2 min 10 s, and 1 min 48 s is left until the deadline",
        }
    ]
    assert status(result, "web.service") == "critical"


def test_what_came_back_by_itself_while_another_was_restarted_is_left_alone(attempt):
    two = [app(), {"name": "web", "probe": {"port": 5432}}]
    world = Fake(shown("app.service"), shown("web.service"), answers={APP: [BAD], DB: [BAD]})
    planned = attempt(world, *two, check=True)
    result = attempt(world, *two)
    assert [step["target"] for step in planned["plan"]] == ["app.service", "web.service"]
    assert result["plan"] == planned["plan"]
    assert world.done == [("restart", "app.service")]
    assert result["kept"] == [
        {"target": "web.service", "reason": "restart was planned, but it answers again by itself: yes"}
    ]
    assert (status(result, "app.service"), status(result, "web.service")) == ("warning", "warning")
    assert "web.service" not in attempt.ledger.read()


def test_what_a_fault_of_ours_cut_off_is_not_blamed_on_the_window(attempt):
    two = [app(), {"name": "web", "probe": {"port": 5432}}]
    world = Fake(shown("app.service"), shown("web.service"), answers={APP: [BAD], DB: [BAD]}, error=RuntimeError("x"))
    result = attempt(world, *two)
    (finding,) = [one for one in result["findings"] if one["item"] == "web.service"]
    assert finding["status"] == "critical"
    assert "a fault of the module (RuntimeError) stopped the run" in finding["summary"]


DATABASE = {"name": "db", "probe": {"port": 5432}}


def test_the_database_is_restarted_first_and_the_application_looked_at_again(attempt):
    world = Fake(shown("app.service"), shown("db.service"), answers={APP: [BAD], DB: [BAD]})
    result = attempt(world, app({"unit": "db"}), DATABASE)
    assert world.done == [("restart", "db.service")]
    assert [step["target"] for step in result["plan"]] == ["db.service"]
    assert [kept["target"] for kept in result["kept"]] == ["app.service"]
    assert status(result) == "warning"
    assert attempt(world, app({"unit": "db"}), DATABASE)["changed"] is False


def test_an_application_that_stays_down_after_its_database_came_back_is_critical(attempt):
    world = Fake(
        shown("app.service"), shown("db.service"), answers={APP: [BAD], DB: [BAD, BAD, BAD, GOOD]}, cures=False
    )
    result = attempt(world, app({"unit": "db"}), DATABASE)
    assert [entry["target"] for entry in result["applied"]] == ["db.service"]
    assert status(result) == "critical"
