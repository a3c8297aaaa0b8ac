# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of the table as lines of the file, and servers that have no table. Rows are those of MySQL 9.7."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import MaintenanceError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.mysql.client import QueryError, Row
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.reading.mysql_table import (
    Entry,
    ServerTable,
    require_table,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.digest import Wanted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.formats import FORMATS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.review.scan import digest_of

FILE = b"""\
2026-11-25T18:56:53.696526Z 1 [System] [MY-013576] [InnoDB] InnoDB initialization has started.
2026-11-25T18:57:01.989443Z 0 [Warning] [MY-010068] [Server] CA certificate ca.pem is self signed.
2026-11-25T19:00:37.184555Z 16 [ERROR] [MY-010045] [Server] Event Scheduler: [root@localhost][shop.planted] planted 17 second line
"""
PLANTED = "Event Scheduler: [root@localhost][shop.planted] planted 17 second line"
ROWS: list[Row] = [
    ("2026-11-25 18:56:53.696526", "1", "System", "MY-013576", "InnoDB", "InnoDB initialization has started."),
    ("2026-11-25 18:57:01.989443", "0", "Warning", "MY-010068", "Server", "CA certificate ca.pem is self signed."),
    ("2026-11-25 19:00:37.184555", "16", "Error", "MY-010045", "Server", PLANTED),
]
FACTS: Row = (
    "1",
    "uuid",
    "/var/log/mysql/error.log",
    "log_filter_internal; log_sink_internal",
    "2",
    "",
    "1795633240.5",
)
STATUS: list[Row] = [("Uptime", "60"), ("Error_log_latest_write", "1795633240247889")]


class Answers:
    """A session whose queries are answered by their beginning; an exception is raised."""

    def __init__(self, answers: Mapping[str, Any], *, mariadb: bool = False) -> None:
        self.answers = {"SELECT LOGGED": ROWS, "SELECT @@": [FACTS], "SHOW": STATUS, **answers}
        self.is_mariadb = mariadb
        self.product = "MariaDB 11.8.2" if mariadb else "MySQL 9.7.0"
        self.login = SimpleNamespace(place="db")
        self.asked: list[Sequence[object]] = []

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[Row]:
        self.asked.append(parameters)
        (answer,) = (found for begin, found in self.answers.items() if query.startswith(begin))
        if isinstance(answer, Exception):
            raise answer
        return answer


def table(**answers: Any) -> ServerTable:
    return ServerTable(Answers(answers))  # type: ignore[arg-type]


def test_rows_are_the_lines_of_the_file() -> None:
    assert b"".join(one.line() for one in table().page(0, 10)) == FILE


def test_times_are_asked_for_in_microseconds() -> None:
    session = Answers({})
    first, second, _third = ServerTable(session).page(1_795_633_237_184_555, 10)  # type: ignore[arg-type]
    assert session.asked == [["2026-11-25 19:00:37.184555", 10]]
    assert second.stamp - first.stamp == 8_292_917


def test_file_and_table_give_the_same_kinds() -> None:
    wanted = Wanted(least="warning")
    of_file = digest_of(iter([FILE]), FORMATS["mysql"], wanted)
    of_table = digest_of((one.line() for one in table().page(0, 10)), FORMATS["mysql"], wanted)
    assert of_file.kinds == of_table.kinds
    assert {kind.level for kind in of_table.kinds.values()} == {"error", "warning"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{ "prio" : 1, "err_code" : 10045, "msg" : "planted\\u000a17", "label" : "Error" }', b"planted 17"),
        ('{"prio": 1}', b'{"prio": 1}'),
        ("{ no JSON", b"{ no JSON"),
        ("[1]", b"[1]"),
        ("one\ntwo\r\nthree\u2028four", b"one two three four"),
        ("bad \ufffd bytes", "bad \ufffd bytes".encode()),
    ],
)
def test_a_message_is_one_line(text: str, shown: bytes) -> None:
    line = Entry(1_795_633_237_184_555, "7", "Error", "MY-010045", "Server", text).line()
    assert line == b"2026-11-25T19:00:37.184555Z 7 [ERROR] [MY-010045] [Server] " + shown + b"\n"


def test_a_row_without_code_and_part_is_a_line_too() -> None:
    row = (*ROWS[0][:1], None, "Note", None, None, "text")
    (entry,) = table(**{"SELECT LOGGED": [row]}).page(0, 1)
    assert entry.line() == b"2026-11-25T18:56:53.696526Z 0 [Note] text\n"


@pytest.mark.parametrize(
    "answers",
    [
        {"SELECT LOGGED": [("yesterday", "1", "Error", "", "", "")]},
        {"SELECT LOGGED": [(None, "1", "Error", "", "", "")]},
        {"SELECT LOGGED": [("2026-11-25 18:56:53.696526",)]},
        {"SELECT LOGGED": [()]},
    ],
)
def test_an_answer_that_makes_no_sense_is_told(answers: Mapping[str, Any]) -> None:
    with pytest.raises(MaintenanceError, match="no entry of its error log"):
        table(**answers).newest(1)


@pytest.mark.parametrize(
    "answers",
    [
        {"SELECT @@": []},
        {"SELECT @@": [()]},
        {"SELECT @@": [(*FACTS[:6], "9e99")]},
        {"SELECT @@": [(*FACTS[:4], "loud", *FACTS[5:])]},
        {"SHOW": [("Uptime", "99999999999")]},
        {"SHOW": [("Uptime", "1", "2")]},
        {"SHOW": [("Error_log_latest_write", "9" * 30)]},
    ],
)
def test_facts_that_make_no_sense_are_told(answers: Mapping[str, Any]) -> None:
    with pytest.raises(MaintenanceError, match="no entry of its error log"):
        require_table(Answers(answers))  # type: ignore[arg-type]


def test_the_facts_of_a_server() -> None:
    facts = require_table(Answers({}))  # type: ignore[arg-type]
    assert facts.services == ("log_filter_internal", "log_sink_internal")
    assert (facts.now - facts.started, facts.now - facts.latest) == (60_000_000, 252_111)


@pytest.mark.parametrize(
    ("answers", "mariadb", "words", "remedy"),
    [
        ({}, True, "MariaDB 11.8.2 has no table of its error log", "Name its file"),
        ({"SELECT LOGGED": QueryError("no", number=1146)}, False, "which came with 8.0.22", "Name its file"),
        ({"SELECT @@": QueryError("no", number=1193)}, False, "which came with 8.0.22", "Name its file"),
        ({"SELECT @@": [("0", *FACTS[1:])]}, False, "without performance_schema", "performance_schema=ON"),
        (
            {"SELECT LOGGED": QueryError("no", number=1142), "SELECT CURRENT_USER": [("o'neil@%",)]},
            False,
            "the account 'o''neil'@'%' may not read the error log",
            "GRANT SELECT ON performance_schema.error_log TO 'o''neil'@'%';",
        ),
    ],
)
def test_a_server_without_a_table_that_can_be_read(
    answers: Mapping[str, Any], mariadb: bool, words: str, remedy: str
) -> None:
    with pytest.raises(Absent) as told:
        require_table(Answers(answers, mariadb=mariadb))  # type: ignore[arg-type]
    assert told.value.status == "skipped"
    assert words in told.value.message
    assert remedy in told.value.remedy
