# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller itself is what fails: killed, without room, twice at once, or out of its window."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import check, repair, task

pytestmark = pytest.mark.integration

REPORT = "fleetcare.maintenance.report"


def lines(outcome):
    found = {finding["check"]: finding for finding in outcome.results("look")[0]["findings"]}
    return found["host.lines"].get("evidence", [])


def test_a_controller_killed_while_a_module_runs_loses_no_line(site, until, kill_controller):
    log, mark, gate = (site.folder / name for name in ("log", "mark", "gate"))
    log.write_text("one\n")
    assert lines(site.tasks(check(log=str(log)))) == ["one"]
    log.write_text("one\ntwo\n")
    command = site.command([{"tasks": [check(log=str(log), mark=str(mark), wait_for=str(gate))]}])
    with subprocess.Popen(
        command, cwd=site.folder, env=site.surroundings(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        until(mark.exists)
        kill_controller(process)
    state = next((site.folder / "state").glob("host_check.*"))
    before = state.read_bytes()
    gate.touch()
    # The module ends, keeps its state, and there is nobody left to write its record.
    until(lambda: state.read_bytes() != before)
    assert site.problems() == []
    assert lines(site.tasks(check(log=str(log)))) == ["two"]
    assert lines(site.tasks(check(log=str(log)))) == []
    assert site.problems() == []


def test_two_runs_at_once_do_not_mix(site):
    site.hosts = {"one": {}, "two": {}}
    plays = [{"tasks": [check("first"), check("second")]}]
    command = site.command(plays)
    running = [
        subprocess.Popen(
            command, cwd=site.folder, env=site.surroundings(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for _round in range(2)
    ]
    assert [process.wait() for process in running] == [0, 0]
    assert len(site.runs()) == 2
    for run in (0, 1):
        for host in site.hosts:
            assert [record["task"] for record in site.records(host, run)] == ["first", "second"]
    assert site.problems() == []


MOUNTED = """
import os, subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + sys.argv[2], "tmpfs", sys.argv[1]], check=True)
if sys.argv[3] == "full":
    with open(sys.argv[1] + "/fill", "wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            pass
if sys.argv[3] == "ro":
    subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
os.execv(sys.argv[4], sys.argv[4:])
"""


def play_on_a_mount(site, plays, *, size, mode):
    """Run plays with a reports folder that is a file system of its own, in a mount name space of its own."""
    (site.folder / "reports").mkdir()
    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-c", MOUNTED, str(site.folder / "reports"), size, mode,
         *site.command(plays)],
        cwd=site.folder, env=site.surroundings(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (site.folder / "tape.jsonl").exists(), done.stdout + done.stderr
    tape = [json.loads(line) for line in (site.folder / "tape.jsonl").read_text().splitlines()]
    return done, tape


@pytest.mark.parametrize(("mode", "words"), [("full", "No space left on device"), ("ro", "Read-only file system")])
@pytest.mark.parametrize("on_failure", ["error", "finding"])
def test_without_room_for_the_journal_nothing_is_touched_and_a_sentence_says_why(site, mode, words, on_failure):
    site.variables["maintenance_on_failure"] = on_failure
    made, mark = site.folder / "made", site.folder / "mark"
    plays = [{"tasks": [repair(files=[str(made)]) | {"ignore_errors": True}, check(mark=str(mark))]}]
    done, tape = play_on_a_mount(site, plays, size="64k", mode=mode)
    assert done.returncode == 2
    assert [line["event"] for line in tape] == ["failed", "failed"]
    for line in tape:
        assert words in line["result"]["msg"]
        assert "Make room or set maintenance_reports_dir" in line["result"]["msg"]
    assert "Traceback" not in done.stdout + done.stderr
    assert not made.exists()
    assert not mark.exists()


def test_with_too_little_room_checks_go_on_and_repairs_do_not_begin(site):
    made = site.folder / "made"
    plays = [{"tasks": [check(), repair(files=[str(made)])]}]
    _done, tape = play_on_a_mount(site, plays, size="2m", mode="rw")
    assert [line["event"] for line in tape] == ["ok", "failed"]
    assert "less than 4 MiB are free" in tape[1]["result"]["msg"]
    assert not made.exists()


def test_a_window_that_closes_while_a_repair_runs_stops_it_cleanly(site):
    """The freeze begins some seconds after the gate let the repair through; there is work for minutes."""
    begins = "{{ '%Y-%m-%dT%H:%M:%S+00:00' | strftime((now().timestamp() | int) + 15, utc=true) }}"
    site.variables["maintenance_freezes"] = [{"from": begins, "to": "2999-01-01", "reason": "exams"}]
    files = [str(site.folder / f"made{number}") for number in range(1000)]
    outcome = site.tasks(repair(files=files, seconds=0.5))
    assert outcome.returncode == 0, outcome.stdout
    result = outcome.results("repair")[0]
    applied, kept = len(result["applied"]), len(result["kept"])
    assert applied > 0
    assert applied + kept == len(files) == len(result["plan"])
    assert result["kept"][0]["reason"] == "make was planned, but the window had closed"
    assert len(list(site.folder.glob("made*"))) == applied
    assert site.problems() == []


def test_hostile_evidence_and_a_line_of_megabytes_stay_text_in_the_report(site):
    script = "<script>alert(1)</script>"
    raw = {
        "changed": False,
        "findings": [
            {
                "check": "host.memory", "item": script, "status": "warning", "summary": script,
                "evidence": [script + "x" * 10_000_000, "{{ 7*7 }}", "\x1b[31m"],
            }
        ],
    }  # fmt: skip
    path = site.folder / "raw.json"
    path.write_text(json.dumps(raw))
    outcome = site.tasks(
        check("hostile", raw_from=str(path)),
        task("report", REPORT) | {"run_once": True},
    )
    pages = [page for page in (site.folder / "reports").rglob("*") if page.suffix in (".html", ".md", ".json", ".xml")]
    html = [page.read_text() for page in pages if page.suffix == ".html"]
    assert html, outcome.stdout + outcome.stderr
    for page in pages:
        text = page.read_text()
        assert len(text) < 2_000_000, page
        assert "\x1b" not in text, page
    for text in html:
        assert "<script>alert" not in text
        assert "{{ 7*7 }}" in text
    assert site.problems() == []
