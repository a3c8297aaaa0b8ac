# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.ledger import Ledger
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import plan, recover
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.act import World
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.probes import Outcome, PortProbe, UnitProbe
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import (
    SystemdError,
    job_seconds,
    parse_show,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.targets import Target

START = datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)
GOOD, BAD, BLIND = Outcome("good", "yes"), Outcome("bad", "no answer"), Outcome("blind", "no name server")
FIGURES = {
    "failures": 3,
    "interval_seconds": 2.0,
    "timeout_seconds": 5.0,
    "restarts_per_day": 3,
    "cooldown_seconds": 600,
    "verify_seconds": 10.0,
    "verify_successes": 2,
    "evidence_lines": 5,
}


class Frozen(Clock):
    """Time moves only when somebody waits."""

    def __init__(self):
        self.waited = 0.0

    def now(self):
        return START + timedelta(seconds=self.waited)

    def monotonic(self):
        return 100000.0 + self.waited

    def sleep(self, seconds):
        self.waited += seconds


def shown(name, *, active="active", sub="running", load="loaded", since=0, can_reload="yes", restarts=0):
    text = f"""Id={name}
Names={name}
LoadState={load}
ActiveState={active}
SubState={sub}
NRestarts={restarts}
MainPID=7
CanReload={can_reload}
ActiveEnterTimestampMonotonic={since * 1000000}
TimeoutStartUSec=1min 30s
TimeoutStopUSec=20s
"""
    return parse_show(text)[0]


class Fake(World):
    """Units by name; answers by probe label, one after the other, the last for ever; a good restart cures."""

    def __init__(self, *units, answers, cures=True, error=None):
        self.units = {unit.name: unit for unit in units}
        self.answers = {label: list(said) for label, said in answers.items()}
        self.cures, self.error = cures, error
        self.asked, self.done = [], []

    def show(self, names):
        return [self.units[name] for name in names if name in self.units]

    def ask(self, probe, *, timeout):
        self.asked.append(probe.label)
        said = self.answers[probe.label]
        return said.pop(0) if len(said) > 1 else said[0]

    def act(self, verb, unit, *, timeout):
        if self.error:
            raise self.error
        self.done.append((verb, unit))
        if self.cures:
            self.answers = {label: [GOOD] for label in self.answers}

    def evidence(self, unit, *, lines, said):
        return [f"probe: {said}", f"state: {unit.state()}"]


APP, DB = "tcp 127.0.0.1:80", "tcp 127.0.0.1:5432"


def app(*depends_on, **more):
    return {"name": "app", "probe": {"port": 80}, "depends_on": list(depends_on), **more}


@pytest.fixture(autouse=True)
def as_root(monkeypatch):
    monkeypatch.setattr(recover, "_is_root", lambda: True)


@pytest.fixture
def attempt(tmp_path):
    def run(world, *units, check=False, clock=None, deadline=None, **figures):
        params = {
            "levels": {},
            "state_dir": str(tmp_path / "state"),
            "state_consumer": "default",
            "state_acknowledged": None,
            "deadline": deadline,
            "units": list(units) or [app()],
            **FIGURES,
            **figures,
        }
        return perform(
            lambda context: recover.recover(context, world=world),
            params=params,
            check_mode=check,
            name="fleetcare.maintenance.service_recover",
            catalogue=CATALOGUE,
            repair=True,
            clock=clock or Frozen(),
        )

    run.ledger = Ledger(tmp_path / "state", "service_recover")
    run.directory = tmp_path / "state"
    return run


def status(result, item="app.service"):
    (finding,) = [finding for finding in result["findings"] if finding["item"] == item]
    return finding["status"]


def hanging(**more):
    return Fake(shown("app.service"), answers={APP: [BAD]}, **more)


def test_an_application_that_answers_is_asked_once_and_left_alone(attempt):
    world = Fake(shown("app.service"), answers={APP: [GOOD]})
    result = attempt(world)
    assert (result["changed"], result["plan"], result["kept"], status(result)) == (False, [], [], "ok")
    assert world.asked == [APP]
    assert result["metrics"][0]["name"] == "services.probe"


@pytest.mark.parametrize("answers", [[BAD, GOOD], [BAD, BAD, GOOD]])
def test_fewer_failures_than_it_takes_do_not_restart(attempt, answers):
    world = Fake(shown("app.service"), answers={APP: answers})
    result = attempt(world)
    assert (world.done, result["plan"], status(result)) == ([], [], "warning")


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


def test_an_alias_does_not_open_a_budget_of_its_own(attempt):
    unit = shown("mariadb.service")
    world = Fake(replace(unit, names=("mariadb.service", "mysql.service")), answers={APP: [BAD]}, cures=False)
    world.units["mysql.service"] = world.units["mariadb.service"]
    attempt(world, app(name="mariadb"), cooldown_seconds=0, restarts_per_day=1)
    second = attempt(world, app(name="mysql"), cooldown_seconds=0, restarts_per_day=1)
    assert world.done == [("restart", "mariadb.service")]
    assert "restarts_per_day is 1" in second["kept"][0]["reason"]


@pytest.mark.parametrize("check", [True, False])
def test_two_names_of_one_unit_are_refused_before_anything_is_asked(attempt, check):
    unit = replace(shown("mariadb.service"), names=("mariadb.service", "mysql.service"))
    world = Fake(unit, answers={APP: [BAD], DB: [BAD]})
    world.units["mysql.service"] = unit
    with pytest.raises(OptionError, match=r"each unit once: both are mariadb\.service"):
        attempt(world, app(name="mariadb"), app(name="mysql", probe={"port": 5432}), check=check)
    assert (world.asked, world.done) == ([], [])


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


def test_what_a_fault_of_ours_cut_off_is_not_blamed_on_the_window(attempt):
    two = [app(), {"name": "web", "probe": {"port": 5432}}]
    world = Fake(shown("app.service"), shown("web.service"), answers={APP: [BAD], DB: [BAD]}, error=RuntimeError("x"))
    result = attempt(world, *two)
    (finding,) = [one for one in result["findings"] if one["item"] == "web.service"]
    assert finding["status"] == "critical"
    assert "a fault of the module (RuntimeError) stopped the run" in finding["summary"]


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


def refusal(result):
    assert result["plan"] == []
    assert result["changed"] is False
    (kept,) = result["kept"]
    return kept["reason"]


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


@pytest.mark.parametrize(("seconds", "planned"), [(0, 0), (12, 0), (130, 0), (140, 1)])
def test_a_window_that_closes_too_soon(attempt, seconds, planned):
    deadline = (START + timedelta(seconds=seconds)).isoformat()
    world = hanging()
    result = attempt(world, deadline=deadline, verify_seconds=10.0)
    assert (len(result["plan"]), len(world.done), len(result["kept"])) == (planned, planned, 1 - planned)


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


@pytest.mark.parametrize("check", [True, False])
def test_two_at_once(attempt, check):
    with attempt.ledger.alone():
        world = hanging()
        result = attempt(world, check=check)
    assert "Another service_recover is at work" in refusal(result)
    assert (result["status"], world.asked) == ("skipped", [])


def test_killed_half_way_the_restart_is_spent(attempt):
    with pytest.raises(KeyboardInterrupt):
        attempt(hanging(error=KeyboardInterrupt()))
    assert "cooldown_seconds" in refusal(attempt(hanging()))


def test_evidence_that_cannot_be_written_is_said_and_the_application_comes_back(attempt):
    attempt.directory.mkdir(mode=0o700)
    (attempt.directory / "evidence").write_text("")
    result = attempt(hanging())
    assert result["changed"] is True
    assert "cannot be written" in result["evidence"][0]["file"]


def test_a_manager_that_cannot_be_asked_is_unknown(attempt):
    world = hanging()

    def fail(names):
        raise SystemdError("no bus")

    world.show = fail
    result = attempt(world)
    assert (result["status"], refusal(result)) == ("unknown", "no bus")


def test_without_systemd_it_is_skipped(attempt, monkeypatch):
    monkeypatch.setattr(recover.systemd, "booted", lambda: False)
    result = attempt(None)
    assert (result["status"], result["plan"]) == ("skipped", [])


def test_diff_mode_shows_before_and_after(attempt):
    assert (
        attempt(hanging(), check=True)["diff"]["after"] == "restart app.service: 3 probes in a row failed: no answer\n"
    )


def test_systemd_has_the_time_that_the_unit_allows():
    unit = shown("app.service")
    assert job_seconds(unit) == 120.0
    assert job_seconds(replace(unit, start_seconds=None)) == 120.0
    assert job_seconds(replace(unit, start_seconds=math.inf)) == 930.0
    assert job_seconds(replace(unit, start_seconds=math.inf, stop_seconds=math.inf)) == 1810.0


OUTCOMES = st.sampled_from([GOOD, BAD, BLIND])


@given(
    heard=st.lists(OUTCOMES, min_size=1, max_size=5),
    dependency=OUTCOMES,
    hours=st.lists(st.floats(-48, 48), max_size=6),
    left=st.floats(0, 250),
    root=st.booleans(),
    uncounted=st.sampled_from(["", "broken"]),
    active=st.sampled_from(["active", "failed", "inactive", "activating"]),
)
def test_a_step_is_planned_only_when_all_of_it_is_right(heard, dependency, hours, left, root, uncounted, active):
    own, other = PortProbe("127.0.0.1", 80), UnitProbe("db.service")
    target = Target("app.service", own, (other,), "restart", 3, 2, 5, 3, 600, 10, 2)
    deeds = [START + timedelta(hours=hour) for hour in hours]
    situation = plan.Situation(
        units={"app.service": shown("app.service", active=active)},
        heard={own: heard, other: [dependency]},
        deeds={"app.service": deeds},
        now=START,
        monotonic=100000.0,
        left=left,
        root=root,
        uncounted=uncounted,
    )
    (decision,) = plan.decide([target], situation)
    recent = [at for at in deeds if timedelta(hours=-24) < at - START <= timedelta(hours=24)]
    right = (
        heard[-1] is BAD
        and heard.count(BAD) >= 3
        and dependency is GOOD
        and root
        and not uncounted
        and active != "activating"
        and len(recent) < 3
        and all(START - at >= timedelta(seconds=600) for at in recent)
        and left >= 120 + 10
    )
    assert (decision.step is not None) is right
    assert not (decision.step and decision.refusal)


@given(
    proofs=st.lists(st.integers(1, 1800), min_size=1, max_size=5),
    left=st.floats(0, 5000),
    down=st.lists(st.booleans(), min_size=5, max_size=5),
)
def test_all_that_is_planned_fits_into_the_time_that_is_left(proofs, left, down):
    targets = [
        Target(f"app{at}.service", PortProbe("127.0.0.1", 80 + at), (), "restart", 1, 2, 5, 3, 600, proof, 2)
        for at, proof in enumerate(proofs)
    ]
    situation = plan.Situation(
        units={target.unit: shown(target.unit) for target in targets},
        heard={target.probe: [BAD if bad else GOOD] for target, bad in zip(targets, down)},
        deeds={},
        now=START,
        monotonic=100000.0,
        left=left,
        root=True,
    )
    spent = 0.0
    for target, decision, bad in zip(targets, plan.decide(targets, situation), down):
        needed = 120.0 + target.verify_seconds
        assert (decision.step is not None) is (bad and spent + needed <= left)
        if decision.step:
            assert decision.step.longest == needed
            spent += needed


def test_errors_of_the_options_come_before_anything_is_asked(attempt):
    world = hanging()
    with pytest.raises(MaintenanceError, match="units"):
        attempt(world, {"name": "a b", "probe": {"port": 80}})
    assert world.asked == []
