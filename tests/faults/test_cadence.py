# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily playbook as it is shipped, on a fleet of which not everything answers."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import ROOT

pytestmark = pytest.mark.integration

DOWN = {"ansible_connection": "ssh", "ansible_host": "127.0.0.9", "ansible_port": 9}


@pytest.mark.parametrize("hosts", [{"here": {}, "down": DOWN}, {"down": DOWN}], ids=["one of two down", "all down"])
def test_the_report_is_written_even_when_hosts_are_down(site, hosts):
    site.hosts = hosts
    site.collections = ROOT / ".cache/collections"
    site.environment |= {
        "ANSIBLE_STDOUT_CALLBACK": "fleetcare.maintenance.console",
        "ANSIBLE_CALLBACKS_ENABLED": "",
        "COLUMNS": "120",
    }
    outcome = site.play("fleetcare.maintenance.daily")
    assert "Traceback" not in outcome.stdout + outcome.stderr
    # A critical finding makes the run fail, once everything is written.
    assert outcome.returncode == 2, outcome.stdout + outcome.stderr
    assert "critical  down  maintenance.reachable" in outcome.stdout
    assert len(site.records("down")) == 1
    pages = list((site.folder / "reports").rglob("*.html"))
    assert pages
    assert all("down did not answer" in page.read_text() for page in pages)
    assert site.problems() == []
    if "here" in hosts:
        assert {"discover", "host_check"} <= {record["module"] for record in site.records("here")}
