# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What wrong checksums, changed orders of text and damaged b-trees are said to mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.integrity import (
    TOPIC,
    Btree,
    Checksums,
    Collation,
    Failures,
    Walk,
    batches,
    collect_amcheck,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import SERVER, ask

WHEN = datetime(2026, 2, 27, 3, 14, 15, tzinfo=timezone.utc)
sizes = st.lists(st.integers(min_value=0, max_value=100 * 1024**2), max_size=30)


def test_every_wrong_checksum_is_an_alarm_with_its_database_and_time() -> None:
    checksums = Checksums(True, (Failures("shop", 0, None), Failures("Archive", 3, WHEN)))
    (finding,), _metrics = ask(TOPIC, "postgresql.checksum_failures", parts={"checksums": checksums})

    assert (finding.status, finding.value) == ("critical", 3)
    assert finding.evidence == ("Archive: 3, last at 2026-02-27T03:14:15.000Z",)


def test_without_checksums_nothing_is_fine() -> None:
    parts = {"checksums": Checksums(False, ())}
    (failures,), _metrics = ask(TOPIC, "postgresql.checksum_failures", parts=parts)
    (enabled,), _metrics = ask(TOPIC, "postgresql.data_checksums", parts=parts)

    assert (failures.status, enabled.status) == ("skipped", "info")
    assert "pg_checksums --enable" in failures.remedy


def test_orders_of_text_that_changed_are_told_for_databases_and_collations() -> None:
    parts = {"database_collations": (Collation("shop", "2.36", "2.41"),)}
    databases = {
        "shop": {"index_collations": (Collation('public."German"', "153.14", None),)},
        "b": {"index_collations": ()},
    }
    (finding,), _metrics = ask(TOPIC, "postgresql.collation_version", parts=parts, databases=databases)

    assert (finding.status, finding.value) == ("warning", 2)
    assert finding.evidence == (
        "database shop: made with 2.36, now 2.41",
        'in shop, public."German": made with 153.14, now none',
    )


def test_a_test_of_b_trees_says_how_much_it_has_seen() -> None:
    walk = Walk(total=200, total_bytes=3 * 1024**3, checked=150, checked_bytes=1024**3)
    databases = {
        "shop": {"amcheck": replace(walk, broken=["public.i: out of order"], stopped="stopped after 30 s")},
        "Archive": {"amcheck": Absent("extension amcheck is not there", remedy="CREATE EXTENSION amcheck")},
    }
    (finding, absent), _metrics = ask(TOPIC, "postgresql.amcheck", databases=databases)

    assert (finding.status, finding.value) == ("critical", 1)
    assert finding.evidence == ("shop: public.i: out of order",)
    assert "150 of 200 indexes looked at, 1 GiB of 3 GiB, stopped after 30 s" in finding.summary
    assert (absent.status, absent.remedy) == ("skipped", "CREATE EXTENSION amcheck")


@given(sizes, st.integers(min_value=0, max_value=500 * 1024**2))
def test_portions_hold_each_index_once_and_together_no_more_than_allowed(found: list[int], most: int) -> None:
    btrees = [Btree(number, f"i{number}", size) for number, size in enumerate(found)]
    taken = [one for batch in batches(btrees, most=most) for one in batch]

    assert sum(one.bytes for one in taken) <= most
    assert sorted({one.oid for one in taken}) == sorted(one.oid for one in taken)
    left = most - sum(one.bytes for one in taken)
    assert all(one in taken or one.bytes > left for one in btrees)


class Failing:
    """A session on a server with these indexes, some of which end a statement with a SQLSTATE."""

    def __init__(self, count: int, states: dict[int, str]) -> None:
        self.count = count
        self.states = states
        self.database = "shop"
        self.login = SimpleNamespace(statement_timeout=30.0)
        self.asked: list[Sequence[int]] = []

    def rows(self, query: Any, parameters: Any = None) -> list[dict[str, Any]]:
        if "pg_extension" in str(query):
            return [{"schema": "public", "allowed": True}]
        if "indisvalid" in str(query):
            return [{"oid": oid, "name": f"i{oid}", "bytes": 8192} for oid in range(self.count)]
        self.asked.append(parameters[0])
        for oid in parameters[0]:
            if oid in self.states:
                raise QueryError(f"index i{oid}", state=self.states[oid])
        return []


@given(
    st.dictionaries(
        st.integers(0, 39), st.sampled_from(["XX001", "XX002", "58P01", "58030", "55P03", "42P01"]), max_size=6
    )
)
def test_the_indexes_that_are_damaged_are_found_among_all(states: dict[int, str]) -> None:
    session: Any = Failing(40, states)
    walk = collect_amcheck(session, SERVER, Settings())

    broken = {f"i{oid}: index i{oid}" for oid, state in states.items() if state.startswith(("XX", "58"))}
    assert set(walk.broken) == broken
    assert len(walk.passed_over) == len(states) - len(broken)
    assert walk.checked == 40 - len(walk.passed_over)


def test_indexes_that_are_all_sound_cost_one_statement() -> None:
    session: Any = Failing(40, {})
    collect_amcheck(session, SERVER, Settings())

    assert len(session.asked) == 1


def test_the_time_limit_ends_the_test_and_is_told() -> None:
    session: Any = Failing(40, {3: "57014"})
    walk = collect_amcheck(session, SERVER, Settings())

    assert (walk.checked, walk.stopped) == (0, "stopped after 30 s")


def test_without_the_extension_it_is_named() -> None:
    session: Any = SimpleNamespace(database="Shop", rows=lambda _query: [])
    with pytest.raises(Absent) as caught:
        collect_amcheck(session, SERVER, Settings())

    assert caught.value.remedy == "In database Shop: CREATE EXTENSION amcheck"
