# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes, whatever they call themselves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.processes import Process
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host import processes
from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.processes import (
    read_processes,
    replaced_files,
    still,
    unit_of,
)


def test_this_very_process_is_seen():
    (own,) = read_processes([str(os.getpid())])
    assert (own.pid, own.parent) == (os.getpid(), os.getppid())
    assert own.resident > 1024**2


def test_a_zombie_is_one_when_two_looks_agree():
    child = subprocess.Popen(
        [sys.executable, "-c", "import os; os.fork() or os._exit(0); input()"], stdin=subprocess.PIPE
    )
    try:
        dead = []
        while not dead:
            dead = [one for one in read_processes() if one.state == "Z" and one.parent == child.pid]
        assert [one.pid for one in still(dead, dead, "Z")] == [dead[0].pid]
        assert still([], dead, "Z") == ()
        assert still(dead, dead, "D") == ()
    finally:
        child.communicate(b"\n")


def test_our_own_children_are_not_the_hosts_trouble(make):
    mine = make.process(5, state="Z", parent=os.getpid())
    assert still([mine], [mine], "Z") == ()


def test_a_number_that_was_given_to_another_process_does_not_count(make):
    first = make.process(5, state="D")
    second = Process(5, "other", "D", 1, 1, started=999, resident=0)
    assert still([first], [second], "D") == ()


MAPS = b"""7f00-7f01 r-xp 00000000 fe:00 1234    /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f01-7f02 r--p 00000000 fe:00 1234    /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)
7f02-7f03 r-xp 00000000 fe:00 1235    /usr/lib/x86_64-linux-gnu/libc.so.6
7f03-7f04 rw-s 00000000 00:01 1236    /dev/zero (deleted)
7f04-7f05 rw-p 00000000 00:01 1237    /memfd:jit.so (deleted)
7f05-7f06 r-xp 00000000 00:01 1238    /tmp/plugin.so (deleted)
7f06-7f07 rw-p 00000000 00:00 0
"""


def test_replaced_libraries_are_those_of_updates_and_no_scratch_files():
    assert replaced_files(MAPS) == ("/usr/lib/x86_64-linux-gnu/libssl.so.3",)
    assert replaced_files(b"") == ()


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/nginx.service\n", "nginx.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service\n", "dbus.service"),
        ("12:pids:/system.slice/cron.service\n1:name=systemd:/system.slice/cron.service\n", "cron.service"),
        ("0::/\n", ""),
        ("0::/system.slice/docker-1234.scope/init\n", "docker-1234.scope"),
    ],
)
def test_a_process_belongs_to_its_innermost_unit(cgroup, unit):
    assert unit_of(cgroup) == unit


def test_an_ordinary_user_is_told_what_root_would_have_seen(monkeypatch):
    monkeypatch.setattr(processes.os, "geteuid", lambda: 1000)
    with pytest.raises(Absent) as caught:
        processes.collect_outdated([])
    assert (caught.value.status, caught.value.remedy) == ("skipped", "Run the check with become.")


@pytest.mark.parametrize(
    ("option", "hidden"), [("hidepid=2", True), ("hidepid=invisible", True), ("hidepid=0", False), ("", False)]
)
def test_processes_that_are_hidden_are_not_counted_as_absent(monkeypatch, option, hidden):
    monkeypatch.setattr(processes.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(processes, "content_or", lambda path: f"22 1 0:21 / /proc rw - proc proc rw,{option}")
    if hidden:
        with pytest.raises(Absent, match="hidepid"):
            processes.must_see_all()
    else:
        processes.must_see_all()
