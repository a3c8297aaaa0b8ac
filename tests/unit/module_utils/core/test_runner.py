# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All of a run but for Ansible."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue, Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Metric
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Effect, Step, execute
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Result, perform


def check(name, **more):
    return Check(id=name, title="t", meaning="m", remedy="r", source="s", **more)


CATALOGUE = Catalogue(
    "host", [check("host.cpu", unit="%", levels=Levels(info=60, warning=80, critical=95, runs=3)), check("host.uptime")]
)


@pytest.fixture
def perform_with(tmp_path):
    def performed(work, *, check_mode=False, repair=False, **params):
        return perform(
            work,
            params={
                "levels": {}, "checks": [], "state_dir": str(tmp_path), "state_consumer": "one",
                "state_acknowledged": None, **params,
            },
            check_mode=check_mode,
            name="fleetcare.maintenance.host_check",
            catalogue=CATALOGUE,
            repair=repair,
            clock=Clock(),
        )  # fmt: skip

    return performed


def busy(value):
    def work(context):
        if "host.cpu" not in context.checks:
            return Result(findings=[context.catalogue.stated("host.uptime", "host", "ok", "up")])
        finding = context.catalogue.measured("host.cpu", "c", value, "busy", book=context.book)
        return Result(findings=[finding], metrics=[Metric("host.cpu", "c", value, "%")])

    return work


def test_a_result_has_everything_the_contract_names(perform_with):
    result = perform_with(busy(10))
    assert result["status"] == "ok"
    assert result["summary"] == "1 finding: 1 ok"
    assert result["findings"][0]["value"] == 10
    assert result["metrics"] == [{"name": "host.cpu", "item": "c", "value": 10, "unit": "%"}]
    assert result["changed"] is False
    assert "plan" not in result


def test_nothing_found_is_skipped_and_not_ok(perform_with):
    assert perform_with(lambda context: Result())["status"] == "skipped"


def test_an_alarm_waits_for_as_many_runs_as_its_levels_say(perform_with):
    assert [perform_with(busy(90))["status"] for _run in range(4)] == ["info", "info", "warning", "warning"]
    assert perform_with(busy(10))["status"] == "ok"
    assert perform_with(busy(90))["status"] == "info"


def test_a_run_that_does_not_ask_does_not_end_the_row(perform_with):
    perform_with(busy(90))
    perform_with(busy(90))
    perform_with(busy(90), checks=["uptime"])
    assert perform_with(busy(90))["status"] == "warning"


def test_check_mode_remembers_nothing(perform_with, tmp_path):
    for _run in range(4):
        assert perform_with(busy(90), check_mode=True)["status"] == "info"
    assert list(tmp_path.iterdir()) == []


def test_levels_of_the_user_are_in_force(perform_with):
    assert perform_with(busy(90), levels={"host.cpu": {"for": 1}})["status"] == "warning"


def test_memory_goes_from_run_to_run_without_the_runners_own(perform_with):
    seen = []

    def work(context):
        seen.append(dict(context.memory))
        return Result(findings=busy(90)(context).findings, memory={"count": len(seen)})

    generations = [perform_with(work)["state_generation"] for _run in range(3)]
    assert seen == [{}, {"count": 1}, {"count": 2}]
    assert len(set(generations)) == 3


def test_a_run_whose_record_was_lost_is_repeated(perform_with):
    def work(context):
        return Result(
            memory={"count": context.memory.get("count", 0) + 1}, extra={"count": context.memory.get("count")}
        )

    first = perform_with(work)["state_generation"]
    perform_with(work, state_acknowledged=first)
    assert perform_with(work, state_acknowledged=first)["count"] == 1


def test_a_row_is_kept_when_a_module_has_no_memory_of_its_own(perform_with):
    perform_with(lambda context: Result(memory={"cursor": 5}))
    perform_with(busy(90))
    seen = []
    perform_with(lambda context: Result(extra={"seen": seen.append(dict(context.memory))}))
    assert seen == [{"cursor": 5}]


def test_state_that_cannot_be_written_is_said_and_the_check_goes_on(perform_with, tmp_path):
    (tmp_path / "file").write_text("")
    result = perform_with(lambda context: Result(memory={"x": 1}), state_dir=str(tmp_path / "file"))
    assert "cannot be" in result["state_error"]
    assert "state_generation" not in result


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"levels": {"host.cpu": 5}}, "Option 'levels.host.cpu' is 5"),
        ({"levels": {"host.nothing": {}}}, "Option 'levels.host.nothing'"),
        ({"checks": ["nothing"]}, "Option 'checks' is 'nothing'"),
        ({"deadline": "tomorrow"}, "Option 'deadline' is 'tomorrow'"),
        ({"state_consumer": "../x"}, "Option 'state_consumer' is '../x'"),
    ],
)
def test_bad_options_are_refused_before_the_work_begins(perform_with, params, sentence):
    def work(context):
        raise AssertionError("the work began")

    with pytest.raises(OptionError, match=sentence.replace(".", r"\.")):
        perform_with(work, **params)


STEP = Step(action="vacuum", target="t", reason="dead rows", reversible=False, estimate={})


def repairing(context):
    done = None
    if not context.check_mode:
        done = execute([STEP], lambda step: Effect({"size": 2}, {"size": 1}), deadline=context.deadline)
    return Result(plan=[STEP], execution=done, kept=[{"target": "u", "reason": "clean"}])


def test_check_mode_returns_the_plan_that_a_real_run_applies(perform_with):
    planned = perform_with(repairing, check_mode=True, repair=True)
    applied = perform_with(repairing, repair=True)
    assert planned["plan"] == applied["plan"]
    assert (planned["changed"], planned["applied"]) == (True, [])
    assert (applied["changed"], applied["applied"][0]["target"]) == (True, "t")
    assert planned["diff"]["after"] == "vacuum t: dead rows\n"
    assert applied["diff"]["before"] == "vacuum t: {'size': 2}\n"
    assert applied["kept"] == [{"target": "u", "reason": "clean"}]


def test_a_plan_whose_deadline_has_passed_changes_nothing(perform_with):
    result = perform_with(repairing, repair=True, deadline="2020-01-01T00:00:00Z")
    assert (result["changed"], result["applied"]) == (False, [])
    assert result["kept"][1]["reason"] == "vacuum was planned, but the window had closed"


def test_a_plan_that_is_not_carried_out_is_a_fault(perform_with):
    with pytest.raises(MaintenanceError, match="fault of the module"):
        perform_with(lambda context: Result(plan=[STEP]), repair=True)
