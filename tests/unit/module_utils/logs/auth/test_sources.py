# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources that are not there, not readable, in another form, or read late: what is told of them and of their rates."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import follow, opening
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.follow import UNMEASURED
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import (
    FAILED,
    KEY,
    NOW,
    by_check,
    iso_lines,
    numbers,
)

APPLICATION = {"name": "shop", "failure": "failed for (?P<user>.*)"}


@pytest.mark.parametrize("form", ["25.11.2026 11:00:00 h sshd[1]: ", "1795604400 h sshd[1]: ", "sshd[1]: "])
def test_where_nothing_is_in_a_form_that_is_known_nothing_is_well(run, auth, form):
    auth.write_text(f"{form}{FAILED}\n" * 3000)
    found = by_check(run(files=[str(auth)]))
    assert found["logs.readable"]["status"] == "unknown"
    assert found["logs.readable"]["summary"] == "3000 new lines read, and none has a form that is known"
    about = {name: one for name, one in found.items() if name.startswith(("logs.auth_", "logs.firewall_"))}
    assert {one["status"] for one in about.values()} == {"unknown"}
    words = f"none of 3000 new lines of {auth} has a form that is known"
    assert about["logs.auth_failures"]["summary"] == about["logs.auth_unparsed"]["summary"] == words


def test_lines_in_no_form_count_as_not_understood(run, auth):
    auth.write_text(f"sshd[1]: {FAILED}\n" * 30 + iso_lines(*[FAILED] * 70, when=NOW - 1))
    found = by_check(run(files=[str(auth)]))
    assert (found["logs.auth_unparsed"]["status"], found["logs.auth_unparsed"]["value"]) == ("warning", 30)
    assert found["logs.auth_unparsed"]["evidence"] == ["in no form that is known: 30 lines"]


def test_a_log_that_is_quiet_is_no_log_in_an_unknown_form(run, auth):
    auth.write_text("")
    assert by_check(run(files=[str(auth)]))["logs.auth_failures"]["status"] == "ok"


def test_an_error_of_one_line_ends_no_run(run, auth, monkeypatch):
    def raising(_self, _line):
        raise OverflowError

    auth.write_text(iso_lines(FAILED, when=NOW - 1))
    monkeypatch.setattr(collect.Review, "take", raising)
    assert by_check(run(files=[str(auth)]))["logs.auth_failures"]["status"] == "unknown"


def told_unknown(result):
    return [
        one["summary"] for one in result["findings"] if (one["check"], one["status"]) == ("logs.readable", "unknown")
    ]


def test_files_beyond_those_that_one_run_reads_are_told(run, tmp_path):
    for number in range(203):
        (tmp_path / f"auth{number:03}.log").write_text(iso_lines(FAILED, when=NOW - 1))
    result = run(files=[f"{tmp_path}/auth*.log"])
    assert told_unknown(result) == [f"3 files not read, for one run reads 200: from {tmp_path}/auth200.log on"]
    assert numbers(result)["logs.auth_failed"] == 200


def test_files_of_an_application_beyond_those_that_one_run_reads_are_told(run, auth, tmp_path):
    for number in range(202):
        (tmp_path / f"app{number:03}.log").write_text("nothing\n")
    result = run(files=[str(auth)], applications=[{**APPLICATION, "files": [f"{tmp_path}/app*.log"]}])
    assert [words.split(",")[0] for words in told_unknown(result)] == ["2 files not read"]


def test_a_file_that_is_not_there_needs_no_right(run, tmp_path):
    application = {**APPLICATION, "files": [f"{tmp_path}/app*.log"]}
    result = run(files=[f"{tmp_path}/none.log", f"{tmp_path}/none*.log"], applications=[application])
    assert by_check(result)["logs.auth_failures"]["summary"] == f"{tmp_path}/none.log is not there"
    assert len(told_unknown(result)) == 3
    assert "become" not in json.dumps(result)


def test_a_link_needs_no_right(run, auth):
    link = auth.with_name("link.log")
    link.symlink_to(auth)
    found = by_check(run(files=[str(link)]))
    assert found["logs.auth_failures"]["summary"] == f"{link} is a symbolic link, which is not followed"
    assert "become" not in json.dumps(found)


def test_a_file_that_may_not_be_read_needs_one(run, auth, monkeypatch):
    def refused(_name, _folder):
        raise opening.Unreadable("may not be read: permission denied")

    monkeypatch.setattr(follow, "open_log", refused)
    found = by_check(run(files=[str(auth)]))
    assert found["logs.auth_failures"]["summary"] == f"{auth} may not be read: permission denied"
    assert found["logs.auth_failures"]["remedy"] == found["logs.readable"]["remedy"] == "Run the check with become."


def test_a_host_without_a_journal_needs_no_right(run, monkeypatch):
    def none():
        raise collect.Absent("there is no journal on this host")

    monkeypatch.setattr(collect, "require_journal", none)
    found = by_check(run(source="journal"))
    assert found["logs.readable"]["summary"] == "there is no journal on this host"
    assert "become" not in json.dumps(found)


@pytest.fixture
def journal(monkeypatch):
    """A journal whose reading is scripted: what comes next, and where each reading began."""

    def entry(message, when, **fields):
        told = {"MESSAGE": message, "__REALTIME_TIMESTAMP": str(int(when * 1e6)), "SYSLOG_IDENTIFIER": "sshd"}
        return json.dumps({**told, "_UID": "0", "_COMM": "sshd", "_PID": "7", **fields}).encode() + b"\n"

    def read(remembered, **_how):
        scripted.begun.append(remembered)
        lines, scripted.lines = scripted.lines, []
        if scripted.fails and not lines:
            raise MaintenanceError(scripted.fails)
        return SimpleNamespace(
            blocks=lambda: iter(lines), mark=lambda: {"cursor": str(len(scripted.begun))}, losses=[],
            behind=UNMEASURED if scripted.fails else 0, lines=len(lines), cut_lines=0, trouble=scripted.fails,
        )  # fmt: skip

    def require():
        if not scripted.is_there:
            raise collect.Absent("the journal cannot be read")

    scripted = SimpleNamespace(lines=[], begun=[], entry=entry, is_there=True, fails="")
    monkeypatch.setattr(collect, "require_journal", require)
    monkeypatch.setattr(collect, "follow_journal", read)
    return scripted


def test_a_journal_that_is_not_readable_for_once_is_read_on_and_not_again(run, journal):
    run(source="journal")
    journal.is_there = False
    run(source="journal", when=NOW + 60)
    journal.is_there = True
    run(source="journal", when=NOW + 120)
    assert journal.begun == [{}, {"cursor": "1"}]


def test_what_came_before_journalctl_failed_is_told_and_the_next_run_goes_on_behind_it(run, journal):
    run(source="journal")
    journal.fails = "'journalctl' failed: Bad message."
    journal.lines = [journal.entry(FAILED, NOW + 30)]
    result = run(source="journal", when=NOW + 60)
    assert numbers(result)["logs.auth_failed"] == 1
    (readable,) = [one for one in result["findings"] if one["check"] == "logs.readable"]
    assert readable["status"] == "unknown"
    assert readable["summary"] == ("the journal cannot be read on after 1 new line: 'journalctl' failed: Bad message.")
    assert by_check(run(source="journal", when=NOW + 120))["logs.auth_failures"]["status"] == "unknown"
    journal.fails = ""
    run(source="journal", when=NOW + 180)
    # Where nothing was given the place stays the same.
    assert journal.begun == [{}, {"cursor": "1"}, {"cursor": "2"}, {"cursor": "2"}]


def test_what_the_journal_told_the_files_do_not_tell_again(run, journal, usual):
    journal.lines = [journal.entry(FAILED, NOW - 60)]
    assert numbers(run())["logs.auth_failed"] == 1
    (usual / "auth.log").write_text(iso_lines(FAILED, when=NOW - 60) + iso_lines(FAILED, when=NOW + 30))
    journal.is_there = False
    assert numbers(run(when=NOW + 60))["logs.auth_failed"] == 1
    journal.is_there = True
    journal.lines = [journal.entry(FAILED, NOW + 30), journal.entry(FAILED, NOW + 90)]
    assert numbers(run(when=NOW + 120))["logs.auth_failed"] == 1


def test_a_packet_that_somebody_else_than_the_kernel_tells_of_is_not_believed(run, journal):
    packet = "[UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=1 DPT=23 SYN"
    forged = {"SYSLOG_IDENTIFIER": "kernel", "_UID": "1000", "_COMM": "logger"}
    journal.lines = [journal.entry(packet, NOW - 60, **forged), journal.entry(packet, NOW - 60, _TRANSPORT="kernel")]
    found = by_check(run())
    assert (found["logs.firewall_blocked"]["value"], found["logs.auth_forged"]["value"]) == (1, 1)


def failures_each(hours, start, end):
    """One failure in so many hours."""
    times = [start + number * hours * 3600 for number in range(round((end - start) / 3600 / hours))]
    return "".join(iso_lines(FAILED, when=when, program=f"sshd[{number}]") for number, when in enumerate(times))


QUIET = "Server listening on :: port 22."


def test_what_piled_up_during_an_outage_is_divided_by_its_length(run, auth):
    week = 7 * 86400
    auth.write_text(iso_lines(QUIET, when=NOW - week))
    run(files=[str(auth)], when=NOW - week)
    hidden = auth.with_name("hidden")
    auth.rename(hidden)
    auth.mkdir()
    for day in range(1, 7):
        run(files=[str(auth)], when=NOW - week + day * 86400)
    auth.rmdir()
    hidden.rename(auth)
    with auth.open("a") as stream:
        stream.write(failures_each(0.05, NOW - week, NOW))
    found = by_check(run(files=[str(auth)]))["logs.auth_failures"]
    assert (found["status"], found["value"]) == ("ok", 20)
    assert " in 7 d by " in found["summary"]


def test_a_backlog_is_divided_by_the_time_of_the_lines_that_were_read(run, auth):
    day = 86400
    auth.write_text(iso_lines(QUIET, when=NOW - day))
    run(files=[str(auth)], when=NOW - day)
    with auth.open("a") as stream:
        stream.write(failures_each(2 / 3600, NOW - day, NOW))
    first = run(files=[str(auth)], max_bytes=1024**2)
    second = run(files=[str(auth)], when=NOW + 600)
    assert by_check(first)["logs.behind"]["status"] == "info"
    for result in (first, second):
        assert by_check(result)["logs.auth_failures"]["value"] == pytest.approx(1800, rel=0.02)
    assert numbers(first)["logs.auth_failed"] + numbers(second)["logs.auth_failed"] == day / 2


def test_each_source_is_divided_by_its_own_time(run, auth, tmp_path):
    """One file that could not be read for a week does not thin out the failures of another."""
    week, other = 7 * 86400, tmp_path / "other.log"
    for path in (auth, other):
        path.write_text(iso_lines(QUIET, when=NOW - week))
    files = [str(auth), str(other)]
    run(files=files, when=NOW - week)
    other.rename(tmp_path / "hidden")
    other.mkdir()
    run(files=files, when=NOW - 7200)
    other.rmdir()
    (tmp_path / "hidden").rename(other)
    for path, hours in ((auth, 2), (other, 168)):
        with path.open("a") as stream:
            stream.write(failures_each(0.1, NOW - hours * 3600, NOW))
    assert by_check(run(files=files))["logs.auth_failures"]["value"] == pytest.approx(20, rel=0.01)


def test_a_line_with_an_old_time_does_not_thin_out_the_rate(run, auth):
    run(files=[str(auth)], when=NOW - 7200)
    with auth.open("a") as stream:
        stream.write(iso_lines(FAILED, when=NOW - 10**8) + iso_lines(*[FAILED] * 999, when=NOW - 60))
    assert by_check(run(files=[str(auth)]))["logs.auth_failures"]["value"] == 500


def test_what_an_earlier_release_remembered_is_still_known(run, auth, tmp_path):
    run(files=[str(auth)], when=NOW - 7200)
    (state,) = (tmp_path / "state").glob("*.json")
    text, stamp = state.read_text(), datetime.fromtimestamp(NOW - 36000, timezone.utc).isoformat()
    assert '"until":' in text
    state.write_text(text.replace('"until":', f'"at":"{stamp}","former":'))
    with auth.open("a") as stream:
        stream.write(iso_lines(*[FAILED] * 100, when=NOW - 60))
    assert by_check(run(files=[str(auth)]))["logs.auth_failures"]["value"] == 10


def logins(*addresses, when):
    return iso_lines(*[f"Accepted publickey for alice from {one} port 4 ssh2: {KEY}" for one in addresses], when=when)


def test_a_first_run_that_read_nothing_has_learnt_nothing(run, auth):
    networks = [f"192.0.{number}.1" for number in range(6)]
    auth.unlink()
    run(files=[str(auth)], when=NOW - 120)
    auth.write_text(logins(*networks, when=NOW - 1))
    learning = by_check(run(files=[str(auth)]))["logs.auth_new_network"]
    assert (learning["status"], learning["summary"][:30]) == ("ok", "First run: 6 networks of 1 use")
    with auth.open("a") as stream:
        stream.write(logins("198.51.100.1", when=NOW + 1))
    assert by_check(run(files=[str(auth)], when=NOW + 60))["logs.auth_new_network"]["status"] == "warning"
