# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What grew and shrank on real servers from one run to the next."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

SMALL: dict[str, Any] = {"growth_floor": 512 * 1024}
FILL = "INSERT INTO {} SELECT i, repeat('x', 100) FROM generate_series(1, 20000) i"


def changes(database: Database, *checks: str, **params: Any) -> dict[str, dict[str, Any]]:
    """Findings by check and what they are of, without the cluster: ``table_growth public.item``."""
    findings = database.findings(*checks, **{**SMALL, **params})
    place = f"{database.cluster.host.address}:5432"
    return {
        f"{finding['check'][11:]} {finding['item'].replace(f'{place}/{database.name}', '').replace(place, 'all')}": finding
        for finding in findings
    }


def statuses(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {" ".join(name.split()): finding["status"] for name, finding in found.items()}


def test_the_first_run_says_so_and_the_second_that_nothing_changed(database: Database) -> None:
    database.execute("CREATE TABLE item (id int, note text)")
    first = changes(database, "*_growth", "*_shrinkage")
    second = changes(database, "*_growth", "*_shrinkage")

    assert set(statuses(first).values()) == {"skipped"}
    assert set(statuses(second).values()) == {"ok"}
    assert len(second) == 4


def test_a_table_that_grew_is_told_and_at_the_next_run_it_is_as_it_was(database: Database) -> None:
    database.execute('CREATE TABLE "User" (id int, note text)', FILL.format('"User"'))
    changes(database, "table_growth", "database_growth")
    size = database.value("""SELECT pg_total_relation_size('"User"')""")
    database.execute(
        FILL.format('"User"'), FILL.format('"User"'), "CREATE TABLE fresh (id int, note text)", FILL.format("fresh")
    )
    grown = changes(database, "table_growth", "database_growth")
    again = changes(database, "table_growth", "database_growth")

    told = grown["table_growth  public.User"]
    assert told["status"] == "warning"
    growth = 100 * (database.value("""SELECT pg_total_relation_size('"User"')""") / size - 1)
    assert told["value"] == pytest.approx(growth, abs=0.01)
    assert "1 new table: public.fresh" in told["summary"]
    assert statuses(grown)["database_growth"] == "info"
    assert set(statuses(again).values()) == {"ok"}


def test_a_daily_look_does_not_move_what_the_monthly_one_looks_back_to(database: Database) -> None:
    database.execute("CREATE TABLE item (id int, note text)", FILL.format("item"))
    changes(database, "table_growth", "database_growth")
    database.execute(FILL.format("item"), FILL.format("item"))
    changes(database, "size", "freeze_age", "table_shrinkage")

    assert changes(database, "table_growth")["table_growth  public.item"]["status"] == "warning"


def test_truncated_dropped_and_emptied_tables_are_told_and_compacted_ones_are_not(database: Database) -> None:
    names = ("emptied", "dropped", "deleted", "compacted", "remade", "unindexed")
    for name in names:
        database.execute(f"CREATE TABLE {name} (id int, note text)", FILL.format(name))
    database.execute(
        "CREATE INDEX fat ON unindexed (note, id)",
        "CREATE TABLE log (id int, note text) PARTITION BY RANGE (id)",
        "CREATE TABLE log_old PARTITION OF log FOR VALUES FROM (0) TO (100000)",
        FILL.format("log"),
        "UPDATE compacted SET note = note || 'y'",
        "UPDATE compacted SET note = note || 'y'",
        "ANALYZE",
    )
    changes(database, "table_shrinkage")
    database.execute(
        "TRUNCATE emptied",
        "DROP TABLE dropped",
        "DELETE FROM deleted WHERE id > 1000",
        "VACUUM FULL deleted",
        "VACUUM FULL compacted",
        "DROP TABLE remade",
        "CREATE TABLE remade AS SELECT i AS id, repeat('x', 100) AS note FROM generate_series(1, 20000) i",
        "DROP INDEX fat",
        "DROP TABLE log_old",
    )
    found = changes(database, "table_shrinkage")

    assert statuses(found) == {
        "table_shrinkage public.emptied": "critical",
        "table_shrinkage public.dropped": "critical",
        "table_shrinkage public.deleted": "critical",
    }
    assert found["table_shrinkage  public.dropped"]["value"] == 100
    assert "-> gone (-100 %)" in found["table_shrinkage  public.dropped"]["summary"]
    assert "2 tables with as many rows in less space" in found["table_shrinkage  public.dropped"]["summary"]


def test_a_renamed_table_is_the_same_and_a_partitioned_one_is_as_large_as_its_partitions(database: Database) -> None:
    database.execute("CREATE TABLE item (id int, note text)", FILL.format("item"), "ANALYZE item")
    changes(database, "table_*")
    database.execute('ALTER TABLE item RENAME TO "Item"')

    assert set(statuses(changes(database, "table_growth", "table_shrinkage")).values()) == {"ok"}


def test_a_locked_table_is_not_taken_for_a_smaller_one(database: Database) -> None:
    database.execute("CREATE TABLE item (id int, note text)", FILL.format("item"))
    changes(database, "table_shrinkage", "table_growth")
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK item")
    found = changes(database, "table_shrinkage", "table_growth")
    holder.execute("ROLLBACK")

    assert set(statuses(found).values()) == {"ok"}


def test_a_database_that_is_gone_has_shrunk_by_all_of_it(database: Database) -> None:
    excluded = [
        row["datname"] for row in database.rows("SELECT datname FROM pg_database WHERE datname <> current_database()")
    ]
    database.execute("CREATE DATABASE short_lived")
    try:
        changes(database, "database_shrinkage", databases_exclude=excluded)
    finally:
        database.execute("DROP DATABASE short_lived")
    gone = changes(database, "database_shrinkage", databases_exclude=excluded)

    assert statuses(gone) == {"database_shrinkage all/short_lived": "critical"}
