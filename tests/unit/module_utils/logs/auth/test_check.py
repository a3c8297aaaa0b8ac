# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check over files: read once, remembered, answered; and options that make no sense."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.checks import CHECKS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.modules import auth_log_review
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import (
    FAILED,
    NOW,
    At,
    by_check,
    iso_lines,
    numbers,
)


def test_every_check_has_a_question_and_every_question_a_check():
    assert {row.id for row in CHECKS} == {name for name in QUESTIONS if "auth_" in name or "firewall_" in name}
    assert QUESTIONS.keys() <= CATALOGUE.keys()


def test_the_documentation_knows_the_options_and_their_defaults():
    documented = yaml.safe_load(auth_log_review.DOCUMENTATION)["options"]
    assert {name: option.get("default") for name, option in documented.items()} == {
        name: option.get("default") for name, option in ARGUMENTS.items()
    }


def test_a_file_is_read_once_and_then_from_where_it_was_left(run, auth):
    first = run(files=[str(auth)])
    assert first["findings"][0]["summary"] == "30 new lines read"
    assert numbers(first)["logs.auth_failed"] == 7
    assert first["sources"] == [
        {"address": "192.0.2.4", "failures": 4, "blocked": 0},
        {"address": "172.17.0.1", "failures": 3, "blocked": 0},
    ]
    again = run(files=[str(auth)], when=NOW + 60)
    assert numbers(again)["logs.auth_failed"] == 0
    with auth.open("a") as stream:
        stream.write(iso_lines(*[FAILED] * 70, when=NOW + 100))
    third = run(files=[str(auth)], when=NOW + 120)
    assert numbers(third)["logs.auth_failed"] == 70
    assert by_check(third)["logs.auth_brute_force"]["status"] == "warning"


def test_check_mode_remembers_nothing(run, auth):
    for _time in range(2):
        assert numbers(run(files=[str(auth)], check_mode=True))["logs.auth_failed"] == 7


def test_the_first_run_looks_back_so_far_and_not_further(run, auth):
    assert numbers(run(files=[str(auth)], first_hours=2.0))["logs.auth_failed"] == 0


def test_an_attack_that_ends_in_one_run_and_succeeds_in_the_next(run, auth):
    auth.write_text(iso_lines(*[FAILED] * 9, when=NOW - 60))
    assert by_check(run(files=[str(auth)]))["logs.auth_success_after_failures"]["status"] == "ok"
    with auth.open("a") as stream:
        stream.write(iso_lines(FAILED.replace("Failed", "Accepted"), when=NOW + 60))
    found = by_check(run(files=[str(auth)], when=NOW + 120))
    assert found["logs.auth_success_after_failures"]["status"] == "critical"
    assert found["logs.auth_success_after_failures"]["value"] == 9
    assert found["logs.auth_root_login"]["status"] == "warning"


def test_a_rotation_in_between_loses_nothing(run, auth):
    run(files=[str(auth)])
    with auth.open("a") as stream:
        stream.write(iso_lines(FAILED, when=NOW + 1))
    auth.rename(auth.with_suffix(".log.1"))
    auth.write_text(iso_lines(FAILED, when=NOW + 2))
    result = run(files=[str(auth)], when=NOW + 60)
    assert numbers(result)["logs.auth_failed"] == 2
    assert by_check(result)["logs.lost"]["status"] == "ok"


def test_lines_that_were_lost_are_told(run, auth):
    run(files=[str(auth)])
    auth.unlink()
    auth.write_text(iso_lines(FAILED, when=NOW + 2))
    found = by_check(run(files=[str(auth)], when=NOW + 60))
    assert found["logs.lost"]["status"] == "warning"


def test_what_the_budget_leaves_is_told_and_read_next(run, auth):
    auth.write_text("")
    run(files=[str(auth)])
    auth.write_text(iso_lines(*[FAILED] * 40_000, when=NOW + 1))
    first = run(files=[str(auth)], when=NOW + 10, max_bytes=1024**2)
    assert by_check(first)["logs.behind"]["status"] == "info"
    second = run(files=[str(auth)], when=NOW + 20)
    assert numbers(first)["logs.auth_failed"] + numbers(second)["logs.auth_failed"] == 40_000


def test_a_file_that_is_not_there_or_a_link_is_told_and_nothing_is_ok(run, tmp_path):
    link = tmp_path / "link.log"
    link.symlink_to("/etc/hostname")
    result = run(files=[str(link), f"{tmp_path}/none.log"])
    statuses = {finding["check"]: finding["status"] for finding in result["findings"]}
    assert statuses.pop("logs.readable") in ("skipped", "unknown")
    assert {status for name, status in statuses.items() if name.startswith(("logs.auth", "logs.fire"))} == {"skipped"}


def test_a_host_without_any_log_is_skipped_with_the_reason(run, tmp_path, monkeypatch):
    monkeypatch.setattr(collect, "LOGIN_FILES", (f"{tmp_path}/auth.log",))
    monkeypatch.setattr(collect, "KERNEL_FILES", (f"{tmp_path}/kern.log",))
    result = run(source="files")
    assert result["status"] == "skipped"
    found = by_check(result)
    assert found["logs.auth_failures"]["summary"] == f"none of {tmp_path}/auth.log is there"
    assert found["logs.firewall_blocked"]["summary"] == f"none of {tmp_path}/kern.log is there"


SECURE = """\
Nov 25 11:40:01 web-1 sshd-session[9]: Failed password for root from 203.0.113.9 port 51234 ssh2
Nov 25 11:40:02 web-1 sshd-session[9]: Failed password for root from 203.0.113.9 port 51234 ssh2
Nov 25 11:40:05 web-1 sudo[12]:    eve : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/eve ; USER=root ; COMMAND=/bin/id
"""
MESSAGES = """\
Nov 25 11:40:03 web-1 systemd[1]: Started Session 9 of User root.
Nov 25 11:40:04 web-1 kernel: filter_IN_public_REJECT: IN=eth0 OUT= MAC=52:54:00:12:34:56:52:54:00:65:43:21:08:00 \
SRC=203.0.113.50 DST=192.0.2.10 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=4125 DF PROTO=TCP SPT=51234 DPT=3306 WINDOW=29200 \
RES=0x00 SYN URGP=0
"""
ALPINE = """\
Nov 25 11:40:01 alpine auth.info sshd[3029]: Invalid user admin from 203.0.113.9 port 53522
Nov 25 11:40:02 alpine auth.info sshd[3029]: Failed password for invalid user admin from 203.0.113.9 port 53522 ssh2
Nov 25 11:40:03 alpine daemon.info init: process '/sbin/getty 38400 tty1' (pid 2955) exited. Scheduling for restart.
Nov 25 11:40:04 alpine kern.warn kernel: [  152.014434] DROP IN=eth0 OUT= MAC= SRC=203.0.113.50 DST=192.0.2.10 LEN=60 \
TOS=0x00 PREC=0x00 TTL=52 ID=4125 DF PROTO=TCP SPT=51234 DPT=3306 WINDOW=29200 RES=0x00 SYN URGP=0
"""


def test_red_hat_s_files(run, usual):
    (usual / "secure").write_text(SECURE)
    (usual / "messages").write_text(MESSAGES)
    result = run(source="files")
    assert numbers(result)["logs.auth_failed"] == 2
    found = by_check(result)
    assert found["logs.auth_sudo_failures"]["value"] == 1
    assert found["logs.firewall_blocked"]["evidence"][0] == "from 203.0.113.50: 1 packet to tcp/3306"
    # Rotated as Red Hat does, by date, and a new file that is not there yet.
    (usual / "secure").rename(usual / "secure-20261125")
    with (usual / "secure-20261125").open("a") as stream:
        stream.write(SECURE)
    assert numbers(run(source="files", when=NOW + 60))["logs.auth_failed"] == 2
    (usual / "secure").write_text(SECURE)
    again = run(source="files", when=NOW + 120)
    assert numbers(again)["logs.auth_failed"] == 2
    assert {one["status"] for one in again["findings"] if one["check"] == "logs.lost"} == {"ok"}


def test_alpine_s_one_file_is_read_once_for_both(run, usual):
    (usual / "messages").write_text(ALPINE)
    result = run(source="files")
    assert numbers(result)["logs.auth_failed"] == 1
    assert by_check(result)["logs.firewall_blocked"]["value"] == 1
    quiet = by_check(run(source="files", when=NOW + 60))
    assert (quiet["logs.auth_failures"]["status"], quiet["logs.auth_failures"]["value"]) == ("ok", 0)


def test_a_file_of_everything_but_logins_says_nothing_of_logins(run, usual):
    (usual / "messages").write_text(MESSAGES)
    found = by_check(run(source="files"))
    assert found["logs.auth_failures"]["status"] == "skipped"
    assert "has no line of sshd, sudo or su" in found["logs.auth_failures"]["summary"]
    assert found["logs.firewall_blocked"]["value"] == 1


def test_a_file_in_no_form_of_syslog_is_not_taken_for_a_quiet_one(run, auth):
    auth.write_text("<<< binary \x00\x01 junk >>>\n" * 9 + iso_lines(FAILED, when=NOW - 1))
    found = by_check(run(files=[str(auth)]))
    assert (found["logs.skipped_lines"]["status"], found["logs.skipped_lines"]["value"]) == ("warning", 90)


def test_bytes_that_are_no_text_break_nothing(run, auth):
    auth.write_bytes(bytes(range(256)) * 40 + b"\n\xff\xfe\n" + iso_lines(FAILED, when=NOW - 1).encode())
    result = run(files=[str(auth)])
    assert numbers(result)["logs.auth_failed"] == 1
    json.dumps(result, ensure_ascii=False).encode()


def test_packets_of_the_firewall_come_from_the_same_files(run, auth):
    packet = "[UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=1 DPT=23 SYN"
    auth.write_text(iso_lines(f"[  12.3456] {packet}", program="kernel") * 3)
    result = run("firewall_blocked", files=[str(auth)])
    assert result["findings"][0]["evidence"][0] == "from 203.0.113.9: 3 packets to tcp/23"
    assert result["sources"] == [{"address": "203.0.113.9", "failures": 0, "blocked": 3}]


APPLICATION = {
    "name": "shop",
    "failure": r'(?P<time>\S+) WARN login failed for "(?P<user>.*)" from (?P<address>\S+)$',
    "success": r'(?P<time>\S+) INFO "(?P<user>.*)" logged in from (?P<address>\S+)$',
}


def test_logins_of_an_application(run, auth, tmp_path):
    log = tmp_path / "app.log"
    stamp = (datetime.fromtimestamp(NOW, timezone.utc) - timedelta(minutes=5)).isoformat()
    lines = [f'{stamp} WARN login failed for "eve" from 203.0.113.9'] * 12
    lines += [f'{stamp} INFO "eve" logged in from 203.0.113.9', f"{stamp} INFO something else"]
    log.write_text("\n".join(lines) + "\n")
    auth.write_text("")
    result = run(files=[str(auth)], applications=[{**APPLICATION, "files": [f"{tmp_path}/app*.log"]}])
    found = by_check(result)
    assert found["logs.auth_failures"]["evidence"][0] == "by method: shop 12"
    assert found["logs.auth_brute_force"]["value"] == 12
    assert found["logs.auth_success_after_failures"]["item"] == "eve from 203.0.113.9"
    assert numbers(run(files=[str(auth)], applications=[{**APPLICATION, "files": [str(log)]}]))["logs.auth_failed"] == 0


def test_an_older_piece_that_the_glob_matches_too_is_not_read_as_a_log_of_its_own(run, auth, tmp_path):
    stamp = datetime.fromtimestamp(NOW - 60, timezone.utc).isoformat()
    for name in ("app.log", "app-20261124.log"):
        (tmp_path / name).write_text(f'{stamp} WARN login failed for "eve" from 203.0.113.9\n')
    auth.write_text("")
    result = run(files=[str(auth)], applications=[{**APPLICATION, "files": [f"{tmp_path}/app*.log"]}])
    assert numbers(result)["logs.auth_failed"] == 1


@pytest.mark.parametrize(
    "time", ["1795607000", "1795607000123", "25/Nov/2026:11:43:20 +0000", "2026-11-25 11:43:20+00:00"]
)
def test_times_of_applications(run, auth, tmp_path, time):
    (tmp_path / "app.log").write_text(f"[{time}] failed eve\n" * 11)
    auth.write_text("")
    application = {"name": "a", "files": [f"{tmp_path}/app.log"], "failure": r"\[(?P<time>.*?)\] failed (?P<user>\w+)"}
    result = run(files=[str(auth)], applications=[application])
    assert numbers(result)["logs.auth_failed"] == 11
    assert (
        numbers(run(files=[str(auth)], applications=[application], state_consumer="x", first_hours=0.0))[
            "logs.auth_failed"
        ]
        == 0
    )


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"span_minutes": 0}, "span_minutes"),
        ({"span_minutes": float("nan")}, "span_minutes"),
        ({"networks_days": 0}, "networks_days"),
        ({"first_hours": -1}, "first_hours"),
        ({"max_bytes": 1}, "max_bytes"),
        ({"files": ["auth.log"]}, "files[0]"),
        ({"files": ["/a"], "source": "journal"}, "files"),
        ({"blocked_pattern": "("}, "blocked_pattern"),
        ({"networks_allowed": ["192.0.2.0/24", "office"]}, "networks_allowed[1]"),
        ({"applications": [{**APPLICATION, "files": []}]}, "applications[0].files"),
        ({"applications": [{**APPLICATION, "files": ["a"]}]}, "applications[0].files[0]"),
        ({"applications": [{**APPLICATION, "files": ["/a"], "failure": "("}]}, "applications[0].failure"),
        ({"applications": [{**APPLICATION, "files": ["/a"], "failure": "x"}]}, "applications[0].failure"),
        ({"applications": [{**APPLICATION, "files": ["/a"], "success": "(?P<host>x)(?P<user>y)"}]}, "applications[0].success"),
        ({"applications": [{**APPLICATION, "files": ["/a"], "name": ""}]}, "applications[0].name"),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused_before_anything_is_read(run, params, sentence, monkeypatch):
    monkeypatch.setattr(collect, "follow", None)
    with pytest.raises(OptionError) as refused:
        run(**params)
    assert sentence in str(refused.value)


def test_checks_of_other_modules_are_refused():
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Deadline
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import LevelBook
    from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context

    context = Context({"checks": ["other"]}, False, LevelBook(), CATALOGUE, frozenset(), At(), Deadline(At()))
    with pytest.raises(OptionError):
        check(context)


def test_hostile_lines_leave_no_escapes_and_no_secrets(run, auth):
    user = "\x1b]0;pwned\x07<script> password=hunter2"
    auth.write_text(iso_lines(*[f"Invalid user {user} from 203.0.113.9 port 4"] * 12, f"what {user}"))
    text = json.dumps(run(files=[str(auth)]), ensure_ascii=False)
    assert "\x1b" not in text
    assert "hunter2" not in text
    assert "password=***" in text
