# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done for one index to be there or to go."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.errors import OptionError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_definition import (
    Column,
    Definition,
    read_definition,
    statement,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Family, Index
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_plan import (
    Decision,
    Situation,
    Table,
    Wanted,
    decide,
    is_equal,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.test_indexes import (
    INDEXES,
    index,
    key,
)

MEANT = index(0, "a", name="")
TABLE = Table(oid=100, kind="r", owned=True, may_create=True, bytes=1000)
PRESENT = Wanted("present", "shop", "public", "mine", MEANT)
ABSENT = Wanted("absent", "shop", "public", "mine")
ROOM = Disk(told=10**12)
MINE = index(5, "a", name="mine")


def present(*indexes: Index, wanted: Wanted = PRESENT, **facts: Any) -> Decision:
    return decide(wanted, Situation(**{"table": TABLE, "indexes": indexes, "disk": ROOM, **facts}))


def absent(root: Index | None, *others: Index, wanted: Wanted = ABSENT, **facts: Any) -> Decision:
    family = Family(root) if root else None
    indexes = [*([root] if root else []), *others]
    return decide(wanted, Situation(**{"table": TABLE, "indexes": indexes, "family": family, "disk": ROOM, **facts}))


def test_one_that_is_missing_is_made_and_one_that_is_there_is_not() -> None:
    missing, there = present(), present(MINE)

    assert missing.step
    assert (missing.step.action, missing.step.target, missing.step.reversible) == ("create", "shop public.mine", True)
    assert missing.step.estimate == {"bytes": 1000, "needed_bytes": 2000}
    assert (there.step, there.status, there.refusal) == (None, "ok", "")


@pytest.mark.parametrize(
    "other", [index(7, "a"), index(7, "a", unique=True, constraint_name="t_key"), index(7, "a", included=("z",))]
)
def test_what_does_the_same_or_more_under_another_name_is_enough(other: Index) -> None:
    decision = present(other)
    assert (decision.status, decision.step, decision.index) == ("info", None, other)


@pytest.mark.parametrize(
    ("indexes", "facts", "words"),
    [
        ((index(5, "b", name="mine"),), {}, "another definition: btree (b), and not btree (a)"),
        ((replace(MINE, unique=True),), {}, "another definition: unique btree (a)"),
        ((replace(MINE, valid=False, busy=True),), {}, "is being built just now"),
        ((replace(MINE, name="x", valid=False, busy=True),), {}, "an equal one, public.x, is being built"),
        ((), {"taken": "an index of orders"}, "taken by an index of orders"),
        ((), {"table": replace(TABLE, owned=False)}, "does not own the table"),
        ((), {"table": replace(TABLE, may_create=False)}, "may create nothing in schema public"),
        ((), {"table": replace(TABLE, kind="v")}, "no table that can have indexes"),
        ((), {"table": replace(TABLE, kind="p", foreign_parts=True)}, "foreign table"),
        ((), {"disk": Disk(told=1999)}, "of free disk"),
        ((), {"disk": Disk(blind="elsewhere")}, "not known: elsewhere"),
        ((replace(MINE, valid=False, bytes=5000),), {"disk": Disk(told=9999)}, "of free disk"),
    ],
)
def test_what_stands_against_making_it_is_said(indexes: tuple[Index, ...], facts: dict[str, Any], words: str) -> None:
    decision = present(*indexes, **facts)
    assert (decision.step, decision.status) == (None, "warning")
    assert words in decision.refusal


def test_that_of_a_partitioned_table_is_completed_and_never_rebuilt() -> None:
    step = present(replace(MINE, valid=False, kind="I")).step

    assert step is not None
    assert (step.action, step.reason, step.reversible) == ("create", "some partition lacks its part", True)


def test_an_invalid_one_is_rebuilt() -> None:
    decision = present(replace(MINE, valid=False))
    assert decision.step
    assert decision.step.action == "reindex"


def test_one_that_is_to_go_goes_with_the_way_back() -> None:
    decision = absent(MINE, undo=["CREATE INDEX mine"])
    assert decision.step
    assert (decision.step.action, decision.step.reversible) == ("drop", True)
    assert decision.step.estimate == {"freed_bytes": 8192, "undo": ["CREATE INDEX mine"]}
    assert absent(None).status == "ok"
    assert absent(replace(MINE, valid=False)).step


@pytest.mark.parametrize(
    ("root", "facts", "words"),
    [
        (replace(MINE, constraint_name="t_pkey"), {}, "enforces the constraint t_pkey"),
        (replace(MINE, replica_identity=True), {}, "replica identity"),
        (replace(MINE, referenced=True), {}, "a foreign key points to it"),
        (replace(MINE, parent=3), {}, "a partition's part of another"),
        (replace(MINE, busy=True), {}, "just now"),
        (replace(MINE, owned=False), {}, "does not own its table"),
        (MINE, {"keys": [key(1, "a")]}, "alone supports the foreign key f1"),
        (MINE, {"wanted": replace(ABSENT, definition=index(0, "b"))}, "another definition"),
        (None, {"taken": "something that is no index"}, "something that is no index"),
    ],
)
def test_what_rests_on_it_keeps_it(root: Index | None, facts: dict[str, Any], words: str) -> None:
    decision = absent(root, **facts)
    assert decision.step is None
    assert words in decision.refusal


def test_a_foreign_key_keeps_it_only_while_nothing_else_supports_it_and_nobody_forces() -> None:
    assert absent(MINE, index(6, "a", "b"), keys=[key(1, "a")]).step
    assert absent(MINE, keys=[key(1, "a")], wanted=replace(ABSENT, force=True)).step
    assert absent(MINE, keys=[key(1, "b")]).step


@given(INDEXES)
def test_after_it_was_done_nothing_is_left_to_do(indexes: list[Index]) -> None:
    decision = present(*indexes)
    if decision.step and decision.step.action == "create":
        assert present(*indexes, MINE).step is None
        assert absent(MINE, *indexes).step
    assert bool(decision.step) + bool(decision.refusal) + (decision.status in ("ok", "info")) == 1


@given(INDEXES)
def test_equality_goes_both_ways(indexes: list[Index]) -> None:
    for one in indexes:
        assert is_equal(one, replace(one, oid=99, name="other", valid=False))
    for one, other in itertools.combinations(indexes, 2):
        pair = (one, other)
        assert is_equal(*pair) is is_equal(*reversed(pair))


def test_a_definition_becomes_one_statement_with_every_name_quoted() -> None:
    definition = Definition(
        schema='a"b',
        table="Ta ble",
        columns=(
            Column(name="e mail", operator_class="public.text_ops", collation="C", descending=True, nulls="last"),
            Column(expression="lower(x) || '{}%s'"),
        ),
        include=("Z",),
        unique=True,
        nulls_distinct=False,
        method="btree",
        where="y LIKE '{a}%'",
    )
    words = statement(definition, on=('a"b', "Ta ble"), name="my index", online=True).as_string(None)

    assert words == (
        'CREATE UNIQUE INDEX CONCURRENTLY "my index" ON "a""b"."Ta ble" USING "btree" '
        '("e mail" COLLATE "C" "public"."text_ops" DESC NULLS LAST, (lower(x) || \'{}%s\')) INCLUDE ("Z") '
        "NULLS NOT DISTINCT WHERE (y LIKE '{a}%')"
    )
    assert definition.usual_name == "Ta ble_e mail_expr_Z_idx"
    assert len(replace(definition, table="é" * 60).usual_name.encode()) <= 63


OPTIONS: dict[str, Any] = {
    "columns": [], "table": None, "schema": "public", "include": [], "unique": False, "nulls_distinct": True,
    "method": "btree", "where": None,
}  # fmt: skip


@pytest.mark.parametrize("column", [{}, {"name": "a", "expression": "b"}, {"name": ""}])
def test_a_column_is_a_name_or_an_expression(column: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=r"columns\[0\]"):
        read_definition({**OPTIONS, "table": "t", "columns": [column]})


def test_columns_take_a_table() -> None:
    assert read_definition(OPTIONS) is None
    with pytest.raises(OptionError, match="'table'"):
        read_definition({**OPTIONS, "columns": [{"name": "a"}]})
