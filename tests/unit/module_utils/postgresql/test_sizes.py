# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large databases and tables are said to be."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.sizes import TOPIC
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Table
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import ask

GIB = 1024**3


def test_the_size_is_that_of_all_databases_that_may_be_asked() -> None:
    findings, metrics = ask(
        TOPIC,
        "postgresql.size",
        parts={"sizes": {"shop": 3 * GIB, "archive": 5 * GIB, "shut": None}},
        levels={"postgresql.size[*/archive]": {"warning": 4 * GIB}},
    )

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432", "ok", 8 * GIB),
        ("localhost:5432/archive", "warning", 5 * GIB),
        ("localhost:5432 (hidden)", "skipped", None),
    ]
    assert findings[0].evidence == ("archive: 5 GiB", "shop: 3 GiB")
    assert findings[2].remedy == 'GRANT pg_monitor TO "watcher"'
    assert metrics["postgresql.size", "localhost:5432/shop"] == 3 * GIB


def test_where_no_size_may_be_asked_nothing_is_ok() -> None:
    findings, metrics = ask(TOPIC, "postgresql.size", parts={"sizes": {"shop": None}})

    assert [(finding.status, finding.remedy) for finding in findings] == [
        ("skipped", 'GRANT pg_monitor TO "watcher"'),
    ]
    assert metrics == {}


def test_the_largest_tables_are_told_and_those_above_a_level_one_by_one() -> None:
    tables = (
        Table(1, "public", "Orders", heap_bytes=3 * GIB, index_bytes=GIB, toast_bytes=GIB),
        *(Table(oid, "public", f"t{oid}", heap_bytes=oid) for oid in range(2, 200)),
        Table(500, "pg_catalog", "pg_class", heap_bytes=9 * GIB, system=True),
        Table(501, "pg_temp_1", "basket", persistence="t", heap_bytes=9 * GIB),
    )
    databases = {"shop": {"tables": tables}, "shut": {"tables": Absent("may not connect")}}
    findings, metrics = ask(TOPIC, "postgresql.table_size", databases=databases)
    strict, _metrics = ask(
        TOPIC, "postgresql.table_size", databases=databases, levels={"postgresql.table_size": {"warning": 4 * GIB}}
    )

    assert [(finding.item, finding.status, finding.value) for finding in findings] == [
        ("localhost:5432/shop", "ok", 5 * GIB),
        ("localhost:5432/shut", "skipped", None),
    ]
    assert findings[0].summary == "largest of 199 tables: 5 GiB; public.Orders, 1 GiB of it indexes"
    assert findings[0].evidence[:2] == ("public.Orders: 5 GiB", "public.t199: 199 B")
    assert len(metrics) == 11
    assert [(finding.item, finding.status) for finding in strict[:2]] == [
        ("localhost:5432/shop public.Orders", "warning"),
        ("localhost:5432/shop", "ok"),
    ]
