# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict that nobody uses an index, and all that stands against it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_use import (
    TOPIC,
    Statistics,
    carry,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Settings, Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    NOW,
    SERVER,
    ask,
    remembered,
)
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.test_indexes import index, key

MEBI = 1024**2
CHECK = "postgresql.index_unused"
OWN = Statistics("localhost:5432", NOW - timedelta(days=40), NOW)
STANDBY = replace(OWN, place="standby:5432")
UNUSED = index(1, "created", bytes=20 * MEBI)


def verdict(
    *indexes: Any, statistics: Any = (OWN, STANDBY), keys: Any = (), memory: Any = None, **settings: Any
) -> Any:
    parts = {"index_facts": indexes, "foreign_keys": keys, "index_use": statistics}
    (finding,), _metrics = ask(
        TOPIC, CHECK, databases={"shop": parts}, memory=memory, settings=Settings(**settings) if settings else None
    )
    return finding


def test_what_nobody_scanned_anywhere_for_long_is_unused() -> None:
    finding = verdict(UNUSED)

    assert (finding.status, finding.value) == ("info", 20 * MEBI)
    assert finding.evidence == ("public.i1 on public.t (created): 20 MiB, never scanned",)
    assert "not scanned for 30 days on 2 servers" in finding.summary


@pytest.mark.parametrize(
    ("moment", "used"),
    [(None, True), (NOW - timedelta(days=29), True), (NOW - timedelta(days=31), False)],
)
@pytest.mark.parametrize("where", [0, 1])
def test_a_scan_on_one_server_is_use_unless_it_is_known_to_be_old(where: int, moment: Any, used: bool) -> None:
    servers = [OWN, STANDBY]
    servers[where] = replace(servers[where], used={1: moment})
    assert verdict(UNUSED, statistics=tuple(servers)).value == (0 if used else 20 * MEBI)


def test_short_statistics_on_any_server_leave_no_verdict() -> None:
    finding = verdict(UNUSED, statistics=(OWN, replace(STANDBY, since=NOW - timedelta(days=3))))

    assert finding.status == "skipped"
    assert finding.summary == "the statistics of standby:5432 reach back 3 d, and a verdict takes 30 d of them".replace(
        "30 d of", "30 days of"
    )


@pytest.mark.parametrize(
    "facts",
    [
        {"unique": True},
        {"constraint_name": "c"},
        {"replica_identity": True},
        {"referenced": True},
        {"busy": True},
        {"valid": False},
        {"bytes": 9 * MEBI},
        {"parent": 7},
        {"table_kind": "t"},
    ],
)
def test_what_enforces_something_or_is_small_or_broken_is_not_counted(facts: dict[str, Any]) -> None:
    assert verdict(replace(UNUSED, **facts)).value == 0


def test_a_scan_of_one_partition_is_use_of_the_whole() -> None:
    whole = replace(UNUSED, kind="I", bytes=0)
    parts = [
        index(2, "created", parent=1, bytes=20 * MEBI, table_oid=201),
        index(3, "created", parent=1, table_oid=202),
    ]
    assert verdict(whole, *parts).value == 20 * MEBI + 8192
    assert verdict(whole, *parts, statistics=(OWN, replace(STANDBY, used={3: None}))).value == 0


def test_what_alone_supports_a_foreign_key_is_told_apart() -> None:
    finding = verdict(UNUSED, keys=(key(5, "created"),))
    assert finding.value == 0
    assert finding.evidence == ("not counted: public.i1, 20 MiB, alone supports foreign key f5",)
    assert verdict(UNUSED, replace(UNUSED, oid=2, scans=3), keys=(key(5, "created"),)).value == 40 * MEBI


def memory_of(days: float, **oids: float) -> dict[str, Any]:
    """What a run wrote down that looked first so many days ago and saw indexes so many days ago."""
    seen = {name[1:]: (NOW - timedelta(days=ago)).isoformat() for name, ago in oids.items()}
    first = (NOW - timedelta(days=days)).isoformat()
    return remembered(SERVER, index_use={"databases": {"shop": {"first": first, **seen}}})


def test_an_index_that_appeared_after_the_first_run_has_to_grow_as_old_as_the_statistics() -> None:
    assert verdict(UNUSED, memory=memory_of(50, o1=50)).value == 20 * MEBI
    assert verdict(UNUSED, memory=memory_of(50, o1=31)).value == 20 * MEBI
    young = verdict(UNUSED, memory=memory_of(50, o1=5))
    assert (young.value, young.status) == (0, "ok")
    assert "1 index too young to tell" in young.summary
    assert verdict(UNUSED, memory=memory_of(50)).value == 0


def test_when_an_index_was_seen_first_is_remembered_from_run_to_run() -> None:
    def run(memory: Any, server: Any, *indexes: Any) -> Any:
        parts = {"index_facts": indexes, "index_use": (OWN,)}
        return carry(Snapshot(server=server, now=server.now, databases={"shop": parts}), memory)

    later = replace(SERVER, now=NOW + timedelta(days=1))
    first = run({}, SERVER, UNUSED)["index_use"]
    second = run(remembered(SERVER, index_use=first), later, UNUSED, index(2, "b"))["index_use"]
    seen = second["databases"]["shop"]

    assert set(seen) == {"first", "1", "2"}
    assert seen["1"] == seen["first"] < seen["2"]
    assert run(remembered(later, index_use=second), later)["index_use"]["databases"]["shop"] == {"first": seen["first"]}
    not_asked = Snapshot(server=later, now=later.now, databases={"shop": {}})
    assert carry(not_asked, remembered(later, index_use=second))["index_use"] == second


@pytest.mark.parametrize("broken", [{}, {"databases": 3}, {"databases": {"shop": {"1": "yesterday", "first": 3}}}])
def test_a_memory_that_is_not_what_was_written_is_none(broken: Any) -> None:
    assert verdict(UNUSED, memory=remembered(SERVER, index_use=broken)).status in ("info", "ok")
