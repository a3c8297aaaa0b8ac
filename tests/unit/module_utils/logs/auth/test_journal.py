# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What entries of the journal say. Where its reading goes on is tested in reading/test_journald.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.journal import line_of, read_entry
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


def test_fields_that_are_no_text():
    line = line_of(entry(1, MESSAGE=[102, 111, 255], SYSLOG_IDENTIFIER=["sudo", "su"], SYSLOG_PID="9", _COMM=None))
    assert (line.message, line.program, line.pid, line.uid, line.comm) == ("fo\ufffd", "sudo", "9", 0, "")
    assert line_of(entry(1, MESSAGE=None)) is None
    assert line_of(entry(1, _TRANSPORT="kernel", SYSLOG_IDENTIFIER="x")).program == "kernel"


def test_nobody_but_the_kernel_is_the_kernel():
    assert line_of(entry(1, _TRANSPORT="kernel", _UID="0")).uid is None
    assert line_of(entry(1, _TRANSPORT="syslog", SYSLOG_IDENTIFIER="kernel", _UID="1000")).uid == 1000


@given(
    st.dictionaries(
        st.sampled_from(["MESSAGE", "__REALTIME_TIMESTAMP", "_UID", "_PID", "SYSLOG_IDENTIFIER", "_COMM"]),
        st.none() | st.text(max_size=9) | st.integers() | st.lists(st.integers() | st.text(max_size=4), max_size=3),
    )
)
def test_no_entry_breaks_it(fields):
    line_of(fields)


@given(st.binary(max_size=80))
def test_no_line_breaks_it(raw):
    read_entry(raw)


def test_an_entry_that_was_cut_is_none():
    assert read_entry(b'{"MESSAGE":"so far and no fur') is None
    assert read_entry(b"[1]") is None
    assert read_entry(b'{"MESSAGE":"x","__REALTIME_TIMESTAMP":"1795608000000000"}').when == NOW
