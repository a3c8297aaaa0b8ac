# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of the journal, and where its reading goes on. Real journals are read in tests/integration/logs."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import journal as journal_module
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.journal import Journal, line_of
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading import output
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import NOW


def entry(number, **fields):
    return {
        "__CURSOR": f"c{number}",
        "__REALTIME_TIMESTAMP": str(int((NOW + number) * 1e6)),
        "MESSAGE": f"line {number}",
        "SYSLOG_IDENTIFIER": "sshd",
        "_PID": "7",
        "_UID": "0",
        **fields,
    }


@pytest.fixture
def journal(monkeypatch):
    """A journal that holds what it is told; what journalctl was called with is in ``calls``."""

    def made(held, remembered=None, **options):
        calls = []

        def run(self, arguments):
            calls.append(arguments[0])
            yield from (json.dumps(one).encode() + b"\n" for one in held)

        monkeypatch.setattr(Journal, "_run", run)
        return Journal(remembered or {}, begin=NOW - 100, now=NOW, **{"budget": 10**9, **options}), calls

    return made


def test_the_first_reading_goes_by_time_and_the_next_by_cursor(journal):
    first, calls = journal([entry(1), entry(2)])
    assert [line.message for line in first.entries()] == ["line 1", "line 2"]
    assert calls == [f"--since=@{int(NOW - 100)}"]
    assert first.mark() == {"cursor": "c2", "until": NOW}
    second, calls = journal([entry(-50)], first.mark())
    list(second.entries())
    assert calls[-1] == "--after-cursor=c2"
    assert not second.lost


def test_a_journal_that_begins_after_the_last_run_has_lost_lines(journal):
    reading, _calls = journal([entry(1)], {"cursor": "c", "until": NOW - 3600})
    list(reading.entries())
    assert reading.lost == "the journal begins at 2026-11-25 12:00:01Z, after the last run of 2026-11-25 11:00:00Z"


def test_what_the_budget_leaves_is_for_the_next_run(journal):
    reading, _calls = journal([entry(number) for number in range(100)], budget=1000)
    assert 2 < len(list(reading.entries())) < 20
    assert reading.behind
    assert reading.mark()["until"] == 0.0
    assert reading.mark()["cursor"] == f"c{reading.lines - 1}"


def test_a_cursor_that_is_not_taken_is_given_up(journal):
    reading, _calls = journal([], {"cursor": "nonsense", "until": NOW - 60})
    list(reading.entries())
    reading.trouble = "Failed to seek to cursor: Invalid argument"
    assert reading.mark() == {"cursor": "", "until": NOW - 60}


@pytest.mark.parametrize("remembered", [{"cursor": 7, "until": "x"}, {"cursor": None}, {"until": []}])
def test_a_damaged_mark_is_none(journal, remembered):
    reading, calls = journal([entry(1)], remembered)
    list(reading.entries())
    assert calls == [f"--since=@{int(NOW - 100)}"]


def test_fields_that_are_no_text():
    line = line_of(entry(1, MESSAGE=[102, 111, 255], SYSLOG_IDENTIFIER=["sudo", "su"], SYSLOG_PID="9", _COMM=None))
    assert (line.message, line.program, line.pid, line.uid, line.comm) == ("fo\ufffd", "sudo", "9", 0, "")
    assert line_of(entry(1, MESSAGE=None)) is None
    assert line_of(entry(1, _TRANSPORT="kernel", SYSLOG_IDENTIFIER="x")).program == "kernel"


@given(
    st.dictionaries(
        st.sampled_from(["MESSAGE", "__REALTIME_TIMESTAMP", "_UID", "_PID", "SYSLOG_IDENTIFIER", "_COMM"]),
        st.none() | st.text(max_size=9) | st.integers() | st.lists(st.integers() | st.text(max_size=4), max_size=3),
    )
)
def test_no_entry_breaks_it(fields):
    line_of(fields)


def test_a_host_without_a_journal_and_one_whose_journal_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "which", lambda _name: "/usr/bin/journalctl")
    reading = Journal({}, begin=0, now=NOW, budget=1, places=[f"{tmp_path}/*/system.journal"])
    with pytest.raises(Absent, match="there is no journal"):
        reading.require()
    (tmp_path / "id").mkdir()
    (tmp_path / "id" / "system.journal").touch()
    reading.require()
    monkeypatch.setattr(journal_module.os, "access", lambda _path, _mode: False)
    with pytest.raises(Absent, match="cannot be read") as absent:
        reading.require()
    assert "become" in absent.value.remedy


def test_a_program_that_fails_says_why_and_one_that_is_left_is_stopped(tmp_path, monkeypatch):
    program = tmp_path / "journalctl"
    program.write_text(
        '#!/bin/sh\necho "{}"; [ "$6" = fail ] && { echo "no such thing" >&2; exit 1; }; exec sleep 600\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(output, "which", lambda _name: str(program))
    reading = Journal({}, begin=0, now=NOW, budget=1)
    assert list(reading._run(["--since", "fail"])) == [b"{}\n"]
    assert reading.trouble == "'journalctl' failed: no such thing."
    reading.trouble = ""
    endless = reading._run(["--since", "go on"])
    assert next(endless) == b"{}\n"
    endless.close()
    assert reading.trouble == ""
