# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which indexes do not stay in the cache."""

from __future__ import annotations

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.deltas import Counters
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.index_hit import (
    TOPIC,
    IndexReads,
    remember,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.view import Snapshot
from ansible_collections.fleetcare.maintenance.tests.unit.module_utils.postgresql.conftest import (
    SERVER,
    ask,
    remembered,
)


def reads(**blocks: tuple[int, int]) -> IndexReads:
    """Blocks found and read, by the index's name."""
    counters = {name: Counters({"hit": hit, "read": read}) for name, (hit, read) in blocks.items()}
    return IndexReads(counters, {name: f"public.{name}" for name in blocks})


def judged(before: IndexReads | None, now: IndexReads | Absent) -> list[Finding]:
    memory = {}
    if before is not None:
        snapshot = Snapshot(SERVER, SERVER.now, databases={"shop": {"index_reads": before}})
        memory = remembered(SERVER, **remember(snapshot))
    findings, _metrics = ask(TOPIC, "postgresql.index_hit", databases={"shop": {"index_reads": now}}, memory=memory)
    return findings


def test_the_index_that_is_read_most_since_the_last_run_is_told_first() -> None:
    (finding,) = judged(
        reads(by_day=(1_000_000, 0), by_uuid=(900_000, 0), small=(10, 0)),
        reads(by_day=(1_019_000, 1_000), by_uuid=(907_000, 13_000), small=(10, 5_000)),
    )

    assert (finding.status, finding.value) == ("warning", 35)
    assert "blocks of public.by_uuid found in the cache: 35 %" in finding.summary
    assert "all indexes together 57.8 %" in finding.summary
    assert list(finding.evidence) == [
        "public.by_uuid: 35 %, 13000 blocks read",
        "public.by_day: 95 %, 1000 blocks read",
    ]


def test_too_few_blocks_and_a_first_look_judge_nothing() -> None:
    (few,) = judged(reads(by_day=(1_000, 0)), reads(by_day=(1_000, 9_999)))
    (first,) = judged(None, reads(by_day=(0, 1_000_000)))
    (hidden,) = judged(reads(by_day=(0, 0)), Absent("may not connect"))

    assert few.status == "ok"
    assert "too few for a ratio" in few.summary
    assert (first.status, hidden.status) == ("skipped", "skipped")
