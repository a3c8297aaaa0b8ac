# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run of service_recover: what is done, what is proven, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import recover
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import (
    SystemdError,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.services.conftest import (
    APP,
    BAD,
    DB,
    GOOD,
    Fake,
    app,
    hanging,
    shown,
    status,
)


def test_an_application_that_answers_is_asked_once_and_left_alone(attempt):
    world = Fake(shown("app.service"), answers={APP: [GOOD]})
    result = attempt(world)
    assert (result["changed"], result["plan"], result["kept"], status(result)) == (False, [], [], "ok")
    assert world.asked == [APP]
    assert result["metrics"][0]["name"] == "services.probe"


def test_check_run_check_run(attempt):
    world = hanging()
    first, second, third, fourth = (attempt(world, check=check) for check in (True, False, True, False))
    assert [one["changed"] for one in (first, second, third, fourth)] == [True, True, False, False]
    assert first["plan"] == second["plan"]
    assert world.done == [("restart", "app.service")]
    assert (status(first), status(second), status(fourth)) == ("critical", "warning", "ok")
    assert second["applied"][0]["after"] == {"state": "active (running)", "main_pid": 7, "probe": "yes"}


def test_check_mode_leaves_nothing_behind(attempt):
    attempt(hanging(), check=True)
    assert not attempt.directory.exists()


def test_evidence_is_on_the_disk_for_root_alone(attempt):
    result = attempt(hanging())
    (paper,) = result["evidence"]
    path = Path(paper["file"])
    assert path.read_text() == "probe: no answer\nstate: active (running)\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_restart_that_does_not_help_is_a_failure_and_is_charged(attempt):
    result = attempt(hanging(cures=False))
    assert (result["applied"], result["changed"], status(result)) == ([], True, "critical")
    assert result["failures"][0]["done"] is True
    (failure,) = result["failures"]
    assert "did not succeed 2 times in a row within 10 s; it said last: no answer" in failure["error"]
    assert len(attempt.ledger.read()["app.service"]) == 1


@pytest.mark.parametrize("check", [True, False])
def test_two_names_of_one_unit_are_refused_before_anything_is_asked(attempt, check):
    unit = replace(shown("mariadb.service"), names=("mariadb.service", "mysql.service"))
    world = Fake(unit, answers={APP: [BAD], DB: [BAD]})
    world.units["mysql.service"] = unit
    with pytest.raises(OptionError, match=r"each unit once: both are mariadb\.service"):
        attempt(world, app(name="mariadb"), app(name="mysql", probe={"port": 5432}), check=check)
    assert (world.asked, world.done) == ([], [])


def test_a_manager_that_falls_silent_after_a_proven_restart_does_not_make_it_a_failure(attempt):
    world = hanging()

    def act(verb, unit, *, timeout):
        Fake.act(world, verb, unit, timeout=timeout)
        world.show = silent

    def silent(names):
        raise SystemdError("systemctl cannot be asked: no bus")

    world.act = act
    result = attempt(world)
    assert (result["changed"], result["failures"], status(result)) == (True, [], "warning")
    assert result["applied"][0]["after"] == {"state": "not known: systemctl cannot be asked: no bus", "probe": "yes"}


def test_good_answers_have_to_come_in_a_row(attempt):
    world = hanging(cures=False)
    world.answers[APP] = [BAD, BAD, BAD, GOOD, BAD, GOOD, GOOD]
    result = attempt(world)
    assert len(result["applied"]) == 1
    assert len(world.asked) == 7


def test_systemd_s_refusal_is_a_failure(attempt):
    result = attempt(hanging(error=SystemdError("'systemctl restart app.service' failed: no")))
    assert result["failures"][0]["error"] == "'systemctl restart app.service' failed: no"
    assert (result["failures"][0]["done"], result["changed"]) == (False, False)


def test_a_restart_that_systemd_left_half_done_has_changed_the_host(attempt):
    world = hanging()

    def act(verb, unit, *, timeout):
        world.units[unit] = shown(unit, active="failed", sub="failed")
        raise SystemdError("the job failed")

    world.act = act
    result = attempt(world)
    assert (result["applied"], result["failures"][0]["done"], result["changed"]) == ([], True, True)


@pytest.mark.parametrize(
    ("unit", "action"),
    [
        ({}, "reload"),
        ({"active": "failed", "sub": "failed"}, "start"),
        ({"active": "inactive", "sub": "dead"}, "restart"),
    ],
)
def test_other_actions(attempt, unit, action):
    world = Fake(shown("app.service", **unit), answers={APP: [BAD]})
    assert attempt(world, app(action=action))["changed"] is True
    assert world.done == [(action, "app.service")]


def test_evidence_that_cannot_be_written_is_said_and_the_application_comes_back(attempt):
    attempt.directory.mkdir(mode=0o700)
    (attempt.directory / "evidence").write_text("")
    result = attempt(hanging())
    assert result["changed"] is True
    assert "cannot be written" in result["evidence"][0]["file"]


def test_without_systemd_it_is_skipped(attempt, monkeypatch):
    monkeypatch.setattr(recover.systemd, "booted", lambda: False)
    result = attempt(None)
    assert (result["status"], result["plan"]) == ("skipped", [])


def test_diff_mode_shows_before_and_after(attempt):
    assert (
        attempt(hanging(), check=True)["diff"]["after"] == "restart app.service: 3 probes in a row failed: no answer\n"
    )


def test_errors_of_the_options_come_before_anything_is_asked(attempt):
    world = hanging()
    with pytest.raises(MaintenanceError, match="units"):
        attempt(world, {"name": "a b", "probe": {"port": 80}})
    assert world.asked == []
