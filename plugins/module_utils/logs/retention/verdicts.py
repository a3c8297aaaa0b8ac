# Copyright: fleetcare.maintenance contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a retention says of folders, classes and the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.catalogue import Catalogue
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.finding import Finding, Status
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.plan import Execution
from ansible_collections.fleetcare.maintenance.plugins.module_utils.core.text import clean, counted, quantity
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.keep import Verdict
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.policy import Root
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.vacuum import Vacuum
from ansible_collections.fleetcare.maintenance.plugins.module_utils.logs.retention.walk import NoFolder, Walk


def folder_findings(
    catalogue: Catalogue, walks: Mapping[Root, Walk], failures: Mapping[Root, NoFolder]
) -> Iterator[Finding]:
    """One for each folder: what of it was seen."""
    for root, failure in failures.items():
        yield catalogue.stated("logs.retention_folder", root.path, failure.status, failure.message)
    for root, found in walks.items():
        if found.incomplete:
            said = f"{found.incomplete}; nothing of it is removed"
            yield catalogue.stated("logs.retention_folder", root.path, "unknown", said)
            continue
        evidence = [*(f"{path} may not be entered" for path in found.unreadable), *found.passed]
        notes = [f"{counted(len(found.files), 'rotated file')}"]
        if found.links:
            notes.append(f"{counted(found.links, 'symbolic link')} not followed")
        if found.unprintable:
            notes.append(f"{counted(found.unprintable, 'name')} with control characters left alone")
        if found.passed:
            notes.append(f"{counted(len(found.passed), 'place')} left alone: {found.passed[0]}")
        yield catalogue.stated(
            "logs.retention_folder",
            root.path,
            "warning" if found.unreadable else "skipped" if found.passed else "ok",
            f"{root.path} holds {', '.join(notes)}",
            evidence=evidence,
        )


def class_findings(
    catalogue: Catalogue,
    verdicts: Mapping[Root, Sequence[Verdict]],
    going: Sequence[Verdict],
    waiting: Sequence[Verdict],
    spent: str,
    execution: Execution | None,
) -> Iterator[Finding]:
    """Two for each class: what was or would be removed, and what stays beyond its time."""
    planned = {one.generation.path for one in going}
    done = {entry["target"] for entry in execution.applied} if execution else set()
    # What is gone is gone, although the manifest does not say so.
    done |= {entry["target"] for entry in execution.failed if entry["done"]} if execution else set()
    late = {one.generation.path for one in waiting}
    for kind in dict.fromkeys(root.kind for root in verdicts):
        mine = [one for root, ones in verdicts.items() if root.kind == kind for one in ones]
        due = [one for one in mine if one.generation.path in planned]
        removed = [one for one in due if clean(one.generation.path) in done]
        staying = [one for one in mine if one.overdue and (not one.due or one.generation.path in late)]
        yield _removal(catalogue, kind, mine, due, removed, staying, executed=execution is not None)
        if staying:
            waits = sum(1 for one in staying if one.due)
            note = f"; {waits} left to the next run, for {spent}" if waits else ""
            yield catalogue.stated(
                "logs.retention_overdue",
                kind,
                "warning" if waits or any(one.stuck for one in staying) else "info",
                f"class {kind}: {_amount(staying)} kept beyond retention{note}",
                evidence=[f"{one.generation.path}: {one.reason}" for one in staying],
            )


def _removal(
    catalogue: Catalogue,
    kind: str,
    mine: Sequence[Verdict],
    due: Sequence[Verdict],
    removed: Sequence[Verdict],
    staying: Sequence[Verdict],
    *,
    executed: bool,
) -> Finding:
    evidence = [f"{one.generation.path} {one.reason}" for one in due]
    left = [one for one in due if one not in removed]
    if not due and staying:
        first = next((one for one in staying if one.stuck), staying[0])
        why = f"{first.generation.path} {first.reason}"
        said = f"class {kind}: nothing to be removed; {_amount(staying)} kept beyond retention: {why}"
        return catalogue.stated("logs.retention", kind, "info", said)
    if not due:
        return catalogue.stated(
            "logs.retention", kind, "ok", f"class {kind}: {counted(len(mine), 'rotated file')}, none past retention"
        )
    if not executed:
        said = f"class {kind}: {_amount(due)} past retention, to be removed"
        return catalogue.stated("logs.retention", kind, "info", said, evidence=evidence)
    if left:
        said = f"class {kind}: {_amount(left)} past retention and still there, {_amount(removed)} removed"
        return catalogue.stated("logs.retention", kind, "warning", said, evidence=evidence)
    return catalogue.stated(
        "logs.retention", kind, "ok", f"class {kind}: {_amount(removed)} removed", evidence=evidence
    )


def _amount(verdicts: Sequence[Verdict]) -> str:
    size = quantity(sum(one.generation.used for one in verdicts), "B")
    return f"{counted(len(verdicts), 'rotated file')} ({size})"


def hold_findings(catalogue: Catalogue, idle: Sequence[str]) -> Iterator[Finding]:
    """One for each glob of ``hold`` that holds nothing: what it was meant for may be called otherwise."""
    for glob in idle:
        said = f"the hold on {glob} matches nothing in the folders of the policy, so it holds nothing"
        yield catalogue.stated("logs.retention_hold", glob, "warning", said)


def journal_findings(
    catalogue: Catalogue,
    vacuums: Sequence[Vacuum],
    error: str,
    execution: Execution | None,
    *,
    asked: bool,
) -> Iterator[Finding]:
    """One for each folder of the journal, where the policy limits it."""
    if error:
        yield catalogue.stated("logs.retention_journal", "journal", "unknown", f"it cannot be read: {error}")
    elif asked and not vacuums:
        yield catalogue.skipped("logs.retention_journal", "journal", "this host keeps no journal on the disk")
    done = {entry["target"] for entry in execution.applied} if execution else set()
    for one in vacuums:
        status, said = _vacuumed(one, executed=execution is not None, done=one.folder.path in done)
        if one.kept and status != "warning":
            status = "warning" if one.waits else "info"
        kept = f"; {one.kept}" if one.kept else ""
        yield catalogue.stated("logs.retention_journal", one.folder.path, status, said + kept)


def _vacuumed(one: Vacuum, *, executed: bool, done: bool) -> tuple[Status, str]:
    used = f"the journal takes {quantity(one.folder.used, 'B')}"
    gone = f"{counted(len(one.going), 'archived file')} ({quantity(one.used, 'B')})"
    if not one.going:
        return "ok", f"{used}; {'nothing to be removed' if one.kept else 'none of its archived files is due'}"
    if not executed:
        return "info", f"{used}; {gone} past retention, to be removed"
    if done:
        return "ok", f"{gone} removed; {used} before"
    return "warning", f"{used}; {gone} past retention and still there"
