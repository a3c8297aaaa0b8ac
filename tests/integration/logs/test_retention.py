# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention on real hosts: what a policy removes, what nothing may remove, and what stands in its way."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.logs.hosts import STATE, both, hold, sh

pytestmark = pytest.mark.integration

#: A log with generations of 29, 59, ... 239 days, some of them out of bounds, and a folder that a link leads to.
FRESH = f"""
systemctl --quiet stop holder 2>/dev/null
rm -rf /srv/* {STATE} /tmp/state-of-maint
mkdir -p /srv/shop/logs /srv/outside
cd /srv/shop/logs
echo live > app.log
for number in 1 2 3 4 5 6 7 8; do
    echo old > app.log.$number; touch -d "-$((number * 30 - 1)) days" app.log.$number
    cp -p app.log.$number /srv/outside
done
echo old > app.log-20240101.gz; touch -d '-2 years' other.log
ln -s /srv/outside linked
"""
POLICY = [{"class": "application", "paths": ["/srv/shop/logs"]}]


@pytest.fixture
def fleet(rotating_pair):
    return rotating_pair


@pytest.fixture
def controller(rotating_controller):
    return rotating_controller


@pytest.fixture(autouse=True)
def fresh(fleet):
    sh(fleet, FRESH)


def retain(controller, *, check=False, variables=None, **given):
    arguments = {"policy": POLICY, "keep_newest": 1, **given}
    return controller.module("log_retention", arguments, check=check, variables=variables)


def each(results, look):
    return {name: look(result) for name, result in results.items()}


def names(entries):
    return [entry["target"].rsplit("/", 1)[1] for entry in entries]


def why(result):
    return {entry["target"].rsplit("/", 1)[1]: entry["reason"].partition(", but ")[2] for entry in result["kept"]}


def test_quartet_log_retention(fleet, controller):
    runs = [retain(controller, check=check, checksum=True) for check in (True, False, True, False)]
    assert [each(run, lambda result: result["changed"]) for run in runs] == [
        both(True),
        both(True),
        both(False),
        both(False),
    ]
    assert each(runs[0], lambda result: result["plan"]) == each(runs[1], lambda result: result["plan"])
    gone = [f"app.log.{number}" for number in (8, 7, 6, 5, 4)]
    assert each(runs[1], lambda result: names(result["applied"])) == both(gone)
    left = "app.log\napp.log-20240101.gz\napp.log.1\napp.log.2\napp.log.3\nlinked\nother.log\n"
    assert sh(fleet, "ls /srv/shop/logs; ls /srv/outside | wc -l") == both(left + "8\n")
    for name, lines in sh(fleet, f"cat {STATE}/log_retention/*.jsonl").items():
        written = [json.loads(line) for line in lines.splitlines()]
        assert [line["path"].rsplit("/", 1)[1] for line in written if line["event"] == "removed"] == gone
        assert written[0]["sha256"] == runs[1][name]["applied"][0]["before"]["sha256"]
    assert sh(fleet, f"stat -c %a {STATE}/log_retention {STATE}/log_retention/*") == both("700\n600\n")


def test_check_mode_touches_nothing(fleet, controller):
    before = sh(fleet, "ls -la --time-style=full-iso /srv/shop/logs")
    retain(controller, check=True, checksum=True)
    assert sh(fleet, "ls -la --time-style=full-iso /srv/shop/logs") == before
    assert sh(fleet, f"test -e {STATE} || echo none") == both("none\n")


def test_what_is_open_held_linked_or_not_writable_stays(fleet, controller):
    hold(fleet, "/srv/shop/logs/app.log.4")
    sh(fleet, "touch -d '-120 days' /srv/shop/logs/app.log.4; ln /srv/shop/logs/app.log.5 /srv/second")
    sh(fleet, "touch /srv/shop/logs/app.log.6.hold")
    results = retain(controller, hold=["/srv/shop/logs/*.7"])
    assert each(results, lambda result: names(result["applied"])) == both(["app.log.8"])
    for result in results.values():
        reasons = why(result)
        assert reasons["app.log.4"].startswith("python3 (process ")
        assert reasons["app.log.5"] == "it has 2 names, and removing one would free nothing"
        assert reasons["app.log.6"] == "/srv/shop/logs/app.log.6.hold holds it"
        assert reasons["app.log.7"] == "the hold on /srv/shop/logs/*.7 covers it"


def test_a_hold_above_and_other_file_systems_below_are_seen(fleet, controller):
    sh(fleet, "mkdir /srv/shop/logs/bound /srv/shop/logs/disk; mount -t tmpfs tmpfs /srv/shop/logs/disk")
    sh(fleet, "mount --bind /srv/outside /srv/shop/logs/bound")
    try:
        sh(fleet, "cp -p /srv/outside/* /srv/shop/logs/disk; touch /srv/.hold")
        held = retain(controller)
        sh(fleet, "rm /srv/.hold")
        let_go = retain(controller)
        assert sh(fleet, "ls /srv/shop/logs/disk | wc -l; ls /srv/outside | wc -l") == both("8\n8\n")
    finally:
        sh(fleet, "umount /srv/shop/logs/disk /srv/shop/logs/bound")
    assert each(held, lambda result: result["plan"]) == both([])
    assert each(held, lambda result: set(why(result).values())) == both({"/srv/.hold holds it"})
    assert each(let_go, lambda result: len(result["applied"])) == both(5)
    for result in let_go.values():
        folder = next(one for one in result["findings"] if one["check"] == "logs.retention_folder")
        assert (folder["status"], folder["evidence"]) == ("skipped", [
            "/srv/shop/logs/bound is mounted there from elsewhere", "/srv/shop/logs/disk is another file system",
        ])  # fmt: skip


def test_a_disk_that_is_full_keeps_everything_until_there_is_room_for_the_manifest(fleet, controller):
    sh(fleet, f"mkdir -m 0700 {STATE}; mount -t tmpfs -o size=64k,mode=0700 tmpfs {STATE}")
    try:
        sh(fleet, f"mkdir -m 0700 {STATE}/log_retention; touch {STATE}/log_retention.lock")
        sh(fleet, f"head -c 100000 /dev/zero > {STATE}/log_retention/full || true")
        refused = retain(controller)
        assert sh(fleet, "ls /srv/shop/logs | wc -l") == both("12\n")
        sh(fleet, f"rm {STATE}/log_retention/full")
        done = retain(controller)
    finally:
        sh(fleet, f"umount {STATE}")
    for name, result in refused.items():
        assert (result["applied"], result["changed"]) == ([], False)
        assert "No space left on device" in result["failures"][0]["error"]
        assert len(done[name]["applied"]) == 5


def test_whoever_is_not_root_removes_nothing(fleet, controller):
    sh(fleet, "chown -R maint: /srv/shop")
    results = retain(controller, state_dir="/tmp/state-of-maint", variables={"ansible_become": False})
    assert each(results, lambda result: (result["status"], result["plan"])) == both(("skipped", []))
    assert "run it as root" in results["trixie"]["findings"][0]["summary"]


def test_two_runs_at_once_remove_each_file_once(fleet, controller, make_controller):
    """Whichever comes first: the other is told to wait, or finds nothing left."""
    with ThreadPoolExecutor() as pool:
        one, other = pool.map(retain, (controller, make_controller(fleet)))
    for name in fleet:
        gone = [*names(one[name]["applied"]), *names(other[name]["applied"])]
        assert sorted(gone) == [f"app.log.{number}" for number in range(4, 9)]
        assert one[name]["failures"] == other[name]["failures"] == []
    left = "app.log\napp.log-20240101.gz\napp.log.1\napp.log.2\napp.log.3\nlinked\nother.log\n"
    assert sh(fleet, "ls /srv/shop/logs") == both(left)


def test_two_at_once(fleet, controller):
    sh(fleet, f"mkdir -m 0700 {STATE}")
    hold(fleet, lock=f"{STATE}/log_retention.lock")
    results = retain(controller)
    assert each(results, lambda result: (result["status"], result["plan"])) == both(("skipped", []))
    assert "Another log_retention is at work" in results["bookworm"]["findings"][0]["summary"]


#: Makes all archived files but the last one old, by the first entry in their names and by their last change.
AGE = """
import glob, os, time
files = sorted(glob.glob("/var/log/journal/*/*@*-*-*.journal"), key=lambda path: path.split("@")[1].split("-")[1])
for place, path in enumerate(files[:-1]):
    head = int((time.time() - (365 - place) * 86400) * 1000000)
    old = f"{path.rsplit('-', 1)[0]}-{head:016x}.journal"
    os.rename(path, old)
    os.utime(old, (0, time.time() - (100 if place < 2 else 50) * 86400))
print(len(files))
"""


def test_the_journal_goes_by_the_age_of_its_last_entry(fleet, controller):
    """All but the newest archived file begin a year ago, and two of them end 100 days ago."""
    sh(fleet, "journalctl --rotate; journalctl --quiet --vacuum-size=1")
    sh(fleet, 'for number in 1 2 3 4; do logger "entry $number"; journalctl --sync; journalctl --rotate; done')
    before = each({name: host.execute(["python3", "-"], stdin=AGE).stdout for name, host in fleet.items()}, int)
    given = {"policy": [], "journal": {"days": 90}}
    held = controller.module("log_retention", {**given, "hold": ["/var/log/journal/"]})
    assert each(held, lambda result: (result["plan"], "covers it" in result["kept"][0]["reason"])) == both(([], True))
    runs = [controller.module("log_retention", given, check=check) for check in (True, False, True)]
    assert each(runs[0], lambda result: result["plan"]) == each(runs[1], lambda result: result["plan"])
    assert each(runs[1], lambda result: (result["plan"][0]["estimate"]["files"], result["failures"])) == both((2, []))
    assert each(runs[1], lambda result: len(result["applied"])) == both(1)
    assert each(runs[2], lambda result: result["plan"]) == both([])
    for name, lines in sh(fleet, "ls /var/log/journal/*/*@*").items():
        assert len(lines.splitlines()) >= before[name] - 2
    assert sh(fleet, "journalctl --quiet --output=cat | grep -c 'entry 4'") == both("1\n")


def test_a_policy_that_makes_no_sense_is_refused(fleet, controller):
    results = retain(controller, policy=[{"class": "system", "paths": ["/etc"]}])
    assert each(results, lambda result: result["changed"]) == both(False)
    assert results["trixie"]["msg"] == (
        "Option 'policy[0].paths[0]' is '/etc', but must be a folder of logs such as /var/log/shop, not one of the system's own."
    )
