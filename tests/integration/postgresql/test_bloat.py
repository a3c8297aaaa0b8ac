# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tables and indexes of real servers waste: the estimate against what writing them anew frees."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

SMALL: dict[str, Any] = {"bloat_floor": 256 * 1024}


def bloat(database: Database, check: str = "table_bloat", **params: Any) -> dict[str, dict[str, Any]]:
    """The findings of one check by what they are of, without the cluster."""
    findings = database.findings(check, **{**SMALL, **params})
    return {finding["item"].partition(database.name)[2].strip(): finding for finding in findings}


def share(database: Database, check: str, item: str, **params: Any) -> float:
    """What a relation is said to waste, in percent, however little."""
    result = database.perform(checks=[check], **{**SMALL, "levels": {f"postgresql.{check}": {"info": 0}}, **params})
    (value,) = [metric["value"] for metric in result["metrics"] if metric["item"].endswith(f" {item}")] or [0.0]
    return float(value)


def swollen(database: Database) -> None:
    """A table of which two rows in three are dead, and an index over it."""
    database.execute(
        'CREATE TABLE "Order Item" (id bigint, small smallint, flag bool, price numeric, note text, at timestamptz)',
        """INSERT INTO "Order Item" SELECT i, CASE WHEN i % 3 > 0 THEN i % 100 END, i % 2 = 0, i * 1.25,
            repeat('x', (i % 60)::int), now() FROM generate_series(1, 40000) i""",
        'CREATE INDEX "by id" ON "Order Item" (id)',
        'DELETE FROM "Order Item" WHERE id % 3 > 0',
        'VACUUM ANALYZE "Order Item"',
    )


def test_a_swollen_table_is_estimated_and_what_is_written_anew_is_not_swollen(database: Database) -> None:
    swollen(database)
    told = bloat(database)
    before = database.value("""SELECT pg_relation_size('"Order Item"')""")
    database.execute('VACUUM FULL "Order Item"', 'ANALYZE "Order Item"')
    freed = before - database.value("""SELECT pg_relation_size('"Order Item"')""")
    after = bloat(database)

    finding = told["public.Order Item"]
    assert finding["status"] == "warning"
    assert "(estimated)" in finding["summary"]
    assert "pgstattuple" in finding["summary"]
    assert finding["value"] == pytest.approx(100 * freed / before, abs=3)
    assert {item: entry["status"] for item, entry in after.items()} == {"": "ok"}


def test_the_estimate_of_fresh_tables_is_near_nothing_whatever_their_columns(database: Database) -> None:
    shapes = {
        "narrow": "SELECT i::int AS a FROM generate_series(1, 40000) i",
        "gaps": "SELECT i::bool AS a, i::bigint AS b, true AS c, i::bigint AS d FROM generate_series(1, 40000) i",
        "nulls": "SELECT nullif(i % 2, 0) AS a, i AS b, nullif(i % 3, 1)::text AS c FROM generate_series(1, 40000) i",
        "texts": "SELECT i AS a, repeat(md5(i::text), 5) AS b, i::smallint AS c FROM generate_series(1, 30000) i",
        "names": "SELECT ('n' || i)::name AS a, i::float8 AS b, now() AS c FROM generate_series(1, 40000) i",
        "wide": "SELECT i AS a, repeat(md5(i::text), 60) AS b FROM generate_series(1, 5000) i",
    }
    for name, query in shapes.items():
        database.execute(f"CREATE TABLE {name} AS {query}")
    database.execute(
        "CREATE TABLE loose (a int) WITH (fillfactor = 50)",
        "INSERT INTO loose SELECT generate_series(1, 40000)",
        "VACUUM ANALYZE",
    )
    shares = {name: share(database, "table_bloat", f"public.{name}", bloat_floor=8192) for name in [*shapes, "loose"]}

    assert all(value < 5 for value in shares.values()), shares


def test_an_index_is_estimated_with_equal_keys_kept_once(database: Database) -> None:
    database.execute(
        "CREATE TABLE event (id bigint, kind int, name text, price numeric)",
        "INSERT INTO event SELECT i, i % 50, 'name ' || i, i FROM generate_series(1, 40000) i",
        "CREATE UNIQUE INDEX by_id ON event (id)",
        "CREATE INDEX by_kind ON event (kind)",
        "CREATE INDEX by_both ON event (kind, name)",
        "CREATE INDEX by_price ON event (price)",
        "CREATE INDEX by_upper ON event (upper(name))",
        "CREATE INDEX half ON event (id) WHERE kind < 25",
        "CREATE INDEX hashed ON event USING hash (id)",
        "VACUUM ANALYZE event",
    )
    names = ("by_id", "by_kind", "by_both", "by_price", "by_upper", "half")
    fresh = {name: share(database, "index_bloat", f"public.{name}", bloat_floor=8192) for name in names}
    database.execute("DELETE FROM event WHERE id % 10 > 0", "VACUUM ANALYZE event")
    swollen = {name: share(database, "index_bloat", f"public.{name}", bloat_floor=8192) for name in names}

    assert all(value < 12 for value in fresh.values()), fresh
    assert all(value > 70 for value in swollen.values()), swollen


def test_with_the_extension_the_worst_are_measured_wherever_it_is(database: Database) -> None:
    swollen(database)
    database.execute('CREATE SCHEMA "my tools"', 'CREATE EXTENSION pgstattuple SCHEMA "my tools"')
    table = bloat(database)["public.Order Item"]
    index = bloat(database, "index_bloat", levels={"postgresql.index_bloat": {"info": 30}})["public.by id"]
    exact = database.value("""SELECT dead_tuple_percent + free_percent FROM "my tools".pgstattuple('"Order Item"')""")
    before = database.value("""SELECT pg_relation_size('"by id"')""")
    database.execute('REINDEX INDEX "by id"')
    freed = before - database.value("""SELECT pg_relation_size('"by id"')""")

    assert "(measured)" in table["summary"]
    assert table["value"] == pytest.approx(exact, abs=2)
    assert "(measured)" in index["summary"]
    assert "of public.Order Item" in index["summary"]
    assert index["value"] == pytest.approx(100 * freed / before, abs=5)


def test_a_monitor_without_rights_on_the_data_measures_what_it_cannot_estimate(database: Database) -> None:
    swollen(database)
    hidden = bloat(database, user="watcher")
    unanswered = bloat(database, "index_bloat", user="watcher")
    database.execute(hidden["(hidden)"]["remedy"])
    seen = bloat(database, user="watcher")
    index = share(database, "index_bloat", "public.by id", user="watcher")
    nobody = bloat(database, user="nobody_special")

    # What everybody may read, the system catalog, is looked at none the less.
    assert {item: finding["status"] for item, finding in hidden.items()} == {"": "ok", "(hidden)": "skipped"}
    assert unanswered["(hidden)"]["status"] == "skipped"
    assert seen["public.Order Item"]["status"] == "warning"
    assert "(measured)" in seen["public.Order Item"]["summary"]
    assert index > 50
    assert nobody["(hidden)"]["remedy"] == 'GRANT pg_stat_scan_tables TO "nobody_special"'


def test_a_locked_table_keeps_its_estimate_and_the_others_their_measurement(database: Database) -> None:
    swollen(database)
    database.execute(
        "CREATE EXTENSION pgstattuple",
        'CREATE TABLE other AS SELECT * FROM "Order Item"',
        "DELETE FROM other WHERE id % 2 = 0",
        "VACUUM ANALYZE other",
    )
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('LOCK "Order Item"')
    found = bloat(database)
    holder.execute("ROLLBACK")

    assert "(estimated)" in found["public.Order Item"]["summary"]
    assert "lock timeout" in found["public.Order Item"]["summary"]
    assert any("(measured)" in str(finding) for item, finding in found.items() if item != "public.Order Item")


def test_what_is_too_large_or_too_much_is_not_measured(database: Database) -> None:
    swollen(database)
    database.execute("CREATE EXTENSION pgstattuple")

    limits: tuple[dict[str, Any], ...] = ({"bloat_size": 1024}, {"bloat_tables": 0})
    for caps in limits:
        assert "(estimated)" in bloat(database, **caps)["public.Order Item"]["summary"]


def test_toast_counts_and_a_table_never_analyzed_is_said_to_be_unknown(database: Database) -> None:
    database.execute(
        "CREATE TABLE doc (id int, body text)",
        "ALTER TABLE doc ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO doc SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 400) i",
        "DELETE FROM doc WHERE id % 4 > 0",
        "VACUUM doc",
        "CREATE TABLE plain AS SELECT i, now() AS at FROM generate_series(1, 40000) i",
        "VACUUM plain",
        "CREATE TEMP TABLE basket AS SELECT * FROM plain",
    )
    found = bloat(database)
    database.execute("ANALYZE plain")

    assert found["TOAST of public.doc"]["status"] == "warning"
    assert found["TOAST of public.doc"]["value"] == pytest.approx(75, abs=2)
    unknown = found["(unknown)"]
    assert (unknown["status"], unknown["remedy"]) == ("skipped", "VACUUM (ANALYZE)")
    assert [line.split(":")[0] for line in unknown["evidence"]] == ["public.plain"]
    assert "(unknown)" not in bloat(database)


@pytest.mark.parametrize("cluster", [15, 18], indirect=True)
def test_what_nobody_has_counted_yet_is_looked_at_by_its_file_and_is_no_clean_bill(database: Database) -> None:
    """As after a restore or pg_upgrade: the catalog knows of no page."""
    database.execute(
        "CREATE TABLE loaded (id int PRIMARY KEY, body text) WITH (autovacuum_enabled = false)",
        "ALTER TABLE loaded ALTER body SET STORAGE EXTERNAL",
        "INSERT INTO loaded SELECT i, repeat('x', CASE WHEN i < 400 THEN 9000 ELSE 9 END) FROM generate_series(1, 40000) i",
        "DELETE FROM loaded WHERE id % 2 = 0",
    )
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK loaded")
    locked = bloat(database)
    holder.execute("ROLLBACK")
    tables, indexes = bloat(database), bloat(database, "index_bloat")
    database.execute("CREATE EXTENSION pgstattuple")
    measured = bloat(database)["public.loaded"]["value"]
    database.execute("DROP EXTENSION pgstattuple", "VACUUM ANALYZE loaded")

    assert {line.split(":")[0] for line in tables["(unknown)"]["evidence"]} == {
        "public.loaded",
        "TOAST of public.loaded",
    }
    assert [line.split(":")[0] for line in indexes["(unknown)"]["evidence"]] == ["public.loaded_pkey"]
    assert measured > 30
    assert [line.split(":")[0] for line in locked["(unknown)"]["evidence"]] == ["TOAST of public.loaded"]
    assert "(unknown)" not in bloat(database)


def test_a_healthy_database_is_one_finding_for_its_tables_and_one_for_its_indexes(database: Database) -> None:
    result = database.perform(checks=["*_bloat"])

    assert [finding["status"] for finding in result["findings"]] == ["ok", "ok"]
    assert result["findings"][0]["summary"] == "none wastes 150 MiB or more; 0 tables of at least 150 MiB looked at"
