# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a day leaves behind: a report on the controller, and on the hosts nothing but their state."""

from __future__ import annotations

import os
from pathlib import Path

REPORTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "reports"


def test_the_state_is_for_root_alone(host):
    folder = host.file("/var/lib/fleetcare-maintenance")
    assert (folder.user, folder.group, folder.mode) == ("root", "root", 0o700)


def test_no_file_of_the_state_is_readable_by_others(host):
    found = host.run("find /var/lib/fleetcare-maintenance -type f -perm /077")
    assert (found.rc, found.stdout) == (0, "")


def test_nothing_is_left_in_the_folders_for_temporary_files(host):
    found = host.run("find /tmp /var/tmp /root/.ansible/tmp /home/maint/.ansible/tmp -mindepth 1 -name '*fleetcare*'")
    assert found.stdout == ""


def test_no_unit_has_failed(host):
    assert host.run("systemctl --failed --no-legend").stdout == ""


def test_the_report_names_the_host(host):
    name = host.backend.get_hostname()
    pages = sorted(REPORTS.rglob("*.html"))
    assert pages
    assert name in pages[-1].read_text()
