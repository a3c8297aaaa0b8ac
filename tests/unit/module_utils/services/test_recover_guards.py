# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps a unit that does not answer from being restarted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import recover
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import (
    SystemdError,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.services.conftest import (
    APP,
    BAD,
    BLIND,
    DB,
    GOOD,
    Fake,
    Frozen,
    app,
    hanging,
    refusal,
    shown,
    status,
)


@pytest.mark.parametrize("answers", [[BAD, GOOD], [BAD, BAD, GOOD]])
def test_fewer_failures_than_it_takes_do_not_restart(attempt, answers):
    world = Fake(shown("app.service"), answers={APP: answers})
    result = attempt(world)
    assert (world.done, result["plan"], status(result)) == ([], [], "warning")


def test_an_alias_does_not_open_a_budget_of_its_own(attempt):
    unit = shown("mariadb.service")
    world = Fake(replace(unit, names=("mariadb.service", "mysql.service")), answers={APP: [BAD]}, cures=False)
    world.units["mysql.service"] = world.units["mariadb.service"]
    attempt(world, app(name="mariadb"), cooldown_seconds=0, restarts_per_day=1)
    second = attempt(world, app(name="mysql"), cooldown_seconds=0, restarts_per_day=1)
    assert world.done == [("restart", "mariadb.service")]
    assert "restarts_per_day is 1" in second["kept"][0]["reason"]


def test_the_pause_after_a_restart(attempt):
    clock = Frozen()
    world = hanging(cures=False)
    attempt(world, clock=clock)
    assert "and cooldown_seconds is 600" in refusal(attempt(world, clock=clock))
    clock.waited += 700
    assert len(attempt(world, clock=clock)["plan"]) == 1


def test_the_budget_of_the_day(attempt):
    clock = Frozen()
    world = hanging(cures=False)
    for _round in range(3):
        attempt(world, clock=clock)
        clock.waited += 700
    result = attempt(world, clock=clock)
    assert refusal(result) == "3 restarts in the last 24 h, and restarts_per_day is 3"
    assert status(result) == "critical"
    assert len(world.done) == 3
    clock.waited += 86400
    assert len(attempt(world, clock=clock)["plan"]) == 1


def test_the_budget_is_shared_by_all_controllers(attempt):
    attempt(hanging(cures=False), state_consumer="one")
    assert "cooldown_seconds" in refusal(attempt(hanging(), state_consumer="two"))


def test_killed_half_way_the_restart_is_spent(attempt):
    with pytest.raises(KeyboardInterrupt):
        attempt(hanging(error=KeyboardInterrupt()))
    assert "cooldown_seconds" in refusal(attempt(hanging()))


def test_a_unit_that_somebody_else_has_just_started_is_given_time(attempt):
    world = Fake(shown("app.service", since=99990), answers={APP: [BAD]})
    assert refusal(attempt(world)).startswith("it was started 14 s ago")


@pytest.mark.parametrize(("answer", "word"), [(BAD, "does not answer"), (BLIND, "could not be asked")])
def test_while_the_database_is_down_the_application_is_left_alone(attempt, answer, word):
    world = Fake(shown("app.service"), answers={APP: [BAD], DB: [answer]})
    result = attempt(world, app({"port": 5432}))
    assert refusal(result).startswith(f"it depends on {DB}, which {word}")
    assert status(result, DB) == ("critical" if answer is BAD else "unknown")
    assert world.done == []
    assert world.asked[0] == DB


def test_a_database_that_dies_meanwhile_is_not_overlooked(attempt):
    world = Fake(shown("app.service"), answers={APP: [BAD], DB: [GOOD, BAD]})
    assert refusal(attempt(world, app({"port": 5432}))).startswith(f"it depends on {DB}")


def test_a_dead_database_of_an_application_that_answers_is_still_said(attempt):
    world = Fake(shown("app.service"), answers={APP: [GOOD], DB: [BAD]})
    result = attempt(world, app({"port": 5432}))
    assert (status(result), status(result, DB)) == ("ok", "critical")


@pytest.mark.parametrize(
    ("unit", "action", "said"),
    [
        ({"load": "masked", "active": "inactive", "sub": "dead"}, "restart", "it is masked"),
        ({"active": "activating", "sub": "auto-restart", "restarts": 4}, "restart", "systemd is restarting it already"),
        ({"active": "deactivating", "sub": "stop-sigterm"}, "restart", "it is deactivating (stop-sigterm) just now"),
        ({}, "start", "it runs already"),
        ({"active": "failed", "sub": "failed"}, "reload", "it does not run"),
        ({"can_reload": "no"}, "reload", "it has no ExecReload="),
    ],
)
def test_a_unit_that_is_left_alone(attempt, unit, action, said):
    world = Fake(shown("app.service", **unit), answers={APP: [BAD]})
    assert refusal(attempt(world, app(action=action))).startswith(said)


def test_a_unit_that_does_not_exist_is_a_finding_and_is_not_asked(attempt):
    world = Fake(shown("app.service", load="not-found"), answers={})
    result = attempt(world)
    assert (refusal(result), status(result)) == ("there is no such unit on this host", "critical")


def test_a_probe_that_cannot_be_put_restarts_nothing(attempt):
    world = Fake(shown("app.service"), answers={APP: [BAD, BLIND]})
    result = attempt(world)
    assert (refusal(result), status(result)) == ("it is not known whether it answers: no name server", "unknown")


@pytest.mark.parametrize("check", [True, False])
def test_without_rights_nothing_is_planned(attempt, monkeypatch, check):
    monkeypatch.setattr(recover, "_is_root", lambda: False)
    result = attempt(hanging(), check=check)
    assert refusal(result) == "only root may restart units"
    assert "become" in result["findings"][0]["remedy"]


@pytest.mark.parametrize("check", [True, False])
def test_a_ledger_that_cannot_be_understood_restarts_nothing(attempt, check):
    attempt.directory.mkdir(mode=0o700)
    attempt.ledger.path.write_text("{}")
    assert refusal(attempt(hanging(), check=check)).startswith("earlier restarts are not known")


@pytest.mark.parametrize("check", [True, False])
def test_a_state_folder_that_cannot_be_used_restarts_nothing(attempt, check):
    attempt.directory.write_text("")
    assert refusal(attempt(hanging(), check=check)).startswith("earlier restarts are not known")


@pytest.mark.parametrize("check", [True, False])
def test_two_at_once(attempt, check):
    with attempt.ledger.alone():
        world = hanging()
        result = attempt(world, check=check)
    assert "Another service_recover is at work" in refusal(result)
    assert (result["status"], world.asked) == ("skipped", [])


def test_a_manager_that_cannot_be_asked_is_unknown(attempt):
    world = hanging()

    def fail(names):
        raise SystemdError("no bus")

    world.show = fail
    result = attempt(world)
    assert (result["status"], refusal(result)) == ("unknown", "no bus")
