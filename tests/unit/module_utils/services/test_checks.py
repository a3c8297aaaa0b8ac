# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import (
    judge_enabled_services,
    judge_process,
    judge_restarts,
    judge_unit,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.expect import UnitWanted, parse
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import Process, Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import parse_show

FIXTURES = Path(__file__).parent / "fixtures"
UNITS = parse_show((FIXTURES / "show-debian12.txt").read_text())
BY_NAME = {unit.name: unit for unit in UNITS}
BOOK = LevelBook()


def one(pattern, **wanted):
    (finding,) = judge_unit(UnitWanted(pattern, **wanted), UNITS, book=BOOK)
    return finding.status, finding.summary


@pytest.mark.parametrize(
    ("name", "state", "status", "summary"),
    [
        ("ssh.service", "active", "ok", "ssh.service is active (running)"),
        ("sshd.service", "active", "ok", "ssh.service is active (running)"),
        ("ssh.service", "inactive", "critical", "ssh.service is active (running), but should be inactive"),
        (
            "crashing.service",
            "active",
            "critical",
            "crashing.service is activating (auto-restart), but should be active",
        ),
        ("failing.service", "active", "critical", "failing.service is failed (exit status 7), but should be active"),
        ("failing.service", "inactive", "warning", "failing.service is failed (exit status 7), but should be inactive"),
        ("stopped.service", "active", "critical", "stopped.service is inactive (dead), but should be active"),
        ("stopped.service", "inactive", "ok", "stopped.service is inactive (dead)"),
        ("once.service", "active", "ok", "once.service is inactive (dead)"),
        ("nothere.service", "active", "critical", "nothere.service: there is no such unit on this host"),
        ("nothere.service", "inactive", "ok", "nothere.service: there is no such unit on this host"),
        ("zzz*.service", "active", "critical", "zzz*.service: no unit fits this name on this host"),
    ],
)
def test_a_unit_against_the_state_asked_for(name, state, status, summary):
    assert one(name, state=state) == (status, summary)


def test_a_oneshot_whose_run_systemd_forgot_is_not_called_ok():
    forgotten = replace(BY_NAME["once.service"], exit_code=0)
    (finding,) = judge_unit(UnitWanted("once.service"), [forgotten], book=BOOK)
    assert finding.status == "skipped"


def test_a_unit_that_is_starting_is_a_warning():
    starting = replace(BY_NAME["ssh.service"], active="activating", sub="start")
    (finding,) = judge_unit(UnitWanted("ssh.service"), [starting], book=BOOK)
    assert finding.status == "warning"


def test_a_glob_expects_only_what_is_enabled_or_has_run():
    names = {finding.item for finding in judge_unit(UnitWanted("s*.service"), UNITS, book=BOOK)}
    assert {"ssh.service", "stopped.service"} <= names
    static = {unit.name for unit in UNITS if unit.active == "inactive" and not unit.enabled}
    assert not names & static


@pytest.mark.parametrize(
    ("file_state", "wanted", "status"),
    [
        ("enabled", True, "ok"),
        ("enabled", False, "warning"),
        ("disabled", True, "warning"),
        ("disabled", False, "ok"),
        ("enabled-runtime", True, "warning"),
        ("static", True, "warning"),
        ("static", False, "ok"),
        ("", False, "ok"),
    ],
)
def test_a_unit_that_should_be_enabled(file_state, wanted, status):
    unit = replace(BY_NAME["ssh.service"], file_state=file_state)
    _state, enabled = judge_unit(UnitWanted("ssh.service", enabled=wanted), [unit], book=BOOK)
    assert (enabled.check, enabled.status) == ("services.unit_enabled", status)


@pytest.mark.parametrize(
    ("memory", "status"), [(89 * 2**20, "ok"), (90 * 2**20, "warning"), (100 * 2**20, "critical"), (None, "skipped")]
)
def test_memory_of_a_unit(memory, status):
    unit = replace(BY_NAME["ssh.service"], memory=memory)
    _state, finding = judge_unit(UnitWanted("ssh.service", memory_max=100 * 2**20), [unit], book=BOOK)
    assert (finding.check, finding.status) == ("services.unit_memory", status)


def test_the_user_s_own_memory_levels_win():
    unit = replace(BY_NAME["ssh.service"], memory=95 * 2**20)
    book = LevelBook({"services.unit_memory": {"warning": 99 * 2**20}})
    _state, finding = judge_unit(UnitWanted("ssh.service", memory_max=100 * 2**20), [unit], book=book)
    assert finding.status == "ok"


def test_enabled_services_that_do_not_run_and_none_that_may_wait():
    found = {finding.item: finding.status for finding in judge_enabled_services(UNITS, named=[])}
    assert found == {
        "crashing.service": "critical",
        "failing.service": "critical",
        "stopped.service": "warning",
    }


def test_a_service_that_only_an_inactive_target_wants_waits_for_it():
    assert BY_NAME["sleeping.service"].enabled
    called = replace(BY_NAME["sleeping.service"], wanted_by=("multi-user.target",))
    found = judge_enabled_services([called, BY_NAME["multi-user.target"]], named=[])
    assert [(finding.item, finding.status) for finding in found] == [("sleeping.service", "warning")]


def test_services_that_the_user_named_are_not_reported_twice():
    named = [UnitWanted("crashing.service"), UnitWanted("failing.service"), UnitWanted("stop*.service")]
    (finding,) = judge_enabled_services(UNITS, named=named)
    assert finding.status == "ok"
    assert "others wait" in finding.summary


def test_no_enabled_service_is_not_ok():
    (finding,) = judge_enabled_services([], named=[])
    assert finding.status == "skipped"


def restarted(before, **now):
    units = [replace(BY_NAME["ssh.service"], name=f"{name}.service", restarts=count) for name, count in now.items()]
    return judge_restarts(units, before, book=BOOK, since="yesterday")


def test_the_first_run_has_nothing_to_compare_with():
    (finding,) = restarted(None, a=5)
    assert finding.status == "skipped"


@pytest.mark.parametrize(
    ("before", "now", "delta", "status"),
    [(2, 3, 1, "info"), (2, 5, 3, "warning"), (0, 10, 10, "critical"), (5, 2, 2, "info"), (None, 4, 4, "warning")],
)
def test_restarts_since_the_last_run(before, now, delta, status):
    known = {} if before is None else {"a.service": before}
    (finding,) = restarted(known, a=now, b=0)
    assert (finding.item, finding.value, finding.status) == ("a.service", delta, status)


def test_no_restart_is_one_measured_ok():
    (finding,) = restarted({"a.service": 7}, a=7, b=0)
    assert (finding.item, finding.value, finding.status) == ("services", 0, "ok")


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_restarts_are_never_negative_nor_more_than_the_counter(before, now):
    (finding,) = restarted({"a.service": before}, a=now)
    assert 0 <= finding.value <= now


def running(amount, *, complete=True):
    table = tuple(Process(pid, 1, "app", f"app {pid} \x1b[2J", "S", 0) for pid in range(2, 2 + amount))
    return Processes(table, complete)


@pytest.mark.parametrize(("amount", "status"), [(0, "critical"), (1, "critical"), (2, "ok"), (3, "ok"), (4, "warning")])
def test_the_number_of_processes(amount, status):
    (wanted,) = parse({"processes": [{"name": "app", "min": 2, "max": 3}]}).processes
    finding, metric = judge_process(wanted, running(amount))
    assert (finding.status, metric.value) == (status, amount)
    assert isinstance(finding, Finding)
    assert not any("\x1b" in line for line in finding.evidence)


def test_hidden_processes_make_no_verdict():
    (wanted,) = parse({"processes": [{"name": "app", "min": 2}]}).processes
    finding, metric = judge_process(wanted, running(1, complete=False))
    assert (finding.status, metric) == ("skipped", None)
    finding, _metric = judge_process(wanted, running(2, complete=False))
    assert finding.status == "ok"
