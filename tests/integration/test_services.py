# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services on real hosts: an application that hangs, crashes, lies, or whose database is down."""

from __future__ import annotations

import json
import subprocess
import threading

import pytest

pytestmark = pytest.mark.integration

STATE = "/var/lib/fleetcare-maintenance"
# Answers 200 on its port, or 500 while a file says so; sends hostile words to the journal at start.
SERVER = r"""
import http.server, os, sys
port, broken = int(sys.argv[1]), sys.argv[2]
print("password=hunter2 \x1b]0;pwned\x07<script>alert(1)</script>", flush=True)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(broken + ".asked", "a") as log:
            log.write("x")
        self.send_response(500 if self.broken() else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def broken(self):
        if os.path.exists(broken + ".once"):
            os.unlink(broken + ".once")
            return True
        return os.path.exists(broken)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
APP = {"name": "shelf", "probe": {"url": "http://127.0.0.1:5000/api/health?key=hunter2"}}
QUICK = {
    "interval_seconds": 0.2,
    "timeout_seconds": 0.8,
    "cooldown_seconds": 0,
    "verify_seconds": 15,
}


@pytest.fixture(scope="module")
def fleet(start_hosts):
    fleet = start_hosts({"bookworm": "debian12", "trixie": "debian13"})
    for host in fleet.values():
        host.write("/opt/server.py", SERVER)
        for name, port in (("shelf", 5000), ("store", 5432)):
            host.write(
                f"/usr/local/lib/systemd/system/{name}.service",
                f"[Service]\nExecStart=/usr/bin/python3 /opt/server.py {port} /run/{name}.broken\n"
                "TimeoutStopSec=5\n[Install]\nWantedBy=multi-user.target\n",
            )
        host.execute(["systemctl", "daemon-reload"])
        host.execute(["systemctl", "enable", "--quiet", "shelf", "store"])
    return fleet


@pytest.fixture(scope="module")
def controller(fleet, make_controller):
    return make_controller(fleet)


FRESH = f"""
systemctl unmask --quiet shelf
rm -rf {STATE} /run/shelf.broken* /run/store.broken*
systemctl kill --signal=KILL shelf store 2>/dev/null
systemctl reset-failed shelf store 2>/dev/null
systemctl restart shelf store
"""


@pytest.fixture(autouse=True)
def fresh(request):
    """Both applications run and answer, and nobody remembers anything."""
    if "fleet" in request.fixturenames:
        for host in request.getfixturevalue("fleet").values():
            host.execute(["sh", "-c", FRESH])
            wait_for(host, 5000, 5432)


def wait_for(host, *ports):
    """Wait until the ports listen, by looking, for at most ten seconds."""
    words = "; ".join(f"socket.create_connection(('127.0.0.1', {port}), 1).close()" for port in ports)
    host.execute(
        [
            "timeout", "10", "sh", "-c",
            f'until python3 -c "import socket; {words}" 2>/dev/null; do sleep 0.1; done',
        ]
    )  # fmt: skip


def recover(controller, *units, check=False, variables=None, **more):
    arguments = {"units": list(units) or [APP], **QUICK, **more}
    return controller.module("service_recover", arguments, check=check, variables=variables)


def statuses(results, item="shelf.service"):
    return {
        name: [finding["status"] for finding in result["findings"] if finding["item"] == item]
        for name, result in results.items()
    }


def both(value):
    return {"bookworm": value, "trixie": value}


def main_pids(fleet):
    return {
        name: host.execute(["systemctl", "show", "--property=MainPID", "--value", "shelf"]).stdout.strip()
        for name, host in fleet.items()
    }


def reasons(results):
    assert {name: result["plan"] for name, result in results.items()} == both([])
    assert {name: result["changed"] for name, result in results.items()} == both(False)
    return {name: result["kept"][0]["reason"] for name, result in results.items()}


def freeze(fleet, unit="shelf"):
    for host in fleet.values():
        host.execute(["systemctl", "kill", "--signal=STOP", unit])


def crash(fleet, unit="shelf"):
    for host in fleet.values():
        host.execute(["systemctl", "kill", "--signal=KILL", unit])


@pytest.mark.parametrize("harm", [freeze, crash])
def test_quartet_service_recover_of_an_application_that_hangs_or_crashed(fleet, controller, harm):
    harm(fleet)
    before = main_pids(fleet)
    runs = [recover(controller, check=check) for check in (True, False, True, False)]
    assert [{name: result["changed"] for name, result in run.items()} for run in runs] == [
        both(True), both(True), both(False), both(False),
    ]  # fmt: skip
    assert {name: result["plan"] for name, result in runs[0].items()} == {
        name: result["plan"] for name, result in runs[1].items()
    }
    assert statuses(runs[0]) == both(["critical"])
    assert statuses(runs[1]) == both(["warning"])
    assert statuses(runs[3]) == both(["ok"])
    for name, pid in main_pids(fleet).items():
        assert pid not in ("0", before[name])


def test_check_mode_touches_nothing_on_the_host(fleet, controller):
    freeze(fleet)
    before = main_pids(fleet)
    recover(controller, check=True)
    assert main_pids(fleet) == before
    for host in fleet.values():
        assert host.execute(["test", "-e", STATE], check=False).returncode == 1


def test_evidence_is_taken_first_and_holds_neither_secrets_nor_escapes(fleet, controller):
    freeze(fleet)
    results = recover(controller)
    for name, host in fleet.items():
        (paper,) = results[name]["evidence"]
        text = host.execute(["cat", paper["file"]]).stdout
        assert "State T (stopped)" in text
        assert "tcp 127.0.0.1:5000" in text
        assert "password=*** <script>" in text
        assert host.execute(["stat", "-c", "%a %U", paper["file"]]).stdout == "600 root\n"
    assert "hunter2" not in json.dumps(results)
    assert "\x1b" not in json.dumps(results, ensure_ascii=False)


def test_while_the_database_is_down_the_application_is_left_alone(fleet, controller):
    for host in fleet.values():
        host.execute(["systemctl", "stop", "store"])
        host.write("/run/shelf.broken", "")
    before = main_pids(fleet)
    results = recover(controller, {**APP, "depends_on": [{"unit": "store"}, {"port": 5432}]})
    assert all(reason.startswith("it depends on store.service") for reason in reasons(results).values())
    assert statuses(results) == statuses(results, "store.service") == both(["critical"])
    assert main_pids(fleet) == before


def test_a_database_that_is_looked_after_too_is_restarted_first_and_alone(fleet, controller):
    crash(fleet, "store")
    for host in fleet.values():
        host.write("/run/shelf.broken", "")
    results = recover(
        controller,
        {**APP, "depends_on": [{"unit": "store"}], "verify_seconds": 2},
        {"name": "store", "probe": {"port": 5432}},
    )
    for result in results.values():
        assert [entry["target"] for entry in result["applied"]] == ["store.service"]
        assert [entry["target"] for entry in result["kept"]] == ["shelf.service"]


def test_a_restart_that_does_not_help_is_a_failure_and_then_the_pause_holds(fleet, controller):
    for host in fleet.values():
        host.write("/run/shelf.broken", "")
    more = {"verify_seconds": 2, "cooldown_seconds": 0}
    results = recover(controller, **more)
    for result in results.values():
        assert result["changed"] is True, "a restart in vain is a restart"
        assert result["applied"] == []
        assert result["failures"][0]["done"] is True
        assert "it said last: HTTP status 500" in result["failures"][0]["error"]
    assert statuses(results) == both(["critical"])
    again = recover(controller, cooldown_seconds=600, verify_seconds=2)
    assert all("it was restarted" in reason for reason in reasons(again).values())


def test_the_budget_of_the_day(fleet, controller):
    for expected in (1, 0):
        crash(fleet)
        results = recover(controller, restarts_per_day=1)
        assert {name: len(result["applied"]) for name, result in results.items()} == both(expected)
    assert set(reasons(results).values()) == {"1 restart in the last 24 h, and restarts_per_day is 1"}


def test_one_failed_probe_out_of_three_restarts_nothing(fleet, controller):
    for host in fleet.values():
        host.write("/run/shelf.broken.once", "")
    before = main_pids(fleet)
    assert statuses(recover(controller)) == both(["warning"])
    assert main_pids(fleet) == before
    for host in fleet.values():
        assert host.execute(["cat", "/run/shelf.broken.asked"]).stdout == "xx"


@pytest.mark.parametrize("check", [True, False])
def test_an_ordinary_user_is_told_what_is_missing(fleet, controller, check):
    crash(fleet)
    results = recover(controller, check=check, variables={"ansible_become": False})
    assert set(reasons(results).values()) == {"only root may restart units"}


def test_a_deadline_that_has_passed_leaves_it_alone(fleet, controller):
    crash(fleet)
    results = recover(controller, deadline="2026-01-01T00:00:00+00:00")
    assert all("until the deadline" in reason for reason in reasons(results).values())


def test_a_masked_and_an_absent_unit_are_findings(fleet, controller):
    for host in fleet.values():
        host.execute(["systemctl", "stop", "shelf"])
        host.execute(["systemctl", "mask", "--quiet", "shelf"])
    absent = {"name": "nowhere", "probe": {"port": 1}}
    results = recover(controller, APP, absent)
    assert statuses(results, "nowhere.service") == both(["critical"])
    for result in results.values():
        assert result["plan"] == []
        assert {entry["target"] for entry in result["kept"]} == {"shelf.service", "nowhere.service"}


SLOW = {"name": "shelf", "probe": {"url": "http://127.0.0.1:5000/"}, "verify_seconds": 30}


def start_and_wait_for_the_charge(fleet, controller):
    """Begin a recovery that takes long to be proved, and return once every host has charged it."""
    for host in fleet.values():
        host.write("/run/shelf.broken", "")
    thread = threading.Thread(target=recover, args=(controller, SLOW))
    thread.start()
    for host in fleet.values():
        wait = f"until test -s {STATE}/service_recover.ledger; do sleep 0.1; done"
        host.execute(["timeout", "20", "sh", "-c", wait])
    return thread


def test_two_at_once_and_killed_half_way(fleet, controller):
    thread = start_and_wait_for_the_charge(fleet, controller)
    try:
        second = recover(controller)
        assert all("Another service_recover is at work" in reason for reason in reasons(second).values())
        assert statuses(second) == both(["skipped"])
        for host in fleet.values():
            holder = host.execute(["sh", "-c", f"python3 - {STATE}/service_recover.lock <<'END'\n{HOLDER}\nEND"]).stdout
            host.execute(["kill", "-KILL", holder.strip()])
    finally:
        thread.join()
    third = recover(controller, restarts_per_day=1)
    assert set(reasons(third).values()) == {"1 restart in the last 24 h, and restarts_per_day is 1"}


# The process that has the lock file open.
HOLDER = r"""
import os, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        continue
    if sys.argv[1] in links:
        print(pid)
"""


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ({"units": [{"name": "a b", "probe": {"port": 80}}]}, "units[0].name"),
        ({"units": [{"name": "a", "probe": {"port": 80, "process": "x"}}]}, "units[0].probe"),
        ({"units": [{"name": "--all", "probe": {"port": 80}}]}, "units[0].name"),
        ({"units": [APP], "failures": 0}, "failures"),
    ],
)
def test_wrong_options_are_one_sentence(controller, arguments, option):
    results = controller.module("service_recover", arguments, hosts="bookworm")
    assert f"Option '{option}' is" in results["bookworm"]["msg"]


def checked(controller, **arguments):
    results = controller.module("service_check", arguments)
    return [
        {(finding["check"], finding["item"]): finding["status"] for finding in results[name]["findings"]}
        for name in ("bookworm", "trixie")
    ]


def test_what_is_expected_against_what_is_there(fleet, controller):
    for host in fleet.values():
        host.execute(["systemctl", "stop", "store"])
    for found in checked(
        controller,
        units=["shelf", {"name": "store"}, {"name": "cron", "enabled": True}, "nowhere"],
        processes=[{"pattern": "server.py 5000", "user": "root", "max": 1}, {"name": "sshd"}, {"name": "mysqld"}],
        ports=[
            {"port": 5000, "address": "loopback", "process": "python3"},
            {"port": 500},
            {"port": 22, "address": "loopback"},
        ],
        ports_allowed=["80"],
    ):
        assert {key: status for key, status in found.items() if key[0] != "services.unit_restarts"} == {
            ("services.unit", "shelf.service"): "ok",
            ("services.unit", "store.service"): "critical",
            ("services.unit", "cron.service"): "ok",
            ("services.unit", "nowhere.service"): "critical",
            ("services.unit_enabled", "cron.service"): "ok",
            ("services.enabled", "enabled services"): "ok",
            ("services.process", "server.py 5000"): "ok",
            ("services.process", "sshd"): "ok",
            ("services.process", "mysqld"): "critical",
            ("services.port", "tcp/5000"): "ok",
            ("services.port_exposed", "tcp/5000"): "ok",
            ("services.port_process", "tcp/5000"): "ok",
            ("services.port", "tcp/500"): "critical",
            ("services.port", "tcp/22"): "ok",
            ("services.port_exposed", "tcp/22"): "critical",
            ("services.unexpected_listener", "listeners"): "ok",
        }


def test_with_no_option_an_enabled_service_that_is_down_is_found(fleet, controller):
    for host in fleet.values():
        host.execute(["systemctl", "stop", "store"])
        host.execute(["systemctl", "kill", "--signal=KILL", "shelf"])
    for found in checked(controller):
        assert found["services.enabled", "store.service"] == "warning"
        assert found["services.enabled", "shelf.service"] == "critical"
        assert found["services.unit_restarts", "services"] == "skipped"


def test_restarts_by_systemd_are_counted_from_run_to_run(fleet, controller):
    checked(controller)
    for host in fleet.values():
        host.write("/etc/systemd/system/shelf.service.d/restart.conf", "[Service]\nRestart=always\nRestartSec=0\n")
        host.execute(["systemctl", "daemon-reload"])
        host.execute(["systemctl", "kill", "--signal=KILL", "shelf"])
        wait_for(host, 5000)
        host.execute(["rm", "-r", "/etc/systemd/system/shelf.service.d"])
        host.execute(["systemctl", "daemon-reload"])
    for found in checked(controller):
        assert found["services.unit_restarts", "shelf.service"] == "info"
    for found in checked(controller):
        assert found["services.unit_restarts", "services"] == "ok"


def test_what_only_root_may_see_is_skipped_for_others(fleet, controller):
    results = controller.module(
        "service_check",
        {"ports": [{"port": 22, "process": "sshd"}], "checks": ["services.port*"]},
        variables={"ansible_become": False},
    )
    for result in results.values():
        found = {finding["check"]: finding for finding in result["findings"]}
        assert found["services.port"]["status"] == "ok"
        assert found["services.port_process"]["status"] == "skipped"
        assert "become" in found["services.port_process"]["remedy"]


def test_a_host_without_systemd_is_skipped(start_hosts, make_controller):
    controller = make_controller(start_hosts(["plain"], systemd=False))
    checked = controller.module("service_check")["plain"]
    assert [(finding["check"], finding["status"]) for finding in checked["findings"]] == [("services.unit", "skipped")]
    repaired = controller.module("service_recover", {"units": [APP]})["plain"]
    assert (repaired["status"], repaired["plan"]) == ("skipped", [])


def test_the_examples_of_the_documentation_run(controller):
    for module in ("service_check", "service_recover"):
        done = subprocess.run(
            ["ansible-doc", "--json", f"fleetcare.maintenance.{module}"],
            env=controller._environment(), capture_output=True, text=True, check=True,
        )  # fmt: skip
        examples = json.loads(done.stdout)[f"fleetcare.maintenance.{module}"]["examples"]
        path = controller.directory / f"examples-{module}.yml"
        path.write_text(
            "- hosts: all\n  gather_facts: false\n  tasks:\n"
            + "".join(f"    {line}\n" for line in examples.splitlines())
        )
        run = controller.playbook(path)
        assert run.returncode == 0, run.stdout
