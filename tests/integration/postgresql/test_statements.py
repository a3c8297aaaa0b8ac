# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_stat_statements of real servers, in another schema than usual, between two runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database

#: Costs some milliseconds each time, and none of it waiting.
WORK = "SELECT count(*) FROM generate_series(1, 20000) AS g WHERE g::text <> 'secret of eve'"
MORE_WORK = "SELECT sum(g) FROM generate_series(1, 30000) AS g WHERE g::text <> '4711'"


@pytest.fixture
def counted(database: Database) -> Database:
    """A database with the extension, in a schema whose name wants quotes."""
    database.execute('CREATE SCHEMA "The Statistics"', 'CREATE EXTENSION pg_stat_statements SCHEMA "The Statistics"')
    return database


def test_the_first_run_has_nothing_to_compare_with(counted: Database) -> None:
    findings = counted.findings("statements", "*statement*")

    assert {finding["status"] for finding in findings} == {"skipped"}
    assert all("first" in finding["summary"] for finding in findings)


def test_what_cost_most_since_the_last_run_is_told_without_literals(counted: Database) -> None:
    counted.execute(MORE_WORK)
    counted.findings("statements")
    counted.execute(*[WORK] * 10)
    result = counted.perform(checks=["statements", "slow_statement"])
    top, slow = result["findings"]

    assert top["status"] == "ok"
    # The check's own queries are statements too.
    (line,) = [line for line in top["evidence"] if line.startswith("time") and "generate_series" in line]
    assert "10 calls" in line
    assert not any("sum(g)" in line for line in top["evidence"])
    assert slow["value"] > 0
    assert "secret" not in str(result)
    shares = [metric["value"] for metric in result["metrics"] if metric["name"] == "postgresql.statement_time"]
    assert shares
    assert 50 < sum(shares) < 100.001


def test_a_statement_that_is_new_is_told(counted: Database) -> None:
    counted.execute(*[WORK] * 3)
    counted.findings("new_statements")
    counted.execute(*[WORK] * 3)
    known = counted.finding("new_statements")
    counted.execute(*[MORE_WORK] * 20)
    new = counted.finding("new_statements")

    assert not any("generate_series" in line for line in known.get("evidence", []))
    assert new["status"] == "warning"
    assert "sum(g)" in new["evidence"][0]


def test_a_statement_that_became_slower_is_told(counted: Database) -> None:
    work = "SELECT count(*) FROM generate_series(1, (SELECT amount FROM work)) AS g"
    counted.execute("CREATE TABLE work AS SELECT 100 AS amount", *[work] * 25)
    counted.findings("statement_regression")
    counted.execute(*[work] * 25)
    usual = counted.finding(
        "statement_regression", levels={"postgresql.statement_regression": {"warning": 400, "info": None}}
    )
    counted.execute("UPDATE work SET amount = 100000", *[work] * 25)
    slower = counted.finding("statement_regression")

    assert usual["status"] == "ok"
    assert slower["status"] == "warning"
    assert "FROM work" in slower["evidence"][0]


def test_what_is_remembered_is_small_and_has_no_text(counted: Database) -> None:
    counted.execute(WORK)
    counted.findings("statements")
    (written,) = counted.state_dir.iterdir()
    memory = written.read_text()

    assert "generate_series" not in memory
    (generation,) = json.loads(memory)["generations"]
    assert generation["data"][f"{counted.cluster.host.address}:5432"]["statements"]["data"]["entries"]


def test_an_eviction_is_told(counted: Database) -> None:
    counted.findings("statement_evictions")
    quiet = counted.finding("statement_evictions")
    most = counted.value("SELECT current_setting('pg_stat_statements.max')::int")
    with counted.connect() as session:
        # Each statement has another number of columns or aliases, so that each is counted for itself.
        session.execute("SET pg_stat_statements.track_planning = off")
        for at in range(0, most + 100, 200):
            session.execute(
                "; ".join(f"SELECT 1 AS c{at + one}, 2 AS d{'x' * ((at + one) % 50)}{at + one}" for one in range(200))
            )
            if counted_evictions(counted):
                break
            session.execute("; ".join(f"CREATE TEMP TABLE t{at + one} ()" for one in range(200)))
            session.execute("; ".join(f"DROP TABLE t{at + one}" for one in range(200)))
    loud = counted.finding("statement_evictions")

    assert (quiet["status"], quiet["value"]) == ("ok", 0)
    assert loud["status"] in ("info", "warning")
    assert loud["value"] > 0


def counted_evictions(database: Database) -> int:
    value: int = database.value('SELECT dealloc FROM "The Statistics".pg_stat_statements_info')
    return value


def test_without_the_extension_its_creation_is_the_remedy(database: Database) -> None:
    finding = database.finding("statements")

    assert finding["status"] == "skipped"
    assert finding["remedy"] == 'In database "postgres": CREATE EXTENSION pg_stat_statements.'


def test_a_server_that_counts_nothing_says_so(counted: Database) -> None:
    counted.execute("ALTER ROLE tester SET pg_stat_statements.track = 'none'")
    try:
        finding = counted.finding("statements")
    finally:
        counted.execute("ALTER ROLE tester RESET pg_stat_statements.track")

    assert finding["status"] == "skipped"
    assert finding["remedy"] == "Set pg_stat_statements.track = top."


def test_one_who_may_not_see_others_statements_is_told_what_to_grant(counted: Database) -> None:
    finding = counted.finding("statements", user="nobody_special")

    assert finding["status"] == "skipped"
    assert finding["remedy"] == 'GRANT pg_monitor TO "nobody_special"'


def test_a_monitor_without_the_right_to_the_schema_is_told_what_to_grant(counted: Database) -> None:
    hidden = counted.finding("statements", user="watcher")
    counted.execute('GRANT USAGE ON SCHEMA "The Statistics" TO watcher')
    seen = counted.finding("statements", user="watcher")

    assert hidden["status"] == "skipped"
    assert hidden["remedy"].startswith('GRANT USAGE ON SCHEMA "The Statistics" TO "watcher"')
    assert "first" in seen["summary"]


@pytest.mark.parametrize("version", ["1.7", "1.8", "1.9", "1.10"])
def test_an_extension_that_was_never_updated(database: Database, version: str) -> None:
    database.execute(f"CREATE EXTENSION pg_stat_statements VERSION '{version}'")
    database.findings("statements")
    database.execute(*[WORK] * 5)
    findings = {finding["check"]: finding for finding in database.findings("statements", "statement_evictions")}

    assert any("5 calls" in line and "count(*)" in line for line in findings["postgresql.statements"]["evidence"])
    evictions = findings["postgresql.statement_evictions"]
    assert (evictions["status"] == "skipped") == (version in ("1.7", "1.8"))


@pytest.fixture
def without_library(cluster: Cluster) -> Iterator[None]:
    """The server without the library, and with it again afterwards."""
    service = f"postgresql@{cluster.version}-main"
    configuration = f"/etc/postgresql/{cluster.version}/main/conf.d/zz-without.conf"
    cluster.host.write(configuration, "shared_preload_libraries = ''\n")
    cluster.host.execute(["systemctl", "restart", service])
    yield
    cluster.host.execute(["rm", configuration])
    cluster.host.execute(["systemctl", "restart", service])


@pytest.mark.usefixtures("without_library")
def test_a_library_that_is_not_loaded_is_named(database: Database) -> None:
    missing = database.finding("statements")
    database.execute("CREATE EXTENSION pg_stat_statements")
    unloaded = database.finding("statements")

    assert missing["status"] == unloaded["status"] == "skipped"
    assert 'restart the server. In database "postgres": CREATE EXTENSION' in missing["remedy"]
    assert unloaded["remedy"] == "Add pg_stat_statements to shared_preload_libraries and restart the server."
