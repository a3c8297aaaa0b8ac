# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to servers that are not friendly: whose databases lay snares, and who stop answering."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from psycopg import sql

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import ConnectError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import (
    reindex,
    silence,
    vacuum_options,
    vacuum_run,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session, open_session
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.conftest import Database
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_index import keep
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.test_vacuum import login_to
from ansible_collections.fleetcare.maintenance.tests.integration.postgresql.waiting import one_version

#: Functions that fit better than those of the server, or come before them, by their arguments and what they return.
SNARES = (
    ("public.format(text, name, name)", "text"),
    ("public.quote_ident(name)", "text"),
    ("snare.set_config(text, text, boolean)", "text"),
    ("snare.current_setting(text)", "text"),
    ("snare.pg_is_in_recovery()", "boolean"),
    ("snare.pg_try_advisory_lock(bigint)", "boolean"),
    ("snare.now()", "timestamptz"),
)


@one_version
def test_what_the_owner_of_a_database_has_planted_is_never_called_by_us(database: Database) -> None:
    database.execute(
        "CREATE EXTENSION pgstattuple",
        'CREATE TABLE "User" AS SELECT n AS id, n::text AS note FROM generate_series(1, 20000) n',
        'CREATE INDEX by_note ON "User" (lower(note))',
        "CREATE SCHEMA snare",
        *(
            f"CREATE FUNCTION {head} RETURNS {result} LANGUAGE plpgsql AS "
            "'BEGIN RAISE EXCEPTION ''snapped as %'', session_user; END'"
            for head, result in SNARES
        ),
    )
    with database.cluster.connect() as session:
        session.execute(
            sql.SQL("ALTER DATABASE {} SET search_path = snare, public, pg_catalog").format(
                sql.Identifier(database.name)
            )
        )
    here = {"login_db": database.name}
    results: list[dict[str, Any]] = [
        database.perform(**here),
        database.perform(
            vacuum_run.vacuum,
            arguments=vacuum_options.ARGUMENTS,
            name="postgresql_vacuum",
            repair=True,
            full=[{"database": database.name, "schema": "public", "table": "User"}],
            **here,
        ),
        database.perform(
            reindex.reindex, arguments=reindex.ARGUMENTS, name="postgresql_reindex", repair=True, bloat_bytes=0, **here
        ),
        keep(database, table="User", columns=[{"name": "id"}]),
    ]

    assert "snapped" not in str(results)
    assert [finding for result in results for finding in result["findings"] if finding["status"] == "unknown"] == []
    assert results[1]["applied"]
    assert results[3]["applied"]


@one_version
def test_names_that_a_user_gives_are_found_where_his_own_sessions_find_them(database: Database) -> None:
    database.execute(
        "CREATE TABLE orders AS SELECT n AS id, n::text AS note FROM generate_series(1, 100) n",
        "CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT pg_catalog.upper($1)'",
    )
    wanted = {"table": "orders", "columns": [{"expression": "shout(note)"}], "where": "shout(note) <> ''"}
    planned = keep(database, check_mode=True, **wanted)
    made = keep(database, **wanted)
    again = keep(database, **wanted)
    refused = keep(database, table="orders", columns=[{"expression": "whisper(note)"}])

    assert planned["plan"] == made["plan"]
    assert made["applied"]
    assert (again["changed"], again["findings"][0]["status"]) == (False, "ok")
    assert "whisper" in refused["findings"][0]["summary"]


@pytest.fixture
def others(database: Database) -> Iterator[dict[str, str]]:
    """Databases with encodings of their own beside it, by the encoding."""
    names = {encoding: f"{database.name} {encoding}" for encoding in ("LATIN1", "SQL_ASCII")}
    with database.cluster.connect() as session:
        for encoding, name in names.items():
            session.execute(
                sql.SQL("CREATE DATABASE {} ENCODING {} LOCALE 'C' TEMPLATE template0").format(
                    sql.Identifier(name), encoding
                )
            )
    yield names
    with database.cluster.connect(database.name) as session:
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        session.execute("SELECT pg_stat_statements_reset()")
        for name in names.values():
            session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@one_version
def test_words_in_another_encoding_cost_no_more_than_their_letters(database: Database, others: dict[str, str]) -> None:
    """What a session of another database does is handed out as it was written there."""
    cluster = database.cluster
    for name in others.values():
        with cluster.connect(name, client_encoding="utf8") as session:
            session.execute('CREATE TABLE "Bestellung für" AS SELECT n AS id FROM generate_series(1, 2000) n')
    with cluster.connect() as session:
        databases = [row["datname"] for row in session.execute("SELECT datname FROM pg_database").fetchall()]
    only = {"databases_exclude": [name for name in databases if name not in others.values()]}
    with cluster.connect(others["LATIN1"], client_encoding="latin1") as latin:
        latin.execute("BEGIN")
        latin.execute('SELECT 1 AS "für"')
        busy = [database.perform(login_db=name, **only) for name in (database.name, others["LATIN1"])]
    database.execute("CREATE EXTENSION pg_stat_statements")
    with cluster.connect(others["SQL_ASCII"], client_encoding="latin1") as session:
        session.execute('SELECT 1 AS "für"')
        untold = database.perform(checks=["statement*"], login_db=database.name, **only)
        session.execute('SELECT 1 AS "für"')
        told = database.perform(checks=["statement*"], login_db=database.name, **only)
    ascii_only = {"login_db": others["SQL_ASCII"], **only}
    quiet = database.perform(**ascii_only)
    vacuumed = database.perform(
        vacuum_run.vacuum,
        arguments=vacuum_options.ARGUMENTS,
        name="postgresql_vacuum",
        repair=True,
        tables=["public.*"],
        io_pressure_max=0,
        **ascii_only,
    )

    for result in (*busy, quiet, untold, told):
        assert [one for one in result["findings"] if one["status"] == "unknown"] == []
    for result in busy:
        idle = next(one for one in result["findings"] if one["check"] == "postgresql.idle_in_transaction")
        assert any("SELECT ? AS" in line for line in idle["evidence"])
    assert any("whose text cannot be had" in line for line in told["findings"][0]["evidence"])

    assert [one["target"] for one in vacuumed["applied"]] == [
        f"{name} public.Bestellung für" for name in others.values()
    ]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence, "GRACE", 0.5)


@one_version
@pytest.mark.usefixtures("impatient")
def test_a_server_that_has_stopped_answering_is_left_when_its_time_is_over(database: Database) -> None:
    session: Session = open_session(login_to(database, statement_timeout=0.5))
    database.cluster.host.pause()
    try:
        with pytest.raises(ConnectError) as caught:
            session.rows("SELECT 1")
        session.cancel()
    finally:
        database.cluster.host.unpause()
        session.close()

    assert "does not answer" in caught.value.message
    assert session.broken
