# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of processes, limits, the clock and restarts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import Outdated, Processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import (
    ClockState,
    Limits,
    Needrestart,
    Reboot,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.view import Settings


@pytest.mark.parametrize(("amount", "status"), [(0, "ok"), (1, "info"), (10, "warning"), (100, "critical")])
def test_zombies_are_counted_with_their_parents(ask_one, healthy, make, amount, status):
    dead = tuple(make.process(100 + n, "worker", "Z", parent=9) for n in range(amount))
    host = replace(healthy, processes=Processes((make.process(9, "careless"), *dead), zombies=dead))
    finding = ask_one(host, "zombies")
    assert (finding.value, finding.status) == (amount, status)
    if amount:
        assert finding.evidence[0] == "worker (100), child of careless (9)"


def test_processes_that_are_stuck_alarm(ask_one, healthy, make):
    stuck = (make.process(5, "nfs reader", "D"),)
    finding = ask_one(replace(healthy, processes=Processes(stuck, stuck=stuck)), "blocked")
    assert (finding.status, finding.evidence) == ("warning", ("nfs reader (5)",))


def test_hidden_processes_are_not_taken_for_none(ask, healthy):
    hidden = Absent("/proc is mounted with hidepid", remedy="Run the check with become.")
    findings = ask(replace(healthy, processes=hidden), "zombies", "blocked", "memory_growth")
    assert {one.status for one in findings} == {"skipped"}


def test_file_handles_and_threads_run_out(ask, healthy):
    limits = Limits(handles=95, handles_max=100, threads=10, threads_max=100, group_threads=85, group_threads_max=100)
    findings = ask(replace(healthy, limits=limits), "file_handles", "threads")
    assert [(one.item, one.status) for one in findings] == [
        ("files", "critical"),
        ("system", "ok"),
        ("container", "warning"),
    ]


def test_a_clock_that_nobody_keeps_is_told_and_its_offset_is_not_called_good(ask, healthy):
    adrift = ClockState(synchronised=False, offset=0.0, maximum_error=16.0)
    findings = ask(replace(healthy, clock=adrift), "time_sync", "time_offset")
    assert [one.status for one in findings] == ["warning", "skipped"]


def test_in_a_container_the_clock_is_the_machines(ask_one, healthy):
    adrift = ClockState(synchronised=False, offset=0.0, maximum_error=16.0)
    host = replace(healthy, clock=adrift, boot=replace(healthy.boot, container=True))
    assert ask_one(host, "time_sync").remedy == "Bring the clock of the container's machine in time."


def test_an_offset_that_nobody_tells_is_not_taken_for_none(ask_one, metrics_of, healthy):
    host = replace(healthy, clock=ClockState(synchronised=True, offset=None, maximum_error=0.5, daemon="chronyd"))
    finding = ask_one(host, "time_offset")
    assert (finding.status, finding.value) == ("skipped", None)
    assert "chronyd does not tell" in finding.summary
    assert "chronyc" in finding.remedy
    assert metrics_of(host, "time_offset")["host.time_error", "clock"] == 0.5


@pytest.mark.parametrize(("offset", "status"), [(0.05, "ok"), (-0.2, "warning"), (1.5, "critical")])
def test_an_offset_counts_in_both_directions(ask_one, healthy, offset, status):
    host = replace(healthy, clock=ClockState(synchronised=True, offset=offset, maximum_error=0.1))
    assert ask_one(host, "time_offset").status == status


@pytest.mark.parametrize(("days", "status"), [(0, "info"), (7, "warning"), (30, "critical")])
def test_a_reboot_that_waits_too_long_alarms(ask_one, healthy, make, days, status):
    state = Reboot(make.now - timedelta(days=days), ("linux-image-6.1.0-18-amd64", "dbus"), "6.1.0-17-amd64")
    finding = ask_one(replace(healthy, reboot=state), "reboot")
    assert (finding.status, finding.value) == (status, days * 86400)
    assert finding.evidence == ("package linux-image-6.1.0-18-amd64", "package dbus")


def test_a_newer_kernel_is_a_reason_without_the_distributions_mark(ask_one, healthy, make):
    state = Reboot(None, (), "6.1.0-17-amd64", "6.1.0-18-amd64", make.now - timedelta(days=8))
    finding = ask_one(replace(healthy, reboot=state), "reboot")
    assert finding.status == "warning"
    assert "kernel 6.1.0-18-amd64 is installed, 6.1.0-17-amd64 runs" in finding.summary


def test_microcode_is_a_reason_too(ask_one, healthy):
    host = replace(healthy, needrestart=Needrestart(kernel=1, microcode=2, services=()))
    finding = ask_one(host, "reboot")
    assert (finding.status, finding.value) == ("info", None)
    assert "microcode is installed); since when is not known" in finding.summary


def test_a_mark_from_the_future_waits_for_no_time(ask_one, healthy, make):
    state = Reboot(make.now + timedelta(days=1), (), "6.1.0")
    assert ask_one(replace(healthy, reboot=state), "reboot").value == 0


def test_nothing_to_reboot_for_is_ok(ask_one, healthy):
    assert ask_one(healthy, "reboot").status == "ok"
    container = replace(healthy, boot=replace(healthy.boot, container=True))
    assert "was not looked at" in ask_one(container, "reboot").summary


def test_programs_on_replaced_files_are_named_by_unit(ask_one, healthy):
    programs = (
        Outdated("nginx.service", 10, ("/usr/lib/libssl.so.3",)),
        Outdated("nginx.service", 11, ("/usr/lib/libssl.so.3", "/usr/lib/libz.so.1")),
        Outdated("sshd", 12, ("/usr/sbin/sshd",)),
    )
    finding = ask_one(replace(healthy, outdated=programs), "libraries")
    assert (finding.value, finding.status) == (2, "warning")
    assert finding.evidence == ("nginx.service: /usr/lib/libssl.so.3, /usr/lib/libz.so.1", "sshd: /usr/sbin/sshd")


def test_what_needrestart_names_is_added(ask_one, healthy):
    told = Needrestart(kernel=1, microcode=0, services=("cron.service",))
    assert ask_one(replace(healthy, needrestart=told), "libraries").evidence == ("cron.service: needrestart",)


def test_needrestart_that_is_off_is_skipped(ask_one, healthy):
    assert ask_one(healthy, "needrestart").status == "skipped"


@pytest.mark.parametrize(
    ("told", "status", "words"),
    [
        (Needrestart(1, 1, ()), "ok", "needrestart names nothing to restart"),
        (Needrestart(3, 2, ("a.service", "b.service")), "info", "needrestart names kernel, microcode, 2 services"),
        (Absent("only root"), "skipped", "only root"),
    ],
)
def test_needrestart_is_told(ask_one, healthy, told, status, words):
    finding = ask_one(replace(healthy, needrestart=told), "needrestart", settings=Settings(needrestart=True))
    assert (finding.status, finding.summary) == (status, words)


def test_a_boot_since_the_last_run_is_news(ask, remembered, healthy, later):
    memory = remembered(healthy)
    assert [one.status for one in ask(later(), "uptime", memory=memory)] == ["ok"]
    findings = ask(later(boot="boot-two"), "uptime", memory=memory)
    assert [(one.item, one.status) for one in findings] == [("host", "ok"), ("boot", "info")]
    assert [one.status for one in ask(healthy, "uptime")] == ["ok"]
