# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages and holders of the horizon as real servers show them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import (
    ARGUMENTS,
    connect,
    read_login,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.horizon import (
    Holder,
    holders,
    oldest_holder,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import look
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def burn(database: Database, amount: int) -> None:
    """Use up transaction ids."""
    with database.cluster.connect(database.name) as session:
        for _number in range(amount):
            session.execute("SELECT pg_current_xact_id()")


def seen(database: Database, **options: Any) -> tuple[Holder, ...]:
    """The holders as another module asks for them, outside of the check."""
    params = {option: spec.get("default") for option, spec in ARGUMENTS.items()}
    login = read_login({**params, **database.cluster.login(**options), "login_db": database.name})
    with connect(login) as session:
        return holders(session, look(session))


def ours(lines: list[str], database: Database) -> list[str]:
    return [line for line in lines if database.name in line]


@contextmanager
def slot(database: Database, statement: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex[:12]}"
    database.execute(statement.format(name))
    try:
        yield name
    finally:
        database.execute(f"SELECT pg_drop_replication_slot('{name}')")


def test_an_idle_transaction_holds_the_horizon_of_its_database_until_it_ends(database: Database) -> None:
    session = database.connect(application_name="forgetful")
    session.execute("CREATE TABLE account (owner text)")
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT 'eve', 4711")
    burn(database, 30)
    during = database.finding("xmin_horizon", levels={"postgresql.xmin_horizon": {"warning": 25}})
    found = oldest_holder(seen(database), database.name)
    session.execute("COMMIT")
    after = database.finding("xmin_horizon")

    assert during["status"] == "warning"
    assert during["value"] >= 30
    (line,) = ours(during["evidence"], database)
    assert line.startswith(f"idle transaction of pid {session.info.backend_pid} tester@{database.name} (forgetful), ")
    assert "SELECT ?, ?" in line
    assert found is not None
    assert (found.kind, found.pid, found.database) == ("idle", session.info.backend_pid, database.name)
    assert not ours(after.get("evidence", []), database)


def test_a_write_without_a_snapshot_holds_it_too(database: Database) -> None:
    session = database.connect()
    session.execute("CREATE TABLE account (owner text)")
    session.execute("BEGIN")
    session.execute("INSERT INTO account VALUES ('eve')")
    burn(database, 10)
    found = oldest_holder(seen(database), database.name)
    session.execute("ROLLBACK")

    assert found is not None
    assert found.pid == session.info.backend_pid
    assert found.age >= 10


def test_a_session_of_another_database_holds_shared_tables_alone(database: Database) -> None:
    with database.cluster.connect("postgres") as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        session.execute("SELECT 1")
        burn(database, 10)
        found = seen(database)
        own = oldest_holder(found, database.name)
        shared = oldest_holder(found, database.name, shared=True)
        session.execute("COMMIT")

    assert own is None
    assert shared is not None
    assert shared.database == "postgres"


def test_a_prepared_transaction_and_both_kinds_of_slot_are_told_apart(database: Database) -> None:
    # A slot is not made before all who write have ended.
    with slot(database, "SELECT pg_create_logical_replication_slot('{}', 'test_decoding')") as name:
        session = database.connect()
        session.execute("BEGIN")
        session.execute("CREATE TABLE left_behind ()")
        session.execute("PREPARE TRANSACTION 'order 17'")
        burn(database, 10)
        finding = database.finding("xmin_horizon")
        found = seen(database)
        metrics = database.perform(checks=["xmin_horizon"])["metrics"]
        session.execute("ROLLBACK PREPARED 'order 17'")

    lines = "\n".join(finding["evidence"])
    assert f"prepared transaction order 17 of tester@{database.name}, " in lines
    assert f"logical replication slot {name}, " in lines
    catalog = oldest_holder(found, database.name, catalog=True)
    plain = oldest_holder(found, database.name)
    assert catalog is not None
    assert plain is not None
    assert {catalog.kind, plain.kind} <= {"catalog slot", "prepared"}
    assert plain.kind == "prepared"
    ages = {metric["item"].split(" ", 1)[1]: metric["value"] for metric in metrics if "horizon_of" in metric["name"]}
    assert ages["prepared"] >= 10
    assert ages["catalog slot"] >= 10
    assert ages["slot"] == 0


def test_ages_come_from_the_databases_and_name_their_oldest_tables(database: Database) -> None:
    database.execute('CREATE TABLE "Order Item" (id int, note text)', "VACUUM FREEZE")
    burn(database, 200)
    share = 100 * database.value("SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()")
    strict = {f"postgresql.{name}": {"warning": 0.000001} for name in ("freeze_age", "wraparound")}
    findings = {
        (finding["check"], finding["item"]): finding
        for finding in database.findings("wraparound", "freeze_age", "multixact_wraparound", levels=strict)
    }

    item = f"{database.cluster.host.address}:5432/{database.name}"
    freeze = findings["postgresql.freeze_age", item]
    assert freeze["value"] == pytest.approx(share / 200_000_000, abs=0.001)
    assert len([line for line in freeze["evidence"] if line.startswith(("table ", "TOAST of "))]) == 10
    assert findings["postgresql.wraparound", item]["value"] == pytest.approx(share / 2**31, abs=0.0001)
    multixacts = [finding for (check, _item), finding in findings.items() if "multixact" in check]
    assert [finding["status"] for finding in multixacts] == ["ok"]


def test_healthy_ages_are_three_findings_with_one_metric_a_database(database: Database) -> None:
    result = database.perform(checks=["wraparound", "freeze_age", "multixact_wraparound"])

    assert [finding["status"] for finding in result["findings"]] == ["ok"] * 3
    assert {finding["item"] for finding in result["findings"]} == {f"{database.cluster.host.address}:5432"}
    assert f"{database.cluster.host.address}:5432/template0" in {metric["item"] for metric in result["metrics"]}


def test_a_table_with_a_limit_of_its_own_is_behind_when_that_is(database: Database) -> None:
    database.execute(
        "CREATE TABLE tight (note text) WITH (autovacuum_freeze_max_age = 100000)",
        "CREATE TABLE loose (note text)",
        "DO $$ BEGIN FOR i IN 1..300 LOOP PERFORM 1; COMMIT; END LOOP; END $$",
    )
    burn(database, 400)
    result = database.perform(checks=["freeze_age"], levels={"postgresql.freeze_age": {"warning": 0.3}})

    (told,) = [finding for finding in result["findings"] if finding["status"] == "warning"]
    assert told["evidence"][0].startswith(
        ("table public.tight: ", "TOAST of public.tight: ", "TOAST TOAST of public.t")
    )
    assert not any("loose" in line for line in told["evidence"][:2])


def test_a_monitor_sees_the_same_and_nobody_is_told_what_to_grant(database: Database) -> None:
    session = database.connect()
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    session.execute("SELECT 1")
    burn(database, 5)
    watched = database.finding("xmin_horizon", user="watcher")
    hidden = {
        finding["check"]: finding
        for finding in database.findings("*wraparound", "freeze_age", "xmin_horizon", user="nobody_special")
    }
    session.execute("COMMIT")

    assert ours(watched["evidence"], database)
    horizon = hidden.pop("postgresql.xmin_horizon")
    assert horizon["status"] == "skipped"
    assert horizon["remedy"] == 'GRANT pg_monitor TO "nobody_special"'
    assert [finding["status"] for finding in hidden.values()] == ["ok"] * 3


def test_a_running_vacuum_holds_nothing_and_is_not_named(database: Database) -> None:
    database.execute(
        "CREATE TABLE big (id int)",
        "INSERT INTO big SELECT generate_series(1, 200000)",
        "DELETE FROM big WHERE id % 2 = 0",
    )
    blocker = database.connect()
    blocker.execute("BEGIN")
    blocker.execute("DECLARE here CURSOR FOR SELECT * FROM big")
    blocker.execute("FETCH 1 FROM here")
    vacuum = database.connect()
    vacuum.execute("SET vacuum_cost_delay = 100")
    vacuum.execute("SET vacuum_cost_limit = 1")

    def work() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            vacuum.execute("VACUUM big")

    thread = threading.Thread(target=work)
    thread.start()
    while not database.value("SELECT count(*) FROM pg_stat_progress_vacuum WHERE pid = %s", vacuum.info.backend_pid):
        pass
    found = seen(database)
    vacuum.cancel()
    thread.join()
    blocker.execute("ROLLBACK")

    assert {holder.pid for holder in found} & {vacuum.info.backend_pid, blocker.info.backend_pid} == {
        blocker.info.backend_pid
    }


def test_what_a_broken_off_drop_has_left_is_one_warning_and_no_question_that_nobody_answers(
    database: Database,
) -> None:
    left = f"{database.name} left"
    with database.cluster.connect() as session:
        session.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(left)))
        session.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", (left,))
        others = session.execute("SELECT datname FROM pg_database WHERE datname <> ALL (%s)", ([left, database.name],))
        excluded = [row["datname"] for row in others]
        try:
            findings = database.findings(databases_exclude=excluded)
        finally:
            session.execute("UPDATE pg_database SET datconnlimit = -1 WHERE datname = %s", (left,))
            session.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(left)))
    (told,) = [finding for finding in findings if finding["item"].endswith(f"/{left}")]

    assert (told["check"], told["status"]) == ("postgresql.wraparound", "warning")
    assert "unknown" not in {finding["status"] for finding in findings}
