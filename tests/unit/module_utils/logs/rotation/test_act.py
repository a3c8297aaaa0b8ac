# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a rule: whole or not at all, whatever lies in the way and whenever it is killed."""

from __future__ import annotations

import errno
import os
import resource
import signal

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.act import put_in_place
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation.rotate import look, read_rule

OLD, NEW = "/srv/a.log {\n rotate 1\n}\n", "/srv/a.log {\n rotate 9\n}\n" + "# x\n" * 2000


@pytest.fixture
def rule(tmp_path, monkeypatch):
    """A rule in force, in a folder that logrotate reads; nobody but root can make a file root's."""
    monkeypatch.setattr(act.os, "fchown", lambda *_given: None)
    folder = tmp_path / "etc" / "logrotate.d"
    folder.mkdir(parents=True)
    (folder / "shop").write_text(OLD)
    return folder / "shop"


def left(rule):
    """What lies in the folder that logrotate reads, and beside it."""
    return sorted(os.listdir(rule.parent)), sorted(set(os.listdir(rule.parent.parent)) - {"logrotate.d"})


@pytest.mark.parametrize("step", ["fsync", "fchmod", "replace"])
def test_a_run_that_is_killed_before_the_rename_leaves_the_old_rule_alone_in_its_folder(rule, monkeypatch, step):
    """logrotate reads whatever it finds in the folder: half a rule must never lie there, and the next run succeeds."""
    child = os.fork()
    if not child:
        setattr(act.os, step, lambda *_given: os.kill(os.getpid(), signal.SIGKILL))
        put_in_place(str(rule), NEW)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert rule.read_text() == OLD
    assert left(rule) == (["shop"], [".shop.fleetcare-log_rotate"])
    put_in_place(str(rule), NEW)
    assert rule.read_text() == NEW
    assert left(rule) == (["shop"], [])


def test_a_run_that_is_killed_behind_the_rename_has_the_new_rule(rule):
    child = os.fork()
    if not child:
        really = os.replace
        act.os.replace = lambda *given: (really(*given), os.kill(os.getpid(), signal.SIGKILL))
        put_in_place(str(rule), NEW)
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert rule.read_text() == NEW
    assert left(rule) == (["shop"], [])


def test_a_rule_that_finds_no_room_leaves_the_old_one_and_no_rest(rule):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError) as full:
            put_in_place(str(rule), NEW)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert full.value.errno == errno.EFBIG
    assert rule.read_text() == OLD
    assert left(rule) == (["shop"], [])


def test_a_link_in_the_way_is_replaced_and_never_written_through(rule, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (rule.parent.parent / ".shop.fleetcare-log_rotate").symlink_to(victim)
    rule.unlink()
    rule.symlink_to(victim)
    put_in_place(str(rule), NEW)
    assert victim.read_text() == "precious"
    assert (rule.is_symlink(), rule.read_text()) == (False, NEW)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo, os.mkdir])
def test_a_rule_that_is_no_plain_file_is_neither_read_nor_waited_for(rule, make):
    rule.unlink()
    make(rule)
    with pytest.raises(StateError, match="plain file"):
        read_rule(str(rule))


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_no_log_to_rotate(tmp_path, make):
    log = tmp_path / "a.log"
    make(log)
    assert look(str(log)) is None
