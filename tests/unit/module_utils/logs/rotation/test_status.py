# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status file, and what starts logrotate."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.rotation import schedule, status

# Captured from logrotate 3.22 with TZ=UTC.
STATUS = """logrotate state -- version 2
"/var/log/dpkg.log" 2026-11-25-9:0:0
"/srv/with \\"quotes\\".log" 2026-9-1-0:0:0
"/old/form" 2026-1-31
"/never" 2026-13-45-9:0:0
"""


@pytest.fixture
def utc():
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def test_entries_are_read_with_their_zone(utc):
    found = status.parse(STATUS)
    assert found["/var/log/dpkg.log"].isoformat() == "2026-11-25T09:00:00+00:00"
    assert found['/srv/with "quotes".log'].isoformat() == "2026-09-01T00:00:00+00:00"
    assert found["/old/form"].isoformat() == "2026-01-31T00:00:00+00:00"


@given(st.text())
def test_no_text_breaks_the_reader(text):
    status.parse(text)


# Captured from systemd 252.
SHOWN = """Id=logrotate.timer
LoadState=loaded
ActiveState=active
SubState=waiting
UnitFileState=enabled
LastTriggerUSec=
Result=success

Id=logrotate.service
LoadState=loaded
ActiveState=inactive
SubState=dead
UnitFileState=static
Result=success
ExecMainStatus=0
ExecMainExitTimestamp=
"""


def of(text):
    return schedule.of_units(schedule.parse_units(text))


def test_a_timer_that_waits_is_right():
    assert of(SHOWN) == schedule.Schedule("logrotate.timer")


@pytest.mark.parametrize(
    ("old", "new", "by", "hindrance"),
    [
        ("LoadState=loaded\nActiveState=active", "LoadState=masked\nActiveState=inactive", "", "is masked"),
        ("LoadState=loaded\nActiveState=active", "LoadState=not-found\nActiveState=inactive", "", "there is no"),
        ("ActiveState=active", "ActiveState=inactive", "", "logrotate.timer is inactive"),
        ("UnitFileState=enabled", "UnitFileState=disabled", "logrotate.timer", "not after a boot"),
    ],
)
def test_what_is_wrong_with_a_timer(old, new, by, hindrance):
    found = of(SHOWN.replace(old, new, 1))
    assert found.by == by
    assert hindrance in found.hindrance


def test_a_last_run_that_failed_is_said():
    failed = SHOWN.replace("ActiveState=inactive", "ActiveState=failed").replace(
        "Result=success\nExecMainStatus=0", "Result=exit-code\nExecMainStatus=1"
    )
    assert of(failed).failure == "exit-code, exit status 1"


def test_cron_needs_a_file_and_a_program():
    assert schedule.of_cron(["/etc/cron.daily/logrotate"], {"cron", "sshd"}).by == "/etc/cron.daily/logrotate"
    assert "no cron runs" in schedule.of_cron(["/etc/cron.daily/logrotate"], {"sshd"}).hindrance
    assert "there is none of" in schedule.of_cron([], {"cron"}).hindrance
