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

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import Completed
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
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


def place(root, path, text="#!/bin/sh\n/usr/sbin/logrotate /etc/logrotate.conf\n", *, mode=0o755):
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


DEBIAN = (
    "#!/bin/sh\nif [ -d /run/systemd/system ]; then\n    exit 0\nfi\nexec /usr/sbin/logrotate /etc/logrotate.conf\n"
)


@pytest.mark.parametrize(
    ("path", "text", "mode", "managed", "found"),
    [
        # Red Hat 7 and 8, whose anacron runs it whether there is systemd or not.
        ("/etc/cron.daily/logrotate", "#!/bin/sh\n/usr/sbin/logrotate -s /var/lib/logrotate/logrotate.status x\n", 0o755, True, True),
        ("/etc/cron.daily/logrotate", "#!/bin/sh\n", 0o644, False, False),
        ("/etc/cron.daily/logrotate", DEBIAN, 0o755, True, False),
        ("/etc/cron.daily/logrotate", DEBIAN, 0o755, False, True),
        ("/etc/periodic/daily/logrotate", "#!/bin/sh\n", 0o755, False, True),
        ("/etc/cron.d/logrotate", "0 3 * * * root logrotate /etc/logrotate.conf\n", 0o644, False, True),
        ("/var/spool/cron/crontabs/root", "0 3 * * * /usr/sbin/logrotate /etc/logrotate.conf\n", 0o600, True, True),
        ("/etc/crontabs/root", "0\t2\t*\t*\t*\trun-parts /etc/periodic/daily\n", 0o600, False, False),
        ("/var/spool/cron/root", "# 0 3 * * * logrotate /etc/logrotate.conf\n", 0o600, False, False),
        ("/etc/cron.weekly/logrotate.rpmsave", "#!/bin/sh\n", 0o755, False, False),
    ],
)  # fmt: skip
def test_files_by_which_cron_starts_logrotate(tmp_path, path, text, mode, managed, found):
    place(tmp_path, path, text, mode=mode)
    assert list(schedule.cron_files(str(tmp_path), managed=managed)) == ([path] if found else [])


def test_a_timer_that_is_off_is_no_fault_where_cron_does_its_work(monkeypatch):
    units = SHOWN.replace("ActiveState=active", "ActiveState=inactive", 1)
    monkeypatch.setattr(schedule.os.path, "isdir", lambda _path: True)
    monkeypatch.setattr(schedule.command, "run", lambda *_given, **_options: Completed((), 0, units, ""))
    monkeypatch.setattr(schedule, "_programs", lambda: {"crond"})
    monkeypatch.setattr(schedule, "cron_files", lambda **_options: iter(["/etc/cron.daily/logrotate"]))
    assert schedule.collect_schedule() == schedule.Schedule("/etc/cron.daily/logrotate")
    monkeypatch.setattr(schedule, "cron_files", lambda **_options: iter(()))
    assert schedule.collect_schedule() == schedule.Schedule("", "logrotate.timer is inactive")


@pytest.mark.parametrize("name", ["status", "logrotate.status"])
def test_the_status_file_of_each_distribution_is_found(tmp_path, monkeypatch, name):
    folder = tmp_path / "logrotate"
    folder.mkdir()
    files = tuple(path.replace("/var/lib", str(tmp_path)) for path in status.FILES)
    monkeypatch.setattr(status, "FILES", files)
    assert status.collect_status().written is None
    (folder / name).write_text('logrotate state -- version 2\n"/var/log/messages" 2026-11-24-3:10:1\n')
    assert list(status.collect_status().entries) == ["/var/log/messages"]


def test_alpine_keeps_the_status_beside_the_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(status, "FILES", tuple(path.replace("/var/lib", str(tmp_path)) for path in status.FILES))
    with pytest.raises(Absent, match="not installed"):
        status.collect_status()
    (tmp_path / "logrotate.status").write_text('logrotate state -- version 2\n"/var/log/messages" 2026-11-24-3:10:1\n')
    assert len(status.collect_status().entries) == 1
