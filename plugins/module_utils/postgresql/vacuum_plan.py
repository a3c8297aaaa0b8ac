# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what the tables need to what is done to them: pure, and the same in check mode as in a real run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import kept
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import counted
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.rewrite_plan import rewrites
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.tables import Limits, Table
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_need import (
    FREEZING,
    Need,
    covering,
    needs,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import (
    Choice,
    Ground,
    Held,
    Job,
)

#: What a vacuum behind an unchanged horizon cannot better; inserted rows it reads and marks all the same.
_HELD = ("dead", *FREEZING)
#: So many objects that were left alone are named one by one.
KEPT = 100


@dataclass(frozen=True)
class Decided:
    """The plan of a database, and what is left alone, with the reasons; ``due`` is how many tables need something."""

    database: str
    looked_at: int
    due: int
    jobs: tuple[Job, ...] = ()
    forbidden: tuple[Table, ...] = ()
    held: tuple[tuple[Table, str], ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    grant: str = ""
    remedy: str = ""

    def kept(self) -> Iterator[dict[str, Any]]:
        """What was left alone, at most so many one by one."""
        reasons = [
            *((f"{self.database} {name}", reason) for name, reason in self.refused),
            *((f"{self.database} {table.label}", reason) for table, reason in self.held),
            *((f"{self.database} {table.label}", f"not allowed: {self.grant}") for table in self.forbidden),
        ]
        yield from (kept(target, reason) for target, reason in reasons[:KEPT])
        if len(reasons) > KEPT:
            yield kept(self.database, f"{len(reasons) - KEPT} more tables were left alone for the same reasons")


def decide(
    ground: Ground,
    choice: Choice,
    limits: Limits,
    *,
    first: bool,
    alone: bool,
    held_by: Callable[[Table], Held | None] = lambda _table: None,
    remembered: Mapping[int, int] | None = None,
) -> Decided:
    """What is done in one database.

    ``first``: the tables that all databases share are done here. ``alone``: the server can analyze a partitioned
    table without its partitions. ``held_by`` says who keeps a table's dead rows now, and ``remembered``, by oid, behind
    which transaction id the last vacuum of a table could not clean.
    """
    passing = ground.repack.passing if ground.repack else frozenset()
    tables = [
        table
        for table in ground.tables
        if _chosen(table, choice) and (first or not table.shared) and (table.schema, table.name) not in passing
    ]
    found = needs(
        # The whole database is looked at, for a TOAST goes by its table and a partitioned table by its partitions.
        ground.tables,
        limits,
        unmeasured=ground.unmeasured.counts,
        share=choice.share,
    )
    chosen = {table.oid for table in tables}
    needed = [_reduced(need, choice) for need in found if need.table.oid in chosen]
    rewritten_jobs, refused = rewrites(ground, choice)
    rewritten = {job.table.oid for job in rewritten_jobs if job.full}
    needed = [need for need in needed if need.due and not {need.table.oid, need.table.main} & rewritten]
    held: list[tuple[Table, str]] = []
    open_needs: list[Need] = []
    for need in needed:
        behind = _behind_horizon(need, held_by(need.table), (remembered or {}).get(need.table.oid))
        if behind:
            held.append((need.table, behind))
            # What was only half due would have gone along with the vacuum.
            analyze = tuple(urge for urge in need.analyze if urge.due(choice.share))
            need = replace(need, vacuum=(), analyze=analyze)
        if need.due:
            open_needs.append(need)
    if not alone:
        along = covering([need for need in open_needs if need.table.oid in ground.allowed], ground.tables)
        open_needs = [replace(need, analyze=()) if need.table.oid in along else need for need in open_needs]
    jobs = [_job(ground.database, need) for need in open_needs if need.due and need.table.oid in ground.allowed]
    jobs += rewritten_jobs
    holder = next((found_held.holder for table, _reason in held if (found_held := held_by(table))), None)
    return Decided(
        database=ground.database,
        looked_at=len(tables) if ground.counted is None else ground.counted[0] + ground.counted[1] * first,
        due=len(needed) + len({job.target for job in rewritten_jobs}),
        jobs=tuple(sorted(jobs, key=lambda job: (job.stage, -job.need.score, job.table.oid))),
        forbidden=tuple(need.table for need in open_needs if need.due and need.table.oid not in ground.allowed),
        held=tuple(held),
        refused=tuple(refused),
        grant=ground.grant,
        remedy=holder.remedy if holder else "",
    )


def in_order(decided: Sequence[Decided]) -> list[Job]:
    """The jobs of all databases, the most urgent first; rewrites, which lock readers out, come last."""
    jobs = [job for one in decided for job in one.jobs]
    return sorted(jobs, key=lambda job: (job.stage, -job.need.score, job.database, job.table.oid))


def _chosen(table: Table, choice: Choice) -> bool:
    if not choice.tables and not choice.tables_exclude:
        return True
    name = f"{table.main_schema}.{table.main_name}" if table.kind == "t" else f"{table.schema}.{table.name}"
    wanted = not choice.tables or any(fnmatchcase(name, glob) for glob in choice.tables)
    return wanted and not any(fnmatchcase(name, glob) for glob in choice.tables_exclude)


def _reduced(need: Need, choice: Choice) -> Need:
    return replace(need, vacuum=need.vacuum if choice.vacuum else (), analyze=need.analyze if choice.analyze else ())


def _behind_horizon(need: Need, held: Held | None, remembered: int | None) -> str:
    """Why another vacuum would clean nothing; empty where it might.

    What had died before the oldest snapshot was taken, the last vacuum has removed. What has died since, nobody may
    remove as long as that snapshot is there.
    """
    if held is None or remembered is None or held.xmin != remembered:
        return ""
    if not need.vacuum or any(urge.cause not in _HELD for urge in need.vacuum):
        return ""
    return f"the last vacuum could not clean it ({need.words}), and this still holds it: {held.holder.words}"


def _job(database: str, need: Need) -> Job:
    table = need.table
    action = "vacuum and analyze" if need.vacuum and need.analyze else "vacuum" if need.vacuum else "analyze"
    estimate: dict[str, Any] = {"score": round(need.score, 2)}
    # Of one that nobody has counted yet the catalog knows no size, which is not none.
    if table.heap_bytes:
        estimate["size_bytes"] = table.heap_bytes
    if need.vacuum:
        estimate["dead_rows"] = table.dead
        if table.heap_bytes:
            estimate["index_bytes"] = table.index_bytes
    return Job(
        action=action,
        target=f"{database} {table.label}",
        reason=need.words,
        reversible=False,
        estimate=estimate,
        database=database,
        table=table,
        need=need,
        vacuum=bool(need.vacuum),
        analyze=bool(need.analyze),
    )


def planned_words(decided: Decided) -> str:
    """What is to be done in a database, in a few words: ``3 to vacuum, 2 to analyze``."""
    amounts: dict[str, int] = {}
    for job in decided.jobs:
        amounts[job.action] = amounts.get(job.action, 0) + 1
    return ", ".join(f"{counted(amount, 'table')} to {action}" for action, amount in amounts.items())
