# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole check over files: read once, remembered, answered; and options that make no sense."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone

import pytest
import yaml

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import collect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.checks import CHECKS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth.questions import QUESTIONS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.modules import auth_log_review
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.logs.auth.conftest import FIXTURES, NOW


class At(Clock):
    """A clock that says what it is told."""

    def __init__(self, when=NOW):
        self.when = datetime.fromtimestamp(when, timezone.utc)

    def now(self):
        return self.when


@pytest.fixture
def run(tmp_path):
    defaults = {name: option.get("default") for name, option in ARGUMENTS.items()}

    def ran(*checks, when=NOW, check_mode=False, **params):
        return perform(
            check,
            params={
                **defaults, "max_bytes": 256 * 1024**2, "levels": {}, "checks": list(checks),
                "state_dir": str(tmp_path / "state"), "state_consumer": "one", "state_acknowledged": None, **params,
            },
            check_mode=check_mode,
            name="auth_log_review",
            catalogue=CATALOGUE,
            repair=False,
            clock=At(when),
        )  # fmt: skip

    return ran


@pytest.fixture
def auth(tmp_path):
    path = tmp_path / "auth.log"
    shutil.copy(FIXTURES / "auth_iso.log", path)
    return path


def by_check(result):
    return {finding["check"]: finding for finding in result["findings"]}


def numbers(result):
    return {metric["name"]: metric["value"] for metric in result["metrics"]}


def iso_lines(*messages, when=NOW, program="sshd[7]"):
    stamp = datetime.fromtimestamp(when, timezone.utc).isoformat()
    return "".join(f"{stamp} host {program}: {message}\n" for message in messages)


FAILED = "Failed password for root from 203.0.113.9 port 4 ssh2"


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
    assert first["findings"][0]["summary"] == f"{auth}: 30 new lines read"
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


def test_packets_of_the_firewall_come_from_the_same_files(run, auth):
    packet = "[UFW BLOCK] IN=eth0 OUT= SRC=203.0.113.9 DST=192.0.2.1 LEN=40 PROTO=TCP SPT=1 DPT=23 SYN"
    auth.write_text(iso_lines(f"[  12.3456] {packet}", program="kernel") * 3)
    result = run("firewall_blocked", files=[str(auth)])
    assert result["findings"][0]["evidence"][0] == "from 203.0.113.9: 3 packets to 1 ports: tcp/23"
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
