# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.services.processes import name_of, snapshot


def add(root, pid, parent, name, *arguments, state="S"):
    folder = root / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} ({name}) {state} {parent} 1 1 0 -1 {'0 ' * 44}\n")
    (folder / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in arguments))
    (folder / "comm").write_text(f"{name}\n")


@pytest.fixture
def proc(tmp_path):
    add(tmp_path, 1, 0, "systemd", "/sbin/init")
    add(tmp_path, 40, 1, "sshd", "sshd: listener")
    add(tmp_path, 41, 40, "sshd", "sshd: session")
    add(tmp_path, 42, 41, "sh", "sh", "-c", "python3 module.py")
    add(tmp_path, 43, 42, "python3", "python3", "module.py")
    add(tmp_path, 50, 1, "odd) S 1 (x", "/opt/app", "--name", "a b")
    add(tmp_path, 51, 1, "dead", "dead", state="Z")
    add(tmp_path, 52, 2, "kworker/0:1")
    (tmp_path / "self").mkdir()
    return tmp_path


def test_zombies_and_whoever_looks_are_left_out_but_not_the_daemon_above(proc):
    table = snapshot(proc, own_pid=43)
    assert sorted(process.pid for process in table.all) == [1, 40, 50, 52]
    assert table.complete


def test_a_name_may_hold_parentheses(proc):
    (odd,) = [process for process in snapshot(proc, own_pid=43).all if process.pid == 50]
    assert (odd.name, odd.line, odd.state, odd.parent) == ("odd) S 1 (x", "/opt/app --name a b", "S", 1)
    assert odd.uid == os.geteuid()
    assert odd.user


@pytest.mark.parametrize("line", ["", "50 (odd", "50 (odd) S 1 1 1 0 -1 0 0"])
def test_a_line_that_is_cut_is_no_process(proc, line):
    (proc / "50" / "stat").write_text(line)
    assert 50 not in {process.pid for process in snapshot(proc, own_pid=43).all}


def test_a_table_without_process_1_is_not_complete(proc):
    (proc / "1" / "stat").unlink()
    assert not snapshot(proc, own_pid=43).complete


def test_in_a_container_the_chain_ends_at_parent_0(proc):
    add(proc, 60, 0, "sh", "sh")
    add(proc, 61, 60, "python3", "python3")
    assert 60 in {process.pid for process in snapshot(proc, own_pid=61).all}


def test_this_very_process_is_not_among_the_others():
    assert os.getpid() not in {process.pid for process in snapshot().all}


def test_the_name_of_a_process_that_has_gone_is_empty(proc):
    assert name_of(50, proc) == "odd) S 1 (x"
    assert name_of(999, proc) == ""
