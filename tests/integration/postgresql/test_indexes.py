# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes as real servers show them: broken, left over, twice, missing, unused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Cluster, Database

TABLE = 'CREATE TABLE "User" (id int PRIMARY KEY, "e mail" text, kind int, created timestamptz)'
ROWS = "INSERT INTO \"User\" SELECT n, 'user' || n, n % 7, now() FROM generate_series(1, 3000) n"


def fill(database: Database) -> None:
    database.execute(TABLE, ROWS, 'ANALYZE "User"')


@contextmanager
def building(database: Database, statement: str) -> Iterator[psycopg.Connection[Any]]:
    """A statement that waits for an old transaction; cancelled at the end, which leaves an invalid index behind."""
    holder, builder = database.connect(), database.connect()
    holder.execute("BEGIN")
    holder.execute('SELECT count(*) FROM "User"')
    holder.execute('UPDATE "User" SET kind = 8 WHERE id = 1')

    def build() -> None:
        with pytest.raises(psycopg.errors.QueryCanceled):
            builder.execute(statement)  # type: ignore[call-overload]

    thread = threading.Thread(target=build)
    thread.start()
    while not database.value("SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted", builder.info.backend_pid):
        pass
    try:
        yield holder
    finally:
        database.execute(f"SELECT pg_cancel_backend({builder.info.backend_pid})")
        thread.join()
        holder.execute("ROLLBACK")


def test_an_index_whose_building_broke_off_is_invalid_but_not_while_it_is_built(database: Database) -> None:
    fill(database)
    with building(database, 'CREATE INDEX CONCURRENTLY "by Mail" ON "User" ("e mail")'):
        during = [database.finding("index_invalid", user=user) for user in ("tester", "nobody_special")]
    after = database.finding("index_invalid")
    database.execute('REINDEX INDEX CONCURRENTLY "by Mail"')

    assert [finding["status"] for finding in during] == ["ok", "ok"]
    assert (after["status"], after["value"]) == ("warning", 1)
    assert after["evidence"][0].startswith("public.by Mail on public.User: ")
    assert database.finding("index_invalid")["status"] == "ok"


def test_what_a_broken_off_rebuild_leaves_is_told_apart(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX by_mail ON "User" ("e mail")')
    with building(database, "REINDEX INDEX CONCURRENTLY by_mail"):
        during = {
            finding["check"]: finding["value"] for finding in database.findings("index_invalid", "index_leftover")
        }
    found = {finding["check"]: finding for finding in database.findings("index_invalid", "index_leftover")}
    database.execute("DROP INDEX by_mail_ccnew")

    assert set(during.values()) == {0}
    assert found["postgresql.index_invalid"]["status"] == "ok"
    assert found["postgresql.index_leftover"]["status"] == "warning"
    assert "public.by_mail_ccnew on public.User" in found["postgresql.index_leftover"]["evidence"][0]
    assert database.finding("index_leftover")["status"] == "ok"


def test_an_index_that_is_being_dropped_is_not_invalid(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX by_mail ON "User" ("e mail")')
    with building(database, "DROP INDEX CONCURRENTLY by_mail"):
        during = database.finding("index_invalid")
    assert during["status"] == "ok"
    assert database.finding("index_invalid")["value"] == 1


def test_one_of_two_of_a_kind_is_superfluous_and_so_is_the_beginning_of_another(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE INDEX first ON "User" (kind, created)',
        'CREATE INDEX second ON "User" (kind, created)',
        'CREATE INDEX narrow ON "User" (kind)',
        'CREATE INDEX "by id" ON "User" (id)',
        'CREATE INDEX other_order ON "User" (kind, created DESC)',
        'CREATE INDEX partial ON "User" (kind) WHERE kind > 3',
        'CREATE UNIQUE INDEX enforcing ON "User" (kind, created, id)',
        'CREATE INDEX "lower" ON "User" (lower("e mail"))',
        'CREATE INDEX "lower again" ON "User" (lower("e mail"))',
    )
    duplicate, overlap = database.findings("index_duplicate", "index_overlap")

    assert sorted(line.split(" on ")[0] for line in duplicate["evidence"]) == [
        "public.by id", "public.lower again", "public.second",
    ]  # fmt: skip
    assert any("keep public.User_pkey (id)" in line for line in duplicate["evidence"])
    assert duplicate["status"] == "info"
    assert sorted(line.split(" on ")[0] for line in overlap["evidence"]) == ["public.first", "public.narrow"]
    database.execute('DROP INDEX second, "by id", "lower again", first, narrow')
    assert {finding["value"] for finding in database.findings("index_duplicate", "index_overlap")} == {0}


def test_a_foreign_key_without_an_index_is_told_with_the_size_of_its_table(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE TABLE "Order" (id int PRIMARY KEY, "User Id" int REFERENCES "User", other int REFERENCES "User")',
        'INSERT INTO "Order" SELECT n, n, n FROM generate_series(1, 3000) n',
        'CREATE INDEX ON "Order" (other) WHERE other IS NOT NULL',
    )
    levels = {"postgresql.foreign_key_index": {"info": 1}}
    finding = database.finding("foreign_key_index", levels=levels)
    (line,) = finding["evidence"]

    assert finding["status"] == "info"
    assert finding["value"] == database.value("SELECT pg_relation_size('\"Order\"')")
    assert line.startswith('public.Order ("User Id"): ')
    assert "to public.User" in line
    database.execute('CREATE INDEX ON "Order" ("User Id", other)')
    assert database.finding("foreign_key_index", levels=levels)["status"] == "ok"


def test_foreign_keys_of_partitions_count_as_one_and_only_where_a_partition_lacks_its_index(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE TABLE visit (id int, who int REFERENCES "User") PARTITION BY RANGE (id)',
        "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (10) TO (20)",
        "CREATE INDEX ON visit_1 (who)",
        "INSERT INTO visit SELECT n, n FROM generate_series(1, 19) n",
    )
    before = database.finding("foreign_key_index")
    database.execute("CREATE INDEX ON visit (who)")

    assert before["evidence"] == [
        "public.visit (who) in 1 partition: 8 KiB, to public.User, of which 0 rows changed or went"
    ]
    assert database.finding("foreign_key_index")["value"] == 0


def test_a_locked_table_keeps_nobody_waiting(database: Database) -> None:
    fill(database)
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('LOCK TABLE "User" IN ACCESS EXCLUSIVE MODE')
    holder.execute('REINDEX TABLE "User"')
    findings = database.findings("index_*", "foreign_key_index")
    assert not [finding for finding in findings if finding["status"] == "unknown"]


def test_no_verdict_on_use_before_the_statistics_reach_back(database: Database) -> None:
    fill(database)
    finding = database.finding("index_unused")

    assert finding["status"] == "skipped"
    assert "and a verdict takes 30 days of them" in finding["summary"]


def test_unused_is_what_nobody_scans_and_nothing_rests_on(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE INDEX unused ON "User" (created)',
        'CREATE INDEX used ON "User" (kind)',
        'CREATE UNIQUE INDEX enforcing ON "User" ("e mail")',
        'CREATE TABLE "Order" (id int, who int REFERENCES "User")',
        'CREATE INDEX supporting ON "Order" (who)',
        "SET enable_seqscan = off",
    )
    user = database.connect()
    user.execute("SET enable_seqscan = off")
    user.execute('SELECT count(*) FROM "User" WHERE kind = 3')
    user.close()
    while not database.value("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'used'"):
        pass
    options: dict[str, Any] = {
        "statistics_days": 0,
        "index_floor": 0,
        "levels": {"postgresql.index_unused": {"info": 1}},
    }
    finding = database.finding("index_unused", **options)

    assert finding["status"] == "info"
    names = [line.split(" on ")[0] for line in finding["evidence"]]
    assert "public.unused" in names
    assert not {"public.enforcing", "public.User_pkey"} & set(names)
    assert [line for line in finding["evidence"] if line.startswith("not counted: public.supporting")]
    database.execute("DROP INDEX unused")
    assert "public.unused" not in str(database.finding("index_unused", **options))


def test_a_login_without_rights_sees_indexes_too(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX twice ON "User" (id)')
    database.findings("index_hit")
    statuses = [
        {finding["check"]: finding["status"] for finding in database.findings("index_*", "foreign_*", user=user)}
        for user in ("tester", "watcher", "nobody_special")
    ]
    assert statuses[0] == statuses[1] == statuses[2]


def test_temporary_tables_and_the_catalog_have_no_say(cluster: Cluster, database: Database) -> None:
    session = database.connect()
    session.execute("CREATE TEMP TABLE mine (a int)")
    session.execute("CREATE INDEX ON mine (a)")
    session.execute("CREATE INDEX ON mine (a)")
    assert {finding["value"] for finding in database.findings("index_duplicate", "index_invalid")} == {0}
