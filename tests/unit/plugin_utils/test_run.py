# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import multiprocessing
import subprocess
from datetime import UTC, datetime

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import run

NOW = datetime(2026, 1, 31, 4, tzinfo=UTC)
FORK = multiprocessing.get_context("fork")


class Fixed(Clock):
    def now(self):
        return NOW


@pytest.fixture(autouse=True)
def invocation(tmp_path, monkeypatch):
    """The temporary folder that one invocation of Ansible makes for itself."""
    folder = tmp_path / "invocation"
    folder.mkdir()
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(folder), raising=False)
    return folder


def test_workers_that_come_at_once_agree_on_the_id(tmp_path):
    def worker(number):
        (tmp_path / str(number)).write_text(run.run_id(Fixed()))

    workers = [FORK.Process(target=worker, args=(number,)) for number in range(16)]
    for process in workers:
        process.start()
    for process in workers:
        process.join()
    names = {(tmp_path / str(number)).read_text() for number in range(16)}
    assert len(names) == 1
    assert names.pop().startswith("20260131T040000Z-")


def test_what_comes_after_a_closed_run_is_a_new_part(invocation):
    first = run.open_run_id(Fixed(), lambda name: False)
    second = run.open_run_id(Fixed(), lambda name: name == first)
    assert second != first
    assert run.open_run_id(Fixed(), lambda name: name == first) == second
    assert run.run_id(Fixed()) == first
    assert run.latest_id(Fixed()) == second
    assert len(list(invocation.iterdir())) == 2


def test_silence_is_of_one_machine_and_one_invocation():
    assert not run.is_silent("../../db1")
    run.note_silence("../../db1")
    assert run.is_silent("../../db1")
    assert not run.is_silent("db1")


def described(tmp_path, **given):
    options = {"variables": {}, "settings": {}, "environment": {}, **given}
    return run.describe(run="r", cadence="daily", working_directory=tmp_path, now=NOW, **options)


def test_the_hash_of_the_settings_moves_with_them_and_hides_them(tmp_path):
    one = described(tmp_path, settings={"maintenance_fail_on": "critical", "odd": {1, 2}})
    same = described(tmp_path, settings={"odd": {1, 2}, "maintenance_fail_on": "critical"})
    other = described(tmp_path, settings={"maintenance_fail_on": "warning", "odd": {1, 2}})
    assert one["settings_hash"] == same["settings_hash"] != other["settings_hash"]


@pytest.mark.parametrize(
    ("names", "job"),
    [
        ({"awx_job_id": 7, "tower_job_id": 8}, {"job_id": "7"}),
        ({"tower_job_id": 8, "awx_user_name": ""}, {"job_id": "8"}),
        ({"awx_workflow_job_id": 3, "awx_schedule_name": "nightly"}, {"workflow_job_id": "3", "schedule": "nightly"}),
        ({}, {}),
    ],
)
def test_a_job_of_awx_or_tower_says_which_it_is(tmp_path, names, job):
    assert described(tmp_path, variables=names)["job"] == job


@pytest.mark.parametrize(
    ("extra", "names"),
    [
        (['{"password": "hunter2", "a": 1}'], ["a", "password"]),
        (["b=hunter2 c='hunter2'"], ["b", "c"]),
        (["@vars.yml"], ["@vars.yml"]),
        (["{broken"], ["(inline)"]),
        (["a: hunter2"], ["a"]),
        (["{a: hunter2, b: [hunter2]}"], ["a", "b"]),
        (["{a: !unsafe 'hunter2'}"], ["a"]),
        (["hunter2"], ["(inline)"]),
        (["two words hunter2: 1"], ["(inline)"]),
        (["a=1 b: hunter2"], ["a", "b"]),
        (["[hunter2]"], ["(inline)"]),
        (["", " "], []),
        (["a='hunter2 with=sign' b=1"], ["a", "b"]),
        (["a='x hunter2=='"], ["a"]),
        (["a='hunter2"], ["(inline)"]),
        (["a=1 hunter2"], ["(inline)", "a"]),
    ],
)
def test_of_extra_variables_only_names_are_kept(tmp_path, monkeypatch, extra, names):
    monkeypatch.setattr(run, "CLIARGS", {"extra_vars": extra})
    header = described(tmp_path)
    assert header["extra_variables"] == names
    assert "hunter2" not in json.dumps(header)


def test_the_commit_says_whether_files_were_changed(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
            check=True,
            capture_output=True,
        )

    assert run.commit_of(tmp_path) == ""
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    clean = run.commit_of(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("two")
    assert run.commit_of(tmp_path) == f"{clean}+"
