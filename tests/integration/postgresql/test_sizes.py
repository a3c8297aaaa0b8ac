# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes as real servers tell them."""

from __future__ import annotations

import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database


def test_databases_are_measured_together_and_each_for_itself(database: Database) -> None:
    result = database.perform(checks=["size"])
    size = database.value("SELECT pg_database_size(current_database())")
    item = f"{database.cluster.host.address}:5432/{database.name}"
    strict = database.findings(
        "size", levels={f"postgresql.size[{database.cluster.host.address}:5432/*]": {"warning": 1024}}
    )

    (finding,) = result["findings"]
    assert finding["status"] == "ok"
    assert finding["value"] == pytest.approx(size, abs=200_000)
    assert {metric["item"] for metric in result["metrics"]} == {item, item.partition("/")[0]}
    assert [(entry["item"], entry["status"]) for entry in strict] == [
        (f"{database.cluster.host.address}:5432", "ok"),
        (item, "warning"),
    ]


def test_a_table_is_as_large_as_the_server_says_with_its_indexes_and_toast(database: Database) -> None:
    database.execute(
        'CREATE TABLE "User" (id int PRIMARY KEY, note text, body text)',
        'ALTER TABLE "User" ALTER body SET STORAGE EXTERNAL',
        """INSERT INTO "User" SELECT i, repeat('x', 50), repeat(md5(i::text), 100) FROM generate_series(1, 500) i""",
        'CREATE MATERIALIZED VIEW summary AS SELECT id FROM "User"',
        "CREATE TABLE log (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (100)",
        "CREATE FOREIGN DATA WRAPPER nothing",
        "CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE elsewhere (id int) SERVER nowhere",
    )
    finding = database.finding("table_size")

    assert finding["value"] == database.value("""SELECT pg_total_relation_size('"User"')""")
    assert "largest of 3 tables" in finding["summary"]
    assert [line.split(":")[0] for line in finding["evidence"]] == ["public.User", "public.summary", "public.log_1"]


def test_who_may_not_ask_is_told_what_to_grant(database: Database) -> None:
    database.execute(f"""REVOKE CONNECT ON DATABASE "{database.name.replace('"', '""')}" FROM PUBLIC""")
    hidden = database.findings("size", user="nobody_special")
    watched = database.findings("size", user="watcher")

    assert [(finding["status"], finding["remedy"]) for finding in hidden] == [
        ("skipped", 'GRANT pg_monitor TO "nobody_special"')
    ]
    assert [finding["status"] for finding in watched] == ["ok"]
