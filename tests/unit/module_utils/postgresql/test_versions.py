# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far behind a version is, how long it is supported, and which extensions were left behind."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.versions import (
    BRANCHES,
    MADE,
    TOPIC,
    Extension,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import NOW, SERVER, ask

CHECK = "postgresql.extensions"


def minor(number: int, version: str = "") -> tuple[str, float | None, str]:
    server = replace(SERVER, version_number=number, version=version or f"{number // 10000}.{number % 10000}")
    (finding,), _metrics = ask(TOPIC, "postgresql.minor_version", server=server)
    return finding.status, finding.value, finding.summary


def test_each_release_that_is_missing_counts_and_one_that_never_was_does_not() -> None:
    newest = BRANCHES[18].minor

    assert minor(180000 + newest)[:2] == ("ok", 0)
    assert minor(180000 + newest - 2)[:2] == ("info", 1)
    assert minor(180000)[:2] == ("warning", newest - 1)
    assert f"18.{newest} is the newest that was known on {MADE}" in minor(180004)[2]


def test_a_server_newer_than_the_table_is_not_behind_it() -> None:
    assert minor(170099)[:2] == ("ok", 0)


def test_a_major_version_that_the_table_does_not_know_is_not_called_fine() -> None:
    status, value, summary = minor(990001)

    assert (status, value) == ("skipped", None)
    assert str(MADE) in summary


@pytest.mark.parametrize("version", ["19beta1", "19rc1", "20devel"])
def test_a_preview_is_nothing_to_keep_data_in(version: str) -> None:
    assert minor(int(version[:2]) * 10000, version)[0] == "warning"


@pytest.mark.parametrize(
    ("day", "status", "days"),
    [
        (datetime(2025, 11, 11, tzinfo=timezone.utc), "ok", 730),
        (datetime(2027, 1, 1, tzinfo=timezone.utc), "info", 314),
        (datetime(2027, 6, 1, tzinfo=timezone.utc), "warning", 163),
        (datetime(2027, 11, 11, tzinfo=timezone.utc), "warning", 0),
        (datetime(2027, 11, 12, tzinfo=timezone.utc), "critical", -1),
    ],
)
def test_support_ends_on_a_day(day: datetime, status: str, days: int) -> None:
    server = replace(SERVER, version_number=150020, version="15.20", now=day)
    (finding,), metrics = ask(TOPIC, "postgresql.support_end", server=server)

    assert (finding.status, finding.value) == (status, days)
    assert "2027-11-11" in finding.summary
    assert metrics["postgresql.support_end", "localhost:5432"] == days


def test_extensions_left_behind_are_told_in_one_finding_and_lost_ones_each() -> None:
    databases = {
        "shop": {"extensions": (Extension("pg_stat_statements", "1.9", "1.11"), Extension("postgis", "3.3", None))},
        "Archive": {"extensions": ()},
        "closed": {"extensions": Absent("watcher may not connect", remedy="GRANT CONNECT")},
    }
    findings, metrics = ask(TOPIC, CHECK, databases=databases)
    lost, behind, closed = findings

    assert (lost.status, lost.item) == ("warning", "localhost:5432/shop postgis")
    assert (behind.status, behind.value, behind.item) == ("info", 2, "localhost:5432")
    assert behind.evidence == (
        "shop: pg_stat_statements 1.9, the server has 1.11",
        "shop: postgis 3.3, no files",
    )
    assert "in 2 databases" in behind.summary
    assert (closed.status, closed.remedy) == ("skipped", "GRANT CONNECT")
    assert metrics == {(CHECK, "localhost:5432"): 2}


def test_the_table_is_of_a_day_that_has_been_and_each_branch_ends_later_than_the_one_before() -> None:
    ends = [branch.ends for _major, branch in sorted(BRANCHES.items())]

    assert ends == sorted(ends)
    assert len(set(ends)) == len(ends)
    assert all(set(branch.skipped) <= set(range(branch.minor)) for branch in BRANCHES.values())
    assert MADE.year >= NOW.year
