# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module remembers: two generations, never half a file, never somebody else's."""

from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import signal
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core import state as state_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import (
    State,
    StateError,
    write_atomically,
)


def state(folder, acknowledged=None, consumer="one"):
    return State(directory=folder, module="host_check", consumer=consumer, acknowledged=acknowledged)


def test_what_is_saved_is_there_on_the_next_run(tmp_path):
    folder = tmp_path / "new" / "state"
    assert state(folder).load() == {}
    state(folder).save({"cursor": 7})
    assert state(folder).load() == {"cursor": 7}


def test_folder_and_file_are_for_the_owner_alone(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    state(folder).save({})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(state(folder).path.stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["host_check.one.json"]


def test_a_folder_that_others_use_is_refused_and_left_as_it_is(tmp_path):
    folder = tmp_path / "lib"
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "dpkg").mkdir()
    with pytest.raises(StateError, match=r"is open to others \(mode 0755\) and is not empty"):
        state(folder).save({})
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert [path.name for path in folder.iterdir()] == ["dpkg"]


def test_a_run_whose_record_was_lost_is_taken_back(tmp_path):
    first = state(tmp_path).save({"cursor": 1})
    state(tmp_path, acknowledged=first).save({"cursor": 2})
    assert state(tmp_path, acknowledged=first).load() == {"cursor": 1}
    third = state(tmp_path, acknowledged=first).save({"cursor": 3})
    assert state(tmp_path, acknowledged=third).load() == {"cursor": 3}
    assert state(tmp_path, acknowledged=first).load() == {"cursor": 1}


def test_a_journal_that_knows_of_no_run_starts_from_nothing(tmp_path):
    state(tmp_path).save({"cursor": 1})
    assert state(tmp_path, acknowledged="").load() == {}
    generation = state(tmp_path, acknowledged="").save({"cursor": 2})
    document = json.loads(state(tmp_path).path.read_text())
    assert [kept["id"] for kept in document["generations"]] == [generation]


def test_a_generation_nobody_has_is_nothing(tmp_path):
    state(tmp_path).save({"cursor": 1})
    assert state(tmp_path, acknowledged="feedfacefeedface").load() == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(reached=st.lists(st.booleans(), max_size=12))
def test_whatever_records_are_lost_the_next_run_goes_on_from_the_last_that_arrived(tmp_path, reached):
    folder = tmp_path / os.urandom(8).hex()
    acknowledged, expected = "", {}
    for number, arrived in enumerate(reached):
        run = state(folder, acknowledged=acknowledged)
        assert run.load() == expected
        generation = run.save({"run": number})
        if arrived:
            acknowledged, expected = generation, {"run": number}
    assert state(folder, acknowledged=acknowledged).load() == expected


def test_two_consumers_do_not_eat_each_others_cursors(tmp_path):
    state(tmp_path, consumer="one").save({"cursor": 1})
    state(tmp_path, consumer="two").save({"cursor": 2})
    assert state(tmp_path, consumer="one").load() == {"cursor": 1}


@pytest.mark.parametrize("consumer", ["", "../x", "a/b", ".hidden", "a b", "x" * 101, "a\n"])
def test_a_consumer_that_is_no_file_name_is_refused(tmp_path, consumer):
    with pytest.raises(OptionError, match="state_consumer"):
        state(tmp_path, consumer=consumer)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"generations": 3}', '{"generations": [["id", "data"]]}', "\xff"]
)
def test_a_damaged_file_is_nothing_remembered(tmp_path, content):
    state(tmp_path).path.write_text(content, encoding="latin-1")
    assert state(tmp_path).load() == {}
    state(tmp_path).save({"cursor": 1})
    assert state(tmp_path).load() == {"cursor": 1}


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text(json.dumps({"generations": [{"id": "x", "data": {"cursor": 9}}]}))
    folder = tmp_path / "state"
    folder.mkdir()
    state(folder).path.symlink_to(target)
    with pytest.raises(StateError, match="cannot be read"):
        state(folder).load()


def test_a_folder_of_somebody_else_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(state_module.os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StateError, match="does not belong to uid"):
        state(tmp_path).save({})


def test_a_folder_that_is_a_link_is_not_trusted(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(StateError, match="does not belong to uid"):
        state(tmp_path / "link").save({})


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="State cannot be read"):
        state(tmp_path / "file" / "state").save({})


def test_a_disk_that_is_full_is_said(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module.os, "fsync", full)
    with pytest.raises(StateError, match=r"State cannot be written .*: No space left on device"):
        state(tmp_path).save({})


def test_a_write_that_fails_leaves_the_old_content_and_no_scraps(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    write_atomically(path, b"old", mode=0o600)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, b"new", mode=0o600)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


FORK = multiprocessing.get_context("fork")


def test_what_a_killed_write_left_is_cleared_by_the_next_one(tmp_path):
    state(tmp_path).save({"run": 1})

    def die():
        state_module.os.fsync = lambda _descriptor: os.kill(os.getpid(), signal.SIGKILL)
        state(tmp_path).save({"run": 2})

    killed = FORK.Process(target=die)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    assert state(tmp_path).load() == {"run": 1}
    state(tmp_path).save({"run": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["host_check.one.json"]
    assert state(tmp_path).load() == {"run": 3}


def test_what_a_live_writer_holds_is_left_to_it(tmp_path):
    state(tmp_path).save({"run": 1})
    (here, there), (begun, begin) = FORK.Pipe(), FORK.Pipe()

    def write_slowly():
        real = os.fsync

        def fsync(descriptor):
            begin.send(True)
            there.recv()
            state_module.os.fsync = real
            real(descriptor)

        state_module.os.fsync = fsync
        state(tmp_path).save({"run": "slow"})

    slow = FORK.Process(target=write_slowly)
    slow.start()
    begun.recv()
    state(tmp_path).save({"run": 2})
    assert len(list(tmp_path.iterdir())) == 2
    here.send(True)
    slow.join()
    assert slow.exitcode == 0
    assert state(tmp_path).load() == {"run": "slow"}
    assert len(list(tmp_path.iterdir())) == 1


def test_only_what_was_a_write_of_this_state_is_cleared(tmp_path):
    state(tmp_path).save({})
    elsewhere = tmp_path.parent / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / ".host_check.one.json.link_to_").symlink_to(elsewhere)
    os.mkfifo(tmp_path / ".host_check.one.json.fifofifo")
    (tmp_path / ".host_check.one.json.folder00").mkdir()
    (tmp_path / ".host_check.one.json.twonames").write_text("x")
    os.link(tmp_path / ".host_check.one.json.twonames", tmp_path / "other")
    for name in (".host_check.two.json.abcdefgh", ".host_check.one.json.abcdefgh.bak", "host_check.one.json.abcdefgh"):
        (tmp_path / name).write_text("x")
    before = sorted(tmp_path.iterdir())
    state(tmp_path).save({})
    assert sorted(tmp_path.iterdir()) == before
    assert elsewhere.read_text() == "precious"


def test_a_file_that_is_cleared_before_its_writer_holds_it_is_made_anew(tmp_path, monkeypatch):
    real, cleared = fcntl.flock, []

    def late(descriptor, how):
        if not cleared:
            cleared.extend(tmp_path.iterdir())
            cleared[0].unlink()
        real(descriptor, how)

    monkeypatch.setattr(state_module.fcntl, "flock", late)
    write_atomically(tmp_path / "x.json", b"new", mode=0o600)
    assert (tmp_path / "x.json").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_the_default_folder_is_roots_or_the_users(monkeypatch):
    monkeypatch.setattr(state_module.os, "geteuid", lambda: 0)
    assert state_module.default_directory() == "/var/lib/fleetcare-maintenance"
    monkeypatch.setattr(state_module.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/u/state")
    assert state_module.default_directory() == "/home/u/state/fleetcare-maintenance"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert state_module.default_directory() == "/home/u/.local/state/fleetcare-maintenance"
