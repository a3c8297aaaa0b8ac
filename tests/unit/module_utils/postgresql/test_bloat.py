# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is estimated, what is measured, and what is said of it."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.bloat import (
    TOPIC,
    Bloat,
    Found,
    collect_table_bloat,
    sort_out,
    to_measure,
    with_measured,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.bloat_estimate import (
    Column,
    Relation,
    data_width,
    distinct_keys,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import QueryError
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import SERVER, ask

MIB = 1024**2
BIGINT = Column(8, 0.0, 8, "d")
INT = Column(4, 0.0, 4, "i")
BOOL = Column(1, 0.0, 1, "c")
TEXT = Column(21, 0.0, -1, "i")
LONG = Column(800, 0.0, -1, "i")
TABLE = Relation(1, "public", "Orders", "table", None, 1000.0, 6, None, 8192, True, (INT,))
INDEX = Relation(2, "public", "by id", "index", "public.Orders", 100_000.0, 400, None, 8192, True, (BIGINT,))


@pytest.mark.parametrize(
    ("columns", "width"),
    [
        ((INT,), 8),
        ((INT, INT), 8),
        ((BOOL, BIGINT), 16),
        ((BIGINT, BOOL), 16),
        ((BOOL, TEXT), 22 + 3.5),
        ((BOOL, LONG), 804 + 3.5),
        ((TEXT, BIGINT), 21 + 3.5 + 8),
        ((replace(BIGINT, nulls=0.5), BIGINT), 12),
        ((replace(INT, nulls=0.5), BIGINT), 0.5 * 16 + 0.5 * 8),
    ],
)
def test_the_gaps_between_columns_count(columns: tuple[Column, ...], width: float) -> None:
    assert data_width(columns) == pytest.approx(width)


def test_the_pages_of_tables_are_those_that_the_server_fills() -> None:
    # 226 rows of one integer fit on a page (captured from servers 15, 17 and 18), 157 of three bigints.
    assert replace(TABLE, rows=226_000.0).needed_pages == 1000
    assert replace(TABLE, rows=226_000.0, fill=50).needed_pages == math.ceil(226_000 / 113)
    assert replace(TABLE, rows=157_000.0, columns=(BIGINT, BIGINT, BIGINT)).needed_pages == 1000
    assert replace(TABLE, kind="TOAST", rows=4001.0, columns=None).needed_pages == 1001


def test_an_index_that_keeps_equal_keys_once_needs_fewer_pages() -> None:
    few = replace(INDEX, columns=(replace(BIGINT, distinct=50),), merges=True)

    assert INDEX.needed_pages == 1 + 273 + 1
    assert few.needed_pages is not None
    assert few.needed_pages < 100
    assert replace(INDEX, merges=True).needed_pages == INDEX.needed_pages


def test_what_cannot_be_told_is_not_guessed() -> None:
    assert replace(TABLE, rows=-1.0).wasted is None
    assert replace(TABLE, columns=None).wasted is None
    assert replace(INDEX, rows=0.0).wasted is None
    assert replace(TABLE, kind="TOAST", columns=None, rows=-1.0).wasted is None
    assert replace(TABLE, rows=0.0, pages=100).wasted == 100 * 8192


COLUMNS = st.lists(
    st.builds(
        Column,
        st.integers(1, 500),
        st.floats(0, 1),
        st.sampled_from([-1, 1, 2, 4, 8]),
        st.sampled_from("csid"),
        st.floats(-1, 1e6),
    ),
    min_size=1,
    max_size=10,
).map(tuple)


@given(COLUMNS, st.floats(0, 1e9), st.integers(0, 10**7), st.integers(10, 100), st.sampled_from(["table", "index"]))
def test_nothing_wastes_more_than_it_has(
    columns: tuple[Column, ...], rows: float, pages: int, fill: int, kind: str
) -> None:
    relation = replace(TABLE, kind=kind, columns=columns, rows=rows, pages=pages, fill=fill, merges=True)

    assert relation.wasted is None or 0 <= relation.wasted <= relation.bytes
    assert 0 <= distinct_keys(rows, columns) <= rows


def found(*sizes: tuple[str, int, int]) -> Found:
    return Found(
        tuple(
            Bloat(replace(TABLE, oid=at, name=name, pages=size * MIB // 8192), size * MIB, wasted * MIB)
            for at, (name, size, wasted) in enumerate(sizes)
        )
    )


def test_the_worst_that_fit_are_measured_first_and_then_those_nothing_is_known_of() -> None:
    settings = Settings(bloat_tables=3, bloat_size=1000 * MIB, bloat_floor=100 * MIB)
    unknown = replace(TABLE, name="unknown", pages=900 * MIB // 8192)
    hidden = replace(TABLE, name="hidden", pages=500 * MIB // 8192)
    estimated = found(("huge", 5000, 3000), ("bad", 800, 300), ("worse", 900, 800), ("fine", 900, 99))
    wanted = to_measure(replace(estimated, unknown=(unknown,), hidden=(hidden,)), settings)

    assert [relation.name for relation in wanted] == ["worse", "bad", "unknown"]


def test_a_measurement_goes_before_an_estimate_and_an_answer_before_none() -> None:
    estimated = found(("a", 100, 60), ("b", 100, 60))
    unknown = replace(TABLE, oid=9, name="c")
    measured = {0: replace(estimated.bloats[0], wasted=1, measured=True), 9: Bloat(unknown, 10, 5, measured=True)}
    merged = with_measured(replace(estimated, unknown=(unknown,)), measured, "")

    assert [(bloat.relation.name, bloat.wasted, bloat.measured) for bloat in merged.bloats] == [
        ("a", 1, True),
        ("b", 60 * MIB, False),
        ("c", 5, True),
    ]
    assert merged.unknown == ()


def test_only_what_wastes_much_is_judged_by_its_share() -> None:
    shop = found(("large", 1000, 600), ("small", 100, 99), ("fair", 2000, 200))
    findings, metrics = ask(TOPIC, "postgresql.table_bloat", databases={"shop": {"table_bloat": shop}})

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop public.large", "warning", 60),
        ("localhost:5432/shop", "ok", 10),
    ]
    assert "public.large: 60 %, 600 MiB of 1000 MiB wasted (estimated)" in findings[0].summary
    assert metrics["postgresql.table_bloat_bytes", "localhost:5432/shop"] == 899 * MIB


def test_why_it_was_not_measured_stands_with_the_estimate() -> None:
    shop = replace(found(("large", 1000, 600)), unmeasured="the extension pgstattuple is not installed")
    findings, _metrics = ask(TOPIC, "postgresql.table_bloat", databases={"shop": {"table_bloat": shop}})

    assert "the extension pgstattuple is not installed" in findings[0].summary


def test_what_may_not_be_looked_at_is_skipped_and_never_ok() -> None:
    shop = Found(hidden=(TABLE,), unknown=(INDEX,), unmeasured="no extension", remedy="CREATE EXTENSION pgstattuple")
    findings, _metrics = ask(TOPIC, "postgresql.table_bloat", databases={"shop": {"table_bloat": shop}})

    assert [(finding.item, finding.status, finding.remedy) for finding in findings] == [
        ("localhost:5432/shop (hidden)", "skipped", "CREATE EXTENSION pgstattuple"),
        ("localhost:5432/shop (unknown)", "skipped", "VACUUM (ANALYZE)"),
    ]


def test_a_database_that_could_not_be_looked_at_is_told() -> None:
    databases = {"shop": {"index_bloat": Found()}, "shut": {"index_bloat": Absent("may not connect")}}
    findings, _metrics = ask(TOPIC, "postgresql.index_bloat", databases=databases)

    assert [(finding.item, finding.status) for finding in findings] == [
        ("localhost:5432/shop", "ok"),
        ("localhost:5432/shut", "skipped"),
    ]


def test_relations_are_sorted_by_what_is_known_of_them() -> None:
    sorted_out = sort_out([TABLE, replace(TABLE, columns=None), replace(TABLE, columns=None, allowed=False), INDEX])

    assert [bloat.relation.label for bloat in sorted_out.bloats] == ["public.Orders", "public.by id"]
    assert len(sorted_out.unknown) == len(sorted_out.hidden) == 1


class Scripted:
    """A session of a server with five swollen tables, which answers so many measurements and then ``fails``."""

    def __init__(self, *, answers: int, fails: QueryError) -> None:
        self.answers = answers
        self.fails = fails
        self.limits: list[float] = []
        self.login = SimpleNamespace(statement_timeout=30.0)
        self.broken = False

    def rows(self, query: str, _parameters: object = None) -> list[dict[str, object]]:
        assert "pg_extension" in query
        return [{"schema": 'my "tools"', "name": "pgstattuple_approx", "allowed": True}]

    def many(self, _query: str, _parameters: object = None) -> list[dict[str, object]]:
        shape = {"schema": "public", "kind": "r", "main": None, "rows": 10.0, "fill": None, "block": 8192}
        statistics = {"allowed": True, "widths": [4], "nulls": [0.0], "lengths": [4], "aligns": ["i"]}
        return [{"oid": oid, "name": f"t{oid}", "pages": 50_000 - oid, **shape, **statistics} for oid in range(5)]

    def row(self, query: object, parameters: tuple[int]) -> dict[str, int]:
        assert '"my ""tools""".pgstattuple_approx' in str(query.as_string(None))  # type: ignore[attr-defined]
        if self.answers == 0:
            raise self.fails
        self.answers -= 1
        return {"bytes": 400 * MIB, "wasted": 200 * MIB + parameters[0]}

    def set(self, *, statement_timeout: float) -> None:
        self.limits.append(statement_timeout)


@pytest.mark.parametrize(
    ("state", "attempts", "reason"),
    [("57014", 3, "the 20 s for measuring have passed"), ("55P03", 5, "could not be measured")],
)
def test_a_measurement_that_fails_leaves_the_estimate_and_the_time_limit_as_they_were(
    state: str, attempts: int, reason: str
) -> None:
    session = Scripted(answers=2, fails=QueryError("the server refused", state=state))
    looked = collect_table_bloat(session, SERVER, Settings(bloat_floor=MIB))  # type: ignore[arg-type]

    assert [bloat.measured for bloat in looked.bloats] == [True, True, False, False, False]
    assert reason in looked.unmeasured
    assert len(session.limits) == attempts + 1
    assert all(0 < limit <= 20 for limit in session.limits[:-1])
    assert session.limits[-1] == 30
