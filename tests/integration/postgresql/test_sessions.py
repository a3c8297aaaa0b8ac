# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions as real servers show them."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.waiting import one_version


def blocked(database: Database, session: Any) -> threading.Thread:
    """A session that waits for a lock that ``session`` holds, in a thread; returns when the server says that it waits."""
    waiter = database.connect()
    pid = waiter.info.backend_pid

    def wait() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            waiter.execute("UPDATE account SET balance = 4711 WHERE owner = 'eve'")

    thread = threading.Thread(target=wait)
    thread.start()
    while not database.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", pid):
        pass
    return thread


def test_a_server_that_answers_says_what_it_is(database: Database) -> None:
    finding = database.finding("reachable")

    assert finding["status"] == "ok"
    assert f"PostgreSQL {database.cluster.version}" in finding["summary"]
    assert "as a primary" in finding["summary"]


def test_connections_are_those_of_clients_against_what_they_may_have(database: Database) -> None:
    before = database.finding("connections")
    for _number in range(5):
        database.connect()
    after = database.finding("connections")
    (clients,) = database.rows("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")

    usable = database.value("SELECT current_setting('max_connections')::int - 3")
    assert after["value"] - before["value"] == pytest.approx(5 * 100 / usable, abs=0.001)
    # This query's own session, while the check counted those of the test without its own.
    assert after["value"] == pytest.approx((clients["count"] - 1) * 100 / usable, abs=0.001)


def test_an_idle_session_is_no_long_query_but_an_open_transaction_is_told(database: Database) -> None:
    session = database.connect()
    session.execute("CREATE TABLE account (owner text, balance int)")
    session.execute("BEGIN")
    session.execute("SELECT 'secret of eve', 4711")
    findings = {finding["check"]: finding for finding in database.findings("long_*", "idle_in_transaction")}

    assert findings["postgresql.long_query"]["value"] == 0
    assert "evidence" not in findings["postgresql.long_query"]
    (idle,) = [line for line in findings["postgresql.idle_in_transaction"]["evidence"] if database.name in line]
    assert f"pid {session.info.backend_pid} tester@" in idle
    assert "SELECT ?, ?" in idle
    assert "secret" not in str(findings)
    assert "4711" not in str(findings["postgresql.idle_in_transaction"]["evidence"])


def test_who_blocks_whom_is_told_from_the_root(database: Database) -> None:
    database.execute("CREATE TABLE account (owner text, balance int)", "INSERT INTO account VALUES ('eve', 1)")
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("UPDATE account SET balance = 2")
    thread = blocked(database, holder)
    finding = database.finding("blocking")
    database.execute(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    thread.join()

    root, waiter = finding["evidence"]
    assert root.startswith(f"pid {holder.info.backend_pid} ")
    assert waiter.startswith(". pid ")
    assert "UPDATE account SET balance = ? WHERE owner = ?" in waiter
    assert "1 session waiting" in finding["summary"]


@one_version
def test_a_wait_begins_with_the_wait_and_not_with_the_work_before_it(database: Database) -> None:
    database.execute("CREATE TABLE account (owner text)")
    holder, worker = database.connect(), database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK account")
    late = threading.Thread(target=worker.execute, args=("DO 'BEGIN PERFORM pg_sleep(2); PERFORM FROM account; END'",))
    late.start()
    while not database.value("SELECT count(*) FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL"):
        assert late.is_alive()
    finding = database.finding("blocking")
    worked = database.value(
        "SELECT extract(epoch FROM clock_timestamp() - query_start)::float8 FROM pg_stat_activity WHERE pid = %s",
        worker.info.backend_pid,
    )
    holder.execute("ROLLBACK")
    late.join()

    assert 0 < finding["value"] < worked - 1.9
    assert "1 session waiting" in finding["summary"]


@one_version
def test_a_session_that_tells_nothing_of_itself_is_not_taken_for_one_that_does_nothing(database: Database) -> None:
    session = database.connect()
    session.execute("SET track_activities = off")
    session.execute("BEGIN")
    session.execute("SELECT 1")
    told = {
        (finding["check"].partition(".")[2], finding["status"]): finding
        for finding in database.findings("long_*", "idle_in_transaction")
    }
    session.execute("ROLLBACK")

    assert {check for check, status in told if status == "skipped"} == {
        "long_query",
        "long_transaction",
        "idle_in_transaction",
    }
    assert "1 session does" in told["long_query", "skipped"]["summary"]
    assert "track_activities" in told["long_query", "skipped"]["remedy"]


def test_a_prepared_transaction_is_told_with_its_name(database: Database) -> None:
    session = database.connect()
    session.execute("BEGIN")
    session.execute("CREATE TABLE left_behind ()")
    session.execute("PREPARE TRANSACTION 'forgotten'")
    finding = database.finding("prepared_transaction")
    session.execute("ROLLBACK PREPARED 'forgotten'")

    assert "1 prepared transaction" in finding["summary"]
    assert "forgotten of tester in" in finding["evidence"][0]


def test_a_login_without_rights_is_told_what_to_grant(database: Database) -> None:
    findings = {finding["check"]: finding for finding in database.findings(user="nobody_special")}

    assert findings["postgresql.connections"]["status"] == "skipped"
    assert findings["postgresql.connections"]["remedy"] == 'GRANT pg_monitor TO "nobody_special"'


def test_a_member_of_pg_monitor_sees_what_a_superuser_sees(database: Database) -> None:
    wanted = ("connections", "long_*", "blocking", "prepared_transaction", "idle_in_transaction")
    statuses = [
        {finding["check"]: finding["status"] for finding in database.findings(*wanted, user=user)}
        for user in ("tester", "watcher")
    ]

    assert statuses[0] == statuses[1]
    assert "skipped" not in statuses[1].values()


def test_a_server_that_is_not_there_is_one_alarm(cluster: Cluster, database: Database) -> None:
    findings = database.findings(login_port=1)

    critical = [finding for finding in findings if finding["status"] == "critical"]
    assert [finding["check"] for finding in critical] == ["postgresql.reachable"]
    assert "refused" in critical[0]["summary"]
    assert {finding["status"] for finding in findings} == {"critical", "skipped"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"login_password": "wrong-secret"}, "password authentication failed"),
        ({"login_db": "no such database"}, "does not exist"),
        ({"ssl_mode": "verify-full"}, "root certificate"),
        ({"login_user": "no one"}, "authentication failed"),
    ],
)
def test_why_nobody_is_let_in_is_told_without_the_password(
    database: Database, options: dict[str, str], words: str
) -> None:
    finding = database.finding("reachable", **options)

    assert finding["status"] == "critical"
    assert words in finding["summary"]
    assert "wrong-secret" not in str(finding)
    assert finding["remedy"]
