# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways of writing a time, and the year that some of them leave out."""

from __future__ import annotations

import calendar
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.stamp import Stamps, iso_time, unrepeated
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import FIXTURES, NOW


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc).timestamp()


def stamps(now=NOW):
    """A host whose zone is UTC."""
    return Stamps(now, local=lambda parts: float(calendar.timegm((*parts, 0, 0, 0))))


def test_real_files_of_all_three_forms_say_the_same():
    read = {}
    for name in ("traditional", "iso", "rfc5424"):
        lines = [stamps().read(raw) for raw in (FIXTURES / f"auth_{name}.log").read_text().splitlines()]
        assert None not in lines
        read[name] = [(int(line.when), line.program, line.pid, line.message.rstrip()) for line in lines[-30:]]
    assert read["traditional"] == read["iso"] == read["rfc5424"]
    assert read["iso"][0][0] == utc(2026, 11, 25, 9, 52, 30)


@pytest.mark.parametrize(
    ("raw", "program", "pid", "message"),
    [
        # busybox's syslogd (Alpine), the same with -S, and its klogd.
        (
            "Jun  4 09:24:12 alpine auth.info sshd[1906]: Invalid user x from 192.0.2.9 port 5",
            "sshd",
            "1906",
            "Invalid",
        ),
        ("Jun  4 09:24:12 sshd[1906]: Invalid user x from 192.0.2.9 port 5", "sshd", "1906", "Invalid"),
        ("Jun  4 09:24:12 alpine kern.warn kernel: [  152.014434] IN=eth0 OUT=", "kernel", "", "[  152.014434]"),
        ("Jun  4 09:24:12 alpine daemon.info init: starting pid 1906, tty '/dev/ttyS0'", "init", "", "starting"),
        # What a client sends cannot take the place of the sender.
        ("Jun  4 09:24:12 sshd[7]: Invalid user sshd[8]: Accepted", "sshd", "7", "Invalid user sshd[8]: Accepted"),
        ("Jun  4 09:24:12 host sshd[7]: auth.info sshd[8]: Accepted", "sshd", "7", "auth.info sshd[8]: Accepted"),
        # Red Hat's /var/log/secure and /var/log/messages.
        ("Jun  4 09:24:12 web-1 sshd-session[9]: Failed password for root", "sshd-session", "9", "Failed"),
        ("Jun  4 09:24:12 web-1 kernel: filter_IN_public_REJECT: IN=eth0", "kernel", "", "filter_IN_public_REJECT:"),
    ],
)
def test_other_daemons_lines(raw, program, pid, message):
    line = stamps().read(raw)
    assert (line.program, line.pid) == (program, pid)
    assert line.message.startswith(message)


@pytest.mark.parametrize(
    ("stamp", "now", "expected"),
    [
        ("Dec 31 23:59:59", utc(2027, 1, 1, 0, 0, 5), utc(2026, 12, 31, 23, 59, 59)),
        ("Jan  1 00:00:01", utc(2027, 1, 1, 0, 0, 5), utc(2027, 1, 1, 0, 0, 1)),
        # A clock that is a little behind, or a file in a zone ahead of ours, on either side of New Year.
        ("Jan  1 00:00:01", utc(2026, 12, 31, 23, 59, 59), utc(2027, 1, 1, 0, 0, 1)),
        ("Jan  3 00:00:01", utc(2026, 12, 31, 23, 59, 59), utc(2026, 1, 3, 0, 0, 1)),
        ("Feb 29 12:00:00", utc(2027, 3, 1), utc(2024, 2, 29, 12)),
        ("Nov 25 23:59:60", NOW, utc(2026, 11, 26)),
    ],
)
def test_the_year_is_the_newest_that_is_not_ahead(stamp, now, expected):
    assert stamps(now).read(f"{stamp} host sshd[1]: x").when == expected


FAILED = "Failed password for root from 203.0.113.9 port 4 ssh2"


@pytest.mark.parametrize(
    ("start", "when"),
    [
        ("Nov 25 11:00:00.123456 h", 0.123456),
        ("Nov 25 11:00:00 h auth.info", 0),
        ("Nov 25 11:00:00", 0),
        ("<38>Nov 25 11:00:00 h", 0),
        ("<38>2026-11-25T11:00:00Z h", 0),
        ("<38>1 2026-11-25T11:00:00.5Z h", 0.5),
        ("2026 Nov 25 11:00:00 h", 0),
        ("2026-11-25T11:00:00 h", 0),
        ("2026-11-25 11:00:00,25 h", 0.25),
        ("2026-11-25T12:00:00.25+01:00 h", 0.25),
        ("2026-11-25 12:00:00 +0100 h", 0),
        ("2026-11-25T11:00:00Z", 0),
        ("2026-11-25T11:00:00+00:00 h auth.info", 0),
    ],
)
def test_forms_that_templates_make(start, when):
    sender = " sshd 7 - - " if start.startswith("<38>1 ") else " sshd[7]: "
    line = stamps().read(f"{start}{sender}{FAILED}")
    assert (line.program, line.pid, line.message) == ("sshd", "7", FAILED)
    assert line.when == pytest.approx(NOW - 3600 + when)


@pytest.mark.parametrize(
    "stamp", ["2026-13-25T11:00:00", "2026-11-31 11:00:00", "0000-11-25T11:00:00", "0000 Nov 25 11:00:00"]
)
def test_what_is_no_day_is_no_line(stamp):
    assert stamps().read(f"{stamp} host sshd[1]: x") is None


@pytest.mark.parametrize("stamp", ["Foo 25 09:51:24", "Nov 31 09:51:24", "Nov 25 24:00:00", "Nov  0 09:51:24"])
def test_what_is_no_time_is_no_line(stamp):
    assert stamps().read(f"{stamp} host sshd[1]: x") is None


def test_the_hosts_own_zone_is_used(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert Stamps(NOW).read("Jul  1 12:00:00 host sshd[1]: x").when == utc(2026, 7, 1, 10)
        assert Stamps(NOW).read("Nov 20 12:00:00 host sshd[1]: x").when == utc(2026, 11, 20, 11)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["2026-11-25T12:00:00.0Z", "2026-11-25T13:00:00+0100", "2026-11-25T12:00:00,000+00:00"]
)
def test_iso_times(text):
    assert iso_time(text) == NOW


def test_structured_data_with_brackets_and_quotes_is_passed_over():
    raw = r'<38>1 2026-11-25T12:00:00Z host sshd 7 ID47 [a b="c\"]d"][e@1 f="g"] Failed'
    line = stamps().read(raw)
    assert (line.program, line.pid, line.message) == ("sshd", "7", "Failed")


def test_a_line_without_a_process_number():
    line = stamps().read("Nov 25 09:52:47 bookworm sudo:    maint : PWD=/ ; USER=root ; COMMAND=/usr/bin/id")
    assert (line.program, line.pid, line.message[:7]) == ("sudo", "", "maint :")


def test_repeats_of_rsyslog():
    """As rsyslog 8.2302 wrote it with $RepeatedMsgReduction."""
    (raw, *_more) = [raw for raw in (FIXTURES / "auth_traditional.log").read_text().splitlines() if "repeated" in raw]
    message, times = unrepeated(stamps().read(raw).message)
    assert (message, times) == ("Failed password for root from 172.17.0.1 port 33342 ssh2", 2)


@given(st.text(max_size=200))
def test_no_line_breaks_it(raw):
    stamps().read(raw)
    stamps().read(f"Nov 25 09:51:24 {raw}")
    iso_time(raw) if raw else None
