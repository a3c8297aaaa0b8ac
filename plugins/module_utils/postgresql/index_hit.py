# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Indexes that are read from the disk again and again, because they do not stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Check
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.clock import moment
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.levels import Levels
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.questions import Answer
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.client import Session
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import (
    Counters,
    Grown,
    grown_by_name,
    plain_by_name,
    total,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.io import FEWEST_BLOCKS
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.server import Server
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import (
    Recalled,
    Settings,
    Snapshot,
    Topic,
    View,
)

CHECKS = (
    Check(
        "postgresql.index_hit",
        "Index blocks found in the cache",
        "Share of an index's blocks that were asked for since the last run and found in shared_buffers, of the index "
        "where it is lowest. An index that was asked for fewer than 10,000 blocks is not judged.",
        "See whether the index is larger than it need be (postgresql.index_bloat), whether its keys come in no order "
        "(random UUIDs touch every page), and whether shared_buffers is too small for what is searched often.",
        "pg_statio_user_indexes",
        "%",
        Levels(info=95, warning=80, direction="lower"),
    ),
)

# Those that were asked for most can be compared with the next run.
_INDEXES = """
SELECT s.indexrelid::bigint AS oid, format('%I.%I', s.schemaname, s.indexrelname) AS name,
       s.idx_blks_hit AS hit, s.idx_blks_read AS read,
       (SELECT extract(epoch FROM stats_reset)::float8 FROM pg_stat_database
         WHERE datname = current_database()) AS reset
  FROM pg_statio_user_indexes s
 WHERE s.idx_blks_hit + s.idx_blks_read > 0
 ORDER BY s.idx_blks_hit + s.idx_blks_read DESC, s.indexrelid
 LIMIT 200
"""
_SHOWN = 20


@dataclass(frozen=True)
class IndexReads:
    """Counters of the indexes that were asked for most, and their names, by oid."""

    counters: Mapping[str, Counters]
    names: Mapping[str, str]


def collect_reads(session: Session, _server: Server, _settings: Settings) -> IndexReads:
    counters, names = {}, {}
    for row in session.many(_INDEXES):
        oid = str(row["oid"])
        counters[oid] = Counters({"hit": row["hit"], "read": row["read"]}, moment(row["reset"]))
        names[oid] = row["name"]
    return IndexReads(counters, names)


def index_hit(view: View) -> Iterator[Answer]:
    check = "postgresql.index_hit"
    recalled = view.recall("index_reads")
    for database, reads in view.in_databases("index_reads"):
        before = recalled.data.get(database)
        if not isinstance(before, dict):
            reason = "this run is the first to look at this database, the next one compares with it"
            yield view.state(check, view.item(database), "skipped", reason)
            continue
        then = Recalled(before, recalled.at, recalled.same_start)
        grown = grown_by_name(reads.counters, then, now=view.cluster.now)
        yield from _judged(view, database, grown, names=reads.names)
    yield from view.absences(check, "index_reads")


def _judged(view: View, database: str, grown: Mapping[str, Grown], *, names: Mapping[str, str]) -> Iterator[Answer]:
    check = "postgresql.index_hit"
    shares = sorted(
        (100.0 * one["hit"] / (one["hit"] + one["read"]), oid)
        for oid, one in grown.items()
        if one["hit"] + one["read"] >= FEWEST_BLOCKS
    )
    if not shares:
        words = f"no index was asked for {FEWEST_BLOCKS} blocks since the last run: too few for a ratio"
        yield view.state(check, view.item(database), "ok", words)
        return
    hit, read = total(grown.values(), "hit"), total(grown.values(), "read")
    yield from view.measure(
        check,
        view.item(database),
        shares[0][0],
        clean(f"blocks of {names[shares[0][1]]} found in the cache"),
        note=f"all indexes together {quantity(100.0 * hit / max(1.0, hit + read), '%')}",
        evidence=[
            clean(f"{names[oid]}: {quantity(share, '%')}, {grown[oid]['read']:.0f} blocks read")
            for share, oid in shares[:_SHOWN]
        ],
    )


def remember(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    found = {
        database: plain_by_name(reads.counters)
        for database, parts in snapshot.databases.items()
        if isinstance(reads := parts.get("index_reads"), IndexReads)
    }
    return {"index_reads": found} if found else {}


TOPIC = Topic(
    checks=CHECKS,
    questions={"postgresql.index_hit": (index_hit, ("index_reads",))},
    database={"index_reads": collect_reads},
    remember=remember,
)
