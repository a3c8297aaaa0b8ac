# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins on real hosts: sshd of Debian 12 (OpenSSH 9.2) and of Debian 13 (10.0, with sshd-session), and their journals."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.integration

PASSWORD = "open-Sesame1"
HOSTILE = "root from 10.9.9.9 port 22 ssh2"
SETUP = f"""
printf 'PasswordAuthentication yes\\nPermitRootLogin yes\\n' > /etc/ssh/sshd_config.d/00-auth.conf
! sshd -T 2>/dev/null | grep -qi persourcepenalties || echo 'PerSourcePenalties no' >> /etc/ssh/sshd_config.d/00-auth.conf
sed -i 's/pam_unix.so nullok/pam_unix.so nullok nodelay/' /etc/pam.d/common-auth
useradd --create-home --shell /bin/bash alice
printf 'alice:{PASSWORD}\\nroot:{PASSWORD}\\n' | chpasswd
systemctl restart ssh
"""
#: Who attacks, how often a password is tried on one connection, and on how many.
ATTACK = (("root", 3, 4), ("oracle", 3, 1), (HOSTILE, 2, 1))
FAILURES = sum(tries * connections for _user, tries, connections in ATTACK)
AFTERWARDS = """
su alice -c "echo wrong | sudo -S id" 2>/dev/null
su alice -c "logger -t sshd 'Accepted password for root from 6.6.6.6 port 1 ssh2'"
useradd --non-unique --uid 0 --no-create-home toor
"""


@pytest.fixture(scope="module")
def fleet(start_hosts):
    fleet = start_hosts({"bookworm": "debian12", "trixie": "debian13", "second": "debian12"})
    for host in fleet.values():
        host.execute(["sh", "-ec", SETUP])
    return fleet


@pytest.fixture(scope="module")
def controller(fleet, make_controller):
    return make_controller(fleet)


def login(directory, host, user, password, *, tries=1):
    """Try to log in with a password, as people do, and say whether it succeeded."""
    answer = directory / "answer"
    answer.write_text(f"#!/bin/sh\necho '{password}'\n")
    answer.chmod(0o700)
    argv = [
        "ssh", "-F", "/dev/null", "-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no",
        "-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password",
        "-o", f"NumberOfPasswordPrompts={tries}", "-l", user, host.address, "true",
    ]  # fmt: skip
    environment = {**os.environ, "SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    done = subprocess.run(
        argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True, check=False
    )
    return done.returncode == 0


def attack(tmp_path, host):
    for user, tries, connections in ATTACK:
        for number in range(connections):
            directory = tmp_path / f"{host.name}-{len(user)}-{number}"
            directory.mkdir()
            assert not login(directory, host, user, "wrong", tries=tries)
    (tmp_path / host.name).mkdir()
    assert login(tmp_path / host.name, host, "root", PASSWORD)
    host.execute(["sh", "-c", AFTERWARDS])
    host.execute(["journalctl", "--sync"])


def by_check(result):
    return {finding["check"]: finding for finding in result["findings"]}


def failed(results):
    """How many logins failed, by host."""
    return {
        name: next(metric["value"] for metric in result["metrics"] if metric["name"] == "logs.auth_failed")
        for name, result in results.items()
    }


def test_an_attack_that_succeeds_is_told_and_counted_once(fleet, controller, tmp_path):
    first = controller.module("auth_log_review")
    for result in first.values():
        assert by_check(result)["logs.auth_new_network"]["summary"].startswith("First run: ")
        assert by_check(result)["logs.readable"]["status"] == "ok"
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda host: attack(tmp_path, host), fleet.values()))

    prediction = controller.module("auth_log_review", check=True)
    results = controller.module("auth_log_review")
    assert failed(results) == failed(prediction) == dict.fromkeys(fleet, FAILURES)
    for result in results.values():
        found = by_check(result)
        (source,) = result["sources"]
        address = source["address"]
        assert source["failures"] == FAILURES
        success = found["logs.auth_success_after_failures"]
        assert (success["status"], success["item"], success["value"]) == (
            "critical", f"root from {address}", FAILURES,
        )  # fmt: skip
        assert any("user toor added" in line for line in success["evidence"])
        assert found["logs.auth_brute_force"]["value"] == FAILURES
        # A name of no account, and so perhaps a password: neither it nor the address in it is told.
        assert found["logs.auth_spray"]["evidence"][0].endswith("'root', 'oracle', 1 name of no account not shown")
        assert "10.9.9.9" not in json.dumps(result)
        assert found["logs.auth_spray"]["value"] == 3
        assert found["logs.auth_root_login"]["status"] == "warning"
        assert found["logs.auth_privileges"]["status"] == "warning"
        assert found["logs.auth_sudo_failures"]["value"] == 1
        forged = found["logs.auth_forged"]
        assert (forged["status"], forged["value"]) == ("warning", 1)
        assert "as sshd: Accepted password for root from 6.6.6.6" in forged["evidence"][0]
        assert found["logs.auth_unparsed"]["value"] == 0
        assert found["logs.lost"]["status"] == "ok"

    again = controller.module("auth_log_review")
    assert failed(again) == dict.fromkeys(fleet, 0)
    assert {by_check(result)["logs.auth_new_network"]["status"] for result in again.values()} == {"ok"}


@pytest.mark.parametrize("form", ["short", "short-iso"])
def test_files_say_the_same_as_the_journal(fleet, controller, form):
    for host in fleet.values():
        host.execute(["sh", "-c", f"journalctl --output={form} --no-pager > /var/log/auth.log"])
    arguments = {"files": ["/var/log/auth.log"], "state_consumer": form}
    from_files = failed(controller.module("auth_log_review", arguments))
    whole = failed(controller.module("auth_log_review", {"source": "journal", "state_consumer": f"{form}-journal"}))
    assert from_files == whole
    assert min(whole.values()) >= FAILURES


def test_an_ordinary_user_is_told_what_is_missing(fleet, controller):
    for host in fleet.values():
        host.execute(["rm", "-f", "/var/log/auth.log"])
    results = controller.module("auth_log_review", variables={"ansible_become": False})
    for result in results.values():
        found = by_check(result)
        assert found["logs.auth_failures"]["status"] == "skipped"
        assert found["logs.auth_failures"]["summary"] == "the journal cannot be read"
        assert "become" in found["logs.auth_failures"]["remedy"]


def test_a_cursor_that_is_damaged_is_no_end(fleet, controller):
    """What was remembered has the time of the last entry too, and reading goes on from there."""
    state = "/var/lib/fleetcare-maintenance/auth_log_review.broken.json"
    controller.module("auth_log_review", {"state_consumer": "broken"})
    for host in fleet.values():
        host.execute(["sed", "-i", 's/"cursor":"[^"]*"/"cursor":"nonsense"/', state])
    results = controller.module("auth_log_review", {"state_consumer": "broken"})
    for result in results.values():
        assert by_check(result)["logs.readable"]["status"] == "ok"
        assert by_check(result)["logs.lost"]["status"] == "info"
        assert "reading went on by time" in by_check(result)["logs.lost"]["summary"]
    results = controller.module("auth_log_review", {"state_consumer": "broken"})
    assert {by_check(result)["logs.lost"]["status"] for result in results.values()} == {"ok"}


def test_the_report_names_the_address_that_went_from_host_to_host(fleet, controller, tmp_path):
    """As a user runs it: the role, then the report over all hosts."""
    variables = {"maintenance_reports_dir": str(tmp_path / "reports"), "maintenance_consumer": "role"}
    plays = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Review the logs",
                    "ansible.builtin.import_role": {"name": "fleetcare.maintenance.logs", "tasks_from": "daily"},
                }
            ],
        },
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Report what was found",
                    "ansible.builtin.import_role": {"name": "fleetcare.maintenance.report"},
                    "run_once": True,
                }
            ],
        },
    ]
    run = controller.playbook(plays, "--extra-vars", json.dumps(variables))
    assert "The worst status is critical" in run.stdout, run.stdout[-2000:]
    report = json.loads((tmp_path / "reports" / "latest.json").read_text())
    (crossing,) = report["crossings"]
    assert sorted(crossing["examples"]) == sorted(fleet)
    assert (crossing["hosts"], crossing["failures"]) == (3, 3 * FAILURES)
    assert "Addresses seen on several hosts" in (tmp_path / "reports" / "latest.html").read_text()


def test_lines_that_the_journal_has_thrown_away_are_told(fleet, controller):
    arguments = {"state_consumer": "vacuumed"}
    controller.module("auth_log_review", arguments)
    for host in fleet.values():
        host.execute(["journalctl", "--quiet", "--rotate", "--vacuum-size=1"])
        host.execute(["logger", "-p", "auth.info", "-t", "sshd", "Server listening on :: port 22."])
        host.execute(["journalctl", "--sync"])
    results = controller.module("auth_log_review", arguments)
    assert {by_check(result)["logs.lost"]["status"] for result in results.values()} == {"warning"}
    results = controller.module("auth_log_review", arguments)
    assert {by_check(result)["logs.lost"]["status"] for result in results.values()} == {"ok"}
