# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads of a vacuum by need: pure, from what was decided and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Metric, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.reading import Absent
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, duration, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_plan import (
    Decided,
    planned_words,
)
from ansible_collections.fleetcare.maintenance.plugins.module_utils.postgresql.vacuum_terms import Job

#: What each cause of work is called afterwards, and where its figure stands in what the server counts.
_FIGURES: Mapping[str, tuple[str, str]] = {
    "dead": ("dead rows", "dead_rows"),
    "inserted": ("rows inserted since the last vacuum", "inserted_rows"),
    "xid": ("age in transactions", "xid_age"),
    "multixact": ("age in multixacts", "mxid_age"),
    "modified": ("changed rows", "modified_rows"),
}


@dataclass(frozen=True)
class Came:
    """What came of the plan of one database."""

    applied: Sequence[Mapping[str, Any]]
    failed: Sequence[Mapping[str, Any]]
    left: Sequence[Mapping[str, Any]]


def findings_of(
    catalogue: Catalogue,
    check: str,
    place: str,
    decided: Sequence[Decided],
    absent: Mapping[str, Absent],
    execution: Execution | None,
    remedies: Mapping[str, str],
) -> list[Finding]:
    """A finding for each database where something was to be done, and one for all the others together."""
    quiet = [one for one in decided if not one.due and not one.refused]
    found = [
        _finding(catalogue, check, place, one, execution, remedy=remedies.get(one.database, ""))
        for one in decided
        if one not in quiet
    ]
    for database, reason in absent.items():
        item = clean(f"{place}/{database}")
        found.append(catalogue.stated(check, item, reason.status, reason.message, remedy=reason.remedy))
    if quiet:
        tables = counted(sum(one.looked_at for one in quiet), "table")
        databases = counted(len(quiet), "database")
        found.append(catalogue.stated(check, place, "ok", f"nothing is due in {databases} with {tables}"))
    return found


def metrics_of(check: str, place: str, decided: Sequence[Decided], execution: Execution | None) -> list[Metric]:
    """How many tables needed something in each database, and how many were served."""
    metrics = []
    for one in decided:
        if one.due:
            item = clean(f"{place}/{one.database}")
            metrics.append(Metric(f"{check}_needed", item, one.due))
            if execution is not None:
                metrics.append(Metric(f"{check}_served", item, len(_came(one, execution).applied)))
    return metrics


def _came(decided: Decided, execution: Execution) -> Came:
    own = {clean(job.target) for job in decided.jobs}

    def mine(entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [entry for entry in entries if entry["target"] in own]

    return Came(mine(execution.applied), mine(execution.failed), mine(execution.left))


def _finding(
    catalogue: Catalogue, check: str, place: str, decided: Decided, execution: Execution | None, *, remedy: str
) -> Finding:
    came = _came(decided, execution) if execution is not None else None
    needed = f"{decided.due} of {counted(decided.looked_at, 'table')} needed vacuum or analyze"
    parts = list(_parts(decided, came))
    return catalogue.stated(
        check,
        clean(f"{place}/{decided.database}"),
        _status(decided, came),
        "; ".join([needed, *parts]),
        evidence=list(_evidence(decided, came)),
        remedy=remedy or _remedy(decided, came),
    )


def _status(decided: Decided, came: Came | None) -> Status:
    if decided.held or (came is not None and came.failed):
        return "warning"
    if (came is not None and came.left) or (came is None and decided.jobs):
        return "info"
    if decided.forbidden:
        return "skipped"
    return "info" if decided.refused else "ok"


def _parts(decided: Decided, came: Came | None) -> Iterator[str]:
    if came is None:
        if decided.jobs:
            yield planned_words(decided)
    else:
        stuck = sum(1 for entry in came.failed if entry["done"])
        yield f"{len(came.applied)} done"
        if stuck:
            yield f"{stuck} vacuumed that could not be cleaned"
        if len(came.failed) > stuck:
            yield f"{len(came.failed) - stuck} failed"
        if came.left:
            yield f"{len(came.left)} left for another time"
    if decided.held:
        yield f"{len(decided.held)} not tried again, for what holds them is still there"
    if decided.forbidden:
        yield f"{len(decided.forbidden)} that this login may not vacuum"
    if decided.refused:
        yield f"{len(decided.refused)} not rewritten"


def _evidence(decided: Decided, came: Came | None) -> Iterator[str]:
    if came is None:
        yield from (f"{job.action} {job.table.label}: {job.reason}" for job in decided.jobs)
    else:
        yield from (f"{entry['target']}: {entry['error']}" for entry in came.failed)
        yield from (f"{entry['target']}: {entry['reason']}" for entry in came.left)
    yield from (f"{table.label}: {reason}" for table, reason in decided.held)
    yield from (f"{name}: {reason}" for name, reason in decided.refused)
    yield from (f"{table.label}: {decided.grant}" for table in decided.forbidden)
    if came is not None:
        jobs = {clean(job.target): job for job in decided.jobs}
        yield from (_done(entry, jobs[entry["target"]]) for entry in came.applied)


def _done(entry: Mapping[str, Any], job: Job) -> str:
    """What made it due, before and after; of a rewrite its size."""
    before, after = entry["before"], entry["after"]
    if job.full or job.remains is not None:
        sizes = f"{quantity(before['bytes'], 'B')} to {quantity(after['bytes'], 'B')}"
        return f"{entry['action']} {entry['target']}: {sizes} in {duration(entry['seconds'])}"
    causes = {urge.cause for urge in (*job.need.vacuum, *job.need.analyze)}
    # What has changed in partitions is counted there; their table has no figure of its own to compare.
    shown = [] if job.table.kind == "p" else [cause for cause in _FIGURES if cause in causes]
    figures = [f"{_FIGURES[cause][0]} {before[_FIGURES[cause][1]]} to {after[_FIGURES[cause][1]]}" for cause in shown]
    said = ", ".join(figures) or "statistics made anew"
    return f"{entry['action']} {entry['target']}: {said} in {duration(entry['seconds'])}"


def _remedy(decided: Decided, came: Came | None) -> str:
    if decided.remedy:
        return decided.remedy
    if decided.forbidden and not (came is not None and came.failed):
        return decided.grant
    return ""
