# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One index on real servers: made online, told by what it does, removed with the exact way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.runner import Context, Result
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index import ARGUMENTS, index
from ansible_collections.fleetcare.maintenance.tests.images.controller import Controller
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_indexes import building, fill

MAIL: dict[str, Any] = {"table": "User", "columns": [{"name": "e mail"}]}


def keep(database: Database, *, name: str | None = None, **params: Any) -> dict[str, Any]:
    columns = [{"descending": False, **column} for column in params.pop("columns", [])]

    def named(context: Context) -> Result:
        return index(replace(context, params={**context.params, "name": name}))

    return database.perform(
        named,
        arguments=ARGUMENTS,
        name="postgresql_index",
        repair=True,
        login_db=database.name,
        **{"columns": columns, **params},
    )


def definitions(database: Database) -> list[str]:
    rows = database.rows("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexdef")
    invalid = database.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
    return [*(row["indexdef"] for row in rows), *(["invalid"] * invalid)]


def test_quartet_postgresql_index_present(database: Database) -> None:
    fill(database)
    before = definitions(database)
    runs = [keep(database, check_mode=check, **MAIL) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert runs[0]["plan"] == runs[1]["plan"]
    assert [run["status"] for run in runs] == ["warning", "ok", "ok", "ok"]
    (done,) = runs[1]["applied"]
    assert done["action"] == "create"
    made = 'CREATE INDEX "User_e mail_idx" ON public."User" USING btree ("e mail")'
    assert done["after"]["definition"] == made
    assert set(definitions(database)) - set(before) == {made}
    database.execute(*done["after"]["undo"])
    assert definitions(database) == before


def test_quartet_postgresql_index_absent_and_the_exact_way_back(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE UNIQUE INDEX "it\'s" ON "User" (lower("e mail") text_pattern_ops DESC, kind) INCLUDE (created) '
        "WITH (fillfactor = 70) WHERE kind > 3 AND \"e mail\" <> 'a''b'",
        "COMMENT ON INDEX \"it's\" IS 'what it''s for'",
        'ALTER INDEX "it\'s" ALTER COLUMN 1 SET STATISTICS 500',
    )
    before = definitions(database)
    runs = [keep(database, check_mode=check, name="it's", state="absent") for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert runs[0]["plan"] == runs[1]["plan"]
    assert runs[0]["plan"][0]["estimate"]["undo"] == runs[1]["applied"][0]["before"]["undo"]
    assert runs[1]["applied"][0]["after"] == {"present": False}
    database.execute(*runs[1]["applied"][0]["before"]["undo"])
    assert definitions(database) == before
    assert database.value("SELECT obj_description('\"it''s\"'::regclass)") == "what it's for"
    assert database.value("SELECT max(attstattarget) FROM pg_attribute WHERE attrelid = '\"it''s\"'::regclass") == 500


def test_what_does_the_same_under_another_name_is_told_and_nothing_made(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX another ON "User" (lower("e mail"))')
    same = keep(database, table="User", name="mine", columns=[{"expression": 'LOWER("e mail" )'}])
    key = keep(database, table="User", columns=[{"name": "id"}])

    assert (same["changed"], same["status"]) == (False, "info")
    assert same["index"]["name"] == "another"
    assert "is there as public.another ((lower" in same["findings"][0]["summary"]
    assert key["index"]["name"] == "User_pkey"


def test_a_name_with_another_definition_is_left_alone(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX mine ON "User" (kind)', "CREATE TABLE taken (a int)")
    other = keep(database, name="mine", **MAIL)
    table = keep(database, name="taken", **MAIL)
    gone = keep(database, name="mine", state="absent", **MAIL)

    for result in (other, table, gone):
        assert (result["changed"], result["status"], result["plan"]) == (False, "warning", [])
        assert result["kept"]
    assert "another definition: btree (kind), and not btree" in other["kept"][0]["reason"]


@pytest.mark.parametrize(
    "definition",
    [
        {"columns": [{"name": "kind", "descending": True, "nulls": "last"}, {"name": "id"}], "include": ["e mail"]},
        {"columns": [{"name": "e mail", "operator_class": "text_pattern_ops", "collation": "C"}]},
        {"columns": [{"expression": "kind % 3"}], "where": "created > '2020-01-01' AND kind = ANY ('{1,2}')"},
        {"columns": [{"name": "kind"}], "method": "hash"},
        {"columns": [{"name": "id"}, {"name": "kind"}], "unique": True, "nulls_distinct": False},
        {"columns": [{"name": "created"}], "method": "brin"},
    ],
)
def test_every_kind_of_definition_is_made_once_and_found_again(database: Database, definition: dict[str, Any]) -> None:
    fill(database)
    first, second = (keep(database, table="User", name="mine", **definition) for _number in range(2))
    assert (first["changed"], second["changed"], second["status"]) == (True, False, "ok"), (first, second)
    gone = keep(database, table="User", name=None, state="absent", **definition)
    assert (gone["changed"], gone["applied"][0]["action"]) == (True, "drop")


def test_an_invalid_one_is_rebuilt(database: Database) -> None:
    fill(database)
    with building(database, 'CREATE INDEX CONCURRENTLY mine ON "User" ("e mail")'):
        during = keep(database, name="mine", **MAIL)
    after = keep(database, name="mine", **MAIL)

    assert (during["changed"], during["kept"][0]["reason"]) == (False, "public.mine is being built just now")
    assert after["applied"][0]["action"] == "reindex"
    assert "invalid" not in definitions(database)


def test_what_something_rests_on_stays(database: Database) -> None:
    fill(database)
    database.execute(
        'CREATE TABLE "Order" (id int PRIMARY KEY, who int REFERENCES "User")',
        'CREATE INDEX supporting ON "Order" (who)',
        'ALTER TABLE "Order" REPLICA IDENTITY USING INDEX "Order_pkey"',
    )
    results = {name: keep(database, name=name, state="absent") for name in ("User_pkey", "Order_pkey", "supporting")}

    assert {result["changed"] for result in results.values()} == {False}
    assert "it enforces the constraint User_pkey" in results["User_pkey"]["kept"][0]["reason"]
    assert "alone supports the foreign key Order_who_fkey" in results["supporting"]["kept"][0]["reason"]
    assert keep(database, name="supporting", state="absent", force=True)["changed"]


def test_that_of_a_partitioned_table_is_made_part_by_part_and_goes_as_one(database: Database) -> None:
    database.execute(
        'CREATE TABLE "Visit" (id int, who int) PARTITION BY RANGE (id)',
        'CREATE TABLE visit_1 PARTITION OF "Visit" FOR VALUES FROM (0) TO (1000)',
        'CREATE TABLE visit_2 PARTITION OF "Visit" FOR VALUES FROM (1000) TO (3000) PARTITION BY RANGE (id)',
        "CREATE TABLE visit_2a PARTITION OF visit_2 FOR VALUES FROM (1000) TO (2000)",
        'INSERT INTO "Visit" SELECT n, n FROM generate_series(1, 1999) n',
        "CREATE INDEX mine ON visit_1 (who)",
    )
    before = definitions(database)
    wanted: dict[str, Any] = {"table": "Visit", "columns": [{"name": "who"}]}
    runs = [keep(database, check_mode=check, **wanted) for check in (True, False, False)]

    assert [run["changed"] for run in runs] == [True, True, False], runs
    assert "invalid" not in definitions(database)
    made = definitions(database)
    assert len(made) == len(before) + 3
    assert database.value("SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid") == 3
    gone = keep(database, name="Visit_who_idx", state="absent")
    assert definitions(database) == []
    database.execute(*gone["applied"][0]["before"]["undo"])
    assert definitions(database) == made
    database.execute(*runs[1]["applied"][0]["after"]["undo"])
    assert definitions(database) == before


def test_what_a_killed_run_has_begun_of_a_partitioned_one_is_completed(database: Database) -> None:
    database.execute(
        "CREATE TABLE event (id int, day int, hour int) PARTITION BY LIST (day)",
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES IN (1)",
        "CREATE TABLE event_2 PARTITION OF event FOR VALUES IN (2) PARTITION BY LIST (hour)",
        "CREATE TABLE event_2_1 PARTITION OF event_2 FOR VALUES IN (1)",
        "CREATE TABLE event_2_2 PARTITION OF event_2 FOR VALUES IN (2)",
        # Killed after the first part of the second partition, which it had not attached yet.
        "CREATE INDEX event_id_idx ON ONLY event (id)",
        "CREATE INDEX made_first ON event_1 (id)",
        "ALTER INDEX event_id_idx ATTACH PARTITION made_first",
        "CREATE INDEX event_2_id_idx ON ONLY event_2 (id)",
        "ALTER INDEX event_id_idx ATTACH PARTITION event_2_id_idx",
        "CREATE INDEX made_last ON event_2_1 (id)",
    )
    wanted = {"table": "event", "columns": [{"name": "id"}]}
    runs = [keep(database, check_mode=check, **wanted) for check in (True, False, True, False)]

    assert [run["changed"] for run in runs] == [True, True, False, False]
    assert runs[0]["plan"] == runs[1]["plan"]
    assert [run["status"] for run in runs] == ["warning", "ok", "ok", "ok"]
    (done,) = runs[1]["applied"]
    assert (done["action"], done["before"]["valid"], done["after"]["valid"]) == ("create", False, True)
    assert "invalid" not in definitions(database)
    assert len(definitions(database)) == 5


def test_a_partition_that_cannot_be_served_leaves_no_part_behind(database: Database) -> None:
    database.execute(
        "CREATE TABLE visit (id int, who int) PARTITION BY RANGE (id)",
        "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (1000)",
        "CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (1000) TO (2000)",
        "INSERT INTO visit SELECT n, n - 5 FROM generate_series(5, 1999) n",
        "UPDATE visit SET who = 0 WHERE id > 1500",
    )
    result = keep(
        database, table="visit", columns=[{"expression": "10 / nullif(who, 0) / 1"}, {"expression": "1 / who"}]
    )
    assert result["status"] == "critical"
    assert "division by zero" in result["failures"][0]["error"]
    assert definitions(database) == []


def test_what_the_server_refuses_is_found_out_in_check_mode(database: Database) -> None:
    fill(database)
    unknown = keep(database, check_mode=True, table="User", columns=[{"name": "no such column"}])
    volatile = keep(database, check_mode=True, table="User", columns=[{"expression": "id + random()"}])
    several = keep(database, table="User", columns=[{"expression": 'kind)); DROP TABLE "User"; SELECT ((1'}])

    assert "does not exist" in unknown["findings"][0]["summary"]
    assert "must be marked IMMUTABLE" in volatile["findings"][0]["summary"]
    assert "cannot insert multiple commands" in several["findings"][0]["summary"]
    assert {result["status"] for result in (unknown, volatile, several)} == {"unknown"}
    assert database.value('SELECT count(*) FROM "User"') == 3000


def test_a_build_that_fails_leaves_nothing_behind(database: Database) -> None:
    fill(database)
    database.execute('INSERT INTO "User" SELECT id + 3000, "e mail" FROM "User"')
    result = keep(database, unique=True, **MAIL)

    assert (result["changed"], result["status"]) == (False, "critical")
    assert "could not create unique index" in result["failures"][0]["error"]
    assert "invalid" not in definitions(database)


def test_without_room_or_rights_nothing_is_built(database: Database) -> None:
    fill(database)
    database.execute(
        'GRANT SELECT ON "User" TO nobody_special',
        f'GRANT TEMPORARY ON DATABASE "{database.name.replace(chr(34), chr(34) * 2)}" TO nobody_special',
    )
    room = keep(database, free_bytes=1000, **MAIL)
    rights = keep(database, user="nobody_special", **MAIL)

    assert "of free disk, and there are 1000 B" in room["kept"][0]["reason"]
    assert rights["kept"][0]["reason"] == "this login does not own the table"


def test_nothing_is_begun_that_would_have_to_wait_for_an_old_transaction(database: Database) -> None:
    fill(database)
    database.execute('CREATE INDEX mine ON "User" (kind)')
    holder = database.connect()
    holder.execute("BEGIN")
    holder.execute('SELECT count(*) FROM "User"')
    while not database.value(
        "SELECT bool_or(now() - xact_start > '0.2 s') FROM pg_stat_activity WHERE state LIKE 'idle in%'"
    ):
        pass
    results = [keep(database, lock_timeout=0.2, **MAIL), keep(database, lock_timeout=0.2, name="mine", state="absent")]
    holder.execute("ROLLBACK")

    for result in results:
        assert (result["changed"], result["failures"]) == (False, [])
        assert f"transaction of pid {holder.info.backend_pid}" in result["kept"][0]["reason"]


def test_a_table_that_is_not_there_is_a_wrong_option_but_nothing_to_remove(database: Database) -> None:
    with pytest.raises(OptionError, match="'table' is 'nowhere'"):
        keep(database, table="nowhere", columns=[{"name": "a"}])
    assert keep(database, table="nowhere", columns=[{"name": "a"}], state="absent")["status"] == "ok"
    assert keep(database, name="nowhere", state="absent")["status"] == "ok"


def test_the_module_runs_on_the_server_s_own_host_as_root_over_the_socket(
    database: Database, make_controller: Callable[..., Controller]
) -> None:
    fill(database)
    assert database.cluster.fleet
    controller = make_controller(database.cluster.fleet)
    wanted = {"login_db": database.name, "unseen_bytes": 0, "table": "User", "columns": [{"expression": "kind % 3"}]}
    runs = [
        controller.module("postgresql_index", {**wanted, "state": state}, check=check)[database.cluster.host.name]
        for state in ("present", "absent")
        for check in (True, False, False)
    ]
    assert [run["changed"] for run in runs] == [True, True, False] * 2, runs
    assert runs[0]["plan"] == runs[1]["plan"]
