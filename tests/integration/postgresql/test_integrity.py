# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage as real servers show it."""

from __future__ import annotations

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database

#: An order of integers that turns round beneath the index that was made with it, as a new C library does to text.
FICKLE = (
    "CREATE FUNCTION fickle(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(a, b)'",
    (
        "CREATE OPERATOR CLASS fickle_ops FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, "
        "OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 fickle(int, int)"
    ),
    'CREATE SCHEMA "Shop"',
    'CREATE TABLE "Shop"."Order" AS SELECT generate_series(1, 2000) AS id',
    'CREATE INDEX "Order id" ON "Shop"."Order" (id fickle_ops)',
)
TURNED = (
    "CREATE OR REPLACE FUNCTION fickle(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp(b, a)'"
)


def test_a_damaged_page_is_counted_where_the_server_met_it(database: Database) -> None:
    enabled = database.value("SELECT current_setting('data_checksums')") == "on"
    findings = {finding["check"]: finding for finding in database.findings("checksum_failures", "data_checksums")}

    failures = findings["postgresql.checksum_failures"]
    assert failures["status"] == ("ok" if enabled else "skipped")
    assert findings["postgresql.data_checksums"]["status"] == ("ok" if enabled else "info")
    if not enabled:
        assert "pg_checksums --enable" in failures["remedy"]


def test_a_page_that_the_disk_has_changed_is_an_alarm(database: Database) -> None:
    if database.value("SELECT current_setting('data_checksums')") != "on":
        assert database.finding("checksum_failures")["status"] == "skipped"
        return
    database.execute("CREATE TABLE victim AS SELECT generate_series(1, 5000) AS id", "CHECKPOINT")
    path = database.value("SELECT current_setting('data_directory') || '/' || pg_relation_filepath('victim')")
    cluster = database.cluster
    cluster.host.execute(["systemctl", "stop", f"postgresql@{cluster.version}-main"])
    cluster.host.execute(["dd", f"of={path}", "bs=1", "seek=9000", "conv=notrunc"], stdin="damage")
    cluster.host.execute(["systemctl", "start", f"postgresql@{cluster.version}-main"])
    with database.connect() as session:
        session.execute("SET max_parallel_workers_per_gather = 0")
        with pytest.raises(psycopg.errors.DataCorrupted):
            session.execute("SELECT count(*) FROM victim")
    finding = database.finding("checksum_failures", user="nobody_special")
    database.execute("SELECT pg_stat_reset()")
    while database.finding("checksum_failures")["status"] != "ok":
        pass

    assert (finding["status"], finding["value"]) == ("critical", 1)
    assert finding["evidence"][0].startswith(f"{database.name}: 1, last at 20")


def test_an_order_of_text_that_changed_beneath_an_index_is_told(database: Database) -> None:
    fine = database.finding("collation_version", user="nobody_special")
    database.execute(
        'CREATE TABLE "Name" (name text COLLATE "und-x-icu" PRIMARY KEY, other text COLLATE "de-x-icu")',
        "UPDATE pg_collation SET collversion = '2.0' WHERE collname IN ('und-x-icu', 'de-x-icu')",
    )
    changed = database.finding("collation_version", user="nobody_special")
    database.execute('ALTER COLLATION "und-x-icu" REFRESH VERSION')
    mended = database.finding("collation_version")

    assert (fine["status"], fine["value"], mended["value"]) == ("ok", 0, 0)
    assert (changed["status"], changed["value"]) == ("warning", 1)
    assert changed["evidence"][0].startswith(f'in {database.name}, pg_catalog."und-x-icu": made with 2.0, now ')


def test_the_order_of_text_of_a_whole_database_has_a_version_too(database: Database) -> None:
    database.execute(
        """CREATE DATABASE "Old Order" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'
           LOCALE_PROVIDER icu ICU_LOCALE 'de'"""
    )
    try:
        database.execute("UPDATE pg_database SET datcollversion = '1.0' WHERE datname = 'Old Order'")
        changed = database.finding("collation_version", user="nobody_special")
        database.execute('ALTER DATABASE "Old Order" REFRESH COLLATION VERSION')
        mended = database.finding("collation_version")
    finally:
        database.execute('DROP DATABASE "Old Order"')

    assert (changed["status"], changed["value"], mended["value"]) == ("warning", 1, 0)
    assert changed["evidence"][0].startswith("database Old Order: made with 1.0, now ")


def test_a_damaged_index_is_found_among_sound_ones(database: Database) -> None:
    database.execute(*FICKLE, 'CREATE SCHEMA "Tools"', 'CREATE EXTENSION amcheck SCHEMA "Tools"')
    fine = database.finding("amcheck")
    database.execute(TURNED)
    damaged = database.finding("amcheck")
    database.execute('REINDEX INDEX CONCURRENTLY "Shop"."Order id"')
    mended = database.finding("amcheck")

    assert (fine["value"], mended["value"]) == (0, 0)
    assert (damaged["status"], damaged["value"]) == ("critical", 1)
    assert damaged["evidence"][0].startswith(f'{database.name}: "Shop"."Order id": ')
    assert "item order invariant violated" in damaged["evidence"][0]


def test_no_more_is_read_than_allowed(database: Database) -> None:
    database.execute("CREATE EXTENSION amcheck")
    none = database.finding("amcheck", amcheck_size=0)
    some = database.finding("amcheck", amcheck_size=1024**2)
    everything = database.finding("amcheck", amcheck_size=1024**3)
    total = database.value(
        "SELECT count(*) FROM pg_class c JOIN pg_am a ON a.oid = c.relam WHERE amname = 'btree' AND relkind = 'i'"
    )

    assert f"{total} of {total} indexes looked at" in everything["summary"]
    assert f"{total} of {total} " not in some["summary"]
    assert " of 1 MiB" not in some["summary"]
    assert none["value"] == 0


def test_an_index_that_somebody_has_locked_is_left_alone(database: Database) -> None:
    database.execute("CREATE EXTENSION amcheck", "CREATE TABLE busy (id int PRIMARY KEY)")
    before = database.finding("amcheck")
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute("LOCK TABLE busy")
    during = database.finding("amcheck")
    holder.execute("ROLLBACK")

    assert (before["status"], during["status"]) == ("ok", "ok")
    assert before["summary"] != during["summary"]


def test_without_the_extension_or_the_right_it_is_skipped_with_what_would_help(database: Database) -> None:
    missing = database.finding("amcheck")
    database.execute("CREATE EXTENSION amcheck")
    refused = database.finding("amcheck", user="watcher")
    database.execute(refused["remedy"])
    granted = database.finding("amcheck", user="watcher")

    assert (missing["status"], refused["status"], granted["status"]) == ("skipped", "skipped", "ok")
    assert missing["remedy"] == f"In database {database.name}: CREATE EXTENSION amcheck"
