# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import errno
import json
import os
import re
import tempfile
from datetime import timedelta

import jsonschema
import pytest

from ansible_collections.fleetcare.maintenance.plugins.action.report import choose_run, parse_options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError, OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.journal import chain
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils import summary
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.history import schema
from ansible_collections.fleetcare.maintenance.plugins.plugin_utils.report import FORMATS, Request, produce
from ansible_collections.fleetcare.maintenance.tests.benchmarks import simulate
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.records import (
    NOW,
    Stopped,
    finding,
    record,
    write_run,
)
from ansible_collections.fleetcare.maintenance.tests.unit.plugin_utils.render.test_forms import SCHEMA

RUN = "20260302T020000Z-00000001"
NEXT = "20260303T020000Z-00000002"


def make(tmp_path, run=RUN, *, send=lambda *_message: True, now=NOW, **options):
    return produce(Request(reports=tmp_path, run=run, **options), clock=Stopped(now), send=send)


def read(tmp_path, name="latest.json"):
    return json.loads((tmp_path / name).read_text(encoding="utf-8"))


def keep(sent):
    """A sender that takes everything and keeps it."""

    def send(*message):
        sent.append(message)
        return True

    return send


def bad(status="critical"):
    return [record(finding(status=status))]


def test_all_forms_are_written_and_the_run_is_closed(tmp_path):
    write_run(tmp_path, {"a": bad("ok"), "b": bad("warning")})
    outcome = make(tmp_path)
    assert set(outcome.paths) == set(FORMATS)
    for ending in FORMATS.values():
        assert (tmp_path / RUN / f"report.{ending}").stat().st_size
        assert (tmp_path / f"latest.{ending}").read_bytes() == (tmp_path / RUN / f"report.{ending}").read_bytes()
    assert (tmp_path / "journal" / RUN / chain.HEAD_FILE).exists()
    assert chain.verify(tmp_path / "journal").problems == []
    assert outcome.failed == []
    left = [name for _folder, _folders, files in os.walk(tmp_path) for name in files if name.startswith(".report")]
    assert left == []


def test_a_host_without_record_is_unknown(tmp_path):
    write_run(tmp_path, {"a": bad("ok")}, expected=["a", "lost"])
    outcome = make(tmp_path, fail_on="unknown")
    assert dict(outcome.fleet.hosts) == {"ok": 1, "unknown": 1}
    assert "The worst status is unknown" in outcome.failed[0]
    lost = next(host for host in read(tmp_path)["hosts"] if host["host"] == "lost")
    assert (lost["recorded"], lost["findings"][0]["check"]) == (False, "maintenance.record")


@pytest.mark.parametrize(
    ("status", "fail_on", "fails"),
    [
        ("critical", "critical", True),
        ("unknown", "critical", False),
        ("unknown", "unknown", True),
        ("warning", "warning", True),
        ("info", "warning", False),
        ("info", "info", True),
        ("skipped", "info", False),
        ("critical", "never", False),
    ],
)
def test_the_run_fails_from_the_status_that_is_set(tmp_path, status, fail_on, fails):
    write_run(tmp_path, {"a": bad(status)})
    assert bool(make(tmp_path, fail_on=fail_on).failed) is fails


def test_suppressed_does_not_fail_the_run(tmp_path):
    known = {"owner": "ops", "reason": "known", "until": "2026-12-31"}
    write_run(tmp_path, {"a": [record(finding(status="critical", suppressed=known), finding(item="b"))]})
    assert make(tmp_path, fail_on="info").failed == []


def test_a_fault_fails_the_run_unless_it_never_does(tmp_path):
    write_run(tmp_path, {"a": [record(finding()), record(module="npm_check", fault="no library")]})
    assert make(tmp_path).failed == ["Not everything could run: a: npm_check: no library."]
    assert make(tmp_path, fail_on="never").failed == []


def test_the_second_run_tells_what_changed(tmp_path):
    write_run(tmp_path, {"a": bad("ok"), "b": bad("critical")})
    make(tmp_path)
    later = NOW + timedelta(days=1)
    write_run(tmp_path, {"a": bad("critical"), "b": bad("ok")}, run=NEXT, now=later)
    outcome = make(tmp_path, NEXT, now=later)
    assert {kind: listed.total for kind, listed in outcome.fleet.changes.items() if listed.total} == {
        "new": 1,
        "resolved": 1,
    }
    assert "Since the last run: 1 new, 1 resolved." in summary.result(outcome)["msg"][0]
    # Drawn again it says the same, and so does the page, which asks the history a second time.
    assert make(tmp_path, NEXT, now=later).fleet.changes["new"].total == 1
    assert "before that ok" in (tmp_path / "latest.html").read_text(encoding="utf-8")


def test_an_older_run_drawn_again_leaves_the_latest_alone(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    write_run(tmp_path, {"a": bad("warning")}, run=NEXT, now=NOW + timedelta(days=1))
    make(tmp_path, NEXT)
    make(tmp_path, RUN)
    assert read(tmp_path)["run"]["id"] == NEXT
    assert read(tmp_path, f"{RUN}/report.json")["run"]["id"] == RUN


def test_check_mode_writes_the_report_and_leaves_the_history_alone(tmp_path):
    write_run(tmp_path, {"a": bad("critical")}, check_mode=True)
    sent: list[tuple] = []
    make(tmp_path, contacts={"*": ["json://x"]}, send=keep(sent))
    assert sent == []
    assert "Check mode" in (tmp_path / "latest.html").read_text(encoding="utf-8")
    write_run(tmp_path, {"a": bad("critical")}, run=NEXT, now=NOW + timedelta(days=1))
    (entry,) = [listed.entry for listed in make(tmp_path, NEXT).fleet.worst]
    assert entry.change.kind == "first"


def test_owners_are_told_and_the_addresses_are_nowhere(tmp_path):
    write_run(tmp_path, {"a": [record(finding(status="critical", owners=["ops"]))]})
    sent: list[tuple] = []
    outcome = make(
        tmp_path,
        contacts={"ops": ["json://user:hunter2@example.org"]},
        send=keep(sent),
    )
    assert [notice["sent"] for notice in outcome.notices] == [True]
    assert sent[0][0] == "json://user:hunter2@example.org"
    assert "hunter2" not in json.dumps(summary.result(outcome))
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes()


@pytest.mark.parametrize(("hours", "told"), [(0, []), (24, [1, 2, 3]), (48, [2])])
def test_an_alarm_that_stays_is_told_again_run_by_run(tmp_path, hours, told):
    days = {}
    for day in range(4):
        now, sent = NOW + timedelta(days=day), days.setdefault(day, [])
        run = f"2026030{2 + day}T020000Z-0000000{day}"
        # A run that looks at another host alone takes nothing away.
        write_run(tmp_path, {"a": bad(), "b": bad("ok")}, run=run, now=now)
        write_run(tmp_path, {"b": bad("ok")}, run=f"{run}b", now=now + timedelta(hours=23))
        options = {"contacts": {"*": ["json://x"]}, "remind_hours": hours}
        make(tmp_path, run, now=now, send=keep(sent), **options)
        make(tmp_path, f"{run}b", now=now, send=keep([]), **options)
        if day:
            # Drawn again it says the same.
            again = []
            make(tmp_path, run, now=now, send=keep(again), **options)
            assert [subject for _to, subject, _body in again] == [subject for _to, subject, _body in sent]
    assert len(days.pop(0)) == 1
    assert [day for day, sent in days.items() if sent] == told


def test_what_a_run_without_contacts_found_is_told_when_its_report_is_drawn_again(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    make(tmp_path)
    night, sent = NOW + timedelta(days=1), []
    write_run(tmp_path, {"a": bad()}, run=NEXT, now=night)
    make(tmp_path, NEXT, now=night)
    make(tmp_path, NEXT, now=night + timedelta(hours=6), contacts={"*": ["json://x"]}, send=keep(sent))
    assert [subject for _to, subject, _body in sent] == ["Daily maintenance: 1 new"]


def test_a_notice_that_is_lost_does_not_fail_the_run(tmp_path):
    write_run(tmp_path, {"a": [record(finding(status="warning"))]})
    outcome = make(tmp_path, contacts={"*": ["json://x"]}, send=lambda *_message: False)
    assert outcome.failed == []
    assert "0 notices sent, 1 not" in " ".join(summary.result(outcome)["msg"])


def test_one_output_that_fails_does_not_keep_the_others(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    (tmp_path / RUN / "report.json").mkdir(parents=True)
    outcome = make(tmp_path)
    assert set(outcome.paths) == set(FORMATS) - {"json"}
    (said,) = outcome.failed
    assert said.startswith("The json report cannot be written: ")
    assert (tmp_path / "journal" / RUN / chain.HEAD_FILE).exists()


def test_a_full_disk_is_a_sentence_for_each_output_and_the_console_has_them(tmp_path, monkeypatch):
    write_run(tmp_path, {"a": bad("critical")})

    def full(*_arguments, **_options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkstemp", full)
    outcome = make(tmp_path)
    assert outcome.paths == {}
    assert sum("No space left on device" in said for said in outcome.failed) >= 5
    assert summary.result(outcome)["worst"][0]["host"] == "a"


def test_a_disk_that_fills_half_way_leaves_no_half_file(tmp_path, monkeypatch):
    write_run(tmp_path, {"a": bad("ok")})

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    outcome = make(tmp_path)
    assert outcome.paths == {}
    assert [path.name for path in (tmp_path / RUN).iterdir()] == []


def test_a_broken_history_is_told_and_the_report_is_written(tmp_path):
    (tmp_path / "history.db").write_text("no database " * 200)
    write_run(tmp_path, {"a": bad("ok")})
    outcome = make(tmp_path)
    assert set(outcome.paths) == set(FORMATS)
    assert "cannot be opened" in outcome.failed[0]
    assert "cannot be opened" in (tmp_path / "latest.html").read_text(encoding="utf-8")
    assert read(tmp_path)["counts"]["changes"] == {}


def test_a_history_of_a_newer_release_is_told_and_the_report_is_written(tmp_path, monkeypatch):
    write_run(tmp_path, {"a": bad("ok")})
    make(tmp_path)
    monkeypatch.setattr(schema, "VERSION", 0)
    monkeypatch.setattr(schema.prepare, "__kwdefaults__", {"version": 0, "migrations": {}})
    outcome = make(tmp_path)
    assert "Update the collection" in outcome.failed[0]
    assert set(outcome.paths) == set(FORMATS)


def test_a_broken_journal_of_one_host_is_its_fault_alone(tmp_path):
    write_run(tmp_path, {"a": bad("ok"), "b": bad("ok")})
    path = tmp_path / "journal" / RUN / chain.host_file("a")
    path.write_bytes(path.read_bytes() + b'{"host":"a", broken\n')
    outcome = make(tmp_path)
    assert dict(outcome.fleet.hosts) == {"ok": 2}
    assert "the journal of this host cannot be read on" in " ".join(outcome.failed)


def test_a_journal_that_begins_broken_does_not_hide_the_other_hosts(tmp_path):
    write_run(tmp_path, {"a": bad("ok"), "b": bad("ok")})
    (tmp_path / "journal" / RUN / chain.host_file("a")).write_bytes(b"rubbish\n")
    outcome = make(tmp_path)
    assert len(outcome.fleet.rows) == 2
    assert outcome.fleet.fault_total == 1
    assert outcome.failed


def test_hostile_host_names_stay_in_their_folder(tmp_path):
    write_run(tmp_path, {"../../etc/passwd": bad("ok"), "<script>": bad("ok")})
    outcome = make(tmp_path)
    assert outcome.failed == []
    assert {host["host"] for host in read(tmp_path)["hosts"]} == {"../../etc/passwd", "<script>"}


def test_further_pages_are_linked_from_both_places(tmp_path):
    write_run(tmp_path, {f"h{number}": bad("warning") for number in range(5)})
    make(tmp_path, detail_hosts=2)
    inside = (tmp_path / RUN / "report.html").read_text(encoding="utf-8")
    outside = (tmp_path / "latest.html").read_text(encoding="utf-8")
    for folder, html in ((tmp_path / RUN, inside), (tmp_path, outside)):
        pages = {link.partition("#")[0] for link in re.findall(r'href="([^"#]+)', html)}
        assert len(pages) == 2
        assert all((folder / page).exists() for page in pages)


def test_the_textfile_is_put_where_the_exporter_reads(tmp_path):
    folder = tmp_path / "textfile"
    folder.mkdir()
    write_run(tmp_path, {"a": bad("ok")})
    make(tmp_path, textfile_dir=folder)
    (path,) = folder.iterdir()
    assert path.name == "fleetcare-maintenance-daily.prom"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_late_cadence_is_on_the_console(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    outcome = make(tmp_path, expected_cadences={"weekly": 7.0})
    assert "The weekly run is late: has never run, but is due every 7 d." in summary.result(outcome)["msg"]


def test_a_simulated_fleet_over_three_days(tmp_path):
    for number in range(3):
        run = simulate.journal_run(tmp_path / "journal", number=number, hosts=12, expected=13)
        outcome = make(tmp_path, run, now=NOW + timedelta(days=number), fail_on="never")
        assert outcome.problems == []
        jsonschema.validate(read(tmp_path), SCHEMA)
    assert sum(listed.total for listed in outcome.fleet.changes.values())
    assert chain.verify(tmp_path / "journal").problems == []
    assert "<polyline" in (tmp_path / "latest.html").read_text(encoding="utf-8")


# --- options -----------------------------------------------------------------------------------------------------


def test_the_run_is_this_one_unless_another_is_named(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    write_run(tmp_path, {"a": bad("ok")}, run=NEXT)
    folder = tmp_path / "journal"
    assert choose_run(folder, "", current=RUN) == RUN
    assert choose_run(folder, "latest", current=RUN) == NEXT
    assert choose_run(folder, RUN, current=NEXT) == RUN
    with pytest.raises(MaintenanceError, match="left no record"):
        choose_run(folder, "", current="20270101T000000Z-00000000")
    with pytest.raises(OptionError, match="'run'"):
        choose_run(folder, "../..", current=RUN)
    with pytest.raises(MaintenanceError, match="no run"):
        choose_run(tmp_path / "empty", "latest", current=RUN)


def test_options_are_read_as_people_write_them(tmp_path):
    parsed = parse_options(
        {
            "formats": "html, json",
            "detail_hosts": "7",
            "digest": "yes",
            "retention_days": 30,
            "textfile_dir": str(tmp_path),
            "run": None,
        }
    )
    assert parsed == {
        "run": "",
        "formats": ("html", "json"),
        "detail_hosts": 7,
        "digest": True,
        "retention_days": 30,
        "textfile_dir": tmp_path,
    }
    assert parse_options({"textfile_dir": ""})["textfile_dir"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("formats", ["pdf"]),
        ("formats", []),
        ("formats", 7),
        ("detail_hosts", -1),
        ("detail_hosts", True),
        ("detail_hosts", "many"),
        ("digest", "perhaps"),
        ("retention_days", 0),
        ("expected_cadences", {"hourly": 1}),
        ("textfile_dir", "relative"),
        ("textfile_dir", "/nonexistent/folder"),
        ("run", 7),
        ("formatz", ["html"]),
    ],
)
def test_a_wrong_option_is_told_in_one_sentence(name, value):
    with pytest.raises(OptionError, match=re.escape(f"Option '{name}")):
        parse_options({name: value})


def test_a_wrong_store_url_is_told_before_anything_is_touched(tmp_path):
    write_run(tmp_path, {"a": bad("ok")})
    with pytest.raises(OptionError, match="maintenance_store_url"):
        make(tmp_path, store_url="mysql://u:hunter2@h/d")
    assert not (tmp_path / RUN).exists()
