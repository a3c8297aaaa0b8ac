# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernels, tools and the machine itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent, attempt
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import system
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.system import (
    Needrestart,
    flavour,
    newest_kernel,
    parse_chrony,
    parse_needrestart,
    parse_thin_pools,
    time_daemon,
    version_key,
)


@pytest.mark.parametrize(
    ("release", "kind"),
    [
        ("6.1.0-18-amd64", "amd64"),
        ("6.1.0-18-cloud-amd64", "cloud-amd64"),
        ("6.12.38+deb13-amd64", "amd64"),
        ("6.1.0-0.deb11.5-amd64", "amd64"),
        ("5.15.0-91-generic", "generic"),
        ("6.8.0-1015-aws", "aws"),
        ("5.14.0-362.8.1.el9_3.x86_64", "x86_64"),
        ("6.8.5-301.fc40.x86_64", "x86_64"),
        ("6.6.31+rpt-rpi-v8", "rpt-rpi-v8"),
        ("4.19.0", ""),
    ],
)
def test_a_kernel_has_a_flavour(release, kind):
    assert flavour(release) == kind


@pytest.mark.parametrize(
    ("running", "installed", "newest"),
    [
        ("6.1.0-9-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], "6.1.0-18-amd64"),
        ("6.1.0-18-amd64", ["6.1.0-9-amd64", "6.1.0-18-amd64"], ""),
        ("6.1.0-9-amd64", ["6.1.0-18-cloud-amd64"], ""),
        ("6.12.9+deb13-amd64", ["6.12.38+deb13-amd64"], "6.12.38+deb13-amd64"),
        ("5.14.0-362.8.1.el9_3.x86_64", ["5.14.0-427.el9.x86_64"], "5.14.0-427.el9.x86_64"),
        ("6.18.44-fc-v669", [], ""),
        ("5.15.0-91-generic", ["6.8.0-40-generic", "5.15.0-101-generic"], "6.8.0-40-generic"),
    ],
)
def test_only_a_newer_kernel_of_the_same_flavour_asks_for_a_reboot(running, installed, newest):
    assert newest_kernel(running, installed) == newest


@given(st.lists(st.text()), st.text())
def test_kernels_of_any_name_can_be_compared(installed, running):
    newest_kernel(running, installed)
    version_key(running)


def test_needrestart_in_batch_mode():
    text = (
        "NEEDRESTART-VER: 3.6\nNEEDRESTART-KCUR: 6.1.0-17-amd64\nNEEDRESTART-KEXP: 6.1.0-18-amd64\n"
        "NEEDRESTART-KSTA: 3\nNEEDRESTART-UCSTA: 2\nNEEDRESTART-SVC: cron.service\nNEEDRESTART-SVC: ssh.service\n"
    )
    assert parse_needrestart(text) == Needrestart(3, 2, ("cron.service", "ssh.service"))
    assert parse_needrestart("NEEDRESTART-VER: 3.11\n") == Needrestart(0, 0, ())


def test_a_program_that_cannot_be_started_costs_one_answer_and_not_all():
    def no_process():
        raise MaintenanceError("The program cannot be started: no process number is free.")

    reading = attempt(no_process)
    assert isinstance(reading, Absent)
    assert (reading.status, reading.message) == ("unknown", "The program cannot be started: no process number is free.")


def test_needrestart_tells_only_root(monkeypatch):
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    with pytest.raises(Absent, match="only tells root"):
        system.collect_needrestart()


def test_thin_pools_as_the_device_mapper_prints_them():
    text = "vg-pool-tpool: 0 204800 thin-pool 1 125/1024 640/1600 - rw discard_passdown queue_if_no_space - 1024\nvg-x: 0 8 linear\n"
    (pool,) = parse_thin_pools(text)
    assert (pool.name, pool.data) == ("vg-pool-tpool", 40.0)
    assert pool.metadata == pytest.approx(12.207, abs=0.001)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("A29FC87B,192.0.2.1,2,1700000000.1,-0.000123,0.0001,0.0002,-1.2,0.0,0.1,0.02,0.001,64.2,Normal\n", -0.000123),
        ("", None),
        ("a,b,c,d,e", None),
    ],
)
def test_chronys_own_offset(text, offset):
    assert parse_chrony(text) == offset


@pytest.mark.parametrize(
    ("daemon", "own", "offset"),
    [
        ("systemd-timesyncd", 7.0, 0.25),
        ("ntpd", 7.0, 0.25),
        ("chronyd", 7.0, 7.0),
        ("chronyd", None, None),
        ("ptp4l", 7.0, None),
        ("", 7.0, None),
    ],
)
def test_the_offset_is_taken_only_from_whoever_knows_it(monkeypatch, daemon, own, offset):
    monkeypatch.setattr(system, "_chrony_offset", lambda: own)
    assert system._offset(daemon, 0.25) == offset


def test_a_chronyc_that_cannot_be_started_tells_nothing(monkeypatch):
    def no_process(*_argv, **_limits):
        raise MaintenanceError("The program cannot be started: no process number is free.")

    monkeypatch.setattr(system.command, "run", no_process)
    assert system._chrony_offset() is None


def test_the_time_daemon_is_known_by_its_cut_name():
    assert time_daemon(["init", "systemd-timesyn"]) == "systemd-timesyncd"
    assert time_daemon(["init"]) == ""


def test_this_machine_answers():
    boot = system.collect_boot()
    assert len(boot.id) == 36
    assert boot.uptime > 0
    assert system.collect_limits().threads_max > 0
    assert system.collect_clock([]).maximum_error >= 0
    assert system.collect_reboot(container=False).running
