# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A retention on real files: what goes, what stays, and what others do to the folder meanwhile."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mounts import Mount
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.state import StateError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention import act, walk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.manifest import Manifest
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.conftest import Still
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.retention.conftest import (
    make,
    manifest,
    reasons,
    targets,
)


def test_check_run_check_run(run, logs, tmp_path):
    before = sorted(os.listdir(logs))
    results = [run(check=True), run(), run(check=True), run()]
    assert [result["changed"] for result in results] == [True, True, False, False]
    assert results[0]["plan"] == results[1]["plan"]
    assert targets(results[0], "plan") == targets(results[1]) == ["app.log.6", "app.log.5", "app.log.4"]
    assert sorted(os.listdir(logs)) == [name for name in before if name not in targets(results[1])]


def test_check_mode_writes_nothing(run, tmp_path):
    run(check=True)
    assert not (tmp_path / "state").exists()


def test_the_manifest_says_before_and_after_what_went(run, logs, tmp_path):
    digest = hashlib.sha256(b"old").hexdigest()
    result = run(checksum=True)
    lines = manifest(tmp_path)
    assert [line["event"] for line in lines] == ["removing", "removed"] * 3
    assert lines[0]["path"] == f"{logs}/app.log.6"
    assert (lines[0]["bytes"], lines[0]["sha256"], lines[0]["class"]) == (3, digest, "application")
    assert result["applied"][0]["before"]["sha256"] == digest
    assert stat.S_IMODE(os.stat(tmp_path / "state/log_retention/2026-03.jsonl").st_mode) == 0o600


def test_a_line_that_was_cut_off_does_not_swallow_the_next(run, tmp_path):
    run(check=False, budget_files=1)
    path = tmp_path / "state/log_retention/2026-03.jsonl"
    with path.open("a") as stream:
        stream.write('{"time":"2026')
    run()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines() if line != '{"time":"2026'] == [
        "removing", "removed", "removing", "removed", "removing", "removed",
    ]  # fmt: skip


def test_without_a_manifest_nothing_goes(run, logs, tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state/log_retention").write_text("in the way")
    result = run()
    assert (result["changed"], result["applied"]) == (False, [])
    assert {entry["done"] for entry in result["failures"]} == {False}
    assert len(os.listdir(logs)) == 7


def test_what_is_gone_is_told_as_gone_although_the_manifest_is_full(run, logs, monkeypatch):
    def full(self, event, facts, *, now):
        if event == "removed":
            raise StateError("The manifest cannot be written: No space left on device.")

    monkeypatch.setattr(Manifest, "write", full)
    result = run()
    assert sorted(os.listdir(logs)) == ["app.log", "app.log.1", "app.log.2", "app.log.3"]
    assert {entry["done"] for entry in result["failures"]} == {True}
    assert "It was removed, and that is not written down" in result["failures"][0]["error"]
    (class_finding,) = [one for one in result["findings"] if one["check"] == "logs.retention"]
    assert "3 rotated files" in class_finding["summary"]
    assert "still there" not in class_finding["summary"]


def test_the_younger_of_name_and_last_change_is_the_age(run, logs, still):
    make(logs / "app.log-20260301.gz", still, days=400)
    make(logs / "app.log-20240101.gz", still, days=3)
    make(logs / "app.log-20240101-1.gz", still, days=400)
    gone = targets(run())
    assert "app.log-20260301.gz" not in gone
    assert "app.log-20240101.gz" not in gone
    assert "app.log-20240101-1.gz" in gone


def test_what_is_no_rotated_name_is_left_alone(run, logs, still):
    names = ["other.log", "data.db", "app.log.bak", "notes.2024", ".app.log.9", "app\n.log.9", "app.log.9\x1b[31m"]
    for name in names:
        make(logs / name, still, days=900)
    result = run()
    assert not set(targets(result)) & set(names)
    assert "2 names with control characters left alone" in result["findings"][0]["summary"]


@pytest.mark.parametrize("mark", ["PG_VERSION", "ibdata1"])
def test_the_data_of_a_database_is_not_walked(run, logs, mark):
    (logs / mark).touch()
    refused = run()
    assert refused["plan"] == []
    assert refused["findings"][0]["summary"] == f"{logs} is not walked: it holds the data of a database"
    below = run(policy=[{"class": "application", "paths": [str(logs.parent)]}])
    assert (below["plan"], below["findings"][0]["status"]) == ([], "skipped")
    assert f"1 place left alone: {logs} holds the data of a database" in below["findings"][0]["summary"]


def mount(point, kind, device="0:52"):
    return {str(point): Mount(device, "/", str(point), kind, "source", read_only=False, super_read_only=False)}


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_a_network_file_system_is_not_looked_at(run, logs, monkeypatch, kind):
    monkeypatch.setattr(walk, "collect_mounts", lambda: mount(logs.parent, kind))
    monkeypatch.setattr(walk, "open_folder", None)
    result = run()
    assert (result["plan"], result["status"]) == ([], "skipped")
    assert f"is on a network file system ({kind})" in result["findings"][0]["summary"]


def test_a_disk_below_a_network_file_system_is_a_disk(run, logs, monkeypatch):
    monkeypatch.setattr(walk, "collect_mounts", lambda: {**mount(logs.parent, "nfs4"), **mount(logs, "xfs")})
    assert targets(run()) == ["app.log.6", "app.log.5", "app.log.4"]


def test_what_is_passed_over_is_told(run, logs, still, monkeypatch):
    for name in ("remote", "disk", "deep"):
        (logs / name).mkdir()
        make(logs / name / "b.log.1", still, days=900)
        make(logs / name / "b.log.2", still, days=900)
    (logs / "deep/deeper").mkdir()
    real = os.stat

    def elsewhere(name, **how):
        assert name != "remote", "a dead server would hold us up"
        facts = real(name, **how)
        return os.stat_result([*facts[:2], facts.st_dev + 1, *facts[3:10]]) if name == "disk" else facts

    monkeypatch.setattr(walk, "collect_mounts", lambda: mount(logs / "remote", "nfs"))
    monkeypatch.setattr(walk, "MAX_DEPTH", 1)
    monkeypatch.setattr(walk.os, "stat", elsewhere)
    result = run()
    monkeypatch.undo()
    folder = result["findings"][0]
    assert (folder["status"], folder["evidence"]) == ("skipped", [
        f"{logs}/deep/deeper is below more than 1 folders",
        f"{logs}/disk is another file system",
        f"{logs}/remote is another file system (nfs)",
    ])  # fmt: skip
    assert f"3 places left alone: {logs}/deep/deeper is" in folder["summary"]
    assert "b.log.2" in targets(result)
    assert not {f"{logs}/disk/b.log.2", f"{logs}/remote/b.log.2"} & {step["target"] for step in result["applied"]}
    only = run(policy=[{"class": "application", "paths": [str(logs)], "recurse": False}])
    assert only["findings"][0]["status"] == "ok"


def test_a_log_that_is_called_otherwise_has_to_be_named(run, logs, still):
    for number in range(1, 4):
        make(logs / f"worker.{number}", still, days=100 * number)
    assert not [name for name in targets(run(check=True), "plan") if "worker" in name]
    policy = [{"class": "application", "paths": [str(logs)], "names": ["worker"]}]
    assert targets(run(policy=policy))[:2] == ["worker.3", "worker.2"]


def test_open_held_and_linked_files_stay_and_the_reason_is_said(run, logs, world, still):
    world.opens(logs / "app.log.4")
    os.link(logs / "app.log.5", logs.parent / "second")
    (logs / "app.log.6.hold").touch()
    result = run()
    assert targets(result) == []
    assert {name: reason.partition(", but ")[2] for name, reason in reasons(result).items()} == {
        "app.log.4": "shopd (process 812) has it open",
        "app.log.5": "it has 2 names, and removing one would free nothing",
        "app.log.6": f"{logs}/app.log.6.hold holds it",
    }


def test_a_folder_with_a_policy_of_its_own_is_judged_by_that_alone(run, logs, still):
    below = logs / "slow"
    below.mkdir()
    for number in (1, 2):
        make(below / f"sql.log.{number}", still, days=40 * number)
    policy = [
        {"class": "application", "paths": [str(logs)]},
        {"class": "database", "paths": [str(below)]},
    ]
    assert "sql.log.2" in targets(run(policy=policy))


def test_audit_folders_below_are_not_touched(run, logs, still):
    below = logs / "audit"
    below.mkdir()
    for number in (1, 2, 3):
        make(below / f"audit.log.{number}", still, days=400)
    policy = [{"class": "system", "paths": [str(logs)]}, {"class": "audit", "paths": [str(below)]}]
    run(policy=policy)
    assert len(os.listdir(below)) == 3


def test_what_is_mounted_from_elsewhere_is_left_to_where_it_lies(run, logs, still, monkeypatch):
    (logs / "bound").mkdir()
    for number in (1, 2, 3):
        make(logs / f"bound/b.log.{number}", still, days=900)
    monkeypatch.setattr(walk, "collect_mounts", lambda: mount(logs / "bound", "ext4"))
    result = run()
    assert len(os.listdir(logs / "bound")) == 3
    assert result["findings"][0]["evidence"] == [f"{logs}/bound is mounted there from elsewhere"]


def test_a_folder_is_known_by_itself_and_not_by_its_path(run, logs, still, monkeypatch):
    """As a bind mount of the folder above shows it: under a second path that no policy names."""
    audit = logs / "audit"
    audit.mkdir()
    for number in (1, 2, 3):
        make(audit / f"audit.log.{number}", still, days=900)
    facts, real = os.lstat(audit), os.lstat
    monkeypatch.setattr(walk.os, "lstat", lambda path, **how: facts if path == "/srv/audit" else real(path, **how))
    policy = [{"class": "system", "paths": [str(logs)]}, {"class": "audit", "paths": ["/srv/audit"]}]
    result = run(policy=policy)
    assert len(os.listdir(audit)) == 3
    assert result["findings"][0]["evidence"] == [f"{audit} is /srv/audit by another name"]
    result = run(policy=[{"class": "system", "paths": [str(audit)]}, {"class": "audit", "paths": ["/srv/audit"]}])
    assert len(os.listdir(audit)) == 3
    assert "is /srv/audit by another name" in result["findings"][0]["summary"]


def test_links_are_not_followed(run, logs, tmp_path, still):
    outside = tmp_path / "outside"
    outside.mkdir()
    for number in (1, 2):
        make(outside / f"victim.log.{number}", still, days=900)
    (logs / "sub").symlink_to(outside)
    (logs / "app.log.9").symlink_to(outside / "victim.log.1")
    result = run()
    assert sorted(os.listdir(outside)) == ["victim.log.1", "victim.log.2"]
    assert "2 symbolic links not followed" in result["findings"][0]["summary"]
    assert (logs / "app.log.9").is_symlink()


@pytest.mark.parametrize("where", ["", "/below"])
def test_a_folder_of_the_policy_behind_a_link_is_refused(run, logs, tmp_path, where):
    (logs / "below").mkdir()
    (tmp_path / "link").symlink_to(logs)
    result = run(policy=[{"class": "application", "paths": [f"{tmp_path}/link{where}"]}])
    assert result["plan"] == []
    finding = result["findings"][0]
    assert (finding["status"], finding["check"]) == ("warning", "logs.retention_folder")
    assert "is a symbolic link" in finding["summary"]


def test_a_folder_that_is_swapped_for_a_link_between_plan_and_deed(run, logs, tmp_path, still, world):
    victim = tmp_path / "victim"
    victim.mkdir()
    for number in range(1, 7):
        make(victim / f"app.log.{number}", still, days=30 * number)

    def swap():
        logs.rename(tmp_path / "aside")
        logs.symlink_to(victim)

    # The first look at open files is for the plan; what happens in the second happens between plan and deed.
    world.when = {2: swap}
    result = run()
    assert len(os.listdir(victim)) == 6, "what the link leads to is whole"
    # The first removal had its folder in hand by then and took the file that was planned, wherever it had gone.
    assert targets(result) == ["app.log.6"]
    assert set(reasons(result)) == {"app.log.4", "app.log.5"}
    assert all("is a symbolic link or no folder by now" in reason for reason in reasons(result).values())


def test_a_folder_that_is_exchanged_before_it_is_reached(run, logs, tmp_path, still, monkeypatch):
    """The same names in another folder at the same path are not the files that were planned."""
    real = act.open_folder

    def exchanged(path):
        if logs.exists() and not (tmp_path / "aside").exists():
            logs.rename(tmp_path / "aside")
            logs.mkdir()
            make(logs / "app.log.6", still, days=180)
        return real(path)

    monkeypatch.setattr(act, "open_folder", exchanged)
    result = run()
    assert result["applied"] == []
    assert set(os.listdir(logs)) == {"app.log.6"}
    assert "its folder is another one by now" in reasons(result)["app.log.6"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path, world: world.opens(path), "has it open by now"),
        (lambda path, world: path.write_text("grown"), "it was written to meanwhile"),
        (lambda path, world: os.link(path, path.parent / "second"), "it has a second name by now"),
        (lambda path, world: os.replace(path.parent / "app.log", path), "another file has its name by now"),
        (lambda path, world: (path.unlink(), path.symlink_to("app.log")), "another file has its name by now"),
        (lambda path, world: (path.parent / ".hold").touch(), "it is held by now"),
        (lambda path, world: path.unlink(), "it is gone by now"),
        (lambda path, world: setattr(world, "whole", False), "may not be seen by now"),
    ],
)
def test_a_file_that_changed_between_plan_and_deed_is_left_alone(run, logs, world, tmp_path, change, words):
    path = logs / "app.log.6"
    world.when = {2: lambda: change(path, world)}
    result = run()
    assert words in reasons(result)["app.log.6"]
    assert "app.log.6" not in targets(result)
    assert manifest(tmp_path)[1]["event"] == "kept"


def test_a_file_that_is_opened_during_the_run_is_seen(run, logs, world):
    world.when = {3: lambda: world.opens(logs / "app.log.5")}
    assert targets(run()) == ["app.log.6", "app.log.4"]


@pytest.mark.parametrize("blind", [{"unseen": ("mysqld",)}, {"whole": False}])
def test_whoever_does_not_see_all_open_files_removes_nothing(run, logs, world, blind):
    world.__dict__.update(blind)
    result = run()
    assert (result["plan"], result["status"]) == ([], "skipped")
    assert "run it as root" in result["findings"][0]["summary"]


def test_a_run_is_killed_half_way_and_the_next_one_finishes(run, logs, monkeypatch, tmp_path):
    real, calls = os.unlink, []

    def dying(name, **more):
        calls.append(name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(name, **more)

    monkeypatch.setattr(act.os, "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.undo()
    assert targets(run()) == ["app.log.5", "app.log.4"]
    events = [(line["event"], line["path"][-1]) for line in manifest(tmp_path)]
    assert events[:3] == [("removing", "6"), ("removed", "6"), ("removing", "5")]
    assert events[3:5] == [("removing", "5"), ("removed", "5")]


def test_a_clock_that_was_set_back_or_ahead_takes_no_more_than_the_policy_may(run, logs):
    """Set back, every file is of the future and stays; set ahead, all are too old and the floor holds."""
    back = run(clock=Still(datetime(2020, 1, 1, tzinfo=timezone.utc)))
    assert (back["plan"], back["status"]) == ([], "ok")
    ahead = run(check=True, clock=Still(datetime(2099, 1, 1, tzinfo=timezone.utc)), keep_newest=2)
    assert targets(ahead, "plan") == ["app.log.6", "app.log.5", "app.log.4", "app.log.3"]
    assert sorted(os.listdir(logs)) == ["app.log", *(f"app.log.{number}" for number in range(1, 7))]


RED_HAT = ("messages", "secure", "cron", "maillog", "spooler", "btmp", "wtmp")


def test_red_hat_s_dated_logs_are_generations_and_the_logs_themselves_are_not(run, logs, still):
    for name in RED_HAT:
        make(logs / name, still, days=700)
        for day in ("20240101", "20240201", "20250101.gz"):
            make(logs / f"{name}-{day}", still, days=500)
    result = run(keep_newest=1, policy=[{"class": "system", "paths": [str(logs)]}])
    gone = set(targets(result))
    assert gone == {f"{name}-{day}" for name in RED_HAT for day in ("20240101", "20240201")}
    assert set(RED_HAT) | {f"{name}-20250101.gz" for name in RED_HAT} <= set(os.listdir(logs))


def test_two_at_once(run, logs, world):
    world.when = {1: lambda: world.inner.append(run())}
    world.inner = []
    result = run()
    (inner,) = world.inner
    assert (inner["status"], inner["plan"]) == ("skipped", [])
    assert "Another log_retention is at work" in inner["findings"][0]["summary"]
    assert len(targets(result)) == 3


def test_the_deadline_stops_between_two_files(run, logs, still, world):
    world.when = {3: lambda: setattr(still, "moment", still.moment + timedelta(hours=2))}
    result = run(deadline="2026-03-29T02:00:00+00:00")
    assert targets(result) == ["app.log.6", "app.log.5"]
    assert "the window had closed" in reasons(result)["app.log.4"]
    assert result["findings"][1]["status"] == "warning"


def test_the_budget_leaves_the_rest_to_the_next_run(run):
    result = run(budget_files=2)
    assert targets(result) == ["app.log.6", "app.log.5"]
    assert "a run removes 2 files at the most" in reasons(result)["app.log.4"]
    assert result["status"] == "warning"
    assert targets(run(budget_files=2)) == ["app.log.4"]


def test_a_file_that_no_run_has_room_for_is_said(run, logs, still):
    make(logs / "app.log.6", still, days=180, text="x" * 300_000)
    result = run(budget_bytes=100_000)
    assert targets(result) == ["app.log.5", "app.log.4"]
    overdue = next(finding for finding in result["findings"] if finding["check"] == "logs.retention_overdue")
    assert (overdue["status"], "raise budget_bytes" in overdue["evidence"][-1]) == ("warning", True)
    again = run(budget_bytes=100_000)
    assert (again["plan"], again["status"]) == ([], "warning")


def test_nothing_past_retention_is_said_only_where_there_is_nothing(run, logs):
    held = next(finding for finding in run(hold=[f"{logs}/*"])["findings"] if finding["check"] == "logs.retention")
    assert held["status"] == "info"
    assert held["summary"].startswith("class application: nothing to be removed; 3 rotated files (12 KiB) kept beyond")
    assert "covers it" in held["summary"]
    run()
    fine = next(finding for finding in run()["findings"] if finding["check"] == "logs.retention")
    assert (fine["status"], fine["summary"]) == ("ok", "class application: 3 rotated files, none past retention")


def test_a_time_that_no_calendar_has_keeps_its_file_and_stops_no_other(run, logs, monkeypatch):
    real = walk._look

    def far(descriptor, place, name, rotated, *, held):
        found = real(descriptor, place, name, rotated, held=held)
        return replace(found, changed_ns=400_000_000_000 * 10**9) if name == "app.log.5" else found

    monkeypatch.setattr(walk, "_look", far)
    result = run()
    assert targets(result) == ["app.log.6", "app.log.4"]
    assert reasons(result)["app.log.5"] == "has a time of change that no calendar has, so its age is not known"


def test_a_folder_that_is_missing_is_said(run, tmp_path):
    result = run(policy=[{"class": "system", "paths": [f"{tmp_path}/none"]}], hold=[f"{tmp_path}/none/a*"])
    assert [(finding["status"], finding["summary"]) for finding in result["findings"]] == [
        ("info", f"there is no folder {tmp_path}/none")
    ]


def test_a_walk_that_was_cut_short_removes_nothing(run, monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.walk.MAX_ENTRIES", 3
    )
    result = run()
    assert result["plan"] == []
    assert result["findings"][0]["status"] == "unknown"


def test_bad_options_are_refused_before_anything_is_looked_at(run, world):
    with pytest.raises(OptionError):
        run(policy=[{"class": "application", "paths": ["/etc"]}])
    assert world.looks == 0
