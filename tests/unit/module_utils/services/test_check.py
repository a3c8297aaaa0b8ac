# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import listeners
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.listeners import Holders, parse_table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services import check, systemd
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.systemd import SystemdError, parse_show

FIXTURES = Path(__file__).parent / "fixtures"


class Fixed(Clock):
    def now(self):
        return datetime(2026, 3, 29, 1, 30, tzinfo=timezone.utc)


class Machine:
    """A machine out of fixtures that counts what is asked of it."""

    def __init__(self, monkeypatch, release="debian12"):
        self.asked = []
        self.text = (FIXTURES / f"show-{release}.txt").read_text()
        self.sockets = parse_table((FIXTURES / f"tcp-{release}.txt").read_text(), protocol="tcp")
        self.boot = "one"
        monkeypatch.setattr(systemd, "booted", lambda: True)
        monkeypatch.setattr(systemd, "show", self.show)
        monkeypatch.setattr(listeners, "collect", self.collect)
        monkeypatch.setattr(listeners, "holders", self.holders)
        monkeypatch.setattr(check.processes, "snapshot", self.snapshot)
        monkeypatch.setattr(check, "_boot_id", lambda: self.boot)

    def show(self, names):
        self.asked.append("units")
        return parse_show(self.text)

    def collect(self, *, owners):
        self.asked.append("sockets")
        return self.sockets

    def holders(self, inodes):
        self.asked.append(f"owners of {len(inodes)}")
        return Holders({}, True)

    def snapshot(self):
        self.asked.append("processes")
        return Processes((), True)


@pytest.fixture
def machine(monkeypatch):
    return Machine(monkeypatch)


@pytest.fixture
def look(tmp_path):
    def run(*checks, **params):
        common = {"levels": {}, "state_dir": str(tmp_path), "state_consumer": "default", "state_acknowledged": None}
        return perform(
            check.check,
            params={**common, "checks": list(checks), **params},
            check_mode=False,
            name="service_check",
            catalogue=CATALOGUE,
            repair=False,
            clock=Fixed(),
        )

    return run


def found(result):
    return {(finding["check"], finding["item"]): finding["status"] for finding in result["findings"]}


def test_with_no_option_there_are_useful_answers_and_each_source_is_read_once(machine, look):
    assert found(look()) == {
        ("services.enabled", "crashing.service"): "critical",
        ("services.enabled", "failing.service"): "critical",
        ("services.enabled", "stopped.service"): "warning",
        ("services.unit_restarts", "services"): "skipped",
    }
    assert machine.asked == ["units", "sockets", "owners of 0"]


def test_what_is_not_chosen_is_not_looked_at(machine, look):
    look("services.port*", ports=[{"port": 22}], units=["ssh"], processes=[{"name": "sshd"}])
    assert machine.asked == ["sockets", "owners of 1"]
    machine.asked.clear()
    look("services.process", ports=[{"port": 22}], units=["ssh"], processes=[{"name": "sshd"}])
    assert machine.asked == ["processes"]


def test_checks_of_the_other_module_alone_are_refused(machine, look):
    with pytest.raises(OptionError, match=r"Option 'checks' is \['services\.recovery'\]"):
        look("services.recovery")


def test_restarts_are_counted_from_run_to_run_and_anew_after_a_boot(machine, look):
    look("services.unit_restarts")
    assert found(look("services.unit_restarts")) == {("services.unit_restarts", "services"): "ok"}
    machine.boot = "two"
    again = found(look("services.unit_restarts"))
    assert again == {("services.unit_restarts", "crashing.service"): "info"}


def test_a_run_that_did_not_look_at_units_forgets_nothing(machine, look):
    look("services.unit_restarts")
    look("services.port*", ports=[{"port": 22}])
    assert found(look("services.unit_restarts")) == {("services.unit_restarts", "services"): "ok"}


def test_a_manager_that_cannot_be_asked_is_one_unknown(machine, look, monkeypatch):
    def fail(names):
        raise SystemdError("systemctl cannot be asked: no bus")

    monkeypatch.setattr(systemd, "show", fail)
    assert found(look("services.unit*", "services.enabled", units=["a", "b"])) == {
        ("services.unit", "systemd"): "unknown"
    }


def test_without_systemd_ports_and_processes_are_looked_at_all_the_same(machine, look, monkeypatch):
    monkeypatch.setattr(systemd, "booted", lambda: False)
    result = look(units=["ssh"], ports=[{"port": 5000}], processes=[{"name": "sshd"}])
    assert found(result) == {
        ("services.unit", "systemd"): "skipped",
        ("services.process", "sshd"): "critical",
        ("services.port", "tcp/5000"): "ok",
    }


def test_wrong_options_are_refused_before_anything_is_asked(machine, look):
    with pytest.raises(OptionError):
        look(units=["ssh"], ports=[{"port": 0}])
    assert machine.asked == []


def test_strangers_are_looked_for_only_where_a_list_is_given(machine, look):
    checks = ("services.unexpected_listener",)
    assert found(look(*checks)) == {}
    assert found(look(*checks, ports_allowed=[])) == {("services.unexpected_listener", "tcp/22"): "warning"}


def test_a_machine_without_a_readable_port_range_has_the_kernel_s_default(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "_OUTGOING", tmp_path / "absent")
    assert check._outgoing_ports() == range(32768, 61000)
    (tmp_path / "range").write_text("1024\t65535\n")
    monkeypatch.setattr(check, "_OUTGOING", tmp_path / "range")
    assert check._outgoing_ports() == range(1024, 65536)
