# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A day of both guides' logs, read as an administrator reads them in the morning.

What nginx 1.22, Node.js 20, PostgreSQL 17, MariaDB 10.11 and sshd 9.2 wrote while a database was down, processes were
killed, passwords were guessed and requests attacked; MySQL 8.0's lines are put together from published ones.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import check as access
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.access import options as access_options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import check as auth
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.auth import options as auth_options
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import check as review
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review import options as review_options

DAY = Path(__file__).parent / "fixtures" / "day"
LOGINS = Path(__file__).parent / "auth" / "fixtures" / "auth_traditional.log"
#: How many lines of each log are of the day before.
BEFORE = {"nginx-error": 3, "app": 9, "postgresql": 5, "mysql": 5, "mariadb": 5, "nginx-access": 31}
FORMAT = (
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" '
    "rt=$request_time"
)
MORNING = datetime(2026, 11, 25, 15, 30, tzinfo=timezone.utc)


class At(Clock):
    def __init__(self, when: datetime) -> None:
        self.when = when

    def now(self) -> datetime:
        return self.when


class Host:
    """The logs of a host, and its three reviews."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = {name: (DAY / f"{name}.log").read_text().splitlines(keepends=True) for name in BEFORE}

    def write(self, *, day: int) -> None:
        for name, lines in self.lines.items():
            part = lines[: BEFORE[name]] if day == 1 else lines[BEFORE[name] :]
            self.append(name, "".join(part))
        self.append("auth", LOGINS.read_text() if day == 2 else "")

    def append(self, name: str, text: str) -> None:
        with (self.folder / f"{name}.log").open("a") as stream:
            stream.write(text)

    def run(self, module: Any, arguments: Any, name: str, when: datetime, **given: Any) -> list[dict[str, Any]]:
        defaults = {option: facts.get("default") for option, facts in arguments.items()}
        common = {
            "levels": {}, "checks": [], "state_dir": str(self.folder / "state"), "state_consumer": "one",
            "state_acknowledged": None,
        }  # fmt: skip
        result = perform(
            module.check,
            params={**defaults, **common, **given},
            check_mode=False,
            name=name,
            catalogue=CATALOGUE,
            repair=False,
            clock=At(when),
        )
        return result["findings"]

    def review(self, when: datetime) -> list[dict[str, Any]]:
        """What a morning's report has to say, with the folder of the test taken out of it."""
        paths = {name: str(self.folder / f"{name}.log") for name in (*self.lines, "auth")}
        logs = [
            {"path": paths["nginx-access"], "format": FORMAT, "json_fields": {}, "address": "address", "time": "auto"}
        ]
        errors = [paths[name] for name in self.lines if name != "nginx-access"]
        found = [
            *self.run(review, review_options.ARGUMENTS, "log_review", when, files=errors, first="start"),
            *self.run(access, access_options.ARGUMENTS, "access_log_review", when, logs=logs, max_bytes=2**28),
            *self.run(auth, auth_options.ARGUMENTS, "auth_log_review", when, files=[paths["auth"]], max_bytes=2**28),
        ]
        return [
            {**one, **{key: one[key].replace(f"{self.folder}/", "") for key in ("item", "summary")}} for one in found
        ]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield Host(tmp_path)
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def morning(host: Host) -> list[dict[str, Any]]:
    host.write(day=1)
    host.review(MORNING - timedelta(days=1))
    host.write(day=2)
    return host.review(MORNING)


#: What an administrator would have written down, worst first.
WORTH_SAYING = [
    ("critical", "auth_success_after_failures", "alice from 172.17.0.1", "alice was let in from 172.17.0.1 by password after failures: 7"),
    ("warning", "fatal", "app.log", "1 kind is new"),
    ("warning", "fatal", "mysql.log", "3 kinds are new"),
    ("warning", "fatal", "postgresql.log", "Fatal errors: 1"),
    ("warning", "new", "app.log", "Kinds of errors never seen before: 1"),
    ("warning", "new", "mariadb.log", "Kinds of errors never seen before: 3"),
    ("warning", "new", "mysql.log", "never seen before: 3 (warning from 1); and 3 fatal ones"),
    ("warning", "new", "nginx-error.log", "Kinds of errors never seen before: 3"),
    ("warning", "new", "postgresql.log", "Kinds of errors never seen before: 9"),
    ("warning", "auth_new_network", "users", "Logins from new networks: 3"),
    ("warning", "auth_root_login", "root", "Password logins of root: 1"),
    ("warning", "http_client_errors", "nginx-access.log", "31 of 64 requests"),
    ("warning", "http_login_failures", "nginx-access.log", "most refused logins from one address: 25"),
    ("warning", "http_server_errors", "nginx-access.log", "3 of 64 requests"),
    ("info", "auth_accounts", "accounts", "Changes of users, groups and passwords: 1"),
    ("info", "auth_brute_force", "addresses", "Most failures of one address within 10 min: 19"),
    ("info", "auth_success_after_failures", "root from 172.17.0.1", "root was let in"),
    ("info", "http_attacks", "nginx-access.log", "attack attempts: 3"),
]  # fmt: skip


def test_what_is_worth_saying_is_said_and_nothing_else_is(morning: list[dict[str, Any]]) -> None:
    told = {
        (one["status"], one["check"].removeprefix("logs."), one["item"]): one["summary"]
        for one in morning
        if one["status"] not in ("ok", "skipped")
    }
    assert sorted(told) == sorted((status, check, item) for status, check, item, _words in WORTH_SAYING)
    for status, check, item, words in WORTH_SAYING:
        assert words in told[status, check, item]
    for one in morning:
        if one["status"] not in ("ok", "skipped"):
            assert one["remedy"], one
            assert one["evidence"], one


def evidence(findings: list[dict[str, Any]], check: str, item: str) -> list[str]:
    return next(one["evidence"] for one in findings if (one["check"], one["item"]) == (f"logs.{check}", item))


def test_the_evidence_names_the_cause(morning: list[dict[str, Any]]) -> None:
    crashed = evidence(morning, "fatal", "app.log")
    assert crashed == ["new, 1x fatal: TypeError: Cannot read properties of undefined (reading <text>) in next"]
    assert evidence(morning, "fatal", "postgresql.log") == [
        "new, 1x fatal: LOG: server process (PID <n>) was terminated by signal <n>: Killed"
    ]
    database = evidence(morning, "new", "postgresql.log")
    assert "2x error: FATAL: password authentication failed for user <text>" in database
    assert "1x error: ERROR: deadlock detected" in database
    assert any("not properly shut down" in line for line in database)
    assert "1x error: [ERROR] [Server] Error writing file <text> (OS errno <n> - No space left on device)" in evidence(
        morning, "new", "mysql.log"
    )
    assert evidence(morning, "new", "mariadb.log")[1:] == [
        "2x warning: [Warning] Access denied for user <text>@<text>",
        "1x warning: [Note] InnoDB: Starting crash recovery from checkpoint LSN=<n>",
    ]
    assert evidence(morning, "http_server_errors", "nginx-access.log") == ["3 x 502 GET /api/rooms/{n}/bookings"]


def test_no_secret_and_nobody_s_address_is_in_it(morning: list[dict[str, Any]]) -> None:
    text = str(morning)
    for word in ("alice@example.org", "bob@example.org", "OR%201", "insert into", "hunter2"):
        assert word not in text


def test_a_quiet_day_says_that_all_is_well_and_what_was_looked_at(host: Host, morning: list[dict[str, Any]]) -> None:
    again = host.review(MORNING + timedelta(days=1))
    # A log without a single request is worth a word.
    assert {one["check"] for one in again if one["status"] not in ("ok", "skipped")} <= {"logs.http_traffic"}
    assert next(one["summary"] for one in again if one["check"] == "logs.new") == (
        "no kind of error that was not seen before"
    )


def test_what_comes_again_is_known_and_said_with_its_usual_rate(host: Host, morning: list[dict[str, Any]]) -> None:
    deadlock = "".join(line for line in host.lines["postgresql"] if "ERROR:  deadlock" in line)
    for day, times, said in (
        (1, 50, "50x error: ERROR: deadlock detected (known since 2026-11-25, usually 1 a day)"),
        (2, 2, "2x error: ERROR: deadlock detected (known since 2026-11-25, last met 2026-11-26, usually 15.7 a day)"),
    ):
        host.append("postgresql", deadlock * times)
        again = host.review(MORNING + timedelta(days=day))
        assert "logs.new" not in {one["check"] for one in again if one["item"] == "postgresql.log"}
        assert evidence(again, "errors", "postgresql.log") == [said]
