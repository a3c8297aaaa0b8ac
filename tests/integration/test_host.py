# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_check on real hosts that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.host.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller

pytestmark = pytest.mark.integration

ZOMBIE = "import os, time; os.fork() or os._exit(0); time.sleep(600)"


@pytest.fixture(scope="module")
def fleet(start_hosts: Callable[..., Fleet]) -> Fleet:
    """Two hosts of this module alone, for it breaks them."""
    return start_hosts({"bookworm": "debian12", "trixie": "debian13"})


@pytest.fixture(scope="module")
def controller(fleet: Fleet, make_controller: Callable[..., Controller]) -> Controller:
    return make_controller(fleet)


@pytest.fixture
def check(controller: Controller) -> Callable[..., dict[str, list[dict[str, Any]]]]:
    """The findings on each host; every call with a consumer of its own has a memory of its own."""

    def checked(*checks: str, consumer: str = "anyone", **arguments: Any) -> dict[str, list[dict[str, Any]]]:
        variables = arguments.pop("variables", {})
        given = {"checks": list(checks), "sample_seconds": 0.2, "state_consumer": consumer, **arguments}
        results = controller.module("host_check", given, variables=variables)
        assert set(results) == {"bookworm", "trixie"}
        assert {result["changed"] for result in results.values()} == {False}
        return {host: result["findings"] for host, result in results.items()}

    return checked


@contextmanager
def everywhere(fleet: Fleet, do: list[list[str]], undo: list[list[str]]) -> Iterator[None]:
    """Do something to every host and undo it afterwards, whatever the test says."""
    try:
        for host in fleet.values():
            run_all(host, do, check=True)
        yield
    finally:
        for host in fleet.values():
            run_all(host, undo, check=False)


def run_all(host: Host, commands: list[list[str]], *, check: bool) -> None:
    for command in commands:
        host.execute(command, check=check)


def statuses(findings: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {(finding["check"], finding["item"]): finding["status"] for finding in findings}


def test_a_sound_host_has_an_answer_to_every_question_and_no_alarm_of_its_own(check):
    for findings in check(consumer="whole").values():
        assert {finding["check"] for finding in findings} == set(CATALOGUE)
        # Space, memory, load, clock and swap belong to the machine that the containers run on.
        borrowed = (
            "disk_bytes",
            "disk_inodes",
            "load",
            "cpu",
            "memory",
            "pressure",
            "swap",
            "time",
            "disk_io",
            "blocked",
        )
        alarms = [
            finding
            for finding in findings
            if finding["status"] in ("warning", "unknown", "critical")
            and not finding["check"].removeprefix("host.").startswith(borrowed)
        ]
        assert alarms == []


def test_a_second_run_says_the_same_and_no_longer_waits_for_a_first(check):
    steady = ("disk_readonly", "disk_errors", "failed_units", "overdue_timers", "reboot", "libraries", "network_link")
    first = check(*steady, consumer="twice")
    second = check(*steady, consumer="twice")
    assert {host: statuses(found) for host, found in first.items()} == {
        host: statuses(found) for host, found in second.items()
    }
    compared = ("oom_kills", "flapping_units", "network_errors", "network_drops", "network_flaps")
    for findings in check(*compared, consumer="compared").values():
        assert set(statuses(findings).values()) == {"skipped"}
    for findings in check(*compared, consumer="compared").values():
        assert set(statuses(findings).values()) == {"ok"}


def test_a_full_file_system_is_found_by_bytes_and_by_inodes(check, fleet):
    make = [
        ["mkdir", "-p", "/srv/full", "/srv/many files"],
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", "/srv/full"],
        ["mount", "-t", "tmpfs", "-o", "size=20m,nr_inodes=20", "tmpfs", "/srv/many files"],
        ["dd", "if=/dev/zero", "of=/srv/full/data", "bs=1M", "count=19"],
        ["touch", *(f"/srv/many files/{number}" for number in range(19))],
    ]
    undo = [["umount", "/srv/full"], ["umount", "/srv/many files"]]
    with everywhere(fleet, make, undo):
        for findings in check("disk_bytes", "disk_inodes").values():
            found = statuses(findings)
            assert found["host.disk_bytes", "/srv/full"] == "critical"
            assert found["host.disk_inodes", "/srv/full"] == "ok"
            assert found["host.disk_bytes", "/srv/many files"] == "ok"
            assert found["host.disk_inodes", "/srv/many files"] == "critical"
        levels = {"maintenance_levels": {"host.disk_bytes[/srv/full]": {"warning": 90, "critical": 99}}}
        for findings in check("disk_bytes", variables=levels).values():
            assert statuses(findings)["host.disk_bytes", "/srv/full"] == "warning"


def test_a_file_system_that_turned_read_only_is_found(check, fleet):
    make = [
        ["mkdir", "-p", "/srv/data"],
        ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", "/srv/data"],
        ["sh", "-c", "echo 'tmpfs /srv/data tmpfs size=5m 0 0' >> /etc/fstab"],
        ["mount", "-o", "remount,ro", "/srv/data"],
    ]
    with everywhere(fleet, make, [["umount", "/srv/data"], ["sed", "-i", "/srv.data/d", "/etc/fstab"]]):
        for findings in check("disk_readonly").values():
            finding = next(one for one in findings if one["item"] == "/srv/data")
            assert finding["status"] == "critical"
            assert "although /etc/fstab wants it writable" in finding["summary"]


def test_a_failed_unit_and_one_that_keeps_restarting_are_found(check, fleet):
    for host in fleet.values():
        host.write("/etc/systemd/system/broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
        host.write(
            "/etc/systemd/system/flapping.service",
            "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/true\nRestart=always\nRestartSec=100ms\n",
        )
    check("failed_units", "flapping_units", consumer="units")
    start = [["systemctl", "daemon-reload"], ["systemctl", "start", "flapping.service"]]
    undo = [["systemctl", "stop", "flapping.service"], ["systemctl", "reset-failed"]]
    with everywhere(fleet, start, undo):
        for host in fleet.values():
            host.execute(["systemctl", "start", "broken.service"], check=False)
            wait_for_restarts(host, 5)
        for findings in check("failed_units", "flapping_units", consumer="units").values():
            found = statuses(findings)
            assert found["host.failed_units", "broken.service"] == "warning"
            assert found["host.flapping_units", "flapping.service"] in ("warning", "critical")


def wait_for_restarts(host: Host, amount: int) -> None:
    count = "until [ $(systemctl show -P NRestarts flapping.service) -ge $0 ]; do sleep 0.1; done"
    host.execute(["timeout", "30", "sh", "-c", count, str(amount)])


def test_a_zombie_is_found_with_its_parent(check, fleet):
    start = [["systemd-run", "--unit=careless", "/usr/bin/python3", "-c", ZOMBIE]]
    wait = "until ps -eo state= | grep -q Z; do sleep 0.1; done"
    with everywhere(fleet, [*start, ["timeout", "30", "sh", "-c", wait]], [["systemctl", "stop", "careless"]]):
        for findings in check("zombies").values():
            (finding,) = findings
            assert (finding["status"], finding["value"]) == ("info", 1)
            assert "child of python3" in finding["evidence"][0]
    for findings in check("zombies").values():
        assert findings[0]["status"] == "ok"


def test_a_program_on_a_replaced_file_is_found_by_its_unit(check, fleet):
    start = [
        ["cp", "/bin/sleep", "/usr/local/bin/slumber"],
        ["systemd-run", "--unit=outdated", "/usr/local/bin/slumber", "600"],
        ["rm", "/usr/local/bin/slumber"],
    ]
    with everywhere(fleet, start, [["systemctl", "stop", "outdated"]]):
        for findings in check("libraries").values():
            assert findings[0]["status"] == "warning"
            assert "outdated.service: /usr/local/bin/slumber" in findings[0]["evidence"]


def test_a_timer_that_missed_its_turn_is_found(check, fleet):
    for host in fleet.values():
        host.write("/etc/systemd/system/nightly.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
        host.write("/etc/systemd/system/nightly.timer", "[Timer]\nOnCalendar=2038-01-01\nPersistent=yes\n")
    start = [["systemctl", "daemon-reload"], ["systemctl", "start", "nightly.timer"]]
    with everywhere(fleet, start, [["systemctl", "stop", "nightly.timer"]]):
        check("overdue_timers", consumer="timers")
        for host in fleet.values():
            # The last run is made to have heard of an earlier turn, as if the timer had been stuck since.
            state = "/var/lib/fleetcare-maintenance/host_check.timers.json"
            host.execute(["sed", "-i", "s/2038-01-01T00:00:00/2026-01-01T00:00:00/", state])
        for findings in check("overdue_timers", consumer="timers").values():
            finding = next(one for one in findings if one["item"] == "nightly.timer")
            assert finding["status"] == "critical"
            assert "never run in this boot" in finding["summary"]


def test_a_reboot_that_the_distribution_asks_for_is_found_with_its_packages(check, fleet):
    make = [
        ["sh", "-c", "echo linux-image-amd64 > /run/reboot-required.pkgs"],
        ["touch", "-d", "10 days ago", "/run/reboot-required"],
    ]
    with everywhere(fleet, make, [["rm", "/run/reboot-required", "/run/reboot-required.pkgs"]]):
        for findings in check("reboot").values():
            (finding,) = findings
            assert finding["status"] == "warning"
            assert finding["evidence"] == ["package linux-image-amd64"]


def test_an_ordinary_user_sees_nearly_all_and_is_told_what_it_does_not(check):
    for _run in range(2):
        for findings in check(consumer="plain", variables={"ansible_become": False}).values():
            found = statuses(findings)
            assert found["host.libraries", "host"] == "skipped"
            assert {check for check, _item in found} == set(CATALOGUE)
            denied = [one for one in findings if one["check"] == "host.libraries"]
            assert denied[0]["remedy"] == "Run the check with become."
    assert "skipped" not in {found[key] for key in found if key[0] == "host.flapping_units"}


def test_check_mode_looks_and_remembers_nothing(controller, fleet):
    results = controller.module("host_check", {"checks": ["oom_kills"], "state_consumer": "checkmode"}, check=True)
    assert {result["status"] for result in results.values()} == {"skipped"}
    for host in fleet.values():
        path = "/var/lib/fleetcare-maintenance/host_check.checkmode.json"
        assert host.execute(["test", "-e", path], check=False).returncode == 1


def test_a_host_without_systemd_is_checked_all_the_same(start_hosts, make_controller):
    controller = make_controller(start_hosts(["plain"], systemd=False))
    result = controller.module("host_check", {"sample_seconds": 0.1})["plain"]
    found = statuses(result["findings"])
    assert found["host.failed_units", "host"] == "skipped"
    assert found["host.disk_bytes", "/"] in ("ok", "warning", "critical")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sample_seconds": 0}, "Option 'sample_seconds' is 0.0, but must be seconds from 0.1 to 60."),
        ({"free_floor": "much"}, "free_floor"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(controller, arguments, words):
    for result in controller.module("host_check", arguments).values():
        assert words in result["msg"]
