# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error log of a real MySQL server by its table, and servers that have no such table or do not answer."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import Clock
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.client import QueryError, connect
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import ARGUMENTS as LOGIN
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.login import Login, read_login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import COMMON_ARGUMENTS, perform
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.checks import CATALOGUE
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.check import check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.options import ARGUMENTS
from ansible_collections.fleetcare.maintenance.tests.images.containers import Fleet, Host
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller

pytestmark = pytest.mark.integration

PASSWORD = "tests-only"
SOCKET = "mysql /run/mysqld/mysqld.sock"
KIND = "error: [ERROR] [Server] Event Scheduler: [tester@%][shop.{}] planted <n>"
#: Letters, for a template has no numbers: each plant is a kind of its own.
_NAMES = map("planted_{}".format, string.ascii_lowercase)

Findings = list[dict[str, Any]]
Review = Callable[..., Findings]


class Administrator:
    """The test's own way to the server, past everything that is tested."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def rows(self, *statements: str) -> list[dict[str, Any]]:
        """The rows of the last statement."""
        with (
            pymysql.connect(
                host=self.host.address,
                user="tester",
                password=PASSWORD,
                autocommit=True,
                cursorclass=pymysql.cursors.DictCursor,
            ) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def logged(self, words: str) -> int:
        query = "SELECT COUNT(*) AS entries FROM performance_schema.error_log WHERE DATA LIKE '%{}%'"
        return int(self.rows(query.format(words))[0]["entries"])

    def plant(self, *numbers: int) -> str:
        """Let an event fail once for each number, and come back when that is in the log; the name of the event."""
        name = next(_NAMES)
        for number in numbers:
            words = f"shop.{name}] planted {number}"
            body = f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'planted {number}'"
            self.rows(f"CREATE EVENT shop.{name} ON SCHEDULE AT CURRENT_TIMESTAMP DO {body}")
            self._await(words)
            self.rows(f"DROP EVENT IF EXISTS shop.{name}")
        return name

    def flood(self) -> None:
        """More entries than the table holds."""
        self.rows("CREATE TABLE IF NOT EXISTS shop.numbers (number int)")
        self.rows(
            "CREATE EVENT shop.flood ON SCHEDULE AT CURRENT_TIMESTAMP DO BEGIN "
            "SET max_error_count = 65535, cte_max_recursion_depth = 65535; "
            "INSERT IGNORE INTO shop.numbers WITH RECURSIVE many AS "
            "(SELECT 1 AS n UNION ALL SELECT n + 1 FROM many WHERE n < 40000) SELECT 'none' FROM many; END"
        )
        self._await("at row 40000")

    def _await(self, words: str) -> None:
        for _attempt in range(300):
            if self.logged(words):
                return
            self.rows("SELECT SLEEP(0.05)")
        raise AssertionError("the server logged nothing of it within 15 s")


@pytest.fixture
def administrator(mysql_fleet: Fleet) -> Administrator:
    return Administrator(mysql_fleet["mysql"])


@pytest.fixture
def review(tmp_path: Path) -> Review:
    """Review some servers from here, by TCP, each time with what the last time left."""

    def reviewed(*servers: dict[str, Any], **given: Any) -> Findings:
        login = {name: spec.get("default") for name, spec in LOGIN.items()}
        params = {
            **{name: spec.get("default") for name, spec in {**COMMON_ARGUMENTS, **ARGUMENTS}.items()},
            "checks": [],
            "state_dir": str(tmp_path / "state"),
            "mysql": [{**login, "login_user": "tester", "login_password": PASSWORD, **one} for one in servers],
            "first": "start",
            **given,
        }
        result = perform(
            check, params=params, check_mode=False, name="log_review", catalogue=CATALOGUE, repair=False, clock=Clock()
        )
        found: Findings = result["findings"]
        assert PASSWORD not in str(result)
        return found

    return reviewed


def one(findings: Findings, name: str) -> dict[str, Any]:
    found = [finding for finding in findings if finding["check"] == name]
    assert len(found) == 1, findings
    return found[0]


def test_planted_errors_appear_once(
    mysql_controller: Controller, mysql_fleet: Fleet, administrator: Administrator
) -> None:
    """As root by the socket, with no password anywhere; the server's file gives the very same kind."""
    options = {"name": "table", "mysql": [{}], "first": "end"}

    def reviewed(**more: Any) -> Findings:
        (result,) = mysql_controller.module("log_review", {**options, **more}).values()
        assert "findings" in result, result
        found: Findings = result["findings"]
        return found

    first = reviewed()
    assert one(first, "logs.readable")["evidence"] == [SOCKET]
    assert one(first, "logs.alive")["status"] == "ok"
    name = administrator.plant(17, 23)
    kind = KIND.format(name)
    second = reviewed()
    assert one(second, "logs.errors")["evidence"] == [f"new, 2x {kind}"]
    assert (one(second, "logs.new")["item"], one(second, "logs.new")["status"]) == (SOCKET, "warning")
    mysql_fleet["mysql"].execute(["systemctl", "restart", "mysql"])
    third = reviewed()
    assert "; 0 events of" in one(third, "logs.errors")["summary"]
    assert one(third, "logs.lost")["status"] == "ok"
    of_file = reviewed(name="file", mysql=[], files=["/var/log/mysql/error.log"], first="start")
    assert f"new, 2x {kind}" in one(of_file, "logs.errors")["evidence"]


def test_a_table_that_was_overwritten_is_told(review: Review, mysql_fleet: Fleet, administrator: Administrator) -> None:
    server = {"login_host": mysql_fleet["mysql"].address}
    review(server)
    administrator.flood()
    name = administrator.plant(1)
    second = review(server)
    assert one(second, "logs.lost")["status"] == "warning"
    assert "lines were lost: the entry that was read last" in one(second, "logs.lost")["summary"]
    assert one(second, "logs.errors")["evidence"] == [f"new, 1x {KIND.format(name)}"]
    third = review(server)
    assert one(third, "logs.lost")["status"] == "ok"
    assert "; 0 events of" in one(third, "logs.errors")["summary"]


def test_a_log_of_json_gives_the_same_kinds(review: Review, mysql_fleet: Fleet, administrator: Administrator) -> None:
    server = {"login_host": mysql_fleet["mysql"].address}
    review(server)
    with services(administrator, "json"):
        name = administrator.plant(5)
        second = review(server)
    assert one(second, "logs.errors")["evidence"] == [f"new, 1x {KIND.format(name)}"]
    assert one(second, "logs.lost")["status"] == "ok"


def test_a_log_that_does_not_get_into_the_table_is_told(
    review: Review, mysql_fleet: Fleet, administrator: Administrator
) -> None:
    """The log of the system alone: the table would say "no errors" for ever."""
    server = {"login_host": mysql_fleet["mysql"].address}
    with services(administrator, "syseventlog"):
        findings = review(server, checks=["alive"])
    assert [(one["check"], one["status"]) for one in findings] == [("logs.alive", "critical")]
    assert one(review(server, checks=["alive"]), "logs.alive")["status"] == "ok"


@contextmanager
def services(administrator: Administrator, sink: str) -> Iterator[None]:
    """Let the server log through one of its components, and through its own sink again afterwards."""
    administrator.rows(f"INSTALL COMPONENT 'file://component_log_sink_{sink}'")
    try:
        administrator.rows(f"SET GLOBAL log_error_services = 'log_filter_internal; log_sink_{sink}'")
        yield
    finally:
        administrator.rows("SET GLOBAL log_error_services = DEFAULT")
        administrator.rows(f"UNINSTALL COMPONENT 'file://component_log_sink_{sink}'")


def test_the_privilege_that_is_missing_is_named_and_enough(
    review: Review, mysql_fleet: Fleet, administrator: Administrator
) -> None:
    watcher = {"login_host": mysql_fleet["mysql"].address, "login_user": "watcher"}
    refused = one(review(watcher), "logs.readable")
    assert (refused["status"], refused["remedy"]) == (
        "skipped",
        "GRANT SELECT ON performance_schema.error_log TO 'watcher'@'%';",
    )
    administrator.rows(refused["remedy"])
    assert one(review(watcher), "logs.readable")["status"] == "ok"


def test_a_session_changes_nothing_and_has_its_times_in_utc(mysql_fleet: Fleet) -> None:
    with connect(login_to(mysql_fleet["mysql"])) as session:
        assert session.rows("SELECT @@SESSION.time_zone, @@SESSION.max_execution_time") == [("+00:00", "500")]
        with pytest.raises(QueryError, match="READ ONLY"):
            session.execute("CREATE TABLE shop.never (number int)")


def login_to(host: Host) -> Login:
    defaults = {name: spec.get("default") for name, spec in LOGIN.items()}
    given = {"login_host": host.address, "login_user": "tester", "login_password": PASSWORD}
    return read_login({**defaults, **given, "connect_timeout": 1, "statement_timeout": 0.5})


def test_a_certificate_proves_who_the_server_is(review: Review, mysql_fleet: Fleet, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text(mysql_fleet["mysql"].execute(["cat", "/var/lib/mysql/ca.pem"]).stdout)
    server = {"login_host": mysql_fleet["mysql"].address, "ca_cert": str(authority)}
    assert one(review({**server, "check_hostname": False}), "logs.readable")["status"] == "ok"
    # The server's own certificate is in nobody's name.
    other = one(review(server), "logs.readable")
    assert other["status"] == "unknown"
    assert "does not prove who it is: certificate verify failed" in other["summary"]


def test_a_server_that_does_not_let_in_is_read_from_the_same_place_later(
    review: Review, mysql_fleet: Fleet, administrator: Administrator
) -> None:
    server = {"login_host": mysql_fleet["mysql"].address}
    review(server)
    name = administrator.plant(1)
    for given, words in (
        ({"login_password": "hunter2"}, "refuses the login: Access denied for user 'tester'@"),
        ({"login_port": 9}, "cannot be reached: Connection refused"),
        ({"login_host": "", "login_unix_socket": "/nowhere.sock"}, "cannot be reached: No such file or directory"),
    ):
        # A review remembers the servers that it names.
        name_of_review = "default" if "login_password" in given else "other"
        findings = review({**server, **given}, name=name_of_review)
        assert one(findings, "logs.readable")["status"] == "unknown"
        assert words in one(findings, "logs.readable")["summary"]
        assert "hunter2" not in str(findings)
    assert one(review(server), "logs.errors")["evidence"] == [f"new, 1x {KIND.format(name)}"]


def test_a_server_that_hangs_is_left(review: Review, mysql_fleet: Fleet) -> None:
    host = mysql_fleet["mysql"]
    with connect(login_to(host)) as session:
        host.pause()
        try:
            silent = one(review({"login_host": host.address, "connect_timeout": 1}), "logs.readable")
            with pytest.raises(ConnectError, match="did not answer within 500 ms"):
                session.rows("SELECT 1")
        finally:
            host.unpause()
    assert silent["status"] == "unknown"
    assert "did not answer within 1 s" in silent["summary"]


def test_mariadb_has_no_such_table(start_hosts: Callable[..., Fleet], review: Review) -> None:
    host = start_hosts({"mariadb": "mariadb11"})["mariadb"]
    skipped = one(review({"login_host": host.address}), "logs.readable")
    assert skipped["status"] == "skipped"
    assert skipped["summary"].startswith("MariaDB 11.")
    assert "Name its file" in skipped["remedy"]
