# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is what fails: switched off, dying while a module runs, or without what its user needs to become root."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.fleetcare.maintenance.tests.shadow.site import check, repair

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def fleet(start_hosts):
    """``web1`` stays; each test that needs a host to die has its own."""
    return start_hosts(["web1", "dies", "off"], systemd=False)


@pytest.fixture
def remote(site, fleet):
    """The site with real hosts, as a cadence meets them."""
    inventory = fleet.inventory()["all"]
    site.hosts = inventory["hosts"]
    site.variables |= {
        **inventory["vars"],
        "ansible_connection": "ssh",
        "maintenance_state_dir": None,
        "maintenance_on_failure": "finding",
    }
    return site


def start(site, plays, *arguments):
    return subprocess.Popen(
        site.command(plays, *arguments),
        cwd=site.folder,
        env=site.surroundings(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_host_that_dies_while_a_module_runs_leaves_as_a_finding(remote, fleet, until):
    """The other one goes on, and nobody waits a second time for the dead one."""
    waiting = check("first", mark="/tmp/mark", wait_for="/tmp/gate")
    plays = [{"strategy": "free", "tasks": [waiting, check("second"), repair("third", files=["/tmp/made"])]}]
    with start(remote, plays, "-l", "web1,dies") as process:
        for name in ("web1", "dies"):
            host = fleet[name]
            until(lambda host=host: host.execute(["test", "-e", "/tmp/mark"], check=False).returncode == 0)
        fleet["dies"].stop()
        fleet["web1"].execute(["touch", "/tmp/gate"])
        printed = process.communicate()[0]
    assert process.returncode == 0, printed
    record = remote.records("dies")[0]
    assert (record["unreachable"], record["status"]) == (True, "critical")
    assert record["findings"][0]["summary"].startswith("dies did not answer: ")
    assert len(remote.records("dies")) == 1
    assert [record["task"] for record in remote.records("web1")] == ["first", "second", "third"]
    assert remote.problems() == []


def test_a_host_that_is_switched_off_and_one_without_sudo_are_told_apart(remote, fleet):
    fleet["off"].stop()
    fleet["web1"].execute(["mv", "/usr/bin/sudo", "/usr/bin/sudo.away"])
    outcome = remote.tasks(check("first"), check("second"), arguments=["-l", "web1,off"])
    assert outcome.returncode == 0, outcome.stdout
    assert remote.records("off")[0]["findings"][0]["check"] == "maintenance.reachable"
    assert len(remote.records("off")) == 1
    first = remote.records("web1")[0]
    assert first["findings"][0]["check"] == "maintenance.fault"
    assert "sudo" in first["fault"]
    fleet["web1"].execute(["mv", "/usr/bin/sudo.away", "/usr/bin/sudo"])


def test_a_state_folder_without_room_is_said_and_the_check_goes_on(remote, fleet):
    fleet["web1"].execute(["sh", "-c", "echo line > /tmp/log; touch /var/lib/fleetcare-maintenance"])
    outcome = remote.tasks(check(log="/tmp/log"), arguments=["-l", "web1"])
    found = {finding["check"]: finding for finding in outcome.results("look", "web1")[0]["findings"]}
    assert found["maintenance.state"]["status"] == "warning"
    assert found["host.lines"]["evidence"] == ["line"]
