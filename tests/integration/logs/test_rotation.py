# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotation on real hosts: rules written, refused and taken back, logs rotated by need, and what the audit finds."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.logs.hosts import STATE, both, hold, sh

pytestmark = pytest.mark.integration

SHOP = {"name": "shop", "paths": ["/srv/shop/logs/*.log"], "frequency": "daily", "keep": 5, "max_size": "1M"}
FRESH = f"""
systemctl --quiet stop holder 2>/dev/null
rm -rf /srv/* {STATE} /etc/logrotate.d/test-* /etc/logrotate.d/shop /var/lib/logrotate/status /var/log/odd
systemctl --quiet unmask logrotate.timer; systemctl --quiet enable --now logrotate.timer
mkdir -p /srv/shop/logs
head -c 3000000 /dev/urandom > /srv/shop/logs/app.log
echo quiet > /srv/shop/logs/quiet.log
"""


@pytest.fixture
def fleet(rotating_pair):
    return rotating_pair


@pytest.fixture
def controller(rotating_controller):
    return rotating_controller


@pytest.fixture(autouse=True)
def fresh(fleet):
    """A shop with a large log and a quiet one, no rule for it, and nobody remembers anything."""
    sh(fleet, FRESH)


def each(results, look):
    return {name: look(result) for name, result in results.items()}


def rotate(controller, *, check=False, **given):
    return controller.module("log_rotate", given, check=check)


def found(results, check):
    return each(
        results,
        lambda result: sorted(
            (one["status"], one["item"]) for one in result["findings"] if one["check"] == f"logs.{check}"
        ),
    )


def summary(result, check):
    return next(one["summary"] for one in result["findings"] if one["check"] == f"logs.{check}")


def test_quartet_log_rotate(fleet, controller):
    before = sh(fleet, "ls -i /srv/shop/logs/app.log")
    runs = [rotate(controller, check=check, rules=[SHOP], rotate=["shop"]) for check in (True, False, True, False)]
    assert [each(run, lambda result: result["changed"]) for run in runs] == [
        both(True),
        both(True),
        both(False),
        both(False),
    ]
    assert each(runs[0], lambda result: result["plan"]) == each(runs[1], lambda result: result["plan"])
    assert each(runs[1], lambda result: [entry["action"] for entry in result["applied"]]) == both(["write", "rotate"])
    assert sh(fleet, "stat -c '%a %U:%G' /etc/logrotate.d/shop") == both("644 root:root\n")
    assert sh(fleet, "stat -c %s /srv/shop/logs/*") == both("0\n3000000\n6\n")
    moved = sh(fleet, "ls -i /srv/shop/logs/app.log.1")
    assert each(moved, lambda line: line.split()[0]) == each(before, lambda line: line.split()[0])
    for result in runs[1].values():
        assert result["applied"][1]["before"]["logs"][0]["bytes"] == 3000000
        assert result["applied"][1]["after"]["logs"][0]["bytes"] == 0
    assert sh(fleet, "logrotate --debug /etc/logrotate.conf 2>&1 | grep -c error: || true") == both("0\n")


def test_check_mode_touches_nothing(fleet, controller):
    before = sh(fleet, "ls -la --time-style=full-iso /srv/shop/logs /etc/logrotate.d; ls /etc /tmp")
    rotate(controller, check=True, rules=[SHOP], rotate=["shop"], force=["dpkg"])
    assert sh(fleet, "ls -la --time-style=full-iso /srv/shop/logs /etc/logrotate.d; ls /etc /tmp") == before
    assert sh(fleet, f"test -e {STATE} || echo none") == both("none\n")


def test_a_forced_rotation_is_for_the_named_rule_alone_and_keeps_its_pause(fleet, controller):
    sh(fleet, "printf '/srv/shop/logs/quiet.log {\\n rotate 3\\n monthly\\n}\\n' > /etc/logrotate.d/test-quiet")
    first = rotate(controller, force=["test-quiet"])
    assert each(first, lambda result: [entry["action"] for entry in result["applied"]]) == both(["rotate"])
    assert sh(fleet, "ls /srv/shop/logs") == both("app.log\nquiet.log\nquiet.log.1\n")
    sh(fleet, "echo more >> /srv/shop/logs/quiet.log")
    again = rotate(controller, force=["test-quiet"])
    assert each(again, lambda result: (result["changed"], "a pause of" in result["kept"][0]["reason"])) == both(
        (False, True)
    )


def test_a_rule_keeps_what_the_main_file_says_when_it_is_rotated_alone(fleet, controller):
    """By itself the rule has no 'rotate', and logrotate would delete the log."""
    sh(fleet, "printf '/srv/shop/logs/app.log {\\n daily\\n}\\n' > /etc/logrotate.d/test-bare")
    rotate(controller, force=["test-bare"])
    assert sh(fleet, "stat -c %s /srv/shop/logs/app.log.1") == both("3000000\n")


def test_what_stands_against_a_rule_is_said_and_nothing_is_written(fleet, controller):
    sh(fleet, "mkdir -m 0777 /srv/open; echo x > /srv/open/a.log")
    sh(fleet, "printf '/srv/shop/logs/q*.log {\\n daily\\n}\\n' > /etc/logrotate.d/test-other")
    hold(fleet, "/srv/shop/logs/app.log")
    results = rotate(
        controller,
        rules=[
            SHOP,
            {"name": "dpkg", "paths": ["/srv/shop/dpkg.log"]},
            {"name": "test-open", "paths": ["/srv/open/*.log"]},
            {"name": "test-who", "paths": ["/srv/who/a.log"], "run_as": "nobody2 adm"},
            {"name": "test-held", "paths": ["/srv/shop/logs/app.log"]},
        ][1:],
    )  # fmt: skip
    assert each(results, lambda result: (result["changed"], result["plan"])) == both((False, []))
    for result in results.values():
        reasons = {entry["target"].rsplit("/", 1)[1]: entry["reason"] for entry in result["kept"]}
        assert "was not written by this module" in reasons["dpkg"]
        assert "name user and group with run_as" in reasons["test-open"]
        assert reasons["test-who"] == "unknown user 'nobody2'"
        assert "holds /srv/shop/logs/app.log open" in reasons["test-held"]
    twice = rotate(controller, rules=[{**SHOP, "copy_truncate": True}])
    reason = "/etc/logrotate.d/test-other line 1 rotates /srv/shop/logs/quiet.log already, and a log may stand in one rule alone"
    assert each(twice, lambda result: result["kept"][0]["reason"]) == both(reason)
    assert sh(fleet, "ls /etc/logrotate.d | grep -c -e shop -e open -e who -e held || true") == both("0\n")


def test_a_program_with_mounts_of_its_own_is_known_by_the_file_that_it_has_open(fleet, controller):
    """As in a container: what it calls /mnt/app.log is the log of the rule."""
    hold(fleet, "/mnt/app.log", bind="/srv/shop/logs:/mnt")
    results = rotate(controller, rules=[SHOP])
    assert each(results, lambda result: result["plan"]) == both([])
    for result in results.values():
        assert "holds /srv/shop/logs/app.log open and would go on writing" in result["kept"][0]["reason"]
    sh(fleet, "printf '/srv/shop/logs/*.log {\\n daily\\n}\\n' > /etc/logrotate.d/test-bare")
    audit = controller.module("log_rotation_check", {"checks": ["logs.rotation_reopen"]})
    assert found(audit, "rotation_reopen") == both([("warning", "/srv/shop/logs/app.log")])


def test_a_rule_that_logrotate_does_not_read_is_written_anew(fleet, controller):
    rotate(controller, rules=[SHOP])
    sh(fleet, "chmod 0666 /etc/logrotate.d/shop")
    runs = [rotate(controller, check=check, rules=[SHOP]) for check in (True, False, True)]
    assert each(runs[0], lambda result: result["plan"]) == each(runs[1], lambda result: result["plan"])
    assert each(runs[1], lambda result: "(mode 0666)" in result["plan"][0]["reason"]) == both(True)
    assert each(runs[1], lambda result: result["failures"]) == both([])
    assert sh(fleet, "stat -c %a /etc/logrotate.d/shop") == both("644\n")
    assert each(runs[2], lambda result: (result["changed"], result["status"])) == both((False, "ok"))


def test_a_program_that_holds_its_log_open_writes_on_into_the_same_file(fleet, controller):
    hold(fleet, "/srv/shop/logs/app.log")
    results = rotate(controller, rules=[{**SHOP, "copy_truncate": True}], rotate=["shop"])
    assert each(results, lambda result: [entry["action"] for entry in result["applied"]]) == both(["write", "rotate"])
    for result in results.values():
        rotation = result["applied"][1]
        assert rotation["before"]["logs"][0]["inode"] == rotation["after"]["logs"][0]["inode"]


def test_an_earlier_text_is_kept_for_the_way_back(fleet, controller):
    rotate(controller, rules=[SHOP])
    results = rotate(controller, rules=[{**SHOP, "keep": 9}])
    for name, result in results.items():
        before = result["applied"][0]["before"]
        assert "rotate 5" in before["lines"]
        assert "rotate 5" in fleet[name].execute(["cat", before["backup"]]).stdout
        assert fleet[name].execute(["stat", "-c", "%a %U", before["backup"]]).stdout == "600 root\n"
    gone = rotate(controller, rules=[{"name": "shop", "state": "absent"}])
    assert each(gone, lambda result: result["applied"][0]["action"]) == both("remove")
    assert sh(fleet, "test -e /etc/logrotate.d/shop || echo gone") == both("gone\n")


def test_a_disk_that_is_full_leaves_the_old_rule(fleet, controller):
    """/etc and the temporary folder have room, the place of the backups has none."""
    rotate(controller, rules=[SHOP])
    sh(fleet, f"mount -t tmpfs -o size=64k,mode=0700 tmpfs {STATE}; head -c 100000 /dev/zero > {STATE}/full || true")
    try:
        results = rotate(controller, rules=[{**SHOP, "keep": 9}])
    finally:
        sh(fleet, f"umount {STATE}")
    for result in results.values():
        assert (result["applied"], result["changed"]) == ([], False)
        assert "No space left on device" in result["failures"][0]["error"]
    assert sh(fleet, "grep -c 'rotate 5' /etc/logrotate.d/shop; ls -A /etc | grep -c fleetcare || true") == both(
        "1\n0\n"
    )


#: /etc as it is, on a file system of its own that has no room left.
FULL_ETC = """
rm -rf /run/etc; cp -a /etc /run/etc
mount -t tmpfs -o mode=0755,size=$(($(du -sk /run/etc | cut -f1) + 512))k tmpfs /etc
cp -a /run/etc/. /etc; rm -rf /run/etc
head -c 100M /dev/zero > /etc/full 2>/dev/null || true
"""


def test_a_disk_without_room_for_a_rule_leaves_the_old_one_in_force(fleet, controller):
    rotate(controller, rules=[SHOP])
    sh(fleet, FULL_ETC)
    try:
        long = {**SHOP, "paths": [f"/srv/shop/logs/{number}-{'x' * 200}.log" for number in range(40)]}
        results = rotate(controller, rules=[long], rotate=["shop"])
        left = sh(
            fleet, "grep -c 'rotate 5' /etc/logrotate.d/shop; ls -A /etc /etc/logrotate.d | grep -c fleetcare; true"
        )
    finally:
        sh(fleet, "umount /etc")
    for result in results.values():
        assert result["failures"][0]["error"] == "/etc/logrotate.d/shop cannot be written: No space left on device."
        assert (result["applied"], result["changed"]) == ([], False)
    assert left == both("1\n0\n")


def test_a_disk_without_room_for_logrotate_s_status_is_told_although_the_logs_are_rotated(fleet, controller):
    rotate(controller, rules=[SHOP])
    sh(
        fleet,
        "mount -t tmpfs -o size=16k tmpfs /var/lib/logrotate; head -c 1M /dev/zero > /var/lib/logrotate/full || true",
    )
    try:
        results = rotate(controller, rotate=["shop"])
    finally:
        sh(fleet, "umount /var/lib/logrotate")
    for result in results.values():
        (failure,) = result["failures"]
        assert failure["done"]
        assert failure["error"].startswith("The logs were rotated, but logrotate ended with 1:")
    assert sh(fleet, "stat -c %s /srv/shop/logs/app.log.1") == both("3000000\n")


def test_whoever_is_not_root_changes_nothing_and_says_so(fleet, controller):
    results = controller.module(
        "log_rotate", {"rules": [{**SHOP}], "state_dir": "/tmp/state-of-maint"}, variables={"ansible_become": False}
    )
    assert each(results, lambda result: (result["status"], result["changed"])) == both(("skipped", False))
    audit = controller.module("log_rotation_check", {}, variables={"ansible_become": False})
    assert found(audit, "rotation_errors") == found(audit, "rotation_reopen") == both([("skipped", "logrotate")])
    assert each(audit, lambda result: "critical" in result["summary"]) == both(False)


def test_two_runs_at_once_write_a_rule_once(fleet, controller, make_controller):
    """Whichever comes first: the other is told to wait, or has nothing left to do."""
    given = {"rules": [SHOP], "rotate": ["shop"]}
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(lambda own: rotate(own, **given), (controller, make_controller(fleet)))
    for name in fleet:
        steps = [entry["action"] for run in (one, other) for entry in run[name]["applied"]]
        assert steps == ["write", "rotate"]
        assert one[name]["failures"] == other[name]["failures"] == []
    assert sh(fleet, "ls /srv/shop/logs") == both("app.log\napp.log.1\nquiet.log\n")
    again = rotate(controller, **given)
    assert each(again, lambda result: result["plan"]) == both([])


def test_two_at_once_and_a_run_that_was_killed(fleet, controller):
    """The lock is held as a run would hold it; a temporary file is there that a killed run has left."""
    sh(fleet, f"mkdir -m 0700 {STATE}; touch /etc/.shop.fleetcare-log_rotate")
    hold(fleet, lock=f"{STATE}/log_rotate.lock")
    results = rotate(controller, rules=[SHOP])
    assert each(results, lambda result: (result["status"], result["plan"])) == both(("skipped", []))
    sh(fleet, "systemctl stop holder")
    results = rotate(controller, rules=[SHOP])
    assert each(results, lambda result: len(result["applied"])) == both(1)
    assert sh(fleet, "ls -A /etc | grep -c fleetcare || true") == both("0\n")


def test_the_audit_finds_what_is_wrong(fleet, controller):
    sh(
        fleet,
        r"""
        printf '/srv/shop/logs/*.log {\n daily\n rotate 3\n}\n' > /etc/logrotate.d/test-shop
        printf '/srv/b.log {\n rotate many\n}\n' > /etc/logrotate.d/test-broken
        printf '/srv/shop/logs/quiet.log {\n daily\n}\n' > /etc/logrotate.d/test-twice
        printf '/srv/w.log {\n daily\n}\n' > /etc/logrotate.d/test-writable; chmod 0664 /etc/logrotate.d/test-writable
        printf '/srv/none.log {\n daily\n}\n' > /etc/logrotate.d/test-missing
        mkdir -m 0777 /srv/open; echo x > /srv/open/a.log; ln -s /srv /srv/open/link
        printf '/srv/open/a.log {\n daily\n}\n' > /etc/logrotate.d/test-open
        head -c 15000000 /dev/urandom | base64 > /srv/large.log; cp /srv/large.log /var/log/odd; cp /srv/large.log /tmp
        printf 'logrotate state -- version 2\n"/srv/shop/logs/quiet.log" 2020-1-1-0:0:0\n' > /var/lib/logrotate/status
        touch -d '-3 days' /var/lib/logrotate/status
        systemctl --quiet disable --now logrotate.timer
        """,
    )
    hold(fleet, "/srv/shop/logs/app.log", "/srv/shop/gone.log")
    results = controller.module("log_rotation_check")
    for check, expected in {
        "rotation_errors": [("critical", "logrotate")],
        "rotation_files": [("warning", "/etc/logrotate.d/test-writable")],
        "rotation_duplicates": [("warning", "logrotate")],
        "rotation_missing": [("warning", "logrotate")],
        "rotation_folders": [("critical", "logrotate")],
        "rotation_reopen": [("warning", "/srv/shop/logs/app.log")],
        "rotation_age": [("warning", "/var/lib/logrotate/status")],
        "rotation_overdue": [("warning", "logrotate")],
        "rotation_schedule": [("critical", "logrotate")],
        "large_files": [("warning", "/srv/large.log"), ("warning", "/var/log/odd")],
    }.items():
        assert found(results, check) == both(expected), check
    for result in results.values():
        deleted = [one for one in result["findings"] if one["check"] == "logs.deleted_open"]
        (gone,) = (one for one in deleted if one["item"].startswith("python3 ("))
        assert (gone["status"], gone["value"]) == ("info", pytest.approx(30_000_000, rel=0.01))
        assert gone["evidence"][0].startswith("/srv/shop/gone.log: 28.6 MiB")
        assert "the journal may take" in summary(result, "journal_limits")
    assert "\\u001b" not in json.dumps(results)


def test_cron_does_the_work_where_there_is_no_systemd(start_hosts, make_controller):
    """As on Red Hat before version 9 and on Alpine: cron.daily has the script, and is nothing without a cron."""
    fleet = start_hosts({"plain": "debian12"}, systemd=False)
    host, controller = fleet["plain"], make_controller(fleet)

    def schedule():
        results = controller.module("log_rotation_check", {"checks": ["rotation_schedule", "rotation_age"]})
        return found(results, "rotation_schedule")["plain"][0][0], summary(results["plain"], "rotation_schedule")

    status, said = schedule()
    assert (status, "/etc/cron.daily/logrotate is there, but no cron runs" in said) == ("critical", True)
    host.execute(["sh", "-c", "cron >/dev/null 2>&1"])
    status, said = schedule()
    assert (status, "/etc/cron.daily/logrotate" in said) == ("ok", True)
    # What cron will run does rotate.
    host.write("/etc/logrotate.d/test", "/srv/a.log {\n size 1\n}\n")
    host.write("/srv/a.log", "line\n")
    host.execute(["/etc/cron.daily/logrotate"])
    assert host.execute(["cat", "/srv/a.log.1"]).stdout == "line\n"
    results = controller.module("log_rotation_check", {"checks": ["rotation_age"]})
    assert found(results, "rotation_age") == {"plain": [("ok", "/var/lib/logrotate/status")]}
    host.execute(["rm", "/etc/cron.daily/logrotate"])
    status, said = schedule()
    assert (status, "no table of cron names logrotate" in said) == ("critical", True)
    host.write("/etc/crontab", "5 3 * * * root /usr/sbin/logrotate /etc/logrotate.conf\n")
    assert schedule()[0] == "ok"
