# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open files as the kernel shows them: our own, deleted ones too, and what may not be seen."""

from __future__ import annotations

import os

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs import descriptors
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.descriptors import collect_descriptors


def test_a_file_that_we_hold_open_is_seen_with_its_holder(tmp_path):
    path = tmp_path / "app.log"
    with path.open("w") as stream:
        stream.write("x" * 5000)
        stream.flush()
        facts = os.stat(path)
        mine = [file for file in collect_descriptors().files if file.pid == os.getpid() and file.path == str(path)]
        assert [(file.inode, file.size, file.writing, file.deleted) for file in mine] == [
            (facts.st_ino, 5000, True, False)
        ]
        assert f"(process {os.getpid()})" in collect_descriptors().holder(facts.st_dev, facts.st_ino)
    assert not collect_descriptors().holder(facts.st_dev, facts.st_ino)


def test_a_deleted_file_has_its_old_name_and_its_size(tmp_path):
    path = tmp_path / "gone (deleted)"
    path.write_text("x" * 5000)
    with path.open() as stream:
        path.unlink()
        mine = [file for file in collect_descriptors().files if file.pid == os.getpid() and file.path == str(path)]
        assert [(file.deleted, file.writing, file.descriptor) for file in mine] == [(True, False, stream.fileno())]


def test_a_process_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    (tmp_path / "7").mkdir()
    (tmp_path / "7/comm").write_text("mysqld\n")
    real = os.listdir

    def refusing(path):
        if str(path).endswith("/7/fd"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(descriptors.os, "listdir", refusing)
    assert collect_descriptors(str(tmp_path)).unseen == ("mysqld",)


@pytest.fixture
def fake_proc(tmp_path):
    """Our own process, and what else a test puts there."""
    (tmp_path / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    return tmp_path


def test_where_others_are_not_listed_nobody_says_that_all_was_seen(fake_proc, monkeypatch):
    """So it is with ``hidepid``: the processes of others are not there at all."""
    alone = collect_descriptors(str(fake_proc))
    assert (alone.unseen, alone.hidden) == ((), "other processes")
    (fake_proc / "1/fd").mkdir(parents=True)
    monkeypatch.setattr(descriptors.os, "geteuid", lambda: 0)
    assert collect_descriptors(str(fake_proc)).hidden == ""
    monkeypatch.setattr(descriptors.os, "geteuid", lambda: 1000)
    assert collect_descriptors(str(fake_proc)).hidden == "other processes"


LINE = "{} 25 0:52 / {} rw,relatime shared:1 - {} source rw\n"


def test_what_is_on_the_network_is_told_by_the_mount_of_the_descriptor(tmp_path, fake_proc):
    """In a container a local file may have the path that a network file system has on the host, and the reverse."""
    path = tmp_path / "app.log"
    with path.open("w") as stream:
        with open(f"/proc/self/fdinfo/{stream.fileno()}") as info:
            mount = next(line.split()[1] for line in info if line.startswith("mnt_id"))

        def is_seen(*lines):
            (fake_proc / "7/ns").mkdir(parents=True, exist_ok=True)
            (fake_proc / "7/ns/mnt").unlink(missing_ok=True)
            (fake_proc / "7/ns/mnt").symlink_to("mnt:[4026532001]")
            (fake_proc / "7/mountinfo").write_text("".join(LINE.format(*line) for line in lines))
            return str(path) in {file.path for file in collect_descriptors(str(fake_proc)).files}

        assert is_seen((mount, "/", "ext4"), (99999, tmp_path, "nfs4"))
        assert not is_seen((mount, "/elsewhere", "nfs4"))
