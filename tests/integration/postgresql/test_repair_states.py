# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the tables are like: check mode plans what is then applied, and a second run plans nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.core import given

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql import test_reindex, test_vacuum_repair
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database

EXAMPLES = settings(
    max_examples=8,
    # The same ones each time, for a run that anybody waits for; without it, it goes looking for others.
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    # The same database serves all examples, which is why each begins with an empty schema.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)


@pytest.fixture
def cluster(clusters: Callable[[int], Cluster]) -> Cluster:
    """One version: the versions have tests of their own."""
    return clusters(17)


#: What may have happened to a table since its last vacuum, in any order and number.
WRITES = st.one_of(
    st.integers(1, 900).map("DELETE FROM {{0}} WHERE id <= {}".format),
    st.integers(1, 9).map("UPDATE {{0}} SET note = note || 'x' WHERE id % {} = 0".format),
    st.integers(1, 2500).map("INSERT INTO {{0}} SELECT n, 'x' FROM generate_series(10001, 10000 + {}) n".format),
    st.sampled_from(
        [
            "ANALYZE {0}",
            "VACUUM {0}",
            "TRUNCATE {0}",
            "CREATE INDEX ON {0} (lower(note))",
            "CREATE STATISTICS ON id, note FROM {0}",
            "ALTER TABLE {0} ADD COLUMN IF NOT EXISTS extra int DEFAULT 1",
            "ALTER TABLE {0} SET (autovacuum_enabled = off)",
        ]
    ),
    st.floats(0, 1).map("ALTER TABLE {{0}} SET (autovacuum_vacuum_scale_factor = {:.2f})".format),
    st.integers(0, 400).map("ALTER TABLE {{0}} SET (autovacuum_analyze_threshold = {})".format),
    st.sampled_from([-1, 10, 2000]).map("ALTER TABLE {{0}} SET (autovacuum_vacuum_insert_threshold = {})".format),
)
PARTED = (
    "CREATE TABLE {0} (id int, note text) PARTITION BY RANGE (id); "
    "CREATE TABLE {0}_a PARTITION OF {0} FOR VALUES FROM (0) TO (500); "
    "CREATE TABLE {0}_b PARTITION OF {0} DEFAULT"
)
#: How a table is made: plain, unlogged, with wide values in its TOAST, in partitions.
MAKES = st.sampled_from(
    [
        "CREATE TABLE {0} (id int, note text)",
        "CREATE UNLOGGED TABLE {0} (id int, note text)",
        "CREATE TABLE {0} (id int, note text); ALTER TABLE {0} ALTER note SET STORAGE EXTERNAL",
        PARTED,
    ]
)


def own(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What is planned for the tables of the test; those of the catalog change while it makes its own."""
    return [step for step in result["plan"] if " public." in step["target"] or "TOAST of public." in step["target"]]


def looked_at(result: dict[str, Any]) -> list[str]:
    """How many tables a run says it has looked at."""
    return [
        number
        for finding in result["findings"]
        for number in re.findall(r"(?:of|with) (\d+) table", finding["summary"])
    ]


def empty(database: Database) -> None:
    database.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


@EXAMPLES
@given(
    tables=st.lists(st.tuples(MAKES, st.lists(WRITES, max_size=4)), min_size=1, max_size=5),
    jobs=st.integers(1, 3),
    share=st.sampled_from([50, 100, 200]),
)
def test_vacuum_applies_what_it_planned_and_then_plans_nothing(
    database: Database, tables: list[tuple[str, list[str]]], jobs: int, share: int
) -> None:
    empty(database)
    for number, (make, writes) in enumerate(tables):
        name = f"t{number}"
        database.execute(
            *make.format(name).split("; "),
            f"INSERT INTO {name} SELECT n, repeat('x', CASE WHEN n % 50 = 0 THEN 3000 ELSE 9 END) "  # noqa: S608
            "FROM generate_series(1, 1000) n",
            f"VACUUM (ANALYZE) {name}",
        )
        # One session each: what a session has counted it hands in at its end.
        for statement in writes:
            # A partitioned table itself has no storage parameters.
            part = "_a" if make == PARTED and " SET (" in statement else ""
            database.execute(statement.format(name + part))
    options = {"jobs": jobs, "need_percent": share, "tables": ["public.*"]}
    # With globs all tables are looked at, without any only those that something can be due for.
    wide, narrow = (
        test_vacuum_repair.repair(database, check=True, **{**options, "tables": globs}) for globs in (["*"], [])
    )
    planned = test_vacuum_repair.repair(database, check=True, **options)
    done = test_vacuum_repair.repair(database, **options)
    again = test_vacuum_repair.repair(database, **options)

    assert own(wide) == own(narrow) == planned["plan"]
    assert looked_at(wide) == looked_at(narrow)
    assert done["plan"] == planned["plan"]
    # Several jobs end in another order than they begin.
    assert sorted(test_vacuum_repair.targets(done["applied"])) == sorted(test_vacuum_repair.targets(planned["plan"]))
    assert done["failures"] == done["kept"] == again["plan"] == []


INDEXES = st.tuples(
    st.sampled_from(["(id)", "(line)", "(lower(line))", "(line) WHERE id % 2 = 0", "USING hash (line)", "(id, line)"]),
    st.sampled_from(["fine", "invalid", "leftover", "bloated", "unique"]),
)


@EXAMPLES
@given(indexes=st.lists(INDEXES, min_size=1, max_size=5), limit=st.integers(1, 6))
def test_reindex_applies_what_it_planned_and_then_plans_nothing(
    database: Database, indexes: list[tuple[str, str]], limit: int
) -> None:
    empty(database)
    database.execute("CREATE TABLE log (id int, line text)")
    database.execute("INSERT INTO log SELECT n, 'line ' || n FROM generate_series(1, 8000) n")
    for number, (columns, state) in enumerate(indexes):
        name = f"i{number}{'_ccnew' if state == 'leftover' else ''}"
        unique = "UNIQUE " if state == "unique" and "hash" not in columns else ""
        database.execute(f"CREATE {unique}INDEX {name} ON log {columns}")
        if state in ("invalid", "leftover"):
            # As it is left when building it is broken off.
            database.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{name}'::regclass")  # noqa: S608
    if any(state == "bloated" for _columns, state in indexes):
        database.execute("DELETE FROM log WHERE id % 20 <> 0", "VACUUM log")
    database.execute("ANALYZE log")
    options = {"maximum_indexes": limit, "io_pressure_percent": 0.0}
    planned = test_reindex.repair(database, check_mode=True, **options)
    done = test_reindex.repair(database, **options)
    every = {**options, "maximum_indexes": 100}
    rest, again = test_reindex.repair(database, **every), test_reindex.repair(database, **every)

    assert done["plan"] == planned["plan"]
    assert len(planned["plan"]) <= limit
    assert test_reindex.actions(done, "applied") == test_reindex.actions(planned, "plan")
    assert done["failures"] == rest["failures"] == again["plan"] == []
    kept = {entry["target"].rsplit(" ", 1)[-1] for entry in again["kept"]}
    assert {name for name in test_reindex.invalid(database) if f"public.{name}" not in kept} == set()
