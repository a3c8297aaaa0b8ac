# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes are rebuilt and which are left alone, over many states of a database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.disk import Disk
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_facts import Index
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.reindex_plan import (
    Decision,
    Situation,
    Wanted,
    decide,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.test_indexes import index

MEBI = 1024**2
ROOM = Disk(told=10**15)
BROKEN = index(1, valid=False, bytes=MEBI)
SWOLLEN = index(2, "b", bytes=400 * MEBI)


def one(*indexes: Index, wanted: Wanted | None = None, **facts: Any) -> Decision:
    situation = Situation(database="shop", indexes=indexes, **{"disk": ROOM, **facts})
    (decision,) = decide([situation], wanted or Wanted())
    return decision


def test_an_invalid_one_is_rebuilt_with_room_for_what_it_will_become() -> None:
    decision = one(replace(BROKEN, rows=10_000_000.0))

    assert decision.step
    assert (decision.step.action, decision.step.target) == ("reindex", "shop public.i1")
    assert decision.step.estimate["needed_bytes"] == 2 * 240_000_000
    assert decision.step.longest == pytest.approx(1 + 240_000_000 / (4 * MEBI))


def test_remains_are_dropped_where_a_valid_one_of_the_kind_is_there_and_rebuilt_where_none_is() -> None:
    remains = replace(BROKEN, name="i1_ccnew")
    dropped, rebuilt = one(remains, index(3)), one(remains)

    assert dropped.step
    assert dropped.step.action == "drop"
    assert rebuilt.step
    assert rebuilt.step.action == "reindex"
    toast = replace(remains, table_kind="t", schema="pg_toast")
    assert one(toast).need == "leftover"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"busy": True}, "just now"),
        ({"kind": "I"}, "ATTACH PARTITION"),
        ({"exclusion": True, "constraint_name": "c"}, "exclusion constraint"),
        ({"table_kind": "t"}, "TOAST"),
        ({"owned": False}, "does not own public.t and lacks MAINTAIN"),
        ({"bytes": 11 * 1024 * MEBI}, "more than maximum_size"),
    ],
)
def test_what_cannot_or_must_not_be_rebuilt_says_why(change: dict[str, Any], words: str) -> None:
    decision = one(replace(BROKEN, **change))
    assert decision.step is None
    assert words in decision.refusal


def test_maintain_is_enough_to_rebuild_but_not_to_drop() -> None:
    may = replace(BROKEN, owned=False, maintained=True)
    assert one(may).step
    assert "does not own" in one(replace(may, name="i1_ccnew"), index(3)).refusal


def test_an_invalid_one_with_an_equal_valid_one_is_left_to_a_person() -> None:
    assert "an equal one, public.i3, is valid" in one(BROKEN, index(3)).refusal
    assert one(replace(BROKEN, unique=True), index(3)).step


@pytest.mark.parametrize(
    ("air", "rebuilt", "needed"),
    [
        (250 * MEBI, None, True),
        (190 * MEBI, None, False),
        (250 * MEBI, 390 * MEBI, False),
        (250 * MEBI, 200 * MEBI, True),
    ],
)
def test_a_bloated_one_is_rebuilt_unless_the_last_rebuild_proved_the_estimate_wrong(
    air: int, rebuilt: int | None, needed: bool
) -> None:
    rebuilt_sizes = {} if rebuilt is None else {"public.i2": rebuilt}
    situation = Situation("shop", [SWOLLEN], swollen={2: air}, rebuilt=rebuilt_sizes, disk=ROOM)
    assert bool(decide([situation], Wanted())) is needed


def test_small_bloat_of_a_small_index_is_none() -> None:
    situation = Situation("shop", [index(2, bytes=8 * MEBI)], swollen={2: 7 * MEBI}, disk=ROOM)
    assert decide([situation], Wanted()) == []


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (Disk(told=799 * MEBI), "and there are 799 MiB"),
        (Disk(blind="the server is elsewhere"), "not known: the server is elsewhere"),
        (Disk(locations={1663: "/nowhere at all"}), "cannot be looked at"),
    ],
)
def test_without_room_nothing_is_built(disk: Disk, words: str) -> None:
    assert words in one(SWOLLEN, swollen={2: 300 * MEBI}, disk=disk).refusal


def test_globs_and_needs_choose() -> None:
    for wanted in (
        Wanted(indexes=("private.*",)),
        Wanted(indexes_exclude=("public.i[1]",)),
        Wanted(needs=frozenset(["bloated"])),
    ):
        assert decide([Situation("shop", [BROKEN], disk=ROOM)], wanted) == []
    assert decide([Situation("shop", [BROKEN], disk=ROOM)], Wanted(indexes=("public.*",)))


STATES = st.lists(
    st.builds(
        lambda oid, columns, facts: index(oid, *columns, **facts),
        st.integers(1, 40),
        st.lists(st.sampled_from("ab"), min_size=1, max_size=2, unique=True),
        st.fixed_dictionaries(
            {"bytes": st.integers(0, 20 * 1024 * MEBI)},
            optional={
                "name": st.sampled_from(["x", "x_ccnew", "y_ccold1"]),
                "valid": st.booleans(),
                "busy": st.booleans(),
                "unique": st.booleans(),
                "kind": st.sampled_from("iI"),
                "table_kind": st.sampled_from("rt"),
                "owned": st.booleans(),
                "maintained": st.booleans(),
                "exclusion": st.booleans(),
            },
        ),
    ),
    max_size=8,
    unique_by=(lambda one: one.oid, lambda one: one.name),
)


def carried_out(situation: Situation, decisions: list[Decision]) -> Situation:
    """The database after every step did what it is for, with new oids as the server gives them."""
    steps = {decision.index.oid: decision.step.action for decision in decisions if decision.step}
    kept = [one for one in situation.indexes if steps.get(one.oid) != "drop"]
    after = [replace(one, oid=one.oid + 1000, valid=True) if one.oid in steps else one for one in kept]
    return replace(
        situation, indexes=after, swollen={oid: air for oid, air in situation.swollen.items() if oid not in steps}
    )


@given(STATES, st.dictionaries(st.integers(1, 40), st.integers(0, 20 * 1024 * MEBI)), st.integers(0, 10**11))
@example([index(1, "b", valid=False), index(2, "b", valid=False, kind="I", name="x_ccnew")], {}, 0)
@example([index(1, "b", valid=False), index(2, "b", valid=False, name="x_ccnew", bytes=1)], {}, 0)
def test_a_plan_that_was_carried_out_leaves_nothing_to_plan(
    indexes: list[Index], air: dict[int, int], room: int
) -> None:
    wanted = Wanted()
    situation = Situation("shop", indexes, swollen=air, disk=Disk(told=room))
    decisions = decide([situation], wanted)
    again = decide([carried_out(situation, decisions)], wanted)

    assert decisions == decide([situation], wanted)
    assert all(bool(decision.step) != bool(decision.refusal) for decision in decisions)
    assert len({decision.target for decision in decisions}) == len(decisions)
    assert [decision.target for decision in again if decision.step] == []
    for decision in decisions:
        if decision.step:
            found = decision.index
            assert not found.busy
            assert found.owned or (found.maintained and decision.step.action == "reindex")
            assert decision.step.action == "drop" or found.bytes * 2 <= room
            assert decision.step.action == "reindex" or not found.valid


@given(st.integers(0, 6), st.integers(0, 6))
def test_a_run_takes_on_no_more_than_it_may(amount: int, most: int) -> None:
    broken = [index(oid, f"c{oid}", valid=False) for oid in range(1, amount + 1)]
    decisions = decide([Situation("shop", broken, disk=ROOM)], Wanted(maximum_indexes=most))
    assert sum(1 for decision in decisions if decision.step) == min(amount, most)
    assert len(decisions) == amount
