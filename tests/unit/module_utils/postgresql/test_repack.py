# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pg_repack: which tables it gets, which program fits, and how it is called."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.command import Completed
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql import repack, repack_act
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Login
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.repack import Remains, Repack
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.unmeasured import Unmeasured
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_options import (
    ARGUMENTS,
    read_wanted,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_plan import Decided, decide
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Choice, Ground

ORDERS = Table(20000, "public", "orders", rows=10_000.0, pages=100, heap_bytes=819_200, xid_age=5, dead=9000)
READY = Repack(program="/usr/bin/pg_repack", lacking="", keyed=frozenset({20000}))
CHOICE = Choice(repack=(("shop", "public", "orders"),))
LOGIN = Login("db", 5432, "keeper", "secret", "shop", "prefer", None, None, None, "postgres", 10, 30.0)


def plan(found: Repack, table: Table = ORDERS, choice: Choice = CHOICE, **more: Any) -> Decided:
    ground = Ground(
        "shop",
        (table, *more.pop("others", ())),
        **{
            "unmeasured": Unmeasured(),
            "allowed": frozenset(range(30_000)),
            "wasted": {20000: 90.0},
            "disk": Disk(told=10**9),
            "repack": found,
            **more,
        },
    )
    return decide(ground, choice, Limits(), first=True, alone=True)


def test_a_table_that_can_be_is_repacked_and_not_vacuumed_before() -> None:
    (job,) = plan(READY).jobs
    assert (job.action, job.target, job.program) == ("repack", "shop public.orders", "/usr/bin/pg_repack")
    assert job.reason == "90 % of its rows' space would be won back; with indexes and TOAST it takes 800 KiB"


@pytest.mark.parametrize(
    ("found", "table", "reason"),
    [
        (Repack(), ORDERS, "it is not known whether pg_repack is there"),
        (replace(READY, lacking="the program is missing"), ORDERS, "the program is missing"),
        (replace(READY, keyed=frozenset()), ORDERS, "needs a primary key"),
        (replace(READY, broken=frozenset({20000})), ORDERS, "one of its indexes is invalid"),
        (READY, replace(ORDERS, persistence="u"), "permanent tables alone"),
        (READY, replace(ORDERS, kind="m"), "permanent tables alone"),
        (READY, replace(ORDERS, heap_bytes=2**50), "repack_max_bytes is 10 GiB"),
        (READY, replace(ORDERS, heap_bytes=10**9), "of free disk"),
    ],
)
def test_what_stands_against_it_is_said(found: Repack, table: Table, reason: str) -> None:
    decided = plan(found, table)
    assert "repack" not in [job.action for job in decided.jobs]
    assert reason in decided.refused[0][1]


def test_what_was_left_behind_goes_first_and_is_not_vacuumed_itself() -> None:
    remains = (
        Remains(20000, "public", "orders", 8192, recording=True),
        Remains(21000, None, None, 16384, recording=False),
    )
    log = replace(ORDERS, oid=20001, schema="repack", name="log_20000")
    decided = plan(replace(READY, remains=remains), others=(log,))

    assert [(job.action, job.target) for job in decided.jobs] == [
        ("clear up after pg_repack", "shop public.orders"),
        ("clear up after pg_repack", "shop repack.table_21000"),
        ("repack", "shop public.orders"),
    ]
    assert decided.jobs[0].reason == (
        "a pg_repack that was broken off has left a trigger that writes down every change and tables of 8 KiB"
    )
    assert decided.due == 2


@pytest.mark.parametrize(
    ("installed", "extension", "program", "lacking"),
    [
        (["1.5.2"], "pg_repack 1.5.2", "1.5.2", ""),
        (["1.4.8", "1.5.2"], "pg_repack 1.5.2", "1.5.2", ""),
        (["1.4.8"], "pg_repack 1.5.2", "", "the extension is pg_repack 1.5.2, and this host has pg_repack 1.4.8"),
        ([], "pg_repack 1.5.2", "", "the program pg_repack is not on this host"),
        (["1.5.2"], "pg_repack 1.5.1", "", "the extension is pg_repack 1.5.1 and its library pg_repack 1.5.2"),
    ],
)
def test_only_the_program_that_fits_the_extension_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: list[str], extension: str, program: str, lacking: str
) -> None:
    for version in installed:
        path = tmp_path / version / "pg_repack"
        path.parent.mkdir()
        path.write_text(f"#!/bin/sh\necho 'pg_repack {version}'\n")
        path.chmod(0o755)
    monkeypatch.setattr(repack, "PLACES", (str(tmp_path / "*/pg_repack"),))
    monkeypatch.setattr(repack.command, "SEARCH_PATH", "")
    found, said = repack._program("pg_repack 1.5.2", extension)
    assert found == (str(tmp_path / program / "pg_repack") if program else "")
    assert said.startswith(lacking) if lacking else said == ""


@pytest.mark.parametrize(
    ("name", "version", "told"),
    [
        ("shop", "pg_repack 1.4.8", "'shop'"),
        ("o'neill\\ x", "pg_repack 1.5.0", r"'o\'neill\\ x'"),
        ("a b", "pg_repack 1.5.1", "dbname='a b'"),
        ("host=evil", "pg_repack 1.10.0", "dbname='host=evil'"),
    ],
)
def test_a_database_is_named_so_that_the_program_takes_it_for_a_name(name: str, version: str, told: str) -> None:
    assert repack_act._database(name, version=version) == told


def test_nothing_secret_and_nothing_unquoted_is_an_argument() -> None:
    facts = {"schema": "public", "name": 'x"; --'}
    argv = repack_act._argv(LOGIN, "/usr/bin/pg_repack", facts, lock_timeout=0.2, seconds=90.4)
    assert "secret" not in str(argv)
    assert argv[-1] == '--table="public"."x""; --"'
    assert argv[argv.index("timeout") + 1 : argv.index("/usr/bin/pg_repack")] == ["-s", "INT", "-k", "30", "90"]
    assert {"--no-kill-backend", "--no-password", "--wait-timeout=1"} <= set(argv)


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (
            'INFO: repacking table "public.orders"\nERROR: query failed: ERROR:  canceled.\n',
            "ERROR: query failed: ERROR:  canceled",
        ),
        ('INFO: repacking table "public.orders"\n', 'INFO: repacking table "public.orders"'),
        ("", "exit status 1 without a word"),
    ],
)
def test_its_trouble_is_told_in_its_own_words(stderr: str, words: str) -> None:
    assert repack_act._trouble(Completed(("pg_repack",), 1, "", stderr)) == words


def test_a_table_is_not_rewritten_in_two_ways() -> None:
    named = [{"database": "shop", "schema": "public", "table": "orders"}]
    params = {name: spec.get("default") for name, spec in ARGUMENTS.items()}
    with pytest.raises(OptionError, match=r"shop\.public\.orders"):
        read_wanted({**params, "full": named, "repack": named})
